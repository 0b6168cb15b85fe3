"""A stand-in for Clickatell: the SMS API of its platform, and callbacks to an address that ends with our token."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

# statusCode, status and statusDescription. Clickatell has no state between sent and failed.
REPORTED: Mapping[ReceiptState, tuple[int, str, str]] = {
    "sent": (3, "DELIVERED_TO_GATEWAY", "Delivered to gateway"),
    "delivered": (4, "RECEIVED_BY_RECIPIENT", "Received by recipient"),
    "undelivered": (7, "DELIVERY_FAILURE", "Error delivering message"),
    "failed": (5, "MESSAGE_ERROR", "Error with message"),
}


def refused(code: int, error: str, description: str = "", http_status: int = 200) -> Reply:
    """An answer that takes nothing: by HTTP often a success."""
    return http_status, {}, {"messages": [], "errorCode": code, "error": error, "errorDescription": description}


def answered(to: str, id: str | None, code: int | None = None, error: str | None = None) -> Reply:
    """An answer about one message, taken under its id, or refused with a code."""
    message = {"apiMessageId": id, "accepted": id is not None, "to": to, "errorCode": code, "error": error}
    nothing = {"errorCode": None, "error": None, "errorDescription": None}
    return 202, {}, {"messages": [message | {"errorDescription": error}], **nothing}


class ClickatellStandIn(StandIn):
    def __init__(self, api_key: str, port: int = 0) -> None:
        super().__init__(port)
        self._api_key = api_key

    def refusal(self, request: Request) -> Reply | None:
        if request.headers.get("Authorization") != self._api_key:
            return refused(1, "Authentication failed.", "Invalid or missing integration API key.", 401)
        if urlsplit(request.path).path != "/messages":
            return 404, {}, {"error": "Not found"}
        if request.method != "POST":
            return 405, {}, {"error": "Method not allowed"}
        if not request.headers.get("Content-Type", "").startswith("application/json"):
            return refused(100, "Data malformed.", http_status=400)
        asked = request.json
        if not isinstance(asked, dict) or not isinstance(asked.get("to"), list):
            return refused(100, "Data malformed.", http_status=400)
        if not asked.get("content") or not asked["to"]:
            return refused(101, "Invalid or missing parameters.", "content or to", 400)
        if not str(asked.get("from", "0")).isdigit():
            return refused(106, "Invalid FROM number.", "You should specify correct FROM number.")
        [to] = asked["to"]
        if not to.isdigit() or not 5 <= len(to) <= 15:
            return answered(to, None, 105, "Invalid destination address.")
        return None

    def usual(self, request: Request) -> Reply:
        [to] = request.json["to"]
        return answered(to, uuid4().hex)


class _Clickatell(Provider):
    settings: Mapping[str, str] = {"api_key": "dGhlIGtleSBvZiB0ZXN0cw==", "webhook_token": "our own token"}

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return ClickatellStandIn(settings["api_key"], port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        said = {
            "integrationId": "8ad1a2b36d3f4a51016d3f4a51010000",
            "messageId": text.id,
            "replyMessageId": None,
            "fromNumber": text.sender.removeprefix("+"),
            "toNumber": text.recipient.removeprefix("+"),
            "timestamp": 1795339751000,
            "text": text.body,
            "charset": "UTF-8",
            "udh": None,
            "network": None,
            "keyword": None,
        }
        return _called(settings, said)

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        code, status, description = REPORTED[state]
        said = {
            "integrationName": "two way",
            "messageId": id,
            "requestId": "0123456789abcdef0123456789abcdef",
            "clientMessageId": "m1",
            "to": "12025550123",
            "from": "12025550100",
            "statusCode": int(error) if error.isdigit() else code,
            "status": status,
            "statusDescription": description,
            "timestamp": 1795339751000,
        }
        return _called(settings, said)

    def asked(self, request: Request) -> Text:
        asked = request.json
        return Text(f"+{asked['from']}", f"+{asked['to'][0]}", asked["content"])

    def throttled(self, seconds: int) -> Answer:
        return 429, {"Retry-After": str(seconds)}, {"error": "Too many requests"}

    def opted_out(self) -> Answer | None:
        return answered("12025550123", None, 122, "Destination mobile opted out.")

    def given_id(self, answer: Any) -> str:
        return str(answer["messages"][0]["apiMessageId"])


def _called(settings: Mapping[str, str], said: Any) -> Webhook:
    query = f"token={quote(settings['webhook_token'], safe='')}"
    return Webhook({"Content-Type": "application/json"}, json.dumps(said).encode(), query=query)


PROVIDER = _Clickatell()
