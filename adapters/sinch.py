"""Sinch: SMS and MMS through its SMS REST API (XMS), and the callbacks of a service plan.

Sources: Sinch's documents on batches, callbacks, delivery reports, error codes and MMS support; its Python SDK 2.3.
Sinch joins the parts of a long text that is plain text (`mo_text`); what comes as `mo_binary` it does not.
"""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.acceptances import given_id
from adapters.basic_login import check_login
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
from adapters.errors import Misconfigured, Rejected, SendError, Unknown
from adapters.http import Answer, Http
from adapters.json_body import json_body, listed, optional_text, required_text
from adapters.refusals import refusal
from adapters.sinch_binary import binary_text, part_of
from adapters.sinch_signature import NONCE_SECONDS, check_signature
from adapters.text import bare_digits, clean_text, international

log = logging.getLogger(__name__)

# "Unknown" is final, but nothing is known: it reached the operator, which tells no more.
STATUSES: Mapping[str, ReceiptState | None] = {
    "Queued": None,
    "Unknown": None,
    "Dispatched": "sent",
    "Delivered": "delivered",
    "Aborted": "failed",
    "Cancelled": "failed",
    "Rejected": "failed",
    "Deleted": "failed",
    "Failed": "failed",
    "Expired": "failed",
}

# None of Sinch's codes, of requests or of reports, says for sure that a recipient opted out.
ERRORS: Mapping[str, type[SendError]] = {
    # this recipient or this content is not taken
    **dict.fromkeys(
        ("syntax_invalid_json", "syntax_invalid_parameter_format", "syntax_constraint_violation"), Rejected
    ),
    "illegal_number_type": Rejected,
    # our account
    **dict.fromkeys(("blocked_account", "missing_callback_url"), Misconfigured),
}

REGIONS = ("us", "eu", "au", "br", "ca")
INBOUND_TYPES = frozenset({"mo_text", "mo_binary", "mo_media"})
BATCH_REPORTS = frozenset({"delivery_report_sms", "delivery_report_mms"})
RECIPIENT_REPORTS = frozenset({"recipient_delivery_report_sms", "recipient_delivery_report_mms"})


class Sinch(Adapter):
    """One service plan."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "service_plan_id": Setting(required=True, help="from the dashboard's page of SMS APIs"),
        "api_token": Setting(required=True, secret=True, help="belongs to the service plan"),
        "region": Setting(default="us", help="us, eu, au, br or ca: where the service plan lives"),
        "api_base": Setting(default="https://us.sms.api.sinch.com", help="another host, for tests"),
        "webhook_secret": Setting(secret=True, help="signs Sinch's callbacks, once the account manager enabled it"),
        "webhook_user": Setting(help="without webhook_secret: the login that Sinch calls us with"),
        "webhook_password": Setting(secret=True, help="belongs to webhook_user"),
    }
    # Only the network of toll-free numbers answers STOP; Sinch itself does not.
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=False, supports_media=True, max_body=2000
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        default = self.settings["api_base"].default
        api_base = settings.get("api_base") or default
        region = settings.get("region") or "us"
        if api_base == default:
            api_base = f"https://{region}.sms.api.sinch.com"
        self._batches_url = f"{api_base.rstrip('/')}/xms/v1/{settings['service_plan_id']}/batches"
        self._authorization = {"Authorization": f"Bearer {settings['api_token']}"}
        self._secret = settings.get("webhook_secret", "")
        self._user = settings.get("webhook_user", "")
        self._password = settings.get("webhook_password", "")
        if region not in REGIONS:
            raise ValueError(f"region is one of {', '.join(REGIONS)}, not '{region}'")
        if bool(self._secret) == bool(self._user and self._password):
            raise ValueError("set either webhook_secret, or webhook_user and webhook_password: others are not believed")

    def verify(self, request: WebhookRequest) -> Once | None:
        if self._secret:
            return Once(check_signature(request, self._secret.encode()), NONCE_SECONDS)
        check_login(request, self._user, self._password)
        return None

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        said = json_body(request)
        kind = required_text(said, "type")
        if kind in INBOUND_TYPES:
            return [_inbound(kind, said)]
        if kind in RECIPIENT_REPORTS:
            return _receipts(required_text(said, "batch_id"), [said])
        if kind in BATCH_REPORTS:
            return _receipts(required_text(said, "batch_id"), listed(said, "statuses"))
        log.warning("sinch: unknown type %.40r", kind)
        return []

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Create one batch for one recipient. Sinch has no idempotency key: a second batch is a second text."""
        asked: dict[str, Any] = {
            "from": bare_digits(message.sender),
            "to": [bare_digits(message.recipient)],
            "client_reference": clean_text(message.id),
            "delivery_report": "per_recipient" if message.receipt_url else "none",
        }
        if len(message.media) > 1:
            raise Rejected("Sinch takes one picture or file in a message")
        if message.media:
            asked |= {"type": "mt_media", "body": {"url": clean_text(message.media[0])}}
            if message.body:
                asked["body"]["message"] = clean_text(message.body)
        else:
            asked |= {"type": "mt_text", "body": clean_text(message.body)}
        if message.receipt_url:
            asked["callback_url"] = message.receipt_url
        answer = await http.post(self._batches_url, json=asked, headers=self._authorization)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, message.body)
        return _sent(answer)


