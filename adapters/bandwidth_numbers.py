"""Bandwidth's numbers: found, ordered, set up, released and listed through its Dashboard API, which speaks XML.

Sources: Bandwidth's published description of that API, its guides to ordering and disconnecting numbers, its lists of
error codes, and for the pages of /tns its own command line tool. Orders are worked on afterwards: one is taken at once,
and the number is ours when it is in service.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import ClassVar
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from adapters.bandwidth_applications import Applications
from adapters.bandwidth_dashboard import Dashboard, accepted, error
from adapters.bandwidth_xml import Content, text, write
from adapters.contract import Acknowledgement
from adapters.errors import Misconfigured, Rejected, Unknown
from adapters.http import Http
from adapters.numbers import NumberProvider, Offer, Ownership, OwnNumber, Setup, Wanted

log = logging.getLogger(__name__)

# A number's `Status`. "InAccount" is ours and not to be reached yet; "Aging" was given back.
STATUSES: Mapping[str, Ownership] = {
    "Inservice": "owned",
    **dict.fromkeys(("InAccount", "PortInPendingFoc"), "pending"),
    **dict.fromkeys(("Available", "Aging", "Reserved"), "absent"),
}
# An order's `OrderStatus`. A number of an order that is complete is in service only a little later.
ORDER_STATUSES: Mapping[str, Ownership] = {
    **dict.fromkeys(("RECEIVED", "PROCESSING", "BACKORDERED"), "pending"),
    **dict.fromkeys(("COMPLETE", "PARTIAL"), "owned"),
    "FAILED": "absent",
}
# A search in an area that has none, or that Bandwidth does not know.
NOTHING_THERE = frozenset({"4000", "4023"})
# A number that is not in service, or of somebody else: there is nothing to give back.
NOT_OURS = frozenset({"5071", "5074", "5076"})

# A number is described in about half a kilobyte: a larger page could be cut by Http.
PAGE_SIZE = 200
MAX_PAGES = 10_000
ORDERS = 100
_NANP = re.compile(r"\+1([2-9][0-9]{9})", re.ASCII)
_ORDER_ID = re.compile(r"[A-Za-z0-9 -]{1,40}", re.ASCII)
_NEXT_PAGE = re.compile(r"[?&]page=([A-Za-z0-9+-]+)", re.ASCII)


class BandwidthNumbers(NumberProvider):
    """The numbers of one Bandwidth account, ordered into one site and location."""

    countries: ClassVar[frozenset[str]] = frozenset({"US", "CA"})
    needs: ClassVar[frozenset[str]] = frozenset({"site_id"})

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._dashboard = Dashboard(settings)
        self._applications = Applications(settings)
        self._site_id = settings.get("site_id", "")
        self._sip_peer_id = settings.get("sip_peer_id", "")

    async def search(self, wanted: Wanted, http: Http) -> list[Offer]:
        if wanted.country not in self.countries:
            return []
        path = f"{self._dashboard.account}/availableNumbers"
        answer = await self._dashboard.answer(http, "GET", path, query=_criteria(wanted))
        if 400 <= answer.status < 500 and error(answer)[0] in NOTHING_THERE:
            return []
        return list(_offers(accepted(answer)))[: wanted.limit]

    async def order(self, number: str, reference: str, http: Http) -> Ownership:
        if not self._site_id:
            raise Misconfigured("site_id is missing: Bandwidth orders numbers into a site")
        state = await self._state_for(number, reference, http)
        if state != "absent":
            return state
        order: Content = {
            "CustomerOrderId": _order_id(reference),
            "ExistingTelephoneNumberOrderType": {"TelephoneNumberList": {"TelephoneNumber": _digits(number)}},
            "SiteId": self._site_id,
            "PeerId": self._sip_peer_id,
        }
        # <OrderResponse><Order><id>47955555-...</id>...</Order><OrderStatus>RECEIVED</OrderStatus></OrderResponse>
        path = f"{self._dashboard.account}/orders"
        try:
            root = await self._dashboard.ask(http, "POST", path, xml=write("Order", order))
        except Rejected:
            # Our own order, of which we lost the answer, may have come first.
            state = await self._state_for(number, reference, http)
            if state == "absent":
                raise
            return state
        state = _order_state(text(root, "OrderStatus"))
        if state == "absent":
            raise Rejected("Bandwidth could not fulfil the order of this number")
        # "owned" says only the number itself, which is in service soon after the order.
        return "pending"

    async def state_of(self, number: str, reference: str, http: Http) -> Ownership:
        state = await self._in_account(number, http)
        if state is not None and state != "absent":
            return state
        states = await self._orders(reference, http)
        # One that is complete is on its way to us, unless the number was ours and was given back.
        return "pending" if "pending" in states or ("owned" in states and state is None) else "absent"

    async def _in_account(self, number: str, http: Http) -> Ownership | None:
        """None for a number that the account does not have, and never had."""
        # <TelephoneNumberResponse><TelephoneNumber>2012035013</TelephoneNumber><Status>Inservice</Status>
        #   <SiteId>2409</SiteId><AccountId>8000273</AccountId></TelephoneNumberResponse>
        answer = await self._dashboard.answer(http, "GET", f"/tns/{_digits(number)}")
        found = None if answer.status == 404 else accepted(answer)
        if found is None or text(found, "AccountId") != self._dashboard.account_id:
            return None
        status = text(found, "Status")
        if status not in STATUSES:
            log.warning("bandwidth: unknown Status of a number %.40r", status)
        return STATUSES.get(status, "pending")

    async def _state_for(self, number: str, reference: str, http: Http) -> Ownership:
        """Raises Rejected where the number is in the account by another purchase: two must not share it."""
        state = await self.state_of(number, reference, http)
        if state != "absent" and await self._orders(reference, http) <= {"absent"}:
            raise Rejected("the number is in the account already, and not by this order")
        return state

    async def _orders(self, reference: str, http: Http) -> set[Ownership]:
        """What became of the orders under this reference."""
        # <ResponseSelectWrapper><ListOrderIdUserIdDate><TotalCount>1</TotalCount><OrderIdUserIdDate>
        #   <orderId>c5d8d076-...</orderId><OrderStatus>COMPLETE</OrderStatus></OrderIdUserIdDate>...
        query = [("page", "1"), ("size", str(ORDERS)), ("customerOrderId", _order_id(reference))]
        answer = await self._dashboard.answer(http, "GET", f"{self._dashboard.account}/orders", query=query)
        if answer.status == 404:
            return set()
        return {_order_state(text(each, "OrderStatus")) for each in accepted(answer).iter("OrderIdUserIdDate")}

    async def set_up(self, number: str, setup: Setup, http: Http) -> None:
        """By the applications of the number's location: it has neither webhooks nor a name of its own."""
        if setup.forward_to and not self._applications.have_voice:
            raise Misconfigured("voice_application_id is missing: without it calls cannot be forwarded")
        if await self._in_account(number, http) in (None, "absent"):
            raise Rejected("the number is not in the account")
        if setup.messages_url:
            await self._applications.tell_messages(setup.messages_url, http)
        if setup.calls_url and self._applications.have_voice:
            await self._applications.tell_calls(setup.calls_url, http)

    async def release(self, number: str, http: Http) -> None:
        numbers: Content = {"TelephoneNumberList": {"TelephoneNumber": _digits(number)}}
        order = write("DisconnectTelephoneNumberOrder", {"DisconnectTelephoneNumberOrderType": numbers})
        answer = await self._dashboard.answer(http, "POST", f"{self._dashboard.account}/disconnects", xml=order)
        if not (400 <= answer.status < 500 and error(answer)[0] in NOT_OURS):
            accepted(answer)

    async def owned(self, http: Http) -> list[OwnNumber]:
        # <TelephoneNumbersResponse><TelephoneNumberCount>2</TelephoneNumberCount><Links><next>Link=&lt;https://...
        #   /tns?page=2&amp;size=200&gt;;rel="next";</next></Links><TelephoneNumbers><TelephoneNumber>
        #   <City>CARY</City><FullNumber>9192381138</FullNumber><Status>Inservice</Status>...
        found: dict[str, OwnNumber] = {}
        page = "1"
        for _ in range(MAX_PAGES):
            query = [("accountId", self._dashboard.account_id), ("status", "Inservice")]
            query += [("size", str(PAGE_SIZE)), ("page", page)]
            root = await self._dashboard.ask(http, "GET", "/tns", query=query)
            items = [each for each in root.iter("TelephoneNumber") if text(each, "FullNumber")]
            known = len(found)
            found |= {own.number: own for own in map(_own_number, items)}
            page = _next_page(root, page, len(items))
            if not page or len(found) == known:
                return list(found.values())
        raise Unknown(f"Bandwidth answered a list of more than {MAX_PAGES} pages")

    def forwarded(self, forward_to: str) -> Acknowledgement | None:
        bxml = f"<Response><Transfer><PhoneNumber>{escape(forward_to)}</PhoneNumber></Transfer></Response>"
        return Acknowledgement("application/xml", f'<?xml version="1.0" encoding="UTF-8"?>{bxml}'.encode())


