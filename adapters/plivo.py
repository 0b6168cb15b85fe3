"""Plivo: SMS and MMS through its Message resource and the webhooks of its applications.

Sources: Plivo's documents on sending, incoming messages, status callbacks, error codes and its "do not disturb"
service; the payloads that courier observed. Plivo joins the parts of a long incoming text itself.
"""

import logging
import re
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import urlsplit

from adapters.acceptances import given_id
from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    CarrierAction,
    Inbound,
    Media,
    Once,
    Outbound,
    Part,
    Receipt,
    ReceiptState,
    Sent,
    Setting,
    WebhookRequest,
)
from adapters.errors import BadPayload, Misconfigured, NumberRefused, OptedOut, Rejected, Retry, SendError, Unknown
from adapters.form import form_fields
from adapters.http import Answer, Http
from adapters.plivo_signature import check_signature
from adapters.refusals import refusal
from adapters.text import bare_digits, clean_text, international

log = logging.getLogger(__name__)

# "rejected" is a state of older documents; "read" is WhatsApp's.
STATUSES: Mapping[str, ReceiptState | None] = {
    "queued": None,
    "sent": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
    "rejected": "failed",
}
# No webhook of an incoming message is documented to have a status; the record of one says "received".
INBOUND_STATUSES = frozenset({"", "received"})
NO_ERROR = frozenset({"", "0", "000"})

# The codes of receipts. The documents show the refusal of a request with a text and without a code; should it carry
# one (`error_code`), it means the same.
ERRORS: Mapping[str, type[SendError]] = {
    # blocked by the recipient's STOP
    "200": OptedOut,
    # trouble on the way that passes
    **dict.fromkeys(("20", "80", "300"), Retry),
    # this recipient cannot be reached, or not from this number or account
    **dict.fromkeys(("50", "70", "90", "100", "201", "450"), Rejected),
    # this content is not taken: invalid, spam, a loop, too long, too late
    **dict.fromkeys(("10", "30", "60", "110", "420", "1000"), Rejected),
    # our number
    "40": NumberRefused,
    # our credit, our account
    **dict.fromkeys(("900", "910"), Misconfigured),
}

MESSAGE_INTENTS: Mapping[str, CarrierAction] = {"optout": "stop", "optin": "start", "help": "help"}
# What each version of the "do not disturb" document names: the whole message, in any case, blanks around it.
STOP_WORDS = frozenset({"STOP", "END", "QUIT"})

NONCE_SECONDS = 7 * 24 * 3600
_MEDIA = re.compile(r"Media([0-9]{1,3})")
_PART = re.compile(r"\s*([0-9]{1,3})\s+of\s+([0-9]{1,3})\s*")


class Plivo(Adapter):
    """One Plivo account, or one Powerpack of it."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "auth_id": Setting(required=True, help="MA..., from the console"),
        "auth_token": Setting(required=True, secret=True, help="signs Plivo's webhooks"),
        "powerpack_uuid": Setting(help="send through this Powerpack, not from a number"),
        "app_id": Setting(help="the XML application that numbers are given; needed to set up numbers"),
        "api_base": Setting(default="https://api.plivo.com", help="another host, for tests"),
    }
    # For US and Canadian numbers Plivo answers STOP itself. For a short code only where Plivo's support enabled it:
    # such a channel says so in config.toml.
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=True,
        supports_media=True,
        max_body=1600,
        webhook_methods=frozenset({"GET", "POST"}),
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement(
        "application/xml", b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
    )

    def __init__(self, settings: Mapping[str, str]) -> None:
        api_base = settings.get("api_base") or self.settings["api_base"].default
        self._login = (settings["auth_id"], settings["auth_token"])
        self._messages_url = f"{api_base.rstrip('/')}/v1/Account/{settings['auth_id']}/Message/"
        self._powerpack = settings.get("powerpack_uuid", "")
        self._signing_key = settings["auth_token"].encode()

    def verify(self, request: WebhookRequest) -> Once:
        return Once(check_signature(request, self._signing_key), NONCE_SECONDS)

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        try:
            body = urlsplit(request.url).query.encode() if request.method == "GET" else request.body
            fields = dict(form_fields(body))
        except ValueError as error:
            raise BadPayload("the body is not a form, or has far too many fields") from error
        return [_inbound(fields)] if fields.get("Status", "") in INBOUND_STATUSES else _receipts(fields)

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Create one message. Plivo has no idempotency key: a second request is a second text."""
        asked: dict[str, object] = {
            "dst": bare_digits(message.recipient),
            "type": "mms" if message.media else "sms",
        }
        if message.body:
            asked["text"] = clean_text(message.body)
        if self._powerpack:
            asked["powerpack_uuid"] = self._powerpack
        else:
            asked["src"] = bare_digits(message.sender)
        if message.media:
            asked["media_urls"] = [clean_text(url) for url in message.media]
        if message.receipt_url:
            asked |= {"url": message.receipt_url, "method": "POST"}
        answer = await http.post(self._messages_url, json=asked, basic=self._login)
        if not 200 <= answer.status < 300:
            said = answer.json()
            raise refusal(answer, _code(said.get("error_code")), said.get("error"), ERRORS, (message.body,))
        return _sent(answer)


