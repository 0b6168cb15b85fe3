"""Vonage (formerly Nexmo): SMS through its SMS API and that API's webhooks.

Sources: Vonage's published description of the SMS API (1.5.1), its guides to inbound SMS, delivery receipts, signing
messages and Opt-Out Assist; for what the description leaves out (the wait of a throttled request), Vonage's PHP SDK.
Vonage joins no parts: each part of a long message is a webhook of its own.
"""

import logging
import re
from collections.abc import Mapping
from typing import ClassVar

from adapters.acceptances import given_id
from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    Inbound,
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
    BadSignature,
    Misconfigured,
    NumberRefused,
    Rejected,
    Retry,
    SendError,
    Throttled,
    Unknown,
)
from adapters.gsm7 import is_gsm7
from adapters.http import Answer, Http
from adapters.refusals import code_of, detail, refusal
from adapters.text import bare_digits, clean_text
from adapters.vonage_inbound import inbound, parameters, required
from adapters.vonage_signature import DIGESTS, check_signature

log = logging.getLogger(__name__)

# None: no news. "accepted" and "buffered" are the carrier's words, so the message has left Vonage.
STATUSES: Mapping[str, ReceiptState | None] = {
    "accepted": "sent",
    "buffered": "sent",
    "delivered": "delivered",
    "expired": "failed",
    "failed": "failed",
    "rejected": "failed",
    "unknown": None,
}
# The err-code of a receipt by which Opt-Out Assist says that the recipient opted out.
OPTED_OUT_CODE = "9"
OPTED_OUT_STATUSES = frozenset({"failed", "rejected"})

# The `status` of each part in the answer to a request to send. None of them says that the recipient opted out: that
# comes as a receipt.
ERRORS: Mapping[str, type[SendError]] = {
    "1": Throttled,
    # trouble inside Vonage, too many connections at once
    **dict.fromkeys(("5", "10"), Retry),
    # this recipient cannot be reached
    **dict.fromkeys(("6", "7", "22", "33"), Rejected),
    # this content is not taken
    **dict.fromkeys(("2", "3", "12", "17"), Rejected),
    # our credentials, our account and its credit
    **dict.fromkeys(("4", "8", "9", "11", "14", "29", "32"), Misconfigured),
    # our public_url
    "23": Misconfigured,
    # our number
    "15": NumberRefused,
}

MAX_CALLBACK = 100
MAX_REFERENCE = 100
_WAIT = re.compile(r"\[\s*([0-9]{1,7})\s*\]")


