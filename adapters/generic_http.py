"""`http`: any gateway that takes and sends texts by HTTP, joined in config.toml and without code.

The settings (generic_http_settings.py) say where in its JSON or forms everything is; docs/http-channel.md has an
example. A mapping that cannot work raises ValueError, when the configuration is read.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

import orjson

from adapters.acceptances import given_id
from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    Inbound,
    Once,
    Outbound,
    Receipt,
    Sent,
    Setting,
    WebhookRequest,
)
from adapters.errors import (
    BadPayload,
    BadSignature,
    Misconfigured,
    OptedOut,
    Rejected,
    Retry,
    SendError,
    Throttled,
    Unknown,
)
from adapters.generic_http_events import STATUSES, Events
from adapters.generic_http_mapping import (
    Given,
    check_placeholders,
    fields,
    fill,
    filled,
    template,
    text_at,
    uses,
)
from adapters.generic_http_settings import SETTINGS
from adapters.generic_http_signature import check_token, hmac_of
from adapters.http import Answer, Http
from adapters.refusals import code_of, wait_of
from adapters.text import bare_digits, clean_text

__all__ = ["ERRORS", "STATUSES", "GenericHttp"]

# What `error_classes` may call a gateway's codes, which are all that there are.
CLASSES: Mapping[str, type[SendError]] = {
    kind.outcome: kind for kind in (Retry, Throttled, Rejected, OptedOut, Misconfigured, Unknown)
}
ERRORS: Mapping[str, type[SendError]] = {}

_VALUES = ("id", "from", "to", "text", "media", "receipt_url", "api_key")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class GenericHttp(Adapter):
    """One account at one gateway, whatever it is."""

    settings: ClassVar[Mapping[str, Setting]] = SETTINGS
    capabilities: ClassVar[Capabilities] = Capabilities(carrier_confirms_opt_out=False, supports_media=True)
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._given = given = Given(settings)
        self._hmac = hmac_of(given, "")
        self._events = Events(given)
        self._url = _url(given)
        self._method = given.one_of("send_method", ("POST", "PUT", "GET"))
        self._format = given.one_of("send_format", ("json", "form", "query"))
        self._body = template("send_body", given["send_body"], _VALUES)
        if self._format != "json":
            fields("send_body", self._body)
        elif self._method == "GET":
            raise ValueError("send_method GET has no body: send_format must be query")
        self._takes_media = uses(self._body, "media")
        self._headers = _headers(given)
        self._plus = given.one_of("plus", ("yes", "no")) == "yes"
        if ":" in given["send_user"]:
            raise ValueError("send_user must not hold a colon: HTTP Basic ends it there")
        self._login = (given["send_user"], given["send_password"]) if given["send_user"] else None
        self._signs = hmac_of(given, "send_")
        self._id_optional = given.one_of("id_optional", ("yes", "no")) == "yes"
        self._classes = {code: CLASSES[word] for code, word in given.pairs("error_classes", CLASSES).items()}

    def verify(self, request: WebhookRequest) -> Once | None:
        token = self._given["token"]
        if not token and self._hmac is None:
            raise BadSignature("this channel has neither token nor signature_secret: it can believe nobody")
        if token:
            check_token(request, self._given["token_header"], token)
        return self._hmac.check(request) if self._hmac is not None else None

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        return self._events.read(request)

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Make the one request that the settings describe."""
        if message.media and not self._takes_media:
            raise Rejected("send_body has no {media}: this gateway takes text only")
        values = {
            "id": message.id,
            "from": message.sender if self._plus else bare_digits(message.sender),
            "to": message.recipient if self._plus else bare_digits(message.recipient),
            "text": message.body,
            "receipt_url": message.receipt_url,
            "api_key": self._given["api_key"],
        }
        values = {name: clean_text(value) for name, value in values.items()}
        body = filled(self._body, values, [clean_text(url) for url in message.media])
        pairs = fields("send_body", body) if self._format != "json" else []
        headers = {name: fill(value, values) for name, value in self._headers}
        if self._signs is not None:
            # The bytes that Http makes of it.
            raw = orjson.dumps(body) if self._format == "json" else urlencode(pairs).encode()
            headers |= self._signs.headers(b"" if self._format == "query" else raw, self._asked(pairs), self._method)
        answer = await http.request(
            self._method,
            self._url,
            query=pairs if self._format == "query" else (),
            form=pairs if self._format == "form" else None,
            json=body if self._format == "json" else None,
            headers=headers,
            basic=self._login,
        )
        return self._sent(answer, message.id, (message.body, self._given["api_key"]))

    def _asked(self, pairs: list[tuple[str, str]]) -> str:
        """The URL with its query."""
        if self._format != "query" or not pairs:
            return self._url
        return f"{self._url}{'&' if '?' in self._url else '?'}{urlencode(pairs)}"

    def _sent(self, answer: Answer, own_id: str, private: tuple[str, ...]) -> Sent:
        # {"id": "g3"}, or {"code": "1001"}
        try:
            said = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            said = {}
        code = _scalar(said, self._given["error_code"])
        success = 200 <= answer.status < 300
        # Some gateways refuse with 200: a code that has a class counts, whatever the status is.
        if code in self._classes or not success:
            kind = self._classes.get(code) or _kind(answer)
            detail, shown = f"HTTP {answer.status}", code_of(code, private)
            raise Throttled(detail, shown, wait_of(answer)) if kind is Throttled else kind(detail, shown)
        id = given_id(_scalar(said, self._given["sent_id"]))
        if id:
            return Sent(id)
        if self._id_optional:
            return Sent(own_id)
        raise Unknown(f"HTTP {answer.status} without an id at {self._given['sent_id']}")


def _kind(answer: Answer) -> type[SendError]:
    """By the status alone. 408, 502 and 504 may come from what is between the gateway and us."""
    status = answer.status
    if status == 429 or (status == 503 and answer.retry_after is not None):
        return Throttled
    if status in (500, 503):
        return Retry
    if status == 408 or status > 500:
        return Unknown
    return Misconfigured if status < 400 or status in (401, 403) else Rejected


def _scalar(said: Any, path: str) -> str:
    """A text or number of an answer; "" for anything else."""
    try:
        return text_at(said, path) or ""
    except BadPayload:
        return ""


def _url(given: Given) -> str:
    try:
        parts = urlsplit(given["send_url"])
        whole = parts.scheme in ("http", "https") and bool(parts.hostname)
        base = given["api_base"].rstrip("/")
    except ValueError:
        whole = False
    if not whole:
        raise ValueError("send_url must be a whole address, like https://gateway.example/messages")
    if not base:
        return given["send_url"]
    return f"{base}{parts.path}{'?' if parts.query else ''}{parts.query}"


def _headers(given: Given) -> list[tuple[str, str]]:
    found = []
    if _CONTROL.search(given["api_key"]):
        raise ValueError("api_key must not hold control characters")
    for line in filter(None, map(str.strip, given["send_headers"].splitlines())):
        name, colon, value = line.partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name.strip()) or _CONTROL.search(value):
            raise ValueError("send_headers holds a line that is no 'Name: value'")
        check_placeholders("send_headers", value, ("api_key", "id"))
        found.append((name.strip(), value.strip()))
    return found
