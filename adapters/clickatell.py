"""Clickatell: SMS through the SMS API of its platform (POST /messages), and the callbacks of an integration.

Sources: Clickatell's published description of the SMS API 1.0.0, its lists of status and error codes, its PHP and
Java SDKs; the callbacks and answers that courier and others observed. The key goes into a header here: the same API's
GET would have it in its URL. Receipts come to the address that the integration names, whatever a request says.
"""

import hmac
import logging
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import unquote_to_bytes

from adapters.acceptances import given_id
from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    Inbound,
    Outbound,
    Part,
    Receipt,
    ReceiptState,
    Sent,
    Setting,
    WebhookRequest,
)
from adapters.errors import (
    BadPayload,
    BadSignature,
    Misconfigured,
    NumberRefused,
    OptedOut,
    Rejected,
    Retry,
    SendError,
    Unknown,
)
from adapters.form import form_fields
from adapters.http import Answer, Http
from adapters.json_body import json_body, optional_text, required_text
from adapters.refusals import detail, refusal
from adapters.smpp_text import split_header
from adapters.text import bare_digits, clean_text, international

log = logging.getLogger(__name__)

# A `statusCode`. 4 is the handset's own confirmation (RECEIVED_BY_RECIPIENT), 3 the upstream gateway's.
STATUSES: Mapping[str, ReceiptState | None] = {
    # queued; taken by the gateway; queued for later
    **dict.fromkeys(("2", "8", "11"), None),
    "3": "sent",
    "4": "delivered",
    # no such id; an error with the message; cancelled; an error while delivering
    **dict.fromkeys(("1", "5", "6", "7"), "failed"),
    # routing; expired; out of credit; limit of messages exceeded
    **dict.fromkeys(("9", "10", "12", "14"), "failed"),
}

# An `errorCode`. Those of the One API (POST /v1/message) are others, although some of the numbers are the same.
ERRORS: Mapping[str, type[SendError]] = {
    "122": OptedOut,
    # this recipient: invalid; no route; blocked at Clickatell; delisted
    **dict.fromkeys(("105", "114", "121", "128"), Rejected),
    # this content: malformed; a parameter; its header; empty; too many parts; its Unicode
    **dict.fromkeys(("100", "101", "102", "107", "113", "116"), Rejected),
    # our key, or the address that we call from
    **dict.fromkeys(("1", "7", "108"), Misconfigured),
    # our number
    **dict.fromkeys(("106", "123", "607"), NumberRefused),
    # our account: its daily or monthly limit, its credit
    **dict.fromkeys(("130", "301"), Misconfigured),
    # an error of Clickatell's own, before it took the message
    "901": Retry,
}
# Words of an error without a code (older answers have none) that is about us and not about the message.
ABOUT_US = ("integration", "account", "api key", "from number")

ENCODED: Mapping[str, str] = {"ISO-8859-1": "latin-1", "UTF-16BE": "utf-16-be"}
PLAIN = frozenset({"", "UTF-8", "UTF8"})


class Clickatell(Adapter):
    """One SMS integration of a Clickatell account, for two-way messaging."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "api_key": Setting(required=True, secret=True, help="of the integration, from the portal"),
        "webhook_token": Setting(
            required=True, secret=True, help="of your choice: ends both callback addresses, as ?token=..."
        ),
        "api_base": Setting(default="https://platform.clickatell.com", help="another host, for tests"),
    }
    # No document says that Clickatell answers STOP: what it answers, if at all, is set up in the portal.
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=False, supports_media=False, max_body=640
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        api_base = settings.get("api_base") or self.settings["api_base"].default
        self._messages_url = f"{api_base.rstrip('/')}/messages"
        self._api_key = settings["api_key"]
        self._token = settings["webhook_token"].encode("utf-8", "replace")

    def verify(self, request: WebhookRequest) -> None:
        """Clickatell signs nothing, and whether it can log in is not documented for the platform: what it surely does
        is to call the address that it was given, query and all."""
        query = request.url.partition("#")[0].partition("?")[2]
        try:
            given = dict(form_fields(query.encode("utf-8", "surrogatepass"))).get("token", "")
        except ValueError as error:
            raise BadSignature("the address has far too many fields") from error
        if not self._token or not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), self._token):
            raise BadSignature("the address does not end with this channel's token")

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        """Replies and receipts come to one address; only a receipt has a status."""
        said = json_body(request)
        if not isinstance(said, dict):
            raise BadPayload("the body is not an object")
        is_receipt = "statusCode" in said or ("status" in said and "fromNumber" not in said)
        return _receipts(said) if is_receipt else [_inbound(said)]

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Clickatell does not promise to refuse a clientMessageId that it has seen: a second request is a second
        text."""
        if message.media:
            raise Rejected("Clickatell's SMS API takes no media")
        body = clean_text(message.body)
        asked = {
            "content": body,
            "to": [bare_digits(message.recipient)],
            "from": bare_digits(message.sender),
            "clientMessageId": clean_text(message.id),
            "charset": "UTF-8",
        }
        headers = {"Authorization": self._api_key, "Accept": "application/json"}
        answer = await http.post(self._messages_url, json=asked, headers=headers)
        private = (self._api_key, message.body, body)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, private)
        return _sent(answer, private)


