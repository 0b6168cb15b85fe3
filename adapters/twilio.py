"""Twilio: SMS and MMS through its Messages resource and the webhooks of its numbers.

Sources: Twilio's guides to webhook requests, status callbacks and Advanced Opt-Out, its published API
description. A `whatsapp:` prefix of an address is left alone, inbound and outbound: such an address is not a
phone number to Twilio either.
"""

import logging
from collections.abc import Mapping
from itertools import count
from typing import ClassVar

from adapters.acceptances import given_id, given_parts
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
from adapters.form import form_fields
from adapters.http import Answer, Http
from adapters.refusals import refusal
from adapters.text import clean_text, decode_base64_text, is_carrier_stop
from adapters.twilio_signature import check_signature

log = logging.getLogger(__name__)

# None: no news, because a message that Twilio took is already "sent" to us or about to be.
# A message to a group is delivered once one member has it. Only a scheduled message is ever cancelled,
# which we never ask for: somebody did it in Twilio's console, so it will not arrive.
STATUSES: Mapping[str, ReceiptState | None] = {
    "accepted": None,
    "scheduled": None,
    "queued": None,
    "sending": None,
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "partially_delivered": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "failed",
}
INBOUND_STATUSES = frozenset({"receiving", "received"})

ERRORS: Mapping[str, type[SendError]] = {
    "21610": OptedOut,
    # too fast, or a queue of Twilio's is full
    **dict.fromkeys(("14107", "20429", "21611", "30001", "30022", "63018"), Throttled),
    # congestion and time-outs on the way
    **dict.fromkeys(("30017", "30410"), Retry),
    # this recipient cannot be reached
    **dict.fromkeys(("21211", "21408", "21612", "21614", "30003", "30005", "30006"), Rejected),
    # this content is not taken
    **dict.fromkeys(("21602", "21617", "21623", "30004", "30007", "30011", "30019"), Rejected),
    # our number, its registration or its daily cap
    **dict.fromkeys(("21606", "30023", "30024", "30027", "30032", "30034", "30035"), NumberRefused),
    # our account, its Messaging Service
    **dict.fromkeys(("20003", "21703", "21704", "21705", "30002"), Misconfigured),
}

OPT_OUT_TYPES: Mapping[str, CarrierAction] = {"STOP": "stop", "START": "start", "HELP": "help"}


class Twilio(Adapter):
    """One Twilio account, or one Messaging Service of it."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "account_sid": Setting(required=True, help="AC..., from the console"),
        "auth_token": Setting(required=True, secret=True, help="signs Twilio's webhooks"),
        "messaging_service_sid": Setting(help="MG...: send through this service, not from a number"),
        "api_base": Setting(default="https://api.twilio.com", help="another host, for tests or a region"),
        "api_key_sid": Setting(help="SK...: authenticates sending in place of the account"),
        "api_key_secret": Setting(secret=True, help="belongs to api_key_sid"),
        "shared_key": Setting(secret=True, help="SharedKey secret, for webhooks signed with HMAC_SHA256"),
    }
    # Twilio answers STOP itself and then refuses any message of ours with 21610.
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=True, supports_media=True, max_body=1600
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement(
        "text/xml", b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
    )

    def __init__(self, settings: Mapping[str, str]) -> None:
        account_sid = settings["account_sid"]
        auth_token = settings["auth_token"]
        api_base = settings.get("api_base") or self.settings["api_base"].default
        self._messages_url = f"{api_base.rstrip('/')}/2010-04-01/Accounts/{account_sid}/Messages.json"
        self._service_sid = settings.get("messaging_service_sid", "")
        self._login = (account_sid, auth_token)
        if settings.get("api_key_sid"):
            self._login = (settings["api_key_sid"], settings.get("api_key_secret", ""))
        self._signing_keys = {"sha1": auth_token.encode(), "sha256": settings.get("shared_key", "").encode()}

    def verify(self, request: WebhookRequest) -> None:
        check_signature(request, self._signing_keys)

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        try:
            fields = dict(form_fields(request.body))
        except ValueError as error:
            raise BadPayload("the body is not a form, or has far too many fields") from error
        if (fields.get("MessageStatus") or "received") in INBOUND_STATUSES:
            return [_inbound(fields)]
        return _receipts(fields)

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Create one Message resource. Twilio has no idempotency key: a second request is a second text."""
        form = [("To", message.recipient)]
        if self._service_sid:
            form.append(("MessagingServiceSid", self._service_sid))
        else:
            form.append(("From", message.sender))
        if message.body:
            form.append(("Body", clean_text(message.body)))
        form += [("MediaUrl", url) for url in message.media]
        if message.receipt_url:
            form.append(("StatusCallback", message.receipt_url))
        answer = await http.post(self._messages_url, form=form, basic=self._login)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, (message.body,))
        return _sent(answer)


