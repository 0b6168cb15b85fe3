"""A stand-in for Infobip: its messages API for SMS and MMS, which takes an id once, and webhooks that log in."""

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

ACCEPTED = (1, "PENDING", 26, "PENDING_ACCEPTED")
DUPLICATE = (5, "REJECTED", 23, "REJECTED_DUPLICATE_MESSAGE_ID")
REPORTED = {
    "sent": (1, "PENDING", 7, "PENDING_ENROUTE"),
    "delivered": (3, "DELIVERED", 5, "DELIVERED_TO_HANDSET"),
    "undelivered": (2, "UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED"),
    "failed": (5, "REJECTED", 6, "REJECTED_NETWORK"),
}
GSM_SEGMENT = 153


def status(group_id: int, group: str, id: int, name: str) -> dict[str, Any]:
    return {"groupId": group_id, "groupName": group, "id": id, "name": name, "description": name.lower()}


def problem(http_status: int, code: str, description: str) -> Reply:
    """An error answer in the form of the newer APIs."""
    said = {"errorCode": code, "description": description, "action": "", "violations": [], "resources": []}
    return http_status, {}, said


class InfobipStandIn(StandIn):
    def __init__(self, api_key: str, port: int = 0) -> None:
        super().__init__(port)
        self._authorization = f"App {api_key}"
        self._seen: set[str] = set()

    def refusal(self, request: Request) -> Reply | None:
        if request.headers.get("Authorization") != self._authorization:
            return problem(401, "E401", "Invalid or missing credentials.")
        if request.method != "POST" or request.path not in ("/sms/3/messages", "/mms/2/messages"):
            return problem(404, "E404", "Not found.")
        [message] = request.json.get("messages") or [{}]
        [destination] = message.get("destinations") or [{}]
        content = message.get("content", {})
        if not str(destination.get("to", "")).isdigit() or len(destination.get("messageId", "")) > 200:
            return problem(400, "E400", "destinations is not valid.")
        if request.path == "/sms/3/messages" and not content.get("text"):
            return problem(400, "E400", "text is missing.")
        if request.path == "/mms/2/messages" and not _are_segments(content.get("messageSegments")):
            return problem(400, "E400", "messageSegments is not valid.")
        return None

    def usual(self, request: Request) -> Reply:
        [message] = request.json["messages"]
        [destination] = message["destinations"]
        id = destination.get("messageId") or str(uuid4())
        word = DUPLICATE if id in self._seen else ACCEPTED
        self._seen.add(id)
        taken: dict[str, Any] = {"messageId": id, "status": status(*word), "destination": destination["to"]}
        if request.json.get("options", {}).get("includeSmsCountInResponse"):
            taken["details"] = {"messageCount": max(1, -(-len(message["content"]["text"]) // GSM_SEGMENT))}
        return 200, {}, {"bulkId": str(uuid4()), "messages": [taken]}


def _are_segments(segments: Any) -> bool:
    needed = {"TEXT": "text", "LINK": "contentUrl"}
    return bool(segments) and all(segment.get(needed.get(segment.get("type"), "")) for segment in segments)


class _Infobip(Provider):
    settings: Mapping[str, str] = {"api_key": "the key", "webhook_user": "infobip", "webhook_password": "our password"}

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return InfobipStandIn(settings["api_key"], port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        result: dict[str, Any] = {
            "messageId": text.id,
            "from": text.sender.removeprefix("+"),
            "to": text.recipient.removeprefix("+"),
            "receivedAt": "2026-11-22T09:28:39.220+0000",
        }
        if text.media:
            files = [{"contentType": "image/jpeg", "url": link} for link in text.media]
            result["message"] = [{"contentType": "text/plain", "value": text.body}, *files]
        else:
            result |= {"text": text.body, "cleanText": text.body, "smsCount": 1}
        return _called(settings, {"results": [result], "messageCount": 1, "pendingMessageCount": 0})

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        code = int(error) if error.isdigit() else 0
        failure = {"groupId": 1 if code else 0, "id": code, "name": "EC_ERROR" if code else "NO_ERROR"}
        result = {"messageId": id, "to": "12025550123", "status": status(*REPORTED[state]), "error": failure}
        return _called(settings, {"results": [result]})

    def asked(self, request: Request) -> Text:
        [message] = request.json["messages"]
        content = message["content"]
        body = content["text"] if "text" in content else content["messageSegments"][0].get("text", "")
        return Text(f"+{message['sender']}", f"+{message['destinations'][0]['to']}", body)

    def throttled(self, seconds: int) -> Answer:
        http_status, _, content = problem(429, "E429", "Too many requests sent.")
        return http_status, {"Retry-After": str(seconds)}, content

    def given_id(self, answer: Any) -> str:
        return str(answer["messages"][0]["messageId"])


def _called(settings: Mapping[str, str], said: Any) -> Webhook:
    login = f"{settings['webhook_user']}:{settings['webhook_password']}"
    authorization = "Basic " + b64encode(login.encode()).decode()
    return Webhook({"Content-Type": "application/json", "Authorization": authorization}, json.dumps(said).encode())


PROVIDER = _Infobip()