def _inbound(said: Mapping[str, Any]) -> Inbound:
    # {"integrationId": "8a...", "messageId": "af750c2dc53e4e4c88c39b3b48756d3a", "replyMessageId": null,
    #  "fromNumber": "250788383383", "toNumber": "2020", "timestamp": 1516217711000, "text": "Hello World!",
    #  "charset": "UTF-8", "udh": null, "network": null, "keyword": null}
    #
    # replyMessageId is that of the message of ours that this one answers. toNumber is documented, but what courier
    # observed is without it: no reason to lose a customer's message.
    return Inbound(
        provider_id=required_text(said, "messageId"),
        sender=international(required_text(said, "fromNumber")),
        recipient=international(optional_text(said, "toNumber")),
        body=_decoded(optional_text(said, "text"), optional_text(said, "charset").strip().upper()),
        part=_part(optional_text(said, "udh")),
    )


def _decoded(text: str, charset: str) -> str:
    """Text of some charsets is URL-encoded, from its bytes in that charset."""
    codec = ENCODED.get(charset)
    if codec is None:
        if charset not in PLAIN:
            log.warning("clickatell: unknown charset %.40r", charset)
        return text
    # What is not ASCII is not URL-encoded: it is text already.
    if not text.isascii():
        return text
    return clean_text(unquote_to_bytes(text.replace("+", " ")).decode(codec, "replace"))


def _part(udh: str) -> Part | None:
    """Which part of a long message it is, by its header in hexadecimal.

    Whether the platform joins long messages is not documented; a header about parts comes only if it did not.
    """
    if not udh:
        return None
    try:
        return split_header(bytes.fromhex(udh))[0]
    except ValueError:
        log.warning("clickatell: udh cannot be read")
        return None


def _receipts(said: Mapping[str, Any]) -> list[Inbound | Receipt]:
    # {"integrationName": "two way", "messageId": "af750c2dc53e4e4c88c39b3b48756d3a", "requestId": "...",
    #  "clientMessageId": "m1", "to": "250788383383", "from": "2020", "statusCode": 7, "status": "DELIVERY_FAILURE",
    #  "statusDescription": "Error delivering message", "timestamp": 1516217711000}
    message_id = required_text(said, "messageId")
    code = _code(said.get("statusCode"))
    if not code:
        raise BadPayload("statusCode is missing, or no number")
    if code not in STATUSES:
        log.warning("clickatell: unknown statusCode %.40r", code)
        return []
    state = STATUSES[code]
    if state is None:
        return []
    return [Receipt(message_id, state, code if state == "failed" else "")]


def _code(value: Any) -> str:
    """A code as a number without leading zeros, "" where there is none: 4, "4" and "004" are the same."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if abs(value) < 10**9 else ""
    is_number = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9
    return str(int(value)) if is_number else ""


def _sent(answer: Answer, private: tuple[str, ...]) -> Sent:
    # {"messages": [{"apiMessageId": "af750c2dc53e4e4c88c39b3b48756d3a", "accepted": true, "to": "12067799299",
    #   "errorCode": null, "error": null, "errorDescription": null}],
    #  "errorCode": null, "error": null, "errorDescription": null}
    said = answer.json()
    message = _message(said)
    message_id = given_id(message.get("apiMessageId"))
    if message.get("accepted") is not False and message_id:
        return Sent(message_id)
    # A success by HTTP takes nothing where its list is empty.
    if said.get("messages") == [] or message.get("accepted") is False or _is_error(message) or _is_error(said):
        code, text, codes = _reason(said)
        raise codes.get(code, Rejected)(detail(answer, text, private), code)
    raise Unknown(f"HTTP {answer.status} without a message's id")


def _refusal(answer: Answer, private: tuple[str, ...]) -> SendError:
    code, text, codes = _reason(answer.json())
    return refusal(answer, code, text, codes, private)


def _reason(said: Mapping[str, Any]) -> tuple[str, str, Mapping[str, type[SendError]]]:
    """Code and words of an error, of the request or else of its one message; and what its code means."""
    # {"messages": [], "errorCode": 607, "error": "Invalid FROM number.",
    #  "errorDescription": "User specified FROM number, but integration isn't two-way."}
    # {"messages": [], "error": "Two-Way integration error - From number is not related to integration"}
    error = said if _is_error(said) else _message(said)
    code = _code(error.get("errorCode"))
    words = [error.get(name) for name in ("error", "errorDescription")]
    text = " ".join([word for word in words if isinstance(word, str) and word])
    if not code and any(word in text.lower() for word in ABOUT_US):
        return code, text, {code: Misconfigured}
    return code, text, ERRORS


def _message(said: Mapping[str, Any]) -> Mapping[str, Any]:
    """What an answer says of the one message; {} where it says nothing."""
    messages = said.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    return first if isinstance(first, dict) else {}


def _is_error(said: Mapping[str, Any]) -> bool:
    return bool(said.get("error") or said.get("errorCode"))