def _criteria(wanted: Wanted) -> list[tuple[str, str]]:
    query = [("quantity", str(wanted.limit))]
    if wanted.kind == "toll_free":
        # Such numbers have no place, so no detail.
        return [*query, ("tollFreeWildCardPattern", wanted.area_code or "8**")]
    if wanted.area_code:
        query.append(("areaCode", wanted.area_code))
    if wanted.region:
        query.append(("state", wanted.region))
    if len(query) == 1:
        raise Rejected("Bandwidth searches by an area code or a state: give one of them")
    return [*query, ("enableTNDetail", "true")]


def _offers(root: Element) -> Iterator[Offer]:
    # <SearchResult><ResultCount>1</ResultCount><TelephoneNumberDetailList><TelephoneNumberDetail>
    #   <City>JERSEY CITY</City><LATA>224</LATA><RateCenter>JERSEYCITY</RateCenter><State>NJ</State>
    #   <FullNumber>2012001555</FullNumber></TelephoneNumberDetail></TelephoneNumberDetailList></SearchResult>
    for each in root.iter("TelephoneNumberDetail"):
        digits = text(each, "FullNumber") or text(each, "TelephoneNumber")
        yield Offer(_international(digits), text(each, "State"), text(each, "City") or text(each, "RateCenter"))
    # <SearchResult><TelephoneNumberList><TelephoneNumber>8336572433</TelephoneNumber></TelephoneNumberList>...
    for each in root.iterfind("TelephoneNumberList/TelephoneNumber"):
        yield Offer(_international(text(each, ".")))


