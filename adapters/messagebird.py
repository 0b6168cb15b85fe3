"""MessageBird (now Bird): SMS and MMS through its classic REST API, and the webhooks of its numbers.

Sources: MessageBird's SDKs for Python (2.2.0: request_validator.py), Go (8) and PHP; nyaruka/courier's observed
requests; the codes of errors from the PHP SDK. There is a `reportUrl` for SMS only: receipts of MMS go to the URL
that the account names.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from adapters.acceptances import given_id, given_parts
from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    Inbound,
    Media,
    Once,
    Outbound,
    Receipt,
    ReceiptState,
    Sent,
    Setting,
    WebhookRequest,
)
from adapters.errors import BadPayload, Misconfigured, NumberRefused, OptedOut, Rejected, SendError, Unknown
from adapters.form import form_fields
from adapters.http import Answer, Http
from adapters.messagebird_signature import check_signature
from adapters.refusals import refusal
from adapters.text import bare_digits, clean_text, international

log = logging.getLogger(__name__)

# None: no news. "buffered" is the carrier's word: it has the message and waits for the phone.
STATUSES: Mapping[str, ReceiptState | None] = {
    "scheduled": None,
    "sent": "sent",
    "buffered": "sent",
    "delivered": "delivered",
    "expired": "failed",
    "delivery_failed": "failed",
}
# The statusErrorCode of a message to somebody who sent STOP.
OPTED_OUT_CODE = "103"

# The `code` of an error of the API; these numbers are not those of statusErrorCode.
ERRORS: Mapping[str, type[SendError]] = {
    # our access key, our credit
    **dict.fromkeys(("2", "25"), Misconfigured),
    # a parameter is missing or wrong: see OUR_PARAMETERS
    **dict.fromkeys(("9", "10"), Rejected),
    # the address asked: api_base
    "20": Misconfigured,
}
# Where these are missing or wrong, it is not the message's fault.
OUR_PARAMETERS: Mapping[str, type[SendError]] = {
    "access_key": Misconfigured, "reportUrl": Misconfigured, "originator": NumberRefused,
}  # fmt: skip

# MessageBird's own limit: nine parts of 153.
MAX_BODY = 1377


class MessageBird(Adapter):
    """One MessageBird account."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "access_key": Setting(required=True, secret=True, help="a live key, from the dashboard"),
        "signing_key": Setting(required=True, secret=True, help="signs MessageBird's webhooks"),
        "api_base": Setting(default="https://rest.messagebird.com", help="another host, for tests"),
    }
    # No document says that MessageBird answers STOP, only that it then refuses to send (103).
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=False,
        supports_media=True,
        max_body=MAX_BODY,
        webhook_methods=frozenset({"GET", "POST"}),
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement("text/plain", b"OK")

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._base = (settings.get("api_base") or self.settings["api_base"].default).rstrip("/")
        self._access_key = settings["access_key"]
        self._signing_key = settings["signing_key"].encode("utf-8", "replace")

    def verify(self, request: WebhookRequest) -> Once | None:
        return check_signature(request, self._signing_key)

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        pairs = _pairs(request)
        # Of a repeated field the last is what the customer wrote last.
        fields = dict(pairs)
        return _receipts(fields) if "status" in fields else [_inbound(fields, pairs)]

    async def send(self, message: Outbound, http: Http) -> Sent:
        """MessageBird has no idempotency key: a second request is a second text."""
        body = clean_text(message.body)
        asked: dict[str, Any] = {
            "originator": bare_digits(message.sender),
            "recipients": [bare_digits(message.recipient)],
            "reference": message.id,
        }
        if message.media:
            path = "mms"
            asked |= {"mediaUrls": list(message.media)} | ({"body": body} if body else {})
        else:
            path = "messages"
            asked |= {"body": body, "datacoding": "auto"}
            asked |= {"reportUrl": message.receipt_url} if message.receipt_url else {}
        headers = {"Authorization": f"AccessKey {self._access_key}"}
        answer = await http.post(f"{self._base}/{path}", json=asked, headers=headers)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, (self._access_key, body))
        return _sent(answer)


def _pairs(request: WebhookRequest) -> tuple[tuple[str, str], ...]:
    """Each field of the form, or of the query where there is no body."""
    query = request.url.partition("#")[0].partition("?")[2]
    try:
        return form_fields(request.body or query.encode("utf-8", "surrogateescape"))
    except ValueError as error:
        raise BadPayload("the fields are no form, or far too many") from error


