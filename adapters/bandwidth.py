"""Bandwidth: SMS and MMS through its Messaging API (V2) and the webhooks of a messaging application.

Sources: Bandwidth's guides to webhooks, sending and messaging errors, its published API description and its official
Python SDK 23.3. Bandwidth signs nothing: its webhooks log in, with credentials set in the application.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from adapters.acceptances import given_id, given_parts
from adapters.basic_login import check_login
from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    CarrierAction,
    Inbound,
    Media,
    Outbound,
    Receipt,
    ReceiptState,
    Sent,
    Setting,
    WebhookRequest,
)
from adapters.errors import (
    BadPayload,
    Misconfigured,
    NumberRefused,
    OptedOut,
    Rejected,
    Retry,
    SendError,
    Throttled,
    Unknown,
)
from adapters.http import Answer, Http
from adapters.json_body import json_body, listed, optional_text, readable, required_text
from adapters.refusals import refusal
from adapters.text import clean_text, international

log = logging.getLogger(__name__)

# An event's `type`. None: no news, because a message that Bandwidth took is already "sent" to us or about to be.
# "message-delivered" of a picture may mean only that the carrier has it, unless the account asked for more.
STATUSES: Mapping[str, ReceiptState | None] = {
    "message-sending": None,
    "message-sent": "sent",
    "message-delivered": "delivered",
    "message-read": "delivered",
    "message-failed": "failed",
}
RECEIVED = "message-received"
# A "message-failed" of which Bandwidth only waited too long for news: it may well have arrived. To call it failed
# would invite a second one.
NEVER_HEARD_OF = frozenset({"9902"})

ERRORS: Mapping[str, type[SendError]] = {
    # the `type` of an answer to a request to send
    "request-validation": Rejected,
    "max-message-queue-size-exceeded": Throttled,
    **dict.fromkeys(("unauthorized", "forbidden", "unsupported-content-type"), Misconfigured),
    # errorCode, where the rule of error_class is not enough: the recipient opted out
    "4775": OptedOut,
    # too much for the carrier for now
    "4785": Throttled,
    # our number, its registration or its cap
    **dict.fromkeys(
        ("4302", "4403", "4405", "4407", "4481", "4740", "4773", "4774", "4780", "4781", "4795"), NumberRefused
    ),
    # our account and what it may do
    **dict.fromkeys(("4431", "4433", "4451", "4452", "4493"), Misconfigured),
}
# Fields of a request to send that are not about this message alone.
OUR_FIELDS: Mapping[str, type[SendError]] = {"from": NumberRefused, "applicationId": Misconfigured}

_FOUR_DIGITS = re.compile(r"[0-9]{4}", re.ASCII)
_TOLL_FREE = re.compile(r"\+18(?:00|33|44|55|66|77|88)[0-9]{7}", re.ASCII)
# Parts of an MMS that say how to lay it out, and nothing to a person.
LAYOUT = (".smil", ".xml")


class Bandwidth(Adapter):
    """One messaging application of a Bandwidth account."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "account_id": Setting(required=True, help="the number of the account"),
        "application_id": Setting(required=True, help="the messaging application that sends"),
        "user": Setting(required=True, help="API user, or client id"),
        "password": Setting(required=True, secret=True, help="belongs to user"),
        "webhook_user": Setting(required=True, help="callback user, as set in the application"),
        "webhook_password": Setting(required=True, secret=True, help="callback password, as set in the application"),
        "site_id": Setting(help="the sub-account (site) that takes the numbers that are bought"),
        "sip_peer_id": Setting(help="the location (SIP peer) of those numbers; without, the site's default"),
        "voice_application_id": Setting(help="the voice application of those numbers, to forward their calls"),
        "api_base": Setting(default="https://messaging.bandwidth.com", help="another host, for tests"),
        "numbers_api_base": Setting(
            help="where numbers are bought; without, https://dashboard.bandwidth.com, or api_base where that is changed"
        ),
    }
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=False, supports_media=True, max_body=2048
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        api_base = settings.get("api_base") or self.settings["api_base"].default
        self._messages_url = f"{api_base.rstrip('/')}/api/v2/users/{settings['account_id']}/messages"
        self._application_id = settings["application_id"]
        if ":" in settings["user"]:
            raise ValueError("user must not hold a colon: HTTP Basic ends it there")
        self._login = (settings["user"], settings["password"])
        self._webhook_login = (settings["webhook_user"], settings["webhook_password"])

    def verify(self, request: WebhookRequest) -> None:
        check_login(request, *self._webhook_login)

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        items = json_body(request)
        if not isinstance(items, list):
            raise BadPayload("the body is not a list of events")
        return readable(items, _events, log)

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Create one message. Bandwidth has no idempotency key: a second request is a second text."""
        body: dict[str, Any] = {
            "applicationId": self._application_id,
            "to": [message.recipient],
            "from": message.sender,
            # Comes back with each receipt, for whoever reads Bandwidth's own logs.
            "tag": message.id,
        }
        if message.body:
            body["text"] = clean_text(message.body)
        if message.media:
            body["media"] = list(message.media)
        answer = await http.post(self._messages_url, json=body, basic=self._login)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, message.body)
        # {"id": "14762070468292kw2fuqty55yp2b2", "owner": "+1...", "to": ["+1..."], "segmentCount": 1, "tag": "..."}
        said = answer.json()
        id = given_id(said.get("id"))
        if not id:
            raise Unknown(f"HTTP {answer.status} without a message id")
        return Sent(id, given_parts(said.get("segmentCount")))


def error_class(code: str) -> type[SendError] | None:
    """What a code of Bandwidth's four digits means; None for any other.

    The first digit: 4 for our fault, 5 for theirs, 9 for nobody knows. Of theirs the second: 6 is the carrier's, to be
    tried once more at most. Nobody counts that here, so it is for staff.
    """
    if code in ERRORS:
        return ERRORS[code]
    if not _FOUR_DIGITS.fullmatch(code):
        return None
    if code[0] == "4":
        return Rejected
    return Retry if code[0] == "5" and code[1] != "6" else Unknown


def _events(item: Any) -> list[Inbound | Receipt]:
    type = required_text(item, "type")
    if type == RECEIVED:
        return [_inbound(item)]
    if type not in STATUSES:
        log.warning("bandwidth: unknown type %.40r", type)
        return []
    receipt = _receipt(item, STATUSES[type])
    return [receipt] if receipt is not None else []


def _inbound(item: Any) -> Inbound:
    # [{"type": "message-received", "time": "2016-09-14T18:20:16Z", "description": "Incoming message received",
    #   "to": "+12345678902", "message": {"id": "14762070468292kw2fuqty55yp2b2", "time": "2016-09-14T18:20:16Z",
    #   "to": ["+12345678902"], "from": "+12065551234", "text": "hello world", "media": ["https://messaging..."],
    #   "applicationId": "93de2206-...", "owner": "+12345678902", "direction": "in", "segmentCount": 1}}]
    message = _message(item)
    # Of a group, each of our numbers gets an event with an id of its own.
    recipient = international(required_text(item, "to"))
    body = optional_text(message, "text")
    return Inbound(
        provider_id=required_text(message, "id"),
        sender=international(required_text(message, "from")),
        recipient=recipient,
        body=body,
        media=_media(message),
        carrier_action=_carrier_action(recipient, body),
    )


def _media(message: Any) -> tuple[Media, ...]:
    """The pictures. To fetch one, the API's own login is needed."""
    urls = listed(message, "media")
    if not all([isinstance(url, str) for url in urls]):
        raise BadPayload("media is not a list of texts")
    return tuple([Media(url) for url in map(clean_text, urls) if url and not _is_layout(url)])


