"""A stand-in for MessageBird: checks and answers like its classic REST API, and signs webhooks like it.

async with MessageBirdStandIn("the access key") as messagebird:
    ...                                    # a channel with api_base = messagebird.url
    messagebird.answer_with(refused(25, "Not enough balance"))
"""

import hashlib
import re
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import jwt

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

_NUMBER = re.compile(r"[1-9][0-9]{6,14}")
_ORIGINATOR = re.compile(r"[1-9][0-9]{2,16}|[A-Za-z0-9 ]{1,11}")
_STATUSES: Mapping[ReceiptState, str] = {
    "sent": "sent", "delivered": "delivered", "undelivered": "expired", "failed": "delivery_failed"
}  # fmt: skip
HEADER = "MessageBird-Signature-JWT"
MAX_BODY = 1377


def refused(code: int, description: str = "refused", parameter: str | None = None, status: int = 422) -> Reply:
    """An error answer in MessageBird's form."""
    return status, {}, {"errors": [{"code": code, "description": description, "parameter": parameter}]}


def token(url: str, body: bytes, key: str, **claims: Any) -> str:
    """The header's token for this request, holding for a minute; `claims` replace its own, None takes one away."""
    now = int(time.time())
    own: dict[str, Any] = {
        "iss": "MessageBird", "nbf": now - 1, "exp": now + 60, "jti": str(uuid4()),
        "url_hash": hashlib.sha256(url.encode()).hexdigest(),
        "payload_hash": hashlib.sha256(body).hexdigest() if body else None,
    }  # fmt: skip
    said = {name: value for name, value in {**own, **claims}.items() if value is not None}
    return jwt.encode(said, key, algorithm="HS256")


class MessageBirdStandIn(StandIn):
    """Knows one access key."""

    def __init__(self, access_key: str, port: int = 0) -> None:
        super().__init__(port)
        self._authorization = f"AccessKey {access_key}"

    def refusal(self, request: Request) -> Reply | None:
        if request.headers.get("Authorization") != self._authorization:
            return refused(2, "Request not allowed (incorrect access_key)", "access_key", 401)
        if request.method != "POST" or request.path not in ("/messages", "/mms"):
            return refused(20, "API endpoint not found", None, 404)
        asked = request.json
        recipients = asked.get("recipients")
        if not isinstance(recipients, list) or not all(_NUMBER.fullmatch(number) for number in recipients):
            return refused(9, "no (correct) recipients found", "recipients")
        if not asked.get("originator"):
            return refused(9, "originator is required", "originator")
        if not _ORIGINATOR.fullmatch(asked["originator"]):
            return refused(10, "originator is invalid", "originator")
        return _mms_refusal(asked) if request.path == "/mms" else _sms_refusal(asked)

    def usual(self, request: Request) -> Reply:
        asked = request.json
        kind = request.path.removeprefix("/")
        id = uuid4().hex
        created = time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())
        item: dict[str, Any] = {"status": "sent", "statusDatetime": created}
        if kind == "messages":
            item["messagePartCount"] = max(1, -(-len(asked["body"]) // 153)) if len(asked["body"]) > 160 else 1
        items = [{"recipient": int(number), **item} for number in asked["recipients"]]
        message = {
            "id": id,
            "href": f"https://rest.messagebird.com/{kind}/{id}",
            "direction": "mt",
            "originator": asked["originator"],
            "body": asked.get("body", ""),
            "reference": asked.get("reference"),
            "scheduledDatetime": None,
            "createdDatetime": created,
            "recipients": {
                "totalCount": len(items), "totalSentCount": len(items), "totalDeliveredCount": 0,
                "totalDeliveryFailedCount": 0, "items": items,
            },
        }  # fmt: skip
        own = {"mediaUrls": asked["mediaUrls"], "subject": None} if kind == "mms" else {
            "type": "sms", "datacoding": "plain", "mclass": 1, "gateway": 239, "validity": None, "typeDetails": {}
        }  # fmt: skip
        return 201, {}, {**message, **own}


def _sms_refusal(asked: Mapping[str, Any]) -> Reply | None:
    if not asked.get("body"):
        return refused(9, "body is required", "body")
    if len(asked["body"]) > MAX_BODY:
        return refused(10, "body is too long", "body")
    if asked.get("datacoding", "plain") not in ("plain", "unicode", "auto"):
        return refused(10, "datacoding is invalid", "datacoding")
    if not isinstance(asked.get("reportUrl", ""), str):
        return refused(10, "reportUrl is invalid", "reportUrl")
    return None


def _mms_refusal(asked: Mapping[str, Any]) -> Reply | None:
    urls = asked.get("mediaUrls")
    if not isinstance(urls, list) or not 1 <= len(urls) <= 10:
        return refused(9, "mediaUrls is required", "mediaUrls")
    return None


class _MessageBird(Provider):
    settings: Mapping[str, str] = {
        "access_key": "live_0123456789abcdefghijklmno",
        "signing_key": "test-signing-key-of-at-least-32-bytes!!",
    }

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return MessageBirdStandIn(settings["access_key"], port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        fields = [
            ("id", text.id),
            ("recipient", text.recipient.removeprefix("+")),
            ("originator", text.sender.removeprefix("+")),
            ("body", text.body),
            ("createdDatetime", time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())),
            *[("mediaUrls", link) for link in text.media],
        ]
        body = urlencode(fields).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded",
                   HEADER: token(url, body, settings["signing_key"])}  # fmt: skip
        return Webhook(headers, body)

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        fields = {
            "id": id,
            "reference": "m1",
            "recipient": "12025550123",
            "status": _STATUSES[state],
            "statusErrorCode": error or "0",
            "statusDatetime": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime()),
            "mccmnc": "310010",
            "messagePartCount": "1",
            "price[amount]": "0.000",
            "price[currency]": "USD",
        }
        query = urlencode(fields)
        whole = f"{url}{'&' if '?' in url else '?'}{query}"
        return Webhook({HEADER: token(whole, b"", settings["signing_key"])}, b"", "GET", query)

    def asked(self, request: Request) -> Text:
        asked = request.json
        media = tuple(asked.get("mediaUrls", ()))
        return Text(f"+{asked['originator']}", f"+{asked['recipients'][0]}", asked.get("body", ""), media=media)

    def throttled(self, seconds: int) -> Answer:
        return 429, {"Retry-After": str(seconds)}, {"errors": [{"code": 0, "description": "Too many requests"}]}

    def opted_out_report(self, url: str, settings: Mapping[str, str], id: str) -> Webhook | None:
        return self.report(url, settings, id, "failed", "103")

    def given_id(self, answer: Any) -> str:
        return str(answer["id"])


PROVIDER = _MessageBird()
