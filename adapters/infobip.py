"""Infobip: SMS and MMS through its messages API, version 3 and 2, and the webhooks of numbers and messages.

Sources: Infobip's published API description 3.210 and its list of status codes; the payloads that courier observed.
Infobip signs nothing: it logs in at the webhook with credentials of ours, which are set in its portal.
"""

import logging
from collections.abc import Mapping
from mimetypes import guess_type
from typing import Any, ClassVar

from adapters.acceptances import given_id, given_parts
from adapters.basic_login import check_login
from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    Inbound,
    Media,
    Outbound,
    Receipt,
    ReceiptState,
    Sent,
    Setting,
    WebhookRequest,
)
from adapters.errors import BadPayload, Misconfigured, Rejected, SendError, Unknown
from adapters.http import Answer, Http
from adapters.json_body import json_body, listed, optional_text, readable, required_text
from adapters.refusals import detail, refusal
from adapters.text import bare_digits, clean_text, international

log = logging.getLogger(__name__)

GROUPS: Mapping[int, str] = {0: "OK", 1: "PENDING", 2: "UNDELIVERABLE", 3: "DELIVERED", 4: "EXPIRED", 5: "REJECTED"}

# A status by its name, or else by its group. What is pending has left for the operator, unless it is only accepted;
# what is delivered to the operator goes on to the handset.
STATUSES: Mapping[str, ReceiptState | None] = {
    "OK": None,
    "ACCEPTED": None,
    "PENDING_ACCEPTED": None,
    "PENDING": "sent",
    "DELIVERED_TO_OPERATOR": "sent",
    "DELIVERED": "delivered",
    "UNDELIVERABLE": "undelivered",
    "EXPIRED": "undelivered",
    "REJECTED": "failed",
}
TAKEN = frozenset({"OK", "PENDING", "DELIVERED"})
DUPLICATE = "23"

# Ids of statuses, and codes of HTTP errors. REJECTED_DND (10) is a country's registry and
# REJECTED_DESTINATION_BLOCKLISTED (14) is also what operators and our own staff do: neither says that the recipient
# opted out with us. The flooding filter (20) and a system error (21) may pass; but they have used up the message's id,
# and under the same id it would look like a duplicate of one that arrived.
ERRORS: Mapping[str, type[SendError]] = {
    # this recipient
    **dict.fromkeys(("6", "8", "10", "14", "51", "52", "20"), Rejected),
    # this content, or the platform would not take it
    **dict.fromkeys(("21", "24", "25", "77", "87", "100", "E400", "BAD_REQUEST"), Rejected),
    # our sender, our credit, what our account may do, our webhook's address
    **dict.fromkeys(("11", "12", "13", "17", "18", "19", "56"), Misconfigured),
}


class Infobip(Adapter):
    """One Infobip account."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "api_key": Setting(required=True, secret=True, help="with the scope message:send"),
        "api_base": Setting(required=True, help="the account's own host, https://XXXXX.api.infobip.com"),
        "webhook_user": Setting(required=True, help="of your choice: the login that Infobip calls us with"),
        "webhook_password": Setting(required=True, secret=True, help="belongs to webhook_user"),
    }
    # Only the network of toll-free numbers answers STOP; Infobip does so where it was asked to: then the channel
    # says so in config.toml.
    capabilities: ClassVar[Capabilities] = Capabilities(
        carrier_confirms_opt_out=False, supports_media=True, max_body=1600
    )
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        # The portal shows the host alone.
        api_base = settings["api_base"].rstrip("/")
        self._api_base = api_base if "://" in api_base else f"https://{api_base}"
        self._authorization = {"Authorization": f"App {settings['api_key']}", "Accept": "application/json"}
        self._user, self._password = settings["webhook_user"], settings["webhook_password"]

    def verify(self, request: WebhookRequest) -> None:
        check_login(request, self._user, self._password)

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        """Messages and reports come to one address; only a report has a status."""
        said = json_body(request)
        results = listed(said, "results")
        if not results and "results" not in said and said.get("messageCount") != 0:
            raise BadPayload("results is missing")
        return readable(results, _events, log)

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Send one message under our own id.

        Infobip refuses an id that it has seen. How long it remembers is not documented, so a request without an
        answer stays Unknown; but where it does refuse one, the message is there already.
        """
        asked: dict[str, Any] = {
            "sender": bare_digits(message.sender),
            "destinations": [{"to": bare_digits(message.recipient), "messageId": clean_text(message.id)}],
        }
        if message.receipt_url:
            delivery = {"url": message.receipt_url, "intermediateReport": True}
            asked["webhooks"] = {"delivery": delivery, "contentType": "application/json"}
        if message.media:
            asked["content"] = {"messageSegments": _segments(message)}
            path = "/mms/2/messages"
            request: dict[str, Any] = {"messages": [asked]}
        else:
            asked["content"] = {"text": clean_text(message.body)}
            path = "/sms/3/messages"
            request = {"messages": [asked], "options": {"includeSmsCountInResponse": True}}
        answer = await http.post(f"{self._api_base}{path}", json=request, headers=self._authorization)
        if not 200 <= answer.status < 300:
            raise _refusal(answer, message.body)
        return _sent(answer, message)


