"""A stand-in for Telnyx: its messages, numbers and opt-outs, and webhooks signed with a key pair of tests.

async with TelnyxStandIn("KEY") as telnyx:
    ...                                    # a channel with api_base = telnyx.url
    telnyx.answer_with(refused("40300", "Blocked due to STOP message"))
    telnyx.available["+13035550142"]       # numbers to buy; `owned` those that were bought
    telnyx.slow_orders = True              # orders stay pending until complete_orders()
headers, body = signed_webhook({"data": {"event_type": "message.received", "payload": {...}}})
"""

import json
import re
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

# The test key of shared/facts/signatures.json.
PRIVATE_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC_KEY = b64encode(PRIVATE_KEY.public_key().public_bytes_raw()).decode()
MAX_PARTS = 10
SEGMENT = 153
MAX_PAGE = 250
_ADDRESS = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{5,8}")
_KEY = re.compile(r"[A-Za-z0-9_:-]{1,255}")
_TIME = "2026-11-22T12:00:00.000Z"


def refused(code: str, title: str = "refused", status: int = 400, detail: str = "") -> Reply:
    """An error answer in Telnyx's form."""
    return status, {}, {"errors": [{"code": code, "title": title, "detail": detail or title}]}


def signed_webhook(
    event: Mapping[str, Any], at: int | None = None, key: Ed25519PrivateKey = PRIVATE_KEY
) -> tuple[dict[str, str], bytes]:
    """Headers and body of a webhook request that Telnyx would make, now or `at` a time."""
    timestamp = str(int(time.time()) if at is None else at)
    body = json.dumps(event, ensure_ascii=False).encode()
    signature = b64encode(key.sign(f"{timestamp}|".encode() + body)).decode()
    headers = {"telnyx-signature-ed25519": signature, "telnyx-timestamp": timestamp}
    return {"Content-Type": "application/json", **headers}, body


def offer(number: str, state: str = "CO", city: str = "DENVER") -> dict[str, Any]:
    """A number that can be bought."""
    regions = {"country_code": "US", "state": state, "rate_center": city}
    return {
        "record_type": "available_phone_number",
        "phone_number": number,
        "vanity_format": "",
        "best_effort": False,
        "quickship": True,
        "reservable": True,
        "region_information": [{"region_type": kind, "region_name": name} for kind, name in regions.items()],
        "cost_information": {"upfront_cost": "1.00", "monthly_cost": "1.00", "currency": "USD"},
        "features": [{"name": name} for name in ("sms", "mms", "voice")],
    }