def _inbound(fields: Mapping[str, str], pairs: tuple[tuple[str, str], ...]) -> Inbound:
    # To a number:
    # receiver=18005551515&body=Test+again&date=1690386569&date_utc=1690418969&reference=1
    # &id=3b53c137369242138120d6b0b2122607&recipient=18005551515&originator=18885551515&body=Test+3
    # &createdDatetime=2023-07-27T00%3A49%3A29%2B00%3A00&mediaUrls=https%3A%2F%2Fmedia.example%2F1.jpg
    # To a short code:
    # shortcode=51515&message=Test+again&date=1690386569&reference=1&mid=3b53c137369242138120d6b0b2122607
    # &recipient=18005551515&originator=18885551515&receive_datetime=20230727004929
    message_id, recipient, body = (
        ("mid", "shortcode", "message") if fields.get("shortcode") else ("id", "recipient", "body")
    )
    return Inbound(
        provider_id=_required(fields, message_id),
        sender=international(_required(fields, "originator")),
        recipient=international(_required(fields, recipient)),
        body=clean_text(fields.get(body, "")),
        media=tuple([Media(url) for name, value in pairs for url in _media_urls(name, value)]),
    )


def _media_urls(name: str, value: str) -> Iterator[str]:
    """`mediaUrls`, also written `mediaURLs` or `mediaUrls[]`: once for each, or once with all as a JSON list."""
    if name.partition("[")[0].lower() != "mediaurls" or not value:
        return
    urls: Any = [value]
    if value.startswith("["):
        try:
            urls = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise BadPayload(f"{name} is no list") from error
    for url in urls:
        if not isinstance(url, str):
            raise BadPayload(f"{name} holds what is no URL")
        if cleaned := clean_text(url):
            yield cleaned


def _receipts(fields: Mapping[str, str]) -> list[Inbound | Receipt]:
    # datacoding=plain&id=b6aae1b5dfb2427a8f7ea6a717ba31a9&mccmnc=310010&messageLength=4&messagePartCount=1&ported=0
    # &price%5Bamount%5D=0.000&price%5Bcurrency%5D=USD&recipient=18885551515
    # &reference=019a0719-ac96-7eb9-a837-cac215164834&statusDatetime=2023-07-28T17%3A57%3A12%2B00%3A00
    # &status=delivery_failed&statusErrorCode=103
    message_id = _required(fields, "id")
    status = fields["status"]
    if status not in STATUSES:
        log.warning("messagebird: unknown status %.40r", status)
        return []
    state = STATUSES[status]
    if state is None:
        return []
    code = clean_text(fields.get("statusErrorCode", "")).strip()
    error, reference = "" if code == "0" else code, clean_text(fields.get("reference", ""))
    return [Receipt(message_id, state, error, opted_out=code == OPTED_OUT_CODE, reference=reference)]


def _required(fields: Mapping[str, str], name: str) -> str:
    value = clean_text(fields.get(name, ""))
    if not value:
        raise BadPayload(f"{name} is missing")
    return value


def _sent(answer: Answer) -> Sent:
    # {"id": "6fe65f90454aa61536e6a88b88972670", "direction": "mt", "type": "sms", "originator": "12025550100",
    #  "recipients": {"totalCount": 1, "totalSentCount": 1, "totalDeliveredCount": 0, "totalDeliveryFailedCount": 0,
    #   "items": [{"recipient": 12025550123, "status": "sent", "messagePartCount": 1}]}, ...}
    said = answer.json()
    message_id = given_id(said.get("id"))
    if not message_id:
        raise Unknown(f"HTTP {answer.status} without a message id")
    recipient = _recipient(said)
    if recipient.get("status") == "delivery_failed":
        code = clean_text(str(recipient.get("statusErrorCode") or ""))[:20]
        raise (OptedOut if code == OPTED_OUT_CODE else Rejected)("taken and not delivered at once", code)
    return Sent(message_id, given_parts(recipient.get("messagePartCount")))


def _recipient(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What the answer says of the one recipient; {} where it says nothing."""
    recipients = said.get("recipients")
    items = recipients.get("items") if isinstance(recipients, dict) else None
    item = items[0] if isinstance(items, list) and items else None
    return item if isinstance(item, dict) else {}


def _refusal(answer: Answer, private: tuple[str, ...]) -> SendError:
    # {"errors": [{"code": 9, "description": "no (correct) recipients found", "parameter": "recipients"}]}
    errors = answer.json().get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    error = first if isinstance(first, dict) else {}
    code = str(error.get("code") or "")[:20]
    parameter = error.get("parameter")
    ours = OUR_PARAMETERS.get(parameter) if isinstance(parameter, str) else None
    codes = {**ERRORS, code: ours} if ours else ERRORS
    return refusal(answer, code, error.get("description"), codes, private)