def _own_number(item: Element) -> OwnNumber:
    digits = text(item, "FullNumber")
    return OwnNumber(_international(digits), digits, campaign=text(item, ".//CampaignId"))


def _order_state(status: str) -> Ownership:
    if status not in ORDER_STATUSES:
        log.warning("bandwidth: unknown OrderStatus %.40r", status)
    return ORDER_STATUSES.get(status, "pending")


def _next_page(root: Element, page: str, count: int) -> str:
    """What to ask for next, "" for nothing: the link's page (a number or where it begins), else the one after."""
    link = _NEXT_PAGE.search(text(root, "Links/next"))
    if link:
        return link[1]
    return str(int(page) + 1) if count >= PAGE_SIZE and page.isdigit() else ""


def _digits(number: str) -> str:
    """The dashboard writes numbers of the North American plan without +1; it has no others."""
    match = _NANP.fullmatch(number)
    if match is None:
        raise Rejected("Bandwidth has numbers of the US and Canada only")
    return match[1]


def _international(digits: str) -> str:
    return digits if digits.startswith("+") else f"+1{digits}"


def _order_id(reference: str) -> str:
    """Our reference as Bandwidth takes it: 40 letters, digits, dashes and spaces."""
    return (
        reference if _ORDER_ID.fullmatch(reference) else sha256(reference.encode("utf-8", "replace")).hexdigest()[:40]
    )