def _segments(message: Outbound) -> list[dict[str, str]]:
    """The text and each file; its type only where the address tells it."""
    segments = [{"type": "TEXT", "text": clean_text(message.body)}] if message.body else []
    for url in message.media:
        _, _, path = url.partition("://")[2].partition("?")[0].partition("/")
        content_type, _ = guess_type(path)
        told = {"contentType": content_type} if content_type else {}
        segments.append({"type": "LINK", "contentUrl": clean_text(url), **told})
    return segments


def _events(item: Any) -> list[Inbound | Receipt]:
    return _receipts(item) if isinstance(item, dict) and "status" in item else [_inbound(item)]


def _inbound(item: Any) -> Inbound:
    # {"results": [{"messageId": "0191e180-7d60-7000-aded-7d8b151cbd5b", "from": "385916242493", "to": "385921004026",
    #   "text": "QUIZ Correct answer is Paris", "cleanText": "Correct answer is Paris", "keyword": "QUIZ",
    #   "receivedAt": "2016-10-06T09:28:39.220+0000", "smsCount": 1, "price": {...}, "callbackData": "callbackData"}],
    #  "messageCount": 1, "pendingMessageCount": 0}
    #
    # An MMS has, in place of text: "message": [{"contentType": "text/plain", "value": "This is message text"},
    #   {"contentType": "image/jpeg", "url": "https://examplelink.com/123456"}]
    texts, media = [optional_text(item, "text")], []
    for segment in listed(item, "message"):
        content_type, url = optional_text(segment, "contentType"), optional_text(segment, "url")
        # SMIL is only how the rest is laid out.
        if content_type == "application/smil":
            continue
        texts.append(optional_text(segment, "value"))
        if url:
            media.append(Media(url, content_type))
    return Inbound(
        provider_id=required_text(item, "messageId"),
        sender=international(required_text(item, "from")),
        recipient=international(required_text(item, "to")),
        body="\n".join([text for text in texts if text]),
        media=tuple(media),
    )


def _receipts(item: Any) -> list[Inbound | Receipt]:
    # {"results": [{"bulkId": "BULK-ID-123-xyz", "messageId": "m1", "to": "41793026727", "smsCount": 1,
    #   "sentAt": "2019-11-09T16:00:00.000+0000", "doneAt": "2019-11-09T16:00:00.000+0000", "price": {...},
    #   "status": {"groupId": 3, "groupName": "DELIVERED", "id": 5, "name": "DELIVERED_TO_HANDSET", ...},
    #   "error": {"groupId": 0, "groupName": "Ok", "id": 0, "name": "NO_ERROR", "permanent": false, ...}}]}
    provider_id = required_text(item, "messageId")
    status = item["status"]
    word = _word(status)
    if word not in STATUSES:
        log.warning("infobip: unknown status %.40r", word)
        return []
    state = STATUSES[word]
    if state is None:
        return []
    failed = state in ("undelivered", "failed")
    return [Receipt(provider_id, state, (_id(item.get("error")) or _id(status)) if failed else "")]


def _word(status: Any) -> str:
    """A status's name where that says more than its group, else the group's."""
    name, group = optional_text(status, "name"), _number(status, "groupId")
    if name in STATUSES:
        return name
    return GROUPS.get(group, name or str(group)) if group is not None else optional_text(status, "groupName")


def _id(item: Any) -> str:
    number = _number(item, "id")
    return str(number) if number else ""


def _number(item: Any, name: str) -> int | None:
    """A small whole number of an object; None where there is none."""
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 10**9 else None


def _sent(answer: Answer, message: Outbound) -> Sent:
    # {"bulkId": "a28dd97c-2222-4fcf-99f1-0b557ed381da", "messages": [{"messageId": "m1", "destination": "41793026727",
    #   "status": {"groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED", "description": "..."},
    #   "details": {"messageCount": 1}}]}
    messages = answer.json().get("messages")
    taken = messages[0] if isinstance(messages, list) and messages and isinstance(messages[0], dict) else {}
    status = taken.get("status")
    code, group_id = _id(status), _number(status, "groupId")
    group = GROUPS.get(group_id, "") if group_id is not None else ""
    if code == DUPLICATE:
        return Sent(message.id)
    if group and group not in TAKEN:
        text = status.get("description") if isinstance(status, dict) else None
        raise ERRORS.get(code, Rejected)(detail(answer, text, (message.body,)), code)
    provider_id = given_id(taken.get("messageId"))
    if not group or not provider_id:
        raise Unknown(f"HTTP {answer.status} without a message's id and status")
    return Sent(provider_id, given_parts(_number(taken.get("details"), "messageCount")))


def _refusal(answer: Answer, body: str) -> SendError:
    # {"errorCode": "E400", "description": "Request cannot be processed.", "action": "...", "violations": [...]}
    # {"requestError": {"serviceException": {"messageId": "UNAUTHORIZED", "text": "Invalid login details"}}}
    said = answer.json()
    problem = said.get("requestError")
    problem = problem.get("serviceException") if isinstance(problem, dict) else None
    problem = problem if isinstance(problem, dict) else {}
    code = said.get("errorCode") or problem.get("messageId")
    text = said.get("description") or problem.get("text")
    return refusal(answer, clean_text(code)[:60] if isinstance(code, str) else "", text, ERRORS, (body,))