def _inbound(fields: Mapping[str, str]) -> Inbound:
    # ToCountry=US&SmsMessageSid=SMe287d7109a5a925f182f0e07fe5b223b&NumMedia=0&FromZip=01022
    # &SmsStatus=received&Body=Msg&To=%2B12028831111&NumSegments=1
    # &MessageSid=SMe287d7109a5a925f182f0e07fe5b223b&AccountSid=acctid
    # &From=%2B14133881111&ApiVersion=2010-04-01
    body = clean_text(fields.get("Body", ""))
    media = []
    for number in count():
        url = clean_text(fields.get(f"MediaUrl{number}", ""))
        if not url:
            break
        media.append(Media(url, clean_text(fields.get(f"MediaContentType{number}", ""))))
    return Inbound(
        provider_id=_required(fields, "MessageSid"),
        sender=_required(fields, "From"),
        recipient=_required(fields, "To"),
        body=decode_base64_text(body),
        media=tuple(media),
        carrier_action=_carrier_action(fields.get("OptOutType", ""), fields.get("To", ""), body),
    )


def _carrier_action(opt_out_type: str, recipient: str, body: str) -> CarrierAction | None:
    """OptOutType comes only with Advanced Opt-Out. Without it Twilio still acts on its default words, sent to long
    codes and toll-free numbers: not to a short code, and not through WhatsApp.

    Only STOP is told by its word: a second confirmation is refused with 21610. After START or HELP an answer
    of ours does arrive, and one too many is better than none.
    """
    action = OPT_OUT_TYPES.get(opt_out_type)
    if action is None and recipient.startswith("+") and is_carrier_stop(body):
        action = "stop"
    return action


def _receipts(fields: Mapping[str, str]) -> list[Inbound | Receipt]:
    # ErrorCode=30034&SmsSid=SMbeb97038066158ae063d47bb53357dcd&SmsStatus=undelivered
    # &MessageStatus=undelivered&To=%2B14254147755&MessageSid=SMbeb97038066158ae063d47bb53357dcd
    # &AccountSid=acctid&From=%2B19703005680&ApiVersion=2010-04-01
    status = fields["MessageStatus"]
    if status not in STATUSES:
        log.warning("twilio: unknown MessageStatus %.40r", status)
        return []
    state = STATUSES[status]
    if state is None:
        return []
    code = clean_text(fields.get("ErrorCode", ""))
    return [Receipt(_required(fields, "MessageSid"), state, code, opted_out=ERRORS.get(code) is OptedOut)]


def _required(fields: Mapping[str, str], name: str) -> str:
    value = clean_text(fields.get(name, ""))
    if not value:
        raise BadPayload(f"{name} is missing")
    return value


def _sent(answer: Answer) -> Sent:
    # {"sid": "SM...", "status": "queued", "num_segments": "1", "error_code": null, ...}
    said = answer.json()
    sid = given_id(said.get("sid"))
    if not sid:
        raise Unknown(f"HTTP {answer.status} without a message sid")
    # A number as text. A Messaging Service says "0" until it has chosen a sender.
    segments = said.get("num_segments")
    if isinstance(segments, str) and segments.isascii() and segments.isdigit() and len(segments) <= 3:
        segments = int(segments)
    return Sent(sid, given_parts(segments))


def _refusal(answer: Answer, private: tuple[str, ...]) -> SendError:
    # {"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}
    said = answer.json()
    return refusal(answer, str(said.get("code") or ""), said.get("message"), ERRORS, private)
