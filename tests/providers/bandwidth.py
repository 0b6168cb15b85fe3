"""A stand-in for Bandwidth: its messages, its Dashboard API for numbers, and webhooks that log in.

async with BandwidthStandIn(settings) as bandwidth:
    ...                                    # a channel with api_base = bandwidth.url
    bandwidth.answer_with(refused("max-message-queue-size-exceeded", 429))
    bandwidth.available["+13035550142"]    # numbers to buy; `owned` those that were bought
    bandwidth.slow_orders = True           # orders are worked on until complete_orders()
headers, body = webhook([{"type": "message-received", ...}], "hook", "secret")
"""

import json
import re
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from uuid import uuid4
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

MAX_TEXT = 2048
SEGMENT = 153
MAX_PAGE = 2500
_SENDER = re.compile(r"\+[1-9][0-9]{6,14}|[0-9]{5,6}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_TIME = "2026-11-22T12:00:00.000Z"
_XML = {"Content-Type": "application/xml"}


def refused(type: str, status: int = 400, description: str = "refused", **fields: Any) -> Reply:
    """An error answer of the Messaging API."""
    return status, {}, {"type": type, "description": description, **fields}


def refused_xml(code: str, status: int = 400, root: str = "OrderResponse", description: str = "refused") -> Reply:
    """An error answer of the Dashboard API."""
    error = f"<Error><Code>{code}</Code><Description>{escape(description)}</Description></Error>"
    return document(f"<{root}><ErrorList>{error}</ErrorList></{root}>", status)


def document(content: str, status: int = 200) -> Reply:
    """An XML answer."""
    return status, _XML, f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n{content}'


def webhook(events: Sequence[Mapping[str, Any]], user: str, password: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a webhook request that Bandwidth would make."""
    login = b64encode(f"{user}:{password}".encode()).decode()
    headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": f"Basic {login}"}
    return headers, json.dumps(events, ensure_ascii=False).encode()


class BandwidthStandIn(StandIn):
    """`available` and `owned` are its numbers; `page_limit` is how many of a list fit into one page."""

    def __init__(self, settings: Mapping[str, str], port: int = 0) -> None:
        super().__init__(port)
        self._settings = settings
        login = b64encode(f"{settings['user']}:{settings['password']}".encode()).decode()
        self._authorization = f"Basic {login}"
        places = {"+13035550142": ("CO", "DENVER"), "+13035550143": ("CO", "DENVER"), "+14155550144": ("CA", "DALY")}
        self.available: dict[str, tuple[str, str]] = {**places, "+18885550145": ("", "")}
        """State and city of each number."""
        self.owned: dict[str, str] = {}
        """The `Status` of each number."""
        self.orders: list[dict[str, str]] = []
        self.slow_orders = False
        self.page_limit = MAX_PAGE
        self.applications: dict[str, dict[str, str]] = {}
        """The texts of each application by path, as set; any application exists."""

    def complete_orders(self) -> None:
        """What is worked on is done."""
        for order in self.orders:
            if order["status"] == "RECEIVED":
                order["status"] = "COMPLETE"
                self.owned[order["number"]] = "Inservice"

    def refusal(self, request: Request) -> Reply | None:
        if request.headers.get("Authorization") == self._authorization:
            return None
        if request.path.startswith("/api/v2/"):
            return refused("unauthorized", 401, "Authentication Failed")
        return 401, _XML, ""

    def usual(self, request: Request) -> Reply:
        account_id = self._settings["account_id"]
        path = request.path.partition("?")[0]
        if path == f"/api/v2/users/{account_id}/messages" and request.method == "POST":
            return self._message(request)
        account = f"/api/accounts/{account_id}"
        known: Callable[[Request], Reply] | None = {
            ("GET", f"{account}/availableNumbers"): self._search,
            ("POST", f"{account}/orders"): self._order,
            ("GET", f"{account}/orders"): self._list_orders,
            ("POST", f"{account}/disconnects"): self._disconnect,
            ("GET", "/api/tns"): self._list_numbers,
        }.get((request.method, path))
        if known:
            return known(request)
        if path.startswith("/api/tns/"):
            return self._number("+1" + path.rpartition("/")[2])
        if path.startswith(f"{account}/applications/"):
            return self._application(request, path.rpartition("/")[2])
        return 404, {}, {"status": 404, "error": "Not Found", "path": path}

    def _message(self, request: Request) -> Reply:
        asked = request.json
        wrong = []
        if asked.get("applicationId") != self._settings["application_id"]:
            wrong.append("applicationId")
        if not _SENDER.fullmatch(asked.get("from", "")):
            wrong.append("from")
        if not asked.get("to") or not all(_PHONE.fullmatch(each) for each in asked["to"]):
            wrong.append("to")
        text, media = asked.get("text", ""), asked.get("media", [])
        if (not text and not media) or len(text) > MAX_TEXT:
            wrong.append("text")
        if wrong:
            errors = [{"fieldName": name, "description": f"{name} is not valid"} for name in wrong]
            return refused("request-validation", 400, "Your request could not be accepted.", fieldErrors=errors)
        return 202, {}, {
            "id": uuid4().hex + "kw2fuqty55yp2b2",
            "time": _TIME,
            "owner": asked["from"],
            "direction": "out",
            "applicationId": asked["applicationId"],
            "to": asked["to"],
            "from": asked["from"],
            "text": text,
            "media": media,
            "tag": asked.get("tag", ""),
            "segmentCount": 1 if media else max(1, -(-len(text) // SEGMENT)),
        }  # fmt: skip

    def _search(self, request: Request) -> Reply:
        query = request.query
        if not {"areaCode", "state", "tollFreeWildCardPattern"} & query.keys():
            error = "<Error><Code>4010</Code><Description>One of more required search parameters</Description></Error>"
            return document(f"<SearchResult>{error}</SearchResult>", 400)
        pattern = query.get("tollFreeWildCardPattern", "").replace("*", "[0-9]")
        found = [
            (number.removeprefix("+1"), place)
            for number, place in self.available.items()
            if number.startswith("+1" + query.get("areaCode", ""))
            and query.get("state", place[0]) == place[0]
            and bool(pattern) == number.startswith("+18")
            and (not pattern or re.match(rf"\+1{pattern}", number))
        ][: int(query.get("quantity", "5000"))]
        if not found:
            return document("<SearchResult/>")
        if query.get("enableTNDetail") == "true":
            details = "".join(
                f"<TelephoneNumberDetail><City>{city}</City><LATA>656</LATA><RateCenter>{city}</RateCenter>"
                f"<State>{state}</State><FullNumber>{digits}</FullNumber></TelephoneNumberDetail>"
                for digits, (state, city) in found
            )
            numbers = f"<TelephoneNumberDetailList>{details}</TelephoneNumberDetailList>"
        else:
            plain = "".join(f"<TelephoneNumber>{digits}</TelephoneNumber>" for digits, _ in found)
            numbers = f"<TelephoneNumberList>{plain}</TelephoneNumberList>"
        return document(f"<SearchResult><ResultCount>{len(found)}</ResultCount>{numbers}</SearchResult>")

    def _order(self, request: Request) -> Reply:
        asked = ElementTree.fromstring(request.body)
        reference = asked.findtext("CustomerOrderId", "")
        if asked.findtext("SiteId") != self._settings.get("site_id", "1"):
            return refused_xml("5016", description="The SiteId submitted is invalid.")
        if not re.fullmatch("[A-Za-z0-9 -]{0,40}", reference):
            return refused_xml("5052", description="Customer order ID is invalid.")
        digits = asked.findtext("ExistingTelephoneNumberOrderType/TelephoneNumberList/TelephoneNumber", "")
        if not re.fullmatch("[2-9][0-9]{9}", digits):
            return refused_xml("5070", description="Telephone number is invalid.")
        number = f"+1{digits}"
        if number not in self.available:
            return refused_xml("5005", description="Telephone Number Unavailable")
        del self.available[number]
        self.orders.append({"id": str(uuid4()), "reference": reference, "number": number, "status": "RECEIVED"})
        if not self.slow_orders:
            self.complete_orders()
        order = ElementTree.tostring(asked, encoding="unicode").replace("</Order>", f"<id>{uuid4()}</id></Order>")
        return document(f"<OrderResponse>{order}<OrderStatus>RECEIVED</OrderStatus></OrderResponse>", 201)

    def _list_orders(self, request: Request) -> Reply:
        found = [order for order in self.orders if order["reference"] == request.query["customerOrderId"]]
        if not found:
            return document("<ResponseSelectWrapper/>", 404)
        listed = "".join(
            f"<OrderIdUserIdDate><CountOfTNs>1</CountOfTNs><orderId>{order['id']}</orderId>"
            f"<OrderStatus>{order['status']}</OrderStatus></OrderIdUserIdDate>"
            for order in found
        )
        links = f"<TotalCount>{len(found)}</TotalCount><Links><first></first></Links>"
        found_all = f"<ListOrderIdUserIdDate>{links}{listed}</ListOrderIdUserIdDate>"
        return document(f"<ResponseSelectWrapper>{found_all}</ResponseSelectWrapper>")

    def _disconnect(self, request: Request) -> Reply:
        asked = ElementTree.fromstring(request.body)
        number = "+1" + asked.findtext("DisconnectTelephoneNumberOrderType/TelephoneNumberList/TelephoneNumber", "")
        if self.owned.get(number) != "Inservice":
            return refused_xml("5074", root="DisconnectTelephoneNumberOrderResponse")
        self.owned[number] = "Aging"
        order = f"<orderRequest><id>{uuid4()}</id></orderRequest><OrderStatus>RECEIVED</OrderStatus>"
        root = "DisconnectTelephoneNumberOrderResponse"
        return document(f"<{root}>{order}</{root}>", 201)

    def _list_numbers(self, request: Request) -> Reply:
        query = request.query
        numbers = [number.removeprefix("+1") for number, status in self.owned.items() if status == query["status"]]
        size, page = min(int(query["size"]), self.page_limit), int(query["page"])
        shown = numbers[(page - 1) * size : page * size]
        link = f'Link=<https://dashboard.bandwidth.com:443/v1.0/tns?page={page + 1}&size={size}>;rel="next";'
        following = escape(link) if page * size < len(numbers) else ""
        entries = "".join(
            f"<TelephoneNumber><City>CARY</City><FullNumber>{digits}</FullNumber><Status>Inservice</Status>"
            f"<AccountId>{self._settings['account_id']}</AccountId></TelephoneNumber>"
            for digits in shown
        )
        count = f"<TelephoneNumberCount>{len(numbers)}</TelephoneNumberCount>"
        listed = f"<Links><first/><next>{following}</next></Links><TelephoneNumbers>{entries}</TelephoneNumbers>"
        return document(f"<TelephoneNumbersResponse>{count}{listed}</TelephoneNumbersResponse>")

    def _number(self, number: str) -> Reply:
        if number not in self.owned:
            return document("<TelephoneNumberResponse/>", 404)
        digits, status = number.removeprefix("+1"), self.owned[number]
        fields = f"<TelephoneNumber>{digits}</TelephoneNumber><Status>{status}</Status>"
        account = f"<AccountId>{self._settings['account_id']}</AccountId>"
        return document(f"<TelephoneNumberResponse>{fields}{account}</TelephoneNumberResponse>")

    def _application(self, request: Request, id: str) -> Reply:
        fields = self.applications.setdefault(id, {"ServiceType": "Messaging-V2", "AppName": "Desk & co"})
        if request.method == "PUT":
            fields.clear()
            asked = ElementTree.fromstring(request.body)
            fields |= {each.tag: each.text or "" for each in asked.iter() if not len(each)}
        shown = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in fields.items() if name != "Password")
        application = f"<Application><ApplicationId>{id}</ApplicationId>{shown}</Application>"
        return document(f"<ApplicationProvisioningResponse>{application}</ApplicationProvisioningResponse>")


class _Bandwidth(Provider):
    settings: Mapping[str, str] = {
        "account_id": "9900000",
        "application_id": "93de2206-9669-4e07-948d-329f4b722ee2",
        "user": "api-user",
        "password": "api-password",
        "webhook_user": "hook",
        "webhook_password": "hook-password",
        "site_id": "461",
        "sip_peer_id": "651681",
        "voice_application_id": "0cb0112b-5998-4c81-999a-0d3fb5e3f8e2",
    }

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return BandwidthStandIn(settings, port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        message = {
            "id": text.id, "time": _TIME, "owner": text.recipient, "to": [text.recipient], "from": text.sender,
            "text": text.body, "direction": "in", "applicationId": settings["application_id"], "segmentCount": 1,
            **({"media": list(text.media)} if text.media else {}),
        }  # fmt: skip
        return self._webhook(settings, "message-received", text.recipient.removeprefix("+"), message)

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        types = {"sent": "message-sent", "delivered": "message-delivered"}
        message = {"id": id, "time": _TIME, "to": ["+12025550123"], "from": "+12025550100", "direction": "out"}
        code = {"errorCode": int(error)} if error.isdigit() else {}
        return self._webhook(settings, types.get(state, "message-failed"), "+12025550123", message, **code)

    def asked(self, request: Request) -> Text:
        return Text(request.json["from"], request.json["to"][0], request.json.get("text", ""))

    def throttled(self, seconds: int) -> Answer:
        status, _, content = refused("max-message-queue-size-exceeded", 429)
        return status, {"Retry-After": str(seconds)}, content

    def opted_out_report(self, url: str, settings: Mapping[str, str], id: str) -> Webhook | None:
        return self.report(url, settings, id, "failed", "4775")

    def given_id(self, answer: Any) -> str:
        return str(answer["id"])

    def _webhook(
        self, settings: Mapping[str, str], type: str, to: str, message: Mapping[str, Any], **fields: Any
    ) -> Webhook:
        event = {"type": type, "time": _TIME, "description": "", "to": to, "message": message, **fields}
        return Webhook(*webhook([event], settings["webhook_user"], settings["webhook_password"]))


PROVIDER = _Bandwidth()
