"""A stand-in for Vonage: the SMS API and the Numbers API as its published descriptions say, and signed webhooks.

async with VonageStandIn("abcd1234", "the secret") as vonage:
    ...                                              # a channel with api_base = vonage.url
    vonage.available["12125550100"] = {...}          # what number/search finds; `owned` is what the account has
"""

import hashlib
import hmac
import re
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

_NUMBER = re.compile(r"[0-9]{7,15}")
_UPDATABLE = ("moHttpUrl", "voiceCallbackType", "voiceCallbackValue", "app_id")
_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà\f^{}\\[~]|€"
)
_STATUSES: Mapping[ReceiptState, str] = {
    "sent": "accepted", "delivered": "delivered", "undelivered": "expired", "failed": "failed"
}  # fmt: skip


def refused(status: int, text: str = "refused") -> Reply:
    """An answer of the SMS API that refuses the message: HTTP 200 all the same."""
    return 200, {}, {"message-count": "1", "messages": [{"status": str(status), "error-text": text}]}


def number_error(code: int, label: str, status: int = 200) -> Reply:
    """An answer of the Numbers API that refuses."""
    return status, {}, {"error-code": str(code), "error-code-label": label}


def number(country: str = "US", kind: str = "mobile-lvn", cost: str = "0.90", **more: Any) -> dict[str, Any]:
    """A number as the inventories hold it."""
    return {"country": country, "type": kind, "cost": cost, "features": ["VOICE", "SMS"], **more}


def signature(fields: Mapping[str, str], secret: str, method: str) -> str:
    """The `sig` parameter over all the others."""
    text = ""
    for name in sorted(fields.keys() - {"sig"}):
        text += f"&{name}={fields[name].replace('&', '_').replace('=', '_')}"
    raw, key = text.encode("utf-8", "surrogateescape"), secret.encode()
    if method == "md5hash":
        return hashlib.md5(raw + key).hexdigest()
    return hmac.new(key, raw, method.removesuffix("hmac")).hexdigest()


def signed(fields: Mapping[str, str], settings: Mapping[str, str], at: float | None = None) -> dict[str, str]:
    """The fields with timestamp, nonce and sig."""
    stamp = str(int(time.time() if at is None else at))
    all_fields = {**fields, "timestamp": stamp, "nonce": str(uuid4())}
    method = settings.get("signature_method") or "md5hash"
    return {**all_fields, "sig": signature(all_fields, settings["signature_secret"], method)}


class VonageStandIn(StandIn):
    """`available` and `owned` map a number (digits) to what the Numbers API says of it."""

    def __init__(self, api_key: str, api_secret: str, port: int = 0) -> None:
        super().__init__(port)
        self._authorization = "Basic " + b64encode(f"{api_key}:{api_secret}".encode()).decode()
        self.available: dict[str, dict[str, Any]] = {
            "12125550100": number(), "12125550101": number(cost="1.10"), "14165550100": number("CA"),
            "18005550100": number(kind="landline-toll-free", cost="2.00"),
        }  # fmt: skip
        self.owned: dict[str, dict[str, Any]] = {}

    def refusal(self, request: Request) -> Reply | None:
        path = request.path.partition("?")[0]
        known = {"/sms/json": "POST", "/number/search": "GET", "/number/buy": "POST", "/number/cancel": "POST",
                 "/number/update": "POST", "/account/numbers": "GET"}  # fmt: skip
        if known.get(path) != request.method:
            return number_error(404, "not found", 404)
        if request.headers.get("Authorization") != self._authorization:
            return refused(4, "Bad Credentials") if path == "/sms/json" else number_error(
                401, "authentication failed", 401
            )  # fmt: skip
        if path == "/sms/json":
            return _sms_refusal(request.fields)
        if request.method == "POST" and not (request.fields.get("country") and request.fields.get("msisdn")):
            return number_error(420, "missing params", 420)
        return None

    def usual(self, request: Request) -> Reply:
        path = request.path.partition("?")[0]
        if path == "/sms/json":
            return _taken(request.fields)
        if path == "/number/search":
            return _page(self.available, request.query)
        if path == "/account/numbers":
            return _page(self.owned, request.query)
        digits = request.fields["msisdn"]
        if path == "/number/buy":
            return self._buy(digits, request.fields["country"])
        if digits not in self.owned or self.owned[digits]["country"] != request.fields["country"]:
            return number_error(420, "method failed", 420)
        if path == "/number/cancel":
            gone = self.owned.pop(digits)
            self.available[digits] = {name: gone[name] for name in gone if name not in _UPDATABLE}
        else:
            # What an update leaves out is gone.
            kept = {name: value for name, value in self.owned[digits].items() if name not in _UPDATABLE}
            said = {name: request.fields[name] for name in _UPDATABLE if request.fields.get(name)}
            self.owned[digits] = {**kept, **said}
        return number_error(200, "success")

    def _buy(self, digits: str, country: str) -> Reply:
        if digits in self.owned:
            return number_error(420, "method failed", 420)
        found = self.available.get(digits)
        if found is None or found["country"] != country:
            return number_error(420, "method failed", 420)
        self.owned[digits] = self.available.pop(digits)
        return number_error(200, "success")