def _inbound(kind: str, said: Any) -> Inbound:
    # {"type": "mo_text", "id": "OzQ5UqKUskIYhqLNRTe6", "from": "12067799294", "to": "18445551212",
    #  "body": "hello world", "received_at": "2016-03-30T19:33:06.643Z"}
    #
    # {"type": "mo_binary", "id": "01XXXXX21XXXXX119Z8P1XXXXX", "from": "16051234567", "to": "13185551234",
    #  "body": "VGV4dCBtZXNzYWdl", "udh": "050003cc0201", "received_at": "2022-08-24T14:15:22Z"}
    #
    # {"type": "mo_media", "id": "...", "from": "+11203494390", "to": "13185551234", "received_at": "...",
    #  "body": {"subject": "Test subject", "message": "Test message", "media": [
    #   {"url": "https://some.s3.example.com/inbounds", "contentType": "image/png", "status": "UPLOADED", "code": 0}]}}
    media: tuple[Media, ...] = ()
    part = None
    if kind == "mo_media":
        body, media = _media(said.get("body"))
    elif kind == "mo_binary":
        body, part = binary_text(optional_text(said, "body")), part_of(optional_text(said, "udh"))
    else:
        body = optional_text(said, "body")
    return Inbound(
        provider_id=required_text(said, "id"),
        sender=international(required_text(said, "from")),
        recipient=international(required_text(said, "to")),
        body=body,
        media=media,
        part=part,
    )


def _media(body: Any) -> tuple[str, tuple[Media, ...]]:
    """The message, or its subject where that is all there is; and each file that Sinch could fetch."""
    text = optional_text(body, "message") or optional_text(body, "subject")
    files = [(optional_text(item, "url"), optional_text(item, "contentType")) for item in listed(body, "media")]
    return text, tuple([Media(url, content_type) for url, content_type in files if url])


def _receipts(batch_id: str, reports: list[Any]) -> list[Inbound | Receipt]:
    # {"type": "recipient_delivery_report_sms", "batch_id": "01FC66621XXXXX119Z8PMV1QPQ", "recipient": "15551231234",
    #  "code": 0, "status": "Delivered", "at": "2022-08-30T08:16:08.930Z", "client_reference": "m1"}
    #
    # {"type": "delivery_report_sms", "batch_id": "01FC66621XXXXX119Z8PMV1QPQ", "total_message_count": 1,
    #  "statuses": [{"code": 0, "count": 1, "recipients": ["15551231234"], "status": "Delivered"}]}
    # Each of our batches has one recipient, so each status of a batch is the message's.
    receipts: list[Inbound | Receipt] = []
    for report in reports:
        # Title case on the wire, capitals in the SDKs.
        status = required_text(report, "status").capitalize()
        code = _code(report.get("code"))
        if status not in STATUSES:
            log.warning("sinch: unknown status %.40r", status)
            continue
        if status == "Deleted":
            log.warning("sinch: status Deleted: the number is invalid or opted out, and Sinch does not say which")
        state = STATUSES[status]
        if state is not None:
            error, reference = code if state == "failed" else "", optional_text(report, "client_reference")
            receipts.append(Receipt(batch_id, state, error, reference=reference))
    return receipts


def _code(value: Any) -> str:
    if isinstance(value, str):
        return clean_text(value)[:40]
    return str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9 else ""


def _sent(answer: Answer) -> Sent:
    # {"id": "01FC66621XXXXX119Z8PMV1QPQ", "to": ["15551231234"], "canceled": false, "type": "mt_text", ...}
    batch_id = given_id(answer.json().get("id"))
    if not batch_id:
        raise Unknown(f"HTTP {answer.status} without a batch id")
    return Sent(batch_id)


def _refusal(answer: Answer, body: str) -> SendError:
    # {"code": "syntax_invalid_parameter_format", "text": "The value of to is not a valid MSISDN"}
    said = answer.json()
    code = said.get("code")
    return refusal(answer, clean_text(code)[:60] if isinstance(code, str) else "", said.get("text"), ERRORS, (body,))