class Vonage(Adapter):
    """One Vonage account."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "api_key": Setting(required=True, help="from the dashboard"),
        "api_secret": Setting(required=True, secret=True, help="from the dashboard"),
        "signature_secret": Setting(required=True, secret=True, help="signs Vonage's webhooks"),
        "signature_method": Setting(
            default="md5hash", help="as in the dashboard: md5hash, md5hmac, sha1hmac, sha256hmac or sha512hmac"
        ),
        "api_base": Setting(default="https://rest.nexmo.com", help="another host, for tests or a region"),
    }
    # With Opt-Out Assist Vonage does answer STOP, but only for accounts that have it switched on.
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=False, supports_media=False, webhook_methods=frozenset({"GET", "POST"})
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        api_base = settings.get("api_base") or self.settings["api_base"].default
        self._send_url = f"{api_base.rstrip('/')}/sms/json"
        self._login = (settings["api_key"], settings["api_secret"])
        self._secret = settings["signature_secret"].encode("utf-8", "replace")
        self._method = settings.get("signature_method") or self.settings["signature_method"].default
        if self._method not in DIGESTS:
            raise ValueError(f"signature_method is one of {', '.join(DIGESTS)}, not '{self._method}'")

    def verify(self, request: WebhookRequest) -> Once | None:
        """A request without any parameter is Vonage's check that the URL is there: it says nothing, so it is let in."""
        try:
            fields = parameters(request)
        except BadPayload as error:
            raise BadSignature(f"Vonage cannot have signed this: {error}") from error
        if not fields:
            return None
        return check_signature(request, fields, self._secret, self._method)

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        fields = parameters(request)
        if not fields:
            return []
        return _receipts(fields) if "status" in fields else [inbound(fields)]

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Vonage has no idempotency key: a second request is a second text."""
        if message.media:
            raise Rejected("Vonage's SMS API takes no media")
        body = clean_text(message.body)
        form = [
            ("from", bare_digits(message.sender)),
            ("to", bare_digits(message.recipient)),
            ("text", body),
            ("type", "text" if is_gsm7(body) else "unicode"),
        ]
        if message.id and len(message.id) <= MAX_REFERENCE:
            form.append(("client-ref", message.id))
        if message.receipt_url:
            form.append(("status-report-req", "true"))
            if len(message.receipt_url) <= MAX_CALLBACK:
                form.append(("callback", message.receipt_url))
            else:
                log.warning("vonage: the webhook's URL is longer than 100 characters: set it in Vonage's dashboard")
        answer = await http.post(self._send_url, form=form, basic=self._login)
        if 200 < answer.status < 300:
            raise Unknown(f"HTTP {answer.status}, which the SMS API never answers")
        if answer.status != 200:
            # The SMS API refuses by its 200; this is about the credentials, or from somebody in between.
            raise refusal(answer, "", None, {})
        return _sent(answer, (*self._login, body))


def _receipts(fields: Mapping[str, str]) -> list[Inbound | Receipt]:
    # {"msisdn": "447700900000", "to": "AcmeInc", "network-code": "12345", "messageId": "aaaaaaaa-bbbb-...",
    #  "price": "0.00000000", "status": "failed", "scts": "2001011400", "err-code": "9", "api-key": "abcd1234",
    #  "message-timestamp": "2020-01-01 12:00:00"}
    # `msisdn` and `to` are the other way round than in a message. `messageId` is the part's: Sent.part_ids.
    status = fields["status"]
    message_id = required(fields, "messageId")
    if status not in STATUSES:
        log.warning("vonage: unknown status %.40r", status)
        return []
    state = STATUSES[status]
    if state is None:
        return []
    code = clean_text(fields.get("err-code", "")).strip()
    opted_out = code == OPTED_OUT_CODE and status in OPTED_OUT_STATUSES
    return [Receipt(message_id, state, "" if code == "0" else code, opted_out=opted_out)]


def _sent(answer: Answer, private: tuple[str, ...]) -> Sent:
    # {"message-count": "2", "messages": [
    #   {"to": "447700900000", "message-id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab", "status": "0", "network": "12345",
    #    "remaining-balance": "3.14159265", "message-price": "0.03330000", "client-ref": "m1"}, ...]}
    # {"message-count": "1", "messages": [{"status": "2", "error-text": "Missing to param"}]}
    parts = answer.json().get("messages")
    if not isinstance(parts, list) or not parts or not all([isinstance(part, dict) for part in parts]):
        raise Unknown("HTTP 200 that does not say what became of the message")
    refused = [part for part in parts if str(part.get("status")) != "0"]
    if refused:
        error = _error(answer, refused[0], private)
        if len(refused) < len(parts):
            some = f"{len(refused)} of {len(parts)} parts were refused, the others left"
            raise Unknown(f"{some}: {error.detail}", error.code)
        raise error
    ids = tuple([given_id(part.get("message-id")) for part in parts])
    if not all(ids):
        raise Unknown("HTTP 200 without the message-id of each part")
    return Sent(ids[0], len(ids), ids if len(ids) > 1 else ())


def _error(answer: Answer, part: Mapping[str, object], private: tuple[str, ...]) -> SendError:
    """The wait is in the text, in milliseconds: "Throughput Rate Exceeded - please wait [ 250 ] and retry"."""
    status = part.get("status")
    code = code_of(status, private) if isinstance(status, str | int) else ""
    text = detail(answer, part.get("error-text"), private)
    kind = ERRORS.get(code, Rejected if code.isdecimal() else Unknown)
    if kind is Throttled:
        wait = _WAIT.search(text)
        return Throttled(text, code, int(wait[1]) / 1000 if wait else None)
    return kind(text, code)
