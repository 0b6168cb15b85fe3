"""Bandwidth's numbers, against its stand-in."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from adapters import NUMBERS
from adapters.bandwidth_numbers import BandwidthNumbers
from adapters.errors import Misconfigured, Rejected, Retry, SendError, Throttled, Unknown
from adapters.http import Http
from adapters.numbers import OwnNumber, Setup, Wanted
from tests.providers.bandwidth import PROVIDER, BandwidthStandIn, document, refused_xml
from tests.providers.standin import Answer

SETTINGS = PROVIDER.settings
NUMBER = "+13035550142"
URL = "https://sms.example.org/webhooks/bandwidth"
CALLS = "https://sms.example.org/calls/bandwidth"
SETUP = Setup(URL, CALLS, "+12025550199", "Front desk")
VOICE = SETTINGS["voice_application_id"]
MESSAGING = SETTINGS["application_id"]
NOT_FOUND = document("<TelephoneNumberResponse/>", 404)


@pytest.fixture
async def bandwidth() -> AsyncIterator[BandwidthStandIn]:
    async with BandwidthStandIn(SETTINGS) as stand_in:
        stand_in.applications = {
            MESSAGING: {"ServiceType": "Messaging-V2", "AppName": "Desk & co"},
            VOICE: {"ServiceType": "Voice-V2", "AppName": "Calls"},
        }
        yield stand_in


def make(bandwidth: BandwidthStandIn, **settings: str) -> BandwidthNumbers:
    return BandwidthNumbers({**SETTINGS, "numbers_api_base": bandwidth.url + "/", **settings})


def test_is_registered() -> None:
    assert NUMBERS["bandwidth"] is BandwidthNumbers


@pytest.mark.parametrize(
    ("settings", "asked"),
    [
        ({}, "https://dashboard.bandwidth.com"),
        ({"api_base": "https://messaging.bandwidth.com/"}, "https://dashboard.bandwidth.com"),
        ({"api_base": "https://a.example"}, "https://a.example"),
        ({"api_base": "https://a.example", "numbers_api_base": "https://b.example/"}, "https://b.example"),
    ],
)
async def test_where_numbers_are_bought(settings: dict[str, str], asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    urls: list[str] = []

    async def request(self: Http, method: str, url: str, **_: object) -> None:
        urls.append(url)
        raise Retry("that is all")

    monkeypatch.setattr(Http, "request", request)
    with pytest.raises(Retry):
        await BandwidthNumbers({**SETTINGS, **settings}).owned(Http())
    assert urls == [f"{asked}/api/tns"]


class TestSearch:
    async def test_by_area_code(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        first, second = await make(bandwidth).search(Wanted("US", area_code="303"), http)
        assert (first.number, first.region, first.locality, first.price) == (NUMBER, "CO", "DENVER", "")
        assert second.number == "+13035550143"
        assert bandwidth.requests[0].query == {"quantity": "20", "areaCode": "303", "enableTNDetail": "true"}

    async def test_by_region(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        [offer] = await make(bandwidth).search(Wanted("US", region="CA"), http)
        assert offer.number == "+14155550144"

    async def test_toll_free(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        for area_code, pattern in (("", "8**"), ("888", "888")):
            [offer] = await make(bandwidth).search(Wanted("US", area_code=area_code, kind="toll_free"), http)
            assert (offer.number, offer.region) == ("+18885550145", "")
            assert bandwidth.requests[-1].query == {"quantity": "20", "tollFreeWildCardPattern": pattern}

    async def test_as_many_as_wanted(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        assert len(await make(bandwidth).search(Wanted("US", region="CO", limit=1), http)) == 1

    async def test_nothing_found(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        assert await make(bandwidth).search(Wanted("US", area_code="907"), http) == []

    async def test_an_area_that_is_none(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        words = "The area code specified 433 is not present as a valid entry in our system"
        error = f"<Error><Code>4000</Code><Description>{words}</Description></Error>"
        bandwidth.answer_with(document(f"<SearchResult>{error}</SearchResult>", 400))
        assert await make(bandwidth).search(Wanted("US", area_code="433"), http) == []

    async def test_another_country(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        assert await make(bandwidth).search(Wanted("FR", area_code="1"), http) == []
        assert bandwidth.requests == []

    async def test_without_a_place(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        with pytest.raises(Rejected, match="area code or a state"):
            await make(bandwidth).search(Wanted("US"), http)


class TestOrder:
    async def test_a_number_becomes_ours(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        assert await make(bandwidth).order(NUMBER, "purchase-1", http) == "pending"
        assert await make(bandwidth).state_of(NUMBER, "purchase-1", http) == "owned"
        [order] = [request for request in bandwidth.requests if request.method == "POST"]
        assert order.body.decode() == (
            "<Order><CustomerOrderId>purchase-1</CustomerOrderId><ExistingTelephoneNumberOrderType>"
            "<TelephoneNumberList><TelephoneNumber>3035550142</TelephoneNumber></TelephoneNumberList>"
            "</ExistingTelephoneNumberOrderType><SiteId>461</SiteId><PeerId>651681</PeerId></Order>"
        )

    async def test_into_the_sites_own_location(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        await make(bandwidth, sip_peer_id="").order(NUMBER, "purchase-1", http)
        assert b"PeerId" not in bandwidth.requests[-1].body

    async def test_twice_is_once(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        adapter = make(bandwidth)
        assert await adapter.order(NUMBER, "purchase-1", http) == "pending"
        assert await adapter.order(NUMBER, "purchase-1", http) == "owned"
        assert len(bandwidth.orders) == 1

    async def test_a_number_that_is_gone(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        del bandwidth.available[NUMBER]
        with pytest.raises(Rejected) as error:
            await make(bandwidth).order(NUMBER, "purchase-1", http)
        assert error.value.code == "5005"

    async def test_pending_until_it_is_done(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        bandwidth.slow_orders = True
        adapter = make(bandwidth)
        for _ in range(2):
            assert await adapter.order(NUMBER, "purchase-1", http) == "pending"
        assert await adapter.state_of(NUMBER, "purchase-1", http) == "pending"
        assert await adapter.state_of(NUMBER, "purchase-2", http) == "absent"
        bandwidth.complete_orders()
        assert await adapter.state_of(NUMBER, "purchase-1", http) == "owned"
        assert len(bandwidth.orders) == 1

    async def test_pending_while_it_is_not_listed(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        await make(bandwidth).order(NUMBER, "purchase-1", http)
        bandwidth.owned.clear()
        assert await make(bandwidth).state_of(NUMBER, "purchase-1", http) == "pending"

    async def test_an_order_that_failed_may_be_made_again(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        bandwidth.slow_orders = True
        await make(bandwidth).order(NUMBER, "purchase-1", http)
        bandwidth.orders[0]["status"] = "FAILED"
        assert await make(bandwidth).state_of(NUMBER, "purchase-1", http) == "absent"

    @pytest.mark.parametrize(("status", "state"), [("BACKORDERED", "pending"), ("ODD", "pending"), ("", "pending")])
    async def test_an_order_that_waits(self, bandwidth: BandwidthStandIn, http: Http, status: str, state: str) -> None:
        bandwidth.slow_orders = True
        await make(bandwidth).order(NUMBER, "purchase-1", http)
        bandwidth.orders[0]["status"] = status
        assert await make(bandwidth).state_of(NUMBER, "purchase-1", http) == state

    async def test_the_answer_is_lost_and_the_number_is_ours(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        """A refusal of the repeat is no refusal of the order."""
        await make(bandwidth).order(NUMBER, "purchase-1", http)
        bandwidth.answer_with(NOT_FOUND, document("<ResponseSelectWrapper/>"))
        assert await make(bandwidth).order(NUMBER, "purchase-1", http) == "owned"

    async def test_of_another_purchase(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        """Two purchases must not share a number, be it in service or on its way."""
        adapter = make(bandwidth)
        await adapter.order(NUMBER, "purchase-1", http)
        for status in ("Inservice", "InAccount"):
            bandwidth.owned[NUMBER] = status
            with pytest.raises(Rejected):
                await adapter.order(NUMBER, "purchase-2", http)
        assert len(bandwidth.orders) == 1

    async def test_hang_up_is_unknown_and_state_of_tells(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        bandwidth.answer_with(NOT_FOUND, document("<ResponseSelectWrapper/>"))
        bandwidth.hang_up()
        with pytest.raises(Unknown):
            await make(bandwidth).order(NUMBER, "purchase-1", http)
        assert await make(bandwidth).state_of(NUMBER, "purchase-1", http) == "absent"

    async def test_an_order_that_fails_at_once(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        failed = document("<OrderResponse><OrderStatus>FAILED</OrderStatus></OrderResponse>", 201)
        bandwidth.answer_with(NOT_FOUND, document("<ResponseSelectWrapper/>"), failed)
        with pytest.raises(Rejected):
            await make(bandwidth).order(NUMBER, "purchase-1", http)

    @pytest.mark.parametrize("reference", ["purchase_1/é", "p" * 41, "", "\ud83d"])
    async def test_a_reference_that_bandwidth_would_not_take(
        self, bandwidth: BandwidthStandIn, http: Http, reference: str
    ) -> None:
        await make(bandwidth).order(NUMBER, reference, http)
        assert await make(bandwidth).state_of(NUMBER, reference, http) == "owned"

    async def test_without_a_site_or_with_a_wrong_one(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        with pytest.raises(Misconfigured, match="site_id"):
            await make(bandwidth, site_id="").order(NUMBER, "purchase-1", http)
        with pytest.raises(Misconfigured) as error:
            await make(bandwidth, site_id="9").order(NUMBER, "purchase-1", http)
        assert error.value.code == "5016"

    @pytest.mark.parametrize("number", ["+442071838750", "3035550142", "+1303", "", "+13035550142/../x"])
    async def test_a_number_that_it_cannot_have(self, bandwidth: BandwidthStandIn, http: Http, number: str) -> None:
        with pytest.raises(Rejected):
            await make(bandwidth).order(number, "purchase-1", http)
        assert bandwidth.requests == []


class TestStateOf:
    @pytest.mark.parametrize(
        ("status", "state"),
        [("Inservice", "owned"), ("InAccount", "pending"), ("PortInPendingFoc", "pending"), ("Beamed", "pending"),
         ("Aging", "absent"), ("Available", "absent")],
    )  # fmt: skip
    async def test_by_status(self, bandwidth: BandwidthStandIn, http: Http, status: str, state: str) -> None:
        bandwidth.owned[NUMBER] = status
        assert await make(bandwidth).state_of(NUMBER, "purchase-1", http) == state

    async def test_of_another_account(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        fields = "<Status>Inservice</Status><AccountId>1</AccountId>"
        bandwidth.answer_with(document(f"<TelephoneNumberResponse>{fields}</TelephoneNumberResponse>"))
        assert await make(bandwidth).state_of(NUMBER, "purchase-1", http) == "absent"

    @pytest.mark.parametrize("content", ["", "<html>", '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'])
    async def test_an_answer_that_cannot_be_read(self, bandwidth: BandwidthStandIn, http: Http, content: str) -> None:
        bandwidth.answer_with((200, {}, content))
        with pytest.raises(Unknown):
            await make(bandwidth).state_of(NUMBER, "purchase-1", http)


class TestSetUp:
    @pytest.fixture(autouse=True)
    def is_ours(self, bandwidth: BandwidthStandIn) -> None:
        bandwidth.owned[NUMBER] = "Inservice"

    @pytest.mark.parametrize("status", ["", "Aging"])
    async def test_a_number_that_is_not_ours(self, bandwidth: BandwidthStandIn, http: Http, status: str) -> None:
        bandwidth.owned = {NUMBER: status} if status else {}
        with pytest.raises(Rejected):
            await make(bandwidth).set_up(NUMBER, SETUP, http)
        assert not any(request.method == "PUT" for request in bandwidth.requests)

    async def test_texts_and_calls(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        for _ in range(2):
            await make(bandwidth).set_up(NUMBER, SETUP, http)
        login = {"UserId": "hook", "Password": "hook-password"}
        assert bandwidth.applications[MESSAGING] == {
            "ServiceType": "Messaging-V2", "AppName": "Desk & co",
            "InboundCallbackUrl": URL, "OutboundCallbackUrl": URL, **login,
        }  # fmt: skip
        assert bandwidth.applications[VOICE] == {
            "ServiceType": "Voice-V2", "AppName": "Calls",
            "CallInitiatedCallbackUrl": CALLS, "CallInitiatedMethod": "POST", **login,
        }  # fmt: skip
        assert sum(request.method == "PUT" for request in bandwidth.requests) == 2

    async def test_nothing(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        await make(bandwidth, voice_application_id="").set_up(NUMBER, Setup(calls_url=CALLS), http)
        assert [request.path for request in bandwidth.requests] == ["/api/tns/3035550142"]

    async def test_calls_without_a_voice_application(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        with pytest.raises(Misconfigured, match="voice_application_id"):
            await make(bandwidth, voice_application_id="").set_up(NUMBER, SETUP, http)

    async def test_an_application_that_leads_elsewhere_is_left_alone(
        self, bandwidth: BandwidthStandIn, http: Http
    ) -> None:
        bandwidth.applications[MESSAGING]["InboundCallbackUrl"] = "https://elsewhere.example/?key=secret"
        with pytest.raises(Misconfigured, match="InboundCallbackUrl") as error:
            await make(bandwidth).set_up(NUMBER, SETUP, http)
        assert "elsewhere" not in str(error.value)
        assert not any(request.method == "PUT" for request in bandwidth.requests)


class TestRelease:
    async def test_twice(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        adapter = make(bandwidth)
        await adapter.order(NUMBER, "purchase-1", http)
        for _ in range(2):
            await adapter.release(NUMBER, http)
        assert await adapter.state_of(NUMBER, "purchase-1", http) == "absent"
        assert await adapter.owned(http) == []

    async def test_one_that_was_never_ours(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        bandwidth.answer_with(refused_xml("5076"))
        await make(bandwidth).release(NUMBER, http)

    async def test_one_that_bandwidth_keeps(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        bandwidth.answer_with(refused_xml("5006"))
        with pytest.raises(Rejected) as error:
            await make(bandwidth).release(NUMBER, http)
        assert error.value.code == "5006"


class TestOwned:
    async def test_none(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        assert await make(bandwidth).owned(http) == []

    async def test_of_several_pages(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        bandwidth.page_limit = 2
        numbers = [f"+1303555014{digit}" for digit in range(5)]
        bandwidth.owned = dict.fromkeys(numbers, "Inservice") | {"+13035550149": "Aging"}
        owned = await make(bandwidth).owned(http)
        assert [own.number for own in owned] == numbers
        assert owned[0] == OwnNumber("+13035550140", "3035550140")
        assert len(bandwidth.requests) == 3

    async def test_a_full_page_without_a_link(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        entries = "".join(f"<TelephoneNumber><FullNumber>3035{n:06}</FullNumber></TelephoneNumber>" for n in range(200))
        listed = f"<TelephoneNumbers>{entries}</TelephoneNumbers>"
        bandwidth.answer_with(document(f"<TelephoneNumbersResponse>{listed}</TelephoneNumbersResponse>"))
        assert len(await make(bandwidth).owned(http)) == 200
        assert [request.query["page"] for request in bandwidth.requests] == ["1", "2"]

    async def test_ever_new_pages_are_given_up(
        self, bandwidth: BandwidthStandIn, http: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("adapters.bandwidth_numbers.MAX_PAGES", 2)
        bandwidth.owned = {f"+1303555014{digit}": "Inservice" for digit in range(6)}
        bandwidth.page_limit = 2
        with pytest.raises(Unknown, match="pages"):
            await make(bandwidth).owned(http)

    async def test_a_link_that_leads_back_ends(self, bandwidth: BandwidthStandIn, http: Http) -> None:
        number = "<TelephoneNumber><FullNumber>3035550142</FullNumber></TelephoneNumber>"
        page = f"<R><Links><next>https://x.example/tns?size=1&amp;page=1</next></Links>{number}</R>"
        bandwidth.answer_with(document(page), document(page))
        [own] = await make(bandwidth).owned(http)
        assert own.number == NUMBER


def test_calls_are_put_through() -> None:
    made = BandwidthNumbers(SETTINGS).forwarded("+12025550199")
    assert made is not None
    assert made.content_type == "application/xml"
    assert made.body.endswith(b"<Response><Transfer><PhoneNumber>+12025550199</PhoneNumber></Transfer></Response>")


ASKED: list[Callable[[BandwidthStandIn, Http], Awaitable[Any]]] = [
    lambda bandwidth, http: make(bandwidth).search(Wanted("US", area_code="303"), http),
    lambda bandwidth, http: make(bandwidth).order(NUMBER, "purchase-1", http),
    lambda bandwidth, http: make(bandwidth).state_of(NUMBER, "purchase-1", http),
    lambda bandwidth, http: make(bandwidth).set_up(NUMBER, SETUP, http),
    lambda bandwidth, http: make(bandwidth).release(NUMBER, http),
    lambda bandwidth, http: make(bandwidth).owned(http),
]
FAILURES: list[tuple[Answer, type[SendError]]] = [
    ((401, {}, ""), Misconfigured),
    ((403, {}, ""), Misconfigured),
    (refused_xml("5051"), Misconfigured),
    (refused_xml("5999"), Rejected),
    ((429, {"Retry-After": "7"}, ""), Throttled),
    ((500, {}, "<html>"), Retry),
    ((503, {}, ""), Retry),
    ((502, {}, ""), Unknown),
]


@pytest.mark.parametrize("call", ASKED)
class TestFailures:
    @pytest.mark.parametrize(("answer", "error"), FAILURES)
    async def test_an_answer_of_failure(
        self, bandwidth: BandwidthStandIn, http: Http, call: Any, answer: Answer, error: type[SendError]
    ) -> None:
        bandwidth.answer_with(answer)
        with pytest.raises(error) as raised:
            await call(bandwidth, http)
        assert type(raised.value) is error

    @pytest.mark.parametrize("silent", ["hang", "hang_up"])
    async def test_no_answer(self, bandwidth: BandwidthStandIn, http: Http, call: Any, silent: str) -> None:
        # Twice: aiohttp repeats a GET by itself when the connection closes.
        getattr(bandwidth, silent)(2)
        with pytest.raises(Unknown):
            await call(bandwidth, http)

    async def test_nobody_there(self, bandwidth: BandwidthStandIn, http: Http, call: Any) -> None:
        await bandwidth.stop()
        with pytest.raises(Retry):
            await call(bandwidth, http)
