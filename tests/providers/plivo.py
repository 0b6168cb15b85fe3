"""A stand-in for Plivo: its Message, PhoneNumber, Number and Application resources, and webhooks signed by version 3.

`available` are the numbers for rent (digits -> what the search says of them), `owned` those of the account,
`applications` what was set on each.
"""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

PAGE = 20


def refused(status: int, error: str) -> Reply:
    """An error answer in Plivo's form."""
    return status, {}, {"api_id": str(uuid4()), "error": error}


def signed_webhook(
    url: str, fields: Mapping[str, str], auth_token: str, nonce: str = ""
) -> tuple[dict[str, str], bytes]:
    """Headers and body of the POST that Plivo would make to a `url` without a query."""
    nonce = nonce or str(uuid4().int)
    text = url + ("?" if fields else "") + "".join(name + fields[name] for name in sorted(fields)) + "." + nonce
    signature = b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha256")).decode()
    headers = {
        "Content-Type": "application/x-www-form-urlencoded",
        "X-Plivo-Signature-V3": signature,
        "X-Plivo-Signature-V3-Nonce": nonce,
    }
    return headers, urlencode(fields).encode()


def for_rent(number: str, **fields: Any) -> dict[str, Any]:
    """What a search says of a number (digits)."""
    return {
        "number": number, "prefix": number[1:4], "city": "SAN FRANCISCO", "country": "UNITED STATES",
        "region": "California, UNITED STATES", "type": "fixed", "sub_type": "local", "setup_rate": "0.00000",
        "monthly_rental_rate": "0.80000", "sms_enabled": True, "mms_enabled": True, "voice_enabled": True,
        "restriction": None, **fields,
    }  # fmt: skip


class PlivoStandIn(StandIn):
    def __init__(self, settings: Mapping[str, str], port: int = 0) -> None:
        super().__init__(port)
        login = f"{settings['auth_id']}:{settings['auth_token']}"
        self._authorization = "Basic " + b64encode(login.encode()).decode()
        self._account = f"/v1/Account/{settings['auth_id']}/"
        self.available: dict[str, dict[str, Any]] = {}
        self.owned: dict[str, dict[str, Any]] = {}
        self.applications: dict[str, dict[str, Any]] = {settings.get("app_id", "") or "1": {}}

    def refusal(self, request: Request) -> Reply | None:
        if request.headers.get("Authorization") != self._authorization:
            return refused(401, "authentication failed")
        if not request.path.startswith(self._account):
            return refused(404, "not found")
        return None

    def usual(self, request: Request) -> Reply:
        path = urlsplit(request.path).path.removeprefix(self._account).strip("/")
        resource, _, name = path.partition("/")
        return {
            ("POST", "Message"): self._send,
            ("GET", "PhoneNumber"): self._search,
            ("POST", "PhoneNumber"): self._buy,
            ("GET", "Number"): self._show,
            ("POST", "Number"): self._update,
            ("DELETE", "Number"): self._unrent,
            ("POST", "Application"): self._apply,
        }.get((request.method, resource), self._unknown)(request, name)

    def _unknown(self, request: Request, name: str) -> Reply:
        return refused(405, "method not allowed")

    def _send(self, request: Request, name: str) -> Reply:
        asked = request.json
        if bool(asked.get("src")) == bool(asked.get("powerpack_uuid")):
            return refused(400, "exactly one of src and powerpack_uuid is required")
        if not str(asked.get("dst", "")).isdigit():
            return refused(400, "dst is not a phone number")
        if asked.get("type", "sms") not in ("sms", "mms"):
            return refused(400, "type is not valid")
        if asked.get("type") == "mms" and not 1 <= len(asked.get("media_urls", [])) <= 10:
            return refused(400, "media_urls is not valid")
        if asked.get("type") != "mms" and not asked.get("text"):
            return refused(400, "text is missing")
        if len(asked.get("text", "")) > 1600:
            return refused(400, "text is too long")
        return 202, {}, {"api_id": str(uuid4()), "message": "message(s) queued", "message_uuid": [str(uuid4())]}

    def _search(self, request: Request, name: str) -> Reply:
        query = request.query
        if not query.get("country_iso"):
            return refused(400, "country_iso is missing")
        toll_free = query.get("type") == "tollfree"
        found = [
            number
            for digits, number in self.available.items()
            if (number["type"] == "tollfree") == toll_free
            and digits.startswith("1" + query.get("pattern", ""))
            and query.get("region", "").lower() in number["region"].lower()
        ]
        return self._page(found, request, "PhoneNumber")

    def _buy(self, request: Request, name: str) -> Reply:
        if name not in self.available:
            return refused(404, "not found")
        if request.json.get("app_id", "") not in ("", *self.applications):
            return refused(400, "app_id is not valid")
        offer = self.available.pop(name)
        status = "pending" if offer["restriction"] else "Success"
        self.owned[name] = {
            "number": name, "alias": None, "application": f"{self._account}Application/{request.json.get('app_id')}/",
            "number_type": "tollfree" if offer["type"] == "tollfree" else "local", "region": offer["region"],
            "compliance_status": "pending" if offer["restriction"] else None,
            "tendlc_registration_status": "UNREGISTERED", "tendlc_campaign_id": None,
            "toll_free_sms_verification": None,
        }  # fmt: skip
        numbers = [{"number": name, "status": status}]
        return 201, {}, {"api_id": str(uuid4()), "message": "created", "numbers": numbers, "status": "fulfilled"}

    def _show(self, request: Request, name: str) -> Reply:
        if not name:
            return self._page(list(self.owned.values()), request, "Number")
        return (200, {}, self.owned[name]) if name in self.owned else refused(404, "not found")

    def _update(self, request: Request, name: str) -> Reply:
        asked = request.json
        if name not in self.owned:
            return refused(404, "not found")
        if asked.get("app_id") not in self.applications:
            return refused(400, "app_id is not valid")
        self.owned[name]["application"] = f"{self._account}Application/{asked['app_id']}/"
        self.owned[name]["alias"] = asked.get("alias", self.owned[name]["alias"])
        return 202, {}, {"api_id": str(uuid4()), "message": "changed"}

    def _unrent(self, request: Request, name: str) -> Reply:
        if self.owned.pop(name, None) is None:
            return refused(404, "not found")
        return 204, {}, ""

    def _apply(self, request: Request, name: str) -> Reply:
        if name not in self.applications:
            return refused(404, "not found")
        self.applications[name] |= request.json
        return 202, {}, {"api_id": str(uuid4()), "message": "changed"}

    def _page(self, found: list[dict[str, Any]], request: Request, resource: str) -> Reply:
        limit, offset = int(request.query.get("limit", PAGE)), int(request.query.get("offset", 0))
        if not 1 <= limit <= PAGE:
            return refused(400, "limit is not valid")
        following = f"{self._account}{resource}/?limit={limit}&offset={offset + limit}"
        meta = {
            "limit": limit, "offset": offset, "previous": None, "total_count": len(found),
            "next": following if offset + limit < len(found) else None,
        }  # fmt: skip
        return 200, {}, {"api_id": str(uuid4()), "meta": meta, "objects": found[offset : offset + limit]}