def _inbound(fields: Mapping[str, str]) -> Inbound:
    # To=4759440448&From=4795961111&TotalRate=0&Units=1&Text=Msg&TotalAmount=0&Type=sms
    # &MessageUUID=7a242edc-2f57-11e7-98c9-06ab0bf64327
    #
    # To=14152223333&From=14151112222&Type=mms&Body=Look&MediaCount=1&Media0=https%3A%2F%2Fmedia.plivo.com%2F...
    # &MessageUUID=... : documents count the media from 1, requests were seen that count from 0.
    media = [(int(found[1]), clean_text(url)) for name, url in fields.items() if (found := _MEDIA.fullmatch(name))]
    recipient = international(_required(fields, "To"))
    body = clean_text(fields.get("Text") or fields.get("Body", ""))
    return Inbound(
        provider_id=_required(fields, "MessageUUID"),
        sender=international(_required(fields, "From")),
        recipient=recipient,
        body=body,
        media=tuple([Media(url) for _, url in sorted(media) if url]),
        carrier_action=_carrier_action(fields, recipient, body),
    )


def _carrier_action(fields: Mapping[str, str], recipient: str, body: str) -> CarrierAction | None:
    """MessageIntent is said to come with texts to long codes and toll-free numbers, blank for any other word.

    Without it, only the words that every version of the documents has are believed, and only for the countries whose
    numbers Plivo watches by itself. One confirmation too many does arrive: Plivo lets one pass within five minutes.
    """
    if "MessageIntent" in fields:
        return MESSAGE_INTENTS.get(fields["MessageIntent"].strip().lower())
    stops = recipient.startswith("+1") and body.isascii() and body.strip().upper() in STOP_WORDS
    return "stop" if stops else None


def _receipts(fields: Mapping[str, str]) -> list[Inbound | Receipt]:
    # Status=delivered&From=13342031111&ParentMessageUUID=83876bdb-2033-4876-bfaf-0ff8693705af&TotalRate=0.0025
    # &MCC=405&PartInfo=1+of+1&ErrorCode=&To=918553651111&Units=1&TotalAmount=0.0025&MNC=803
    # &MessageUUID=83876bdb-2033-4876-bfaf-0ff8693705af
    status = fields["Status"]
    if status not in STATUSES:
        log.warning("plivo: unknown Status %.40r", status)
        return []
    state = STATUSES[status]
    if state is None:
        return []
    # A request to send is answered with one id; the receipt of each part names it as its parent.
    provider_id = clean_text(fields.get("ParentMessageUUID", "")) or _required(fields, "MessageUUID")
    code = _code(fields.get("ErrorCode"))
    part = _part(fields.get("PartInfo", ""))
    return [Receipt(provider_id, state, code, opted_out=ERRORS.get(code) is OptedOut, part=part)]


def _part(info: str) -> Part | None:
    """`2 of 3`. None for a message in one part, and for anything else: a receipt is then for the whole message."""
    found = _PART.fullmatch(info)
    if found is None:
        return None
    number, total = int(found[1]), int(found[2])
    return Part("", number, total) if 1 <= number <= total and total > 1 else None


def _required(fields: Mapping[str, str], name: str) -> str:
    value = clean_text(fields.get(name, ""))
    if not value:
        raise BadPayload(f"{name} is missing")
    return value


def _code(value: object) -> str:
    """An error code as text; `000` is none."""
    if not isinstance(value, str | int) or isinstance(value, bool):
        return ""
    code = clean_text(str(value)).strip()[:40]
    return "" if code in NO_ERROR else code


def _sent(answer: Answer) -> Sent:
    # {"api_id": "db342550-7f1d-11e1-8ea7-1231380bc196", "message": "message(s) queued",
    #  "message_uuid": ["db3ce55a-7f1d-11e1-8ea7-1231380bc196"]}
    ids = answer.json().get("message_uuid")
    first = given_id(ids[0]) if isinstance(ids, list) and ids else ""
    if not first:
        raise Unknown(f"HTTP {answer.status} without a message_uuid")
    return Sent(first)
