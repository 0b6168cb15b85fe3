"""What Vonage's webhooks say: the parameters of a request, and a message of a customer among them."""

import re
from collections.abc import Mapping
from typing import Any

from adapters.contract import Inbound, Part, WebhookRequest
from adapters.errors import BadPayload
from adapters.form import form_fields
from adapters.json_body import json_body
from adapters.text import clean_text, international

# An SMS has as many parts at most.
MAX_PARTS = 255
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def parameters(request: WebhookRequest) -> Mapping[str, str]:
    """The parameters, wherever the account has them put: in the query, in a form, or in JSON; {} for none."""
    if request.body.lstrip()[:1] in (b"{", b"["):
        said = json_body(request)
        if not isinstance(said, dict):
            raise BadPayload("the body is not a JSON object")
        return {name: text for name, value in said.items() if (text := _as_text(value)) is not None}
    try:
        return dict(form_fields(request.body or _query(request.url)))
    except ValueError as error:
        raise BadPayload("the parameters are no form, or far too many") from error


def _query(url: str) -> bytes:
    return url.partition("#")[0].partition("?")[2].encode("utf-8", "surrogateescape")


def _as_text(value: Any) -> str | None:
    """A JSON value as it would stand in a form; None for lists and objects, which no parameter of Vonage's is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or isinstance(value, str | float):
        return "" if value is None else str(value)
    # A number of thousands of digits cannot even be written out.
    return str(value) if isinstance(value, int) and abs(value) < 10**30 else None


def inbound(fields: Mapping[str, str]) -> Inbound:
    """A customer's message, or a part of it."""
    # msisdn=33679368526&to=33644605843&messageId=0A0000000123ABCD2&text=Hello+world&type=text&keyword=Hello
    # &message-timestamp=2020-01-01+12%3A00%3A00&timestamp=1578787200&nonce=aaaaaaaa-bbbb-cccc-dddd-0123456789ab
    # &concat=true&concat-ref=1&concat-total=3&concat-part=2&sig=...
    return Inbound(
        provider_id=required(fields, "messageId"),
        sender=international(required(fields, "msisdn")),
        recipient=international(required(fields, "to")),
        body=_body(fields),
        part=_part(fields),
    )


def _body(fields: Mapping[str, str]) -> str:
    """The text. A binary message is shown as text only where it is UTF-8, else as it came, in hexadecimal."""
    data = clean_text(fields.get("data", ""))
    if fields.get("type", "").lower() != "binary" or not data:
        return clean_text(fields.get("text", ""))
    try:
        text = bytes.fromhex(data).decode("utf-8")
    except ValueError:
        text = ""
    return text if text and not _CONTROL.search(text) else f"[binary message: {data}]"


def _part(fields: Mapping[str, str]) -> Part | None:
    """None where the fields about parts are missing or make no sense: the text then stands for itself."""
    if fields.get("concat", "").lower() != "true":
        return None
    group = clean_text(fields.get("concat-ref", ""))
    number, total = _counted(fields.get("concat-part", "")), _counted(fields.get("concat-total", ""))
    return Part(group, number, total) if group and 1 <= number <= total and total > 1 else None


def _counted(text: str) -> int:
    """0 for anything that cannot count parts."""
    count = int(text) if text.isascii() and text.isdigit() and len(text) <= 3 else 0
    return count if count <= MAX_PARTS else 0


def required(fields: Mapping[str, str], name: str) -> str:
    """A parameter that must be there and not be blank, cleaned."""
    value = clean_text(fields.get(name, ""))
    if not value:
        raise BadPayload(f"{name} is missing")
    return value