def _page(numbers: Mapping[str, dict[str, Any]], query: Mapping[str, str]) -> Reply:
    size, index = int(query.get("size", "10")), int(query.get("index", "1"))
    pattern = query.get("pattern", "")
    matches = {"0": str.startswith, "1": str.__contains__, "2": str.endswith}[query.get("search_pattern", "0")]
    features = {feature for feature in query.get("features", "").split(",") if feature}
    found = [
        {**said, "msisdn": digits}
        for digits, said in sorted(numbers.items())
        if said["country"] == query.get("country", said["country"])
        and said["type"] == query.get("type", said["type"])
        and matches(digits, pattern)
        and features <= set(said["features"])
    ]
    shown = found[(index - 1) * size : index * size]
    # A list that is empty is left out altogether.
    return 200, {}, {"count": len(found), "numbers": shown} if found else {}


def _sms_refusal(fields: Mapping[str, str]) -> Reply | None:
    for name in ("from", "to", "text"):
        if not fields.get(name):
            return refused(2, f"Missing {name} param")
    if not _NUMBER.fullmatch(fields["to"]) or fields.get("type", "text") not in ("text", "unicode", "binary"):
        return refused(3, "Invalid value for a param")
    if fields["from"].startswith("+"):
        return refused(15, "Illegal Sender Address - rejected")
    if len(fields.get("callback", "")) > 100:
        return refused(23, "Invalid callback URL")
    if len(fields.get("client-ref", "")) > 100:
        return refused(3, "Invalid value for client-ref")
    return None


def _taken(fields: Mapping[str, str]) -> Reply:
    text = fields["text"]
    if fields.get("type") == "unicode":
        units, alone, part = len(text.encode("utf-16-be")) // 2, 70, 67
    else:
        # Letters that are not GSM become question marks at Vonage.
        units, alone, part = sum(2 if letter in "\f^{}\\[~]|€" else 1 for letter in text), 160, 153
    count = 1 if units <= alone else -(-units // part)
    reference = {"client-ref": fields["client-ref"]} if "client-ref" in fields else {}
    messages = [
        {"to": fields["to"], "message-id": str(uuid4()), "status": "0", "remaining-balance": "3.14159265",
         "message-price": "0.03330000", "network": "12345", **reference}
        for _ in range(count)
    ]  # fmt: skip
    return 200, {}, {"message-count": str(count), "messages": messages}


class _Vonage(Provider):
    settings: Mapping[str, str] = {
        "api_key": "abcd1234",
        "api_secret": "abcdef0123456789",
        "signature_secret": "a signature secret of Vonage's own",
        "signature_method": "sha256hmac",
    }

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return VonageStandIn(settings["api_key"], settings["api_secret"], port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        fields = {
            "msisdn": text.sender.removeprefix("+"),
            "to": text.recipient.removeprefix("+"),
            "messageId": text.id,
            "text": text.body,
            "type": "text" if _GSM.issuperset(text.body) else "unicode",
            "keyword": (text.body.split() or [""])[0].upper(),
            "api-key": settings["api_key"],
            "message-timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        }
        return _webhook(fields, settings)

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        fields = {
            "msisdn": "12025550123",
            "to": "12025550100",
            "network-code": "12345",
            "messageId": id,
            "price": "0.03330000",
            "status": _STATUSES[state],
            "scts": time.strftime("%y%m%d%H%M", time.gmtime()),
            "err-code": error or "0",
            "api-key": settings["api_key"],
            "message-timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        }
        return _webhook(fields, settings)

    def asked(self, request: Request) -> Text:
        fields = request.fields
        return Text(f"+{fields['from']}", f"+{fields['to']}", fields["text"])

    def throttled(self, seconds: int) -> Answer:
        return refused(1, f"Throughput Rate Exceeded - please wait [ {seconds * 1000} ] and retry")

    def opted_out_report(self, url: str, settings: Mapping[str, str], id: str) -> Webhook | None:
        return self.report(url, settings, id, "failed", "9")

    def given_id(self, answer: Any) -> str:
        return str(answer["messages"][0]["message-id"])


def _webhook(fields: Mapping[str, str], settings: Mapping[str, str]) -> Webhook:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Webhook(headers, urlencode(signed(fields, settings)).encode())


PROVIDER = _Vonage()
