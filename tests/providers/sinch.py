"""A stand-in for Sinch: the batches of its SMS REST API, and callbacks that are signed, or that log in."""

import hmac
import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

_ADDRESS = re.compile(r"[1-9][0-9]{6,14}")
NOW = "2026-11-22T09:15:22.000Z"
STATUSES = {"sent": "Dispatched", "delivered": "Delivered", "undelivered": "Failed", "failed": "Aborted"}
CODES = {"sent": 401, "delivered": 0, "undelivered": 402, "failed": 408}


def refused(code: str, text: str = "refused", status: int = 400) -> Reply:
    """An error answer in Sinch's form."""
    return status, {}, {"code": code, "text": text}


def callback(said: Any, settings: Mapping[str, str], at: int = 0) -> Webhook:
    """The callback, signed `at` (now) with the secret of these settings or logged in with their credentials."""
    body = json.dumps(said).encode()
    if settings.get("webhook_secret"):
        nonce, timestamp = uuid4().hex, str(at or int(time.time()))
        text = body + f".{nonce}.{timestamp}".encode()
        proof = {
            "x-sinch-webhook-signature-timestamp": timestamp,
            "x-sinch-webhook-signature-nonce": nonce,
            "x-sinch-webhook-signature-algorithm": "HmacSHA256",
            "x-sinch-webhook-signature": b64encode(
                hmac.digest(settings["webhook_secret"].encode(), text, "sha256")
            ).decode(),
        }
    else:
        login = f"{settings['webhook_user']}:{settings['webhook_password']}"
        proof = {"Authorization": "Basic " + b64encode(login.encode()).decode()}
    return Webhook({"Content-Type": "application/json", **proof}, body)


class SinchStandIn(StandIn):
    def __init__(self, service_plan_id: str, api_token: str, port: int = 0) -> None:
        super().__init__(port)
        self._path = f"/xms/v1/{service_plan_id}/batches"
        self._authorization = f"Bearer {api_token}"

    def refusal(self, request: Request) -> Reply | None:
        if request.headers.get("Authorization") != self._authorization:
            return 401, {}, ""
        if (request.method, request.path) != ("POST", self._path):
            return 404, {}, ""
        try:
            asked = request.json
        except ValueError:
            return refused("syntax_invalid_json", "not JSON")
        kind, body = asked.get("type", "mt_text"), asked.get("body")
        recipients = asked.get("to", [])
        if not recipients or not all(_ADDRESS.fullmatch(recipient) for recipient in recipients):
            return refused("syntax_invalid_parameter_format", "to is not a phone number")
        if kind == "mt_text" and not (isinstance(body, str) and 0 < len(body) <= 2000):
            return refused("syntax_constraint_violation", "the body has 1 to 2000 characters")
        if kind == "mt_media" and not (isinstance(body, dict) and body.get("url")):
            return refused("syntax_constraint_violation", "the body has a url")
        if kind not in ("mt_text", "mt_media"):
            return refused("syntax_invalid_parameter_format", "no such type")
        if asked.get("delivery_report", "none") != "none" and not asked.get("callback_url"):
            return refused("missing_callback_url", "there is no callback URL", 403)
        return None

    def usual(self, request: Request) -> Reply:
        asked = request.json
        batch = {"id": uuid4().hex[:26].upper(), "created_at": NOW, "modified_at": NOW, "canceled": False}
        return 201, {}, {**batch, "delivery_report": "none", **asked}


class _Sinch(Provider):
    settings: Mapping[str, str] = {"service_plan_id": "plan1", "api_token": "the token", "webhook_secret": "the secret"}

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return SinchStandIn(settings["service_plan_id"], settings["api_token"], port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        body: Any = text.body
        if text.media:
            media = [{"url": link, "contentType": "image/jpeg", "status": "UPLOADED", "code": 0} for link in text.media]
            body = {"message": text.body, "media": media}
        said = {"type": "mo_media" if text.media else "mo_text", "id": text.id, "from": text.sender.removeprefix("+"),
                "to": text.recipient.removeprefix("+"), "body": body, "received_at": NOW}  # fmt: skip
        return callback(said, settings)

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        said = {"type": "recipient_delivery_report_sms", "batch_id": id, "recipient": "12025550123",
                "status": STATUSES[state], "code": int(error or CODES[state]), "at": NOW}  # fmt: skip
        return callback(said, settings)

    def asked(self, request: Request) -> Text:
        asked = request.json
        body = asked["body"]
        return Text(f"+{asked['from']}", f"+{asked['to'][0]}", body if isinstance(body, str) else body["message"])

    def throttled(self, seconds: int) -> Answer:
        return 429, {"Retry-After": str(seconds)}, {}

    def given_id(self, answer: Any) -> str:
        return str(answer["id"])


PROVIDER = _Sinch()