class TelnyxStandIn(StandIn):
    """`available` and `owned` are its numbers; `page_limit` is how many of a list fit into one page."""

    def __init__(self, api_key: str, port: int = 0) -> None:
        super().__init__(port)
        self._authorization = f"Bearer {api_key}"
        numbers = [offer("+13035550142"), offer("+13035550143"), offer("+14155550144", "CA", "SAN FRANCISCO")]
        self.available = {entry["phone_number"]: entry for entry in [*numbers, offer("+18885550145", "", "")]}
        self.owned: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.slow_orders = False
        self.page_limit = MAX_PAGE
        self.opt_outs: list[dict[str, str]] = []
        self.campaigns: list[dict[str, str]] = []
        self.webhook_urls: dict[str, str] = {}
        """The webhook of each messaging profile; any profile exists."""
        self.voice: dict[str, Any] = {}
        """The voice settings by number."""
        self._sent: dict[str, tuple[bytes, dict[str, Any]]] = {}

    def add_owned(self, number: str, **fields: Any) -> None:
        """A number that is in the account."""
        kind = "toll_free" if number.startswith("+18") else "local"
        self.owned[number] = {
            "id": str(1293384261075731499 + len(self.owned)),
            "record_type": "phone_number",
            "phone_number": number,
            "status": "active",
            "phone_number_type": kind,
            "country_iso_alpha2": "US",
            "customer_reference": None,
            "messaging_profile_id": None,
            "connection_id": None,
            "purchased_at": _TIME,
            **fields,
        }

    def complete_orders(self) -> None:
        """What is pending is done."""
        for order in self.orders:
            if order["status"] == "pending":
                order["status"] = "success"
                for line in order["phone_numbers"]:
                    line["status"] = "success"
                    self.owned[line["phone_number"]]["status"] = "active"

    def refusal(self, request: Request) -> Reply | None:
        if request.headers.get("Authorization") != self._authorization:
            return refused("10009", "Authentication failed", 401)
        return None

    def usual(self, request: Request) -> Reply:
        path = request.path.partition("?")[0].removeprefix("/v2")
        collection = {
            ("POST", "/messages"): self._message,
            ("GET", "/available_phone_numbers"): self._search,
            ("POST", "/number_orders"): self._order,
            ("GET", "/number_orders"): self._list_orders,
            ("GET", "/phone_numbers"): self._list_numbers,
            ("GET", "/messaging_optouts"): self._list_opt_outs,
            ("GET", "/10dlc/phone_number_campaigns"): self._list_campaigns,
        }.get((request.method, path))
        if collection:
            return collection(request)
        match path.split("/")[1:]:
            case ["phone_numbers", id, *rest]:
                return self._number(request, id, rest)
            case ["messaging_profiles", id]:
                return self._profile(request, id)
        return refused("10005", "Resource not found", 404)

    def _message(self, request: Request) -> Reply:
        asked: dict[str, Any] = request.json
        key = request.headers.get("Idempotency-Key", "")
        if key and not _KEY.fullmatch(key):
            return refused("10015", "Bad Request", 400, "Idempotency-Key is invalid")
        if key in self._sent:
            body, message = self._sent[key]
            return (200, {}, message) if body == request.body else refused("10015", "Idempotency key reused", 422)
        sender, profile_id = asked.get("from", ""), asked.get("messaging_profile_id")
        text, media = asked.get("text", ""), asked.get("media_urls", [])
        if not _ADDRESS.fullmatch(asked.get("to", "")):
            return refused("40310", "Invalid 'to' address")
        if not _ADDRESS.fullmatch(sender) and not profile_id:
            return refused("40305", "Invalid 'from' address")
        if not text and not media:
            return refused("40316", "No content provided")
        parts = max(1, -(-len(text) // SEGMENT))
        if parts > MAX_PARTS:
            return refused("40302", "Message too large")
        message = {
            "data": {
                "record_type": "message",
                "direction": "outbound",
                "id": str(uuid4()),
                "type": "MMS" if media else "SMS",
                "messaging_profile_id": profile_id or str(uuid4()),
                "from": {"phone_number": sender, "carrier": "Telnyx", "line_type": "Wireless"},
                "to": [{"phone_number": asked["to"], "status": "queued", "carrier": "", "line_type": ""}],
                "text": text,
                "media": [{"url": url, "content_type": None} for url in media],
                "webhook_url": asked.get("webhook_url", ""),
                "encoding": "GSM-7",
                "parts": parts,
                "errors": [],
                "received_at": _TIME,
            }
        }
        if key:
            self._sent[key] = (request.body, message)
        return 200, {}, message

    def _search(self, request: Request) -> Reply:
        query = request.query
        kind, code = query.get("filter[phone_number_type]"), query.get("filter[national_destination_code]", "")
        state = query.get("filter[administrative_area]", "")
        found = [
            entry
            for number, entry in self.available.items()
            if number.startswith(f"+1{code}")
            and (kind == "toll_free") == number.startswith("+18")
            and (not state or {"region_type": "state", "region_name": state} in entry["region_information"])
        ]
        found = found[: int(query.get("filter[limit]", "100"))]
        return 200, {}, {"data": found, "meta": {"total_results": len(found), "best_effort_results": 0}}

    def _order(self, request: Request) -> Reply:
        asked = request.json
        numbers = [line["phone_number"] for line in asked["phone_numbers"]]
        if any(number not in self.available for number in numbers):
            return refused("10015", "Bad Request", 422, "The requested phone numbers are not available")
        status = "pending" if self.slow_orders else "success"
        for number in numbers:
            del self.available[number]
            profile = {"messaging_profile_id": asked.get("messaging_profile_id")}
            voice = {"connection_id": asked.get("connection_id")}
            self.add_owned(number, status="purchase-pending" if self.slow_orders else "active", **profile, **voice)
        order = {
            "id": str(uuid4()),
            "record_type": "number_order",
            "phone_numbers_count": len(numbers),
            "phone_numbers": [
                {"id": str(uuid4()), "record_type": "number_order_phone_number", "phone_number": number,
                 "requirements_met": True, "status": status}
                for number in numbers
            ],
            "status": status,
            "customer_reference": asked.get("customer_reference"),
            "created_at": _TIME,
            "requirements_met": True,
        }  # fmt: skip
        self.orders.append(order)
        return 200, {}, {"data": order}

    def _list_orders(self, request: Request) -> Reply:
        reference = request.query.get("filter[customer_reference]")
        return self._page(request, [order for order in self.orders if order["customer_reference"] == reference])

    def _list_numbers(self, request: Request) -> Reply:
        digits = request.query.get("filter[phone_number]", "")
        if digits and not digits.isdigit():
            return self._page(request, [])
        return self._page(request, [entry for number, entry in self.owned.items() if digits in number])

    def _list_opt_outs(self, request: Request) -> Reply:
        profile_id = request.query.get("filter[messaging_profile_id]")
        return self._page(
            request, [entry for entry in self.opt_outs if profile_id in (None, entry["messaging_profile_id"])]
        )

    def _list_campaigns(self, request: Request) -> Reply:
        page, size = int(request.query["page"]), min(int(request.query["recordsPerPage"]), self.page_limit)
        records = self.campaigns[(page - 1) * size : page * size]
        return 200, {}, {"records": records, "page": page, "totalRecords": len(self.campaigns)}

    def _page(self, request: Request, items: Sequence[Mapping[str, Any]]) -> Reply:
        number = int(request.query.get("page[number]", "1"))
        size = min(int(request.query.get("page[size]", "20")), self.page_limit)
        pages = -(-len(items) // size)
        meta = {"page_number": number, "page_size": size, "total_pages": pages, "total_results": len(items)}
        return 200, {}, {"data": list(items[(number - 1) * size : number * size]), "meta": meta}

    def _number(self, request: Request, id: str, rest: list[str]) -> Reply:
        entry = next((entry for entry in self.owned.values() if entry["id"] == id), None)
        if entry is None or entry["status"] == "deleted":
            return refused("10005", "Resource not found", 404)
        number = entry["phone_number"]
        match request.method, rest:
            case "DELETE", []:
                entry["status"] = "deleted"
                self.owned[number] = entry
                self.available[number] = offer(number)
            case "PATCH", []:
                entry |= {name: value for name, value in request.json.items() if name in ("customer_reference", "tags")}
            case "PATCH", ["messaging"]:
                entry["messaging_profile_id"] = request.json["messaging_profile_id"]
            case "PATCH", ["voice"]:
                self.voice[number] = request.json
            case _:
                return refused("10005", "Resource not found", 404)
        return 200, {}, {"data": entry}

    def _profile(self, request: Request, id: str) -> Reply:
        if request.method == "PATCH":
            self.webhook_urls[id] = request.json["webhook_url"]
        profile = {"id": id, "record_type": "messaging_profile", "name": "Textwright", "enabled": True}
        return 200, {}, {"data": {**profile, "webhook_url": self.webhook_urls.get(id, ""), "webhook_api_version": "2"}}


class _Telnyx(Provider):
    settings: Mapping[str, str] = {
        "api_key": "KEY0123",
        "public_key": PUBLIC_KEY,
        "messaging_profile_id": "4001694f-2f2c-4d5b-8a3c-000000000001",
    }

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return TelnyxStandIn(settings["api_key"], port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        payload = {
            "record_type": "message",
            "direction": "inbound",
            "id": text.id,
            "type": "MMS" if text.media else "SMS",
            "from": {"phone_number": text.sender, "carrier": "T-MOBILE USA, INC.", "line_type": "Wireless"},
            "to": [{"phone_number": text.recipient, "status": "webhook_delivered", "carrier": "Telnyx"}],
            "cc": [],
            "text": text.body,
            "media": [{"url": link, "content_type": None, "hash_sha256": None, "size": 1} for link in text.media],
            "autoresponse_type": None,
            "errors": [],
            "parts": 1,
        }
        return Webhook(*signed_webhook(_event("message.received", payload)))

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        words = {"sent": "sent", "delivered": "delivered", "undelivered": "delivery_failed", "failed": "sending_failed"}
        errors = (
            [{"code": error, "title": "Undeliverable", "detail": "The carrier did not accept it."}] if error else []
        )
        return _report(id, words[state], errors)

    def asked(self, request: Request) -> Text:
        return Text(request.json["from"], request.json["to"], request.json.get("text", ""))

    def throttled(self, seconds: int) -> Answer:
        status, _, content = refused("10011", "Too many requests", 429)
        return status, {"Retry-After": str(seconds)}, content

    def opted_out(self) -> Answer | None:
        detail = "Messages cannot be sent from '+1' to '+1' due to an existing block rule."
        return refused("40300", "Blocked due to STOP message", 400, detail)

    def opted_out_report(self, url: str, settings: Mapping[str, str], id: str) -> Webhook | None:
        return _report(id, "sending_failed", [{"code": "40300", "title": "Blocked due to STOP message"}])

    def given_id(self, answer: Any) -> str:
        return str(answer["data"]["id"])


def _event(event_type: str, payload: Mapping[str, Any]) -> dict[str, Any]:
    data = {"record_type": "event", "id": str(uuid4()), "event_type": event_type, "occurred_at": _TIME}
    return {"data": {**data, "payload": payload}, "meta": {"attempt": 1, "delivered_to": "https://sms.example.org"}}


def _report(id: str, status: str, errors: Sequence[Mapping[str, str]]) -> Webhook:
    to = [{"phone_number": "+12025550123", "status": status, "carrier": "T-MOBILE USA, INC.", "line_type": "Wireless"}]
    payload = {"record_type": "message", "direction": "outbound", "id": id, "to": to, "errors": list(errors)}
    event_type = "message.sent" if status == "sent" else "message.finalized"
    return Webhook(*signed_webhook(_event(event_type, payload)))


PROVIDER = _Telnyx()