def _is_layout(url: str) -> bool:
    try:
        return urlsplit(url).path.lower().endswith(LAYOUT)
    except ValueError:
        return False


def _carrier_action(recipient: str, body: str) -> CarrierAction | None:
    """Toll-free numbers answer the word STOP by themselves, whoever rents them out. Other numbers answer nothing."""
    return "stop" if _TOLL_FREE.fullmatch(recipient) and body.strip().upper() == "STOP" else None


def _receipt(item: Any, state: ReceiptState | None) -> Receipt | None:
    # [{"type": "message-failed", "time": "2016-09-14T18:20:16Z", "description": "forbidden to country",
    #   "to": "+52345678903", "errorCode": 4432, "message": {"id": "14762070468292kw2fuqty55yp2b2", "tag": "...",
    #   "to": ["+52345678903"], "from": "+12345678901", "direction": "out", "segmentCount": 1}}]
    if state is None:
        return None
    message = _message(item)
    provider_id = required_text(message, "id")
    code = _code(item.get("errorCode"))
    if state == "failed" and code in NEVER_HEARD_OF:
        state = "sent"
    opted_out = ERRORS.get(code) is OptedOut
    return Receipt(provider_id, state, code, opted_out=opted_out, reference=optional_text(message, "tag"))


def _message(item: Any) -> Any:
    message = item.get("message")
    if not isinstance(message, dict):
        raise BadPayload("message is missing or no object")
    return message


def _code(value: Any) -> str:
    """A number in the documents, and as text no worse."""
    return clean_text(str(value))[:40] if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _refusal(answer: Answer, private: str) -> SendError:
    # {"type": "request-validation", "description": "Your request could not be accepted",
    #  "fieldErrors": [{"fieldName": "from", "description": "'+1invalid' must be replaced with a valid E164 ..."}]}
    said = answer.json()
    code = _code(said.get("errorCode")) or _code(said.get("type"))
    kind = error_class(code)
    errors = said.get("fieldErrors")
    fields = [error.get("fieldName") for error in errors if isinstance(error, dict)] if isinstance(errors, list) else []
    if kind is Rejected:
        ours = [OUR_FIELDS[field] for field in fields if isinstance(field, str) and field in OUR_FIELDS]
        kind = ours[0] if ours else kind
    return refusal(answer, code, said.get("description"), {code: kind} if kind else {}, (private,))