class _Plivo(Provider):
    settings: Mapping[str, str] = {"auth_id": "MAXXXXXXXXXXXXXXXXX1", "auth_token": "the auth token", "app_id": "77"}

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return PlivoStandIn(settings, port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        fields = {"MessageUUID": text.id, "From": text.sender.removeprefix("+"), "To": text.recipient.removeprefix("+"),
                  "Units": "1", "TotalRate": "0", "TotalAmount": "0"}  # fmt: skip
        if text.media:
            fields |= {"Type": "mms", "Body": text.body, "MediaCount": str(len(text.media))}
            fields |= {f"Media{place}": link for place, link in enumerate(text.media, 1)}
        else:
            stops = text.body.strip().upper() in ("STOP", "END", "QUIT")
            fields |= {"Type": "sms", "Text": text.body, "MessageIntent": "optout" if stops else ""}
        return Webhook(*signed_webhook(url, fields, settings["auth_token"]))

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        fields = {"MessageUUID": id, "ParentMessageUUID": id, "PartInfo": "1 of 1", "Status": state,
                  "ErrorCode": error or ("000" if state == "delivered" else ""), "Units": "1"}  # fmt: skip
        return Webhook(*signed_webhook(url, fields, settings["auth_token"]))

    def asked(self, request: Request) -> Text:
        asked = request.json
        return Text(f"+{asked['src']}", f"+{asked['dst']}", asked.get("text", ""))

    def throttled(self, seconds: int) -> Answer:
        status, _, content = refused(429, "too many requests")
        return status, {"Retry-After": str(seconds)}, content

    def opted_out_report(self, url: str, settings: Mapping[str, str], id: str) -> Webhook | None:
        return self.report(url, settings, id, "failed", "200")

    def given_id(self, answer: Any) -> str:
        return str(answer["message_uuid"][0])


PROVIDER = _Plivo()
