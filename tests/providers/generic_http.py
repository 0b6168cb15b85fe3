"""A stand-in for a gateway that nobody wrote an adapter for: JSON in and out, signed by HMAC both ways.

It takes what the default send_body asks for, under the names that the channel's own send_body gives to it.
"""

import hmac
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

CODES = {"opted_out": "1001", "bad_number": "1002", "credit": "1003", "key": "1004", "busy": "1005"}


def refused(code: str, status: int = 400) -> Reply:
    """An error answer in the gateway's form."""
    return status, {}, {"code": code, "message": "refused"}


def signed(secret: str, body: bytes, at: int) -> str:
    """What X-Signature holds: the time and the body, under the secret that both sides know."""
    return "sha256=" + hmac.new(secret.encode(), b"%d." % at + body, "sha256").hexdigest()


class Gateway(StandIn):
    """Believes in the credentials of one channel."""

    def __init__(self, settings: Mapping[str, str], port: int = 0) -> None:
        super().__init__(port)
        self._settings = settings

    def refusal(self, request: Request) -> Reply | None:
        known = self._settings
        if not self._is_ours(request):
            return refused(CODES["key"], 401)
        if request.path.partition("?")[0] != urlsplit(known["send_url"]).path:
            return refused("0", 404)
        if known.get("send_signature_secret") and not self._is_signed(request):
            return refused(CODES["key"], 403)
        try:
            fields = self.fields(request)
        except ValueError:
            return refused("0", 400)
        recipient = str(fields.get("to", "")).removeprefix("+")
        if not recipient.isdigit() or not 7 <= len(recipient) <= 15:
            return refused(CODES["bad_number"], 422)
        return None

    def fields(self, request: Request) -> Mapping[str, Any]:
        """Those of the message, wherever they come."""
        if self._settings.get("send_format") == "query":
            return request.query
        if self._settings.get("send_format") == "form":
            return request.fields
        content: dict[str, Any] = request.json
        return content.get("message", content)

    def usual(self, request: Request) -> Reply:
        id = f"g-{uuid4().hex}"
        return 202, {}, {"id": id, "data": {"messages": [{"id": id}]}, "status": "queued"}

    def _is_ours(self, request: Request) -> bool:
        known = self._settings
        if "send_user" in known:
            login = f"{known['send_user']}:{known['send_password']}"
            return request.headers.get("Authorization") == "Basic " + b64encode(login.encode()).decode()
        if "{api_key}" in known.get("send_headers", ""):
            return request.headers.get("X-Api-Key") == known.get("api_key")
        return True

    def _is_signed(self, request: Request) -> bool:
        at = int(request.headers["X-Time"])
        expected = signed(self._settings["send_signature_secret"], request.body, at)
        return abs(time.time() - at) < 300 and request.headers["X-Signature"] == expected


class _Gateway(Provider):
    settings: Mapping[str, str] = {
        "signature_secret": "the webhook secret",
        "signature_header": "X-Signature",
        "signature_prefix": "sha256=",
        "signed_text": "{timestamp}.{body}",
        "timestamp_header": "X-Time",
        "send_url": "https://gateway.example/v1/messages",
        "send_headers": "X-Api-Key: {api_key}",
        "api_key": "the api key",
        "error_classes": "1001=opted_out, 1002=rejected, 1003=misconfigured, 1004=misconfigured, 1005=throttled",
        "opt_out_errors": "1001",
    }

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return Gateway(settings, port)

    def _webhook(self, settings: Mapping[str, str], content: Mapping[str, Any]) -> Webhook:
        body = json.dumps(content).encode()
        at = int(time.time())
        signature = signed(settings["signature_secret"], body, at)
        return Webhook({"Content-Type": "application/json", "X-Time": str(at), "X-Signature": signature}, body)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        media = [{"url": link, "content_type": "image/png"} for link in text.media]
        content = {"id": text.id, "from": text.sender, "to": text.recipient, "text": text.body, "media": media}
        return self._webhook(settings, content)

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        return self._webhook(settings, {"id": id, "status": state, "error": error or None})

    def asked(self, request: Request) -> Text:
        said = request.json
        return Text(said["from"], said["to"], said["text"], said["id"], tuple(said["media"]))

    def throttled(self, seconds: int) -> Answer:
        return 429, {"Retry-After": str(seconds)}, {"code": CODES["busy"]}

    def opted_out(self) -> Answer | None:
        return refused(CODES["opted_out"])

    def opted_out_report(self, url: str, settings: Mapping[str, str], id: str) -> Webhook | None:
        return self.report(url, settings, id, "failed", CODES["opted_out"])

    def given_id(self, answer: Any) -> str:
        return str(answer["id"])


PROVIDER = _Gateway()
