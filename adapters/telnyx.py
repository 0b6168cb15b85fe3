"""Telnyx: SMS and MMS through its Messages API and the webhooks of a messaging profile.

Sources: Telnyx's guides to receiving webhooks, Advanced Opt-In/Out, error codes and idempotency, and its official
Python SDK 4.189, which is made from its published API description.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.acceptances import given_id, given_parts
from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    CarrierAction,
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
from adapters.json_body import json_body, listed, optional_text, required_text
from adapters.refusals import refusal
from adapters.telnyx_signature import check_signature, public_key
from adapters.text import clean_text

log = logging.getLogger(__name__)

# None: no news, because a message that Telnyx took is already "sent" to us or about to be. "delivery_unconfirmed" is
# final, and whether the message arrived is not known: it stays sent.
STATUSES: Mapping[str, ReceiptState | None] = {
    "queued": None,
    "sending": None,
    "sent": "sent",
    "delivery_unconfirmed": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "sending_failed": "failed",
    "delivery_failed": "failed",
    "expired": "failed",
}
RECEIPT_EVENTS = frozenset({"message.sent", "message.finalized"})

ERRORS: Mapping[str, type[SendError]] = {
    "40300": OptedOut,
    # too fast, or a queue that is full
    **dict.fromkeys(("10011", "40011", "40018", "40318"), Throttled),
    # trouble that passes: Telnyx, the carrier, its filter of spam
    **dict.fromkeys(("10007", "40002", "40006"), Retry),
    # a time-out inside Telnyx: nobody can tell
    "10008": Unknown,
    # this recipient cannot be reached; 40309 is a country that the profile does not send to
    **dict.fromkeys(("10002", "10016", "40001", "40012", "40309", "40310", "40319"), Rejected),
    # this content is not taken
    **dict.fromkeys(("40003", "40009", "40015", "40017", "40302", "40316", "40317", "40322"), Rejected),
    # it went astray on the way
    **dict.fromkeys(("40004", "40005", "40008", "40014"), Rejected),
    # our number, its profile, its registration or its daily cap
    **dict.fromkeys(
        ("40010", "40013", "40016", "40100", "40305", "40306", "40312", "40315", "40320", "40321", "40329"),
        NumberRefused,
    ),
    # our account
    **dict.fromkeys(("10009", "10010", "20012", "20100", "40314"), Misconfigured),
}
OPT_OUT_CODE = "40300"

AUTORESPONSE_TYPES: Mapping[str, CarrierAction] = {"STOP": "stop", "START": "start", "HELP": "help"}
# What Telnyx confirms without any configuration, where it is the whole message (guide to Advanced Opt-In/Out).
STOP_WORDS = frozenset({"STOP", "STOPALL", "STOP ALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"})

_IDEMPOTENCY_KEY = re.compile(r"[A-Za-z0-9_:-]{1,255}", re.ASCII)
_SAYS_OPTED_OUT = re.compile(r"\bSTOP\b|\bblock rule\b|\bopt(?:ed)?[ -]?out\b|\bunsubscribed\b", re.IGNORECASE)


class Telnyx(Adapter):
    """One Telnyx account, or one messaging profile of it."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "api_key": Setting(required=True, secret=True, help="KEY..., from the portal"),
        "public_key": Setting(required=True, help="verifies Telnyx's webhooks; from the portal, in base64"),
        "messaging_profile_id": Setting(help="sends from a pool or a name, and takes the numbers that are bought"),
        "connection_id": Setting(help="the voice connection of numbers that are bought"),
        "api_base": Setting(default="https://api.telnyx.com", help="another host, for tests"),
    }
    # Telnyx answers STOP itself and then refuses any message of ours with 40300. Ten parts are 1530 characters.
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=True, supports_media=True, max_body=1530
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        api_base = settings.get("api_base") or self.settings["api_base"].default
        self._messages_url = f"{api_base.rstrip('/')}/v2/messages"
        self._profile_id = settings.get("messaging_profile_id", "")
        self._authorization = {"Authorization": f"Bearer {settings['api_key']}"}
        self._public_key = public_key(settings["public_key"])
        if self._public_key is None:
            raise ValueError("public_key is no Ed25519 key: copy it from Telnyx's portal")

    def verify(self, request: WebhookRequest) -> Once:
        return check_signature(request, self._public_key)

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        data = _held(json_body(request), "data")
        event_type = required_text(data, "event_type")
        if event_type == "message.received":
            return [_inbound(_held(data, "payload"))]
        if event_type in RECEIPT_EVENTS:
            return _receipts(_held(data, "payload"))
        log.warning("telnyx: unknown event_type %.40r", event_type)
        return []

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Ask for one message.

        The idempotency key keeps a text from being doubled that staff release. It does not make a time-out a Retry:
        Telnyx documents that an answer of success is replayed, not what a repeat does while the first is under way.
        """
        body: dict[str, Any] = {"to": message.recipient}
        if message.sender:
            body["from"] = message.sender
        # A number is in a profile of its own, perhaps in another one than this: only names and pools need it told.
        if self._profile_id and not message.sender.removeprefix("+").isdigit():
            body["messaging_profile_id"] = self._profile_id
        if message.body:
            body["text"] = clean_text(message.body)
        if message.media:
            body["media_urls"] = list(message.media)
        if message.receipt_url:
            body["webhook_url"] = message.receipt_url
        headers = dict(self._authorization)
        if _IDEMPOTENCY_KEY.fullmatch(message.id):
            headers["Idempotency-Key"] = message.id
        answer = await http.post(self._messages_url, json=body, headers=headers)
        if not 200 <= answer.status < 300:
            raise send_refusal(answer, (message.body,))
        return _sent(answer)


def _inbound(payload: Any) -> Inbound:
    # {"data": {"event_type": "message.received", "id": "bf6307bd-884d-4c1f-b6ea-c62b8c495d3c", "payload": {
    #   "direction": "inbound", "id": "7ee4241c-f127-47e5-9c34-3aac291f8058", "type": "SMS", "text": "Hello, World!",
    #   "from": {"phone_number": "+18665550001", "carrier": "T-MOBILE USA, INC.", "line_type": "Wireless"},
    #   "to": [{"phone_number": "+18445550001", "status": "webhook_delivered", "carrier": "TELNYX LLC"}],
    #   "cc": [], "media": [{"url": "https://...", "content_type": "image/png", "size": 102}],
    #   "autoresponse_type": null, "encoding": "GSM-7", "parts": 1}}, "meta": {"attempt": 1, ...}}
    recipients = listed(payload, "to")
    if not recipients:
        raise BadPayload("to is missing")
    body = optional_text(payload, "text")
    media = [(optional_text(item, "url"), optional_text(item, "content_type")) for item in listed(payload, "media")]
    return Inbound(
        provider_id=required_text(payload, "id"),
        sender=required_text(_held(payload, "from"), "phone_number"),
        # Of a group the first: Telnyx puts the number that the event is for there, the others under `cc`.
        recipient=required_text(recipients[0], "phone_number"),
        body=body,
        media=tuple([Media(url, content_type) for url, content_type in media if url]),
        carrier_action=_carrier_action(optional_text(payload, "autoresponse_type"), body),
    )


def _carrier_action(autoresponse_type: str, body: str) -> CarrierAction | None:
    """What Telnyx says that it answered (keywords can be configured); else its default words of opting out.

    START and HELP are not told by their words: an answer of ours does arrive then, and one too many is better than
    none.
    """
    action = AUTORESPONSE_TYPES.get(autoresponse_type.upper())
    if action is None and body.strip().upper() in STOP_WORDS:
        action = "stop"
    return action


def _receipts(payload: Any) -> list[Inbound | Receipt]:
    # {"data": {"event_type": "message.finalized", "id": "4ee8c3a6-4995-4309-a3c6-38e3db9ea4be", "payload": {
    #   "direction": "outbound", "id": "834f3d53-8a3c-4aa0-a733-7f2d682a72df", "completed_at": "2019-12-09T21:32:14Z",
    #   "to": [{"phone_number": "+14155550123", "status": "delivery_failed"}],
    #   "errors": [{"code": "40300", "title": "Blocked due to STOP message", "detail": "..."}]}}}
    recipients = listed(payload, "to")
    if not recipients:
        raise BadPayload("to is missing")
    # We never send to more than one.
    status = required_text(recipients[0], "status")
    if status not in STATUSES:
        log.warning("telnyx: unknown status %.40r", status)
        return []
    state = STATUSES[status]
    if state is None:
        return []
    code, words = _error(listed(payload, "errors"))
    # In a receipt the code alone does not say so (guide to error codes): its words must.
    opted_out = code == OPT_OUT_CODE and bool(_SAYS_OPTED_OUT.search(words))
    return [Receipt(required_text(payload, "id"), state, code, opted_out=opted_out)]


def _sent(answer: Answer) -> Sent:
    # {"data": {"id": "40385f64-...", "parts": 1, "to": [{"phone_number": "+1...", "status": "queued"}], ...}}
    said = answer.json().get("data")
    data: dict[str, Any] = said if isinstance(said, dict) else {}
    id = given_id(data.get("id"))
    if not id:
        raise Unknown(f"HTTP {answer.status} without a message id")
    return Sent(id, given_parts(data.get("parts")))


def send_refusal(answer: Answer, private: tuple[str, ...] = ()) -> SendError:
    """What an answer of refusal means; `private` must not be quoted."""
    # {"errors": [{"code": "40300", "title": "Blocked due to STOP message", "detail": "Messages cannot be ..."}]}
    errors = answer.json().get("errors")
    code, words = _error(errors if isinstance(errors, list) else [])
    # Only the title is shown: the detail may quote what was sent.
    title = words.partition("\n")[0]
    if "idempoten" in words.lower() or answer.status == 409:
        return Unknown(f"HTTP {answer.status}: an earlier request for this message may have been taken", code)
    if code == OPT_OUT_CODE and words.strip() and not _SAYS_OPTED_OUT.search(words):
        return refusal(answer, code, title, {code: Rejected}, private)
    return refusal(answer, code, title, ERRORS, private)


def _error(errors: list[Any]) -> tuple[str, str]:
    """The code of the first error, and its title and detail in a line each."""
    error = errors[0] if errors and isinstance(errors[0], dict) else {}
    code = error.get("code")
    words = [text if isinstance(text, str) else "" for text in (error.get("title"), error.get("detail"))]
    return clean_text(str(code))[:40] if isinstance(code, str | int) else "", clean_text("\n".join(words))


def _held(item: Any, name: str) -> Any:
    """An object that another must hold."""
    value = item.get(name) if isinstance(item, dict) else None
    if not isinstance(value, dict):
        raise BadPayload(f"{name} is missing or no object")
    return value
