"""Telnyx's numbers, against its stand-in."""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from adapters import NUMBERS, OPT_OUTS
from adapters.errors import Misconfigured, Rejected, Retry, SendError, Throttled, Unknown
from adapters.http import Http
from adapters.numbers import OwnNumber, Setup, Wanted
from adapters.telnyx_numbers import TelnyxNumbers
from adapters.telnyx_opt_outs import TelnyxOptOuts
from tests.providers.standin import Answer
from tests.providers.telnyx import TelnyxStandIn, refused

SETTINGS = {"api_key": "KEY0123", "public_key": "", "messaging_profile_id": "P1", "connection_id": "C1"}
NUMBER = "+13035550142"
URL = "https://sms.example.org/webhooks/telnyx"
SETUP = Setup(URL, "https://sms.example.org/calls/telnyx", "+12025550199", "Front desk")


@pytest.fixture
async def telnyx() -> AsyncIterator[TelnyxStandIn]:
    async with TelnyxStandIn("KEY0123") as stand_in:
        yield stand_in


def make(telnyx: TelnyxStandIn, **settings: str) -> TelnyxNumbers:
    return TelnyxNumbers({**SETTINGS, "api_base": telnyx.url + "/", **settings})


def opt_outs(telnyx: TelnyxStandIn, **settings: str) -> TelnyxOptOuts:
    return TelnyxOptOuts({**SETTINGS, "api_base": telnyx.url, **settings})


def posts(telnyx: TelnyxStandIn) -> int:
    return sum(request.method == "POST" for request in telnyx.requests)


def test_is_registered() -> None:
    assert (NUMBERS["telnyx"], OPT_OUTS["telnyx"]) == (TelnyxNumbers, TelnyxOptOuts)


class TestSearch:
    async def test_by_area_code(self, telnyx: TelnyxStandIn, http: Http) -> None:
        first, second = await make(telnyx).search(Wanted("US", area_code="303"), http)
        assert (first.number, first.region, first.locality, first.price) == (NUMBER, "CO", "DENVER", "1.00 USD")
        assert second.number == "+13035550143"
        assert telnyx.requests[0].query == {
            "filter[country_code]": "US", "filter[phone_number_type]": "local", "filter[features][]": "voice",
            "filter[limit]": "20", "filter[national_destination_code]": "303",
        }  # fmt: skip

    async def test_by_region(self, telnyx: TelnyxStandIn, http: Http) -> None:
        [offer] = await make(telnyx).search(Wanted("US", region="CA"), http)
        assert offer.number == "+14155550144"

    async def test_toll_free(self, telnyx: TelnyxStandIn, http: Http) -> None:
        [offer] = await make(telnyx).search(Wanted("US", kind="toll_free"), http)
        assert offer.number == "+18885550145"

    async def test_as_many_as_wanted(self, telnyx: TelnyxStandIn, http: Http) -> None:
        assert len(await make(telnyx).search(Wanted("US", limit=2), http)) == 2

    async def test_nothing_found(self, telnyx: TelnyxStandIn, http: Http) -> None:
        assert await make(telnyx).search(Wanted("US", area_code="907"), http) == []

    @pytest.mark.parametrize(
        "content",
        [
            {},
            {"data": None},
            {"data": {}},
            {"data": ["+1", None, {}, {"phone_number": 5, "region_information": 5}]},
            [],
        ],
    )
    async def test_an_answer_with_nothing_to_read(self, telnyx: TelnyxStandIn, http: Http, content: Any) -> None:
        telnyx.answer_with((200, {}, content))
        assert await make(telnyx).search(Wanted("US"), http) == []

    async def test_an_offer_without_price_and_place(self, telnyx: TelnyxStandIn, http: Http) -> None:
        offer = {"phone_number": NUMBER, "cost_information": None, "region_information": [None, {"region_type": 1}]}
        telnyx.answer_with((200, {}, {"data": [offer]}))
        [found] = await make(telnyx).search(Wanted("US"), http)
        assert (found.region, found.locality, found.price) == ("", "", "")


class TestOrder:
    async def test_a_number_becomes_ours(self, telnyx: TelnyxStandIn, http: Http) -> None:
        assert await make(telnyx).order(NUMBER, "purchase 1", http) == "owned"
        assert await make(telnyx).state_of(NUMBER, "purchase 1", http) == "owned"
        [order] = [request for request in telnyx.requests if request.method == "POST"]
        assert order.json == {
            "phone_numbers": [{"phone_number": NUMBER}],
            "customer_reference": "purchase 1",
            "messaging_profile_id": "P1",
            "connection_id": "C1",
        }

    async def test_without_profile_and_connection(self, telnyx: TelnyxStandIn, http: Http) -> None:
        adapter = make(telnyx, messaging_profile_id="", connection_id="")
        assert await adapter.order(NUMBER, "purchase 1", http) == "owned"

    async def test_twice_is_once(self, telnyx: TelnyxStandIn, http: Http) -> None:
        for _ in range(2):
            assert await make(telnyx).order(NUMBER, "purchase 1", http) == "owned"
        assert (len(telnyx.orders), posts(telnyx)) == (1, 1)

    async def test_a_number_that_is_gone(self, telnyx: TelnyxStandIn, http: Http) -> None:
        del telnyx.available[NUMBER]
        with pytest.raises(Rejected):
            await make(telnyx).order(NUMBER, "purchase 1", http)

    async def test_a_number_that_telnyx_never_had(self, telnyx: TelnyxStandIn, http: Http) -> None:
        empty = (200, {}, {"data": [], "meta": {"total_pages": 0}})
        telnyx.answer_with(empty, empty, refused("10005", "Resource not found", 404))
        with pytest.raises(Rejected):
            await make(telnyx).order(NUMBER, "purchase 1", http)

    async def test_pending_until_it_is_done(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.slow_orders = True
        adapter = make(telnyx)
        assert await adapter.order(NUMBER, "purchase 1", http) == "pending"
        assert await adapter.state_of(NUMBER, "purchase 1", http) == "pending"
        assert await adapter.order(NUMBER, "purchase 1", http) == "pending"
        telnyx.complete_orders()
        assert await adapter.state_of(NUMBER, "purchase 1", http) == "owned"
        assert len(telnyx.orders) == 1

    async def test_pending_while_the_list_of_numbers_lags(self, telnyx: TelnyxStandIn, http: Http) -> None:
        await make(telnyx).order(NUMBER, "purchase 1", http)
        telnyx.owned.clear()
        assert await make(telnyx).state_of(NUMBER, "purchase 1", http) == "pending"
        assert await make(telnyx).state_of(NUMBER, "purchase 2", http) == "absent"
        assert await make(telnyx).state_of("+13035550143", "purchase 1", http) == "absent"

    async def test_an_order_that_failed_may_be_made_again(self, telnyx: TelnyxStandIn, http: Http) -> None:
        await make(telnyx).order(NUMBER, "purchase 1", http)
        telnyx.owned.clear()
        telnyx.orders[0]["status"] = "failure"
        assert await make(telnyx).state_of(NUMBER, "purchase 1", http) == "absent"

    async def test_the_answer_is_lost_and_the_number_is_ours(self, telnyx: TelnyxStandIn, http: Http) -> None:
        """A refusal of the repeat is no refusal of the order."""
        await make(telnyx).order(NUMBER, "purchase 1", http)
        empty = (200, {}, {"data": [], "meta": {"total_pages": 0}})
        telnyx.answer_with(empty, empty)
        assert await make(telnyx).order(NUMBER, "purchase 1", http) == "owned"

    @pytest.mark.parametrize("status", ["active", "purchase-pending"])
    async def test_of_another_purchase(self, telnyx: TelnyxStandIn, http: Http, status: str) -> None:
        """Two purchases must not share a number, be it ours or on its way."""
        await make(telnyx).order(NUMBER, "purchase 1", http)
        telnyx.owned[NUMBER]["status"] = status
        with pytest.raises(Rejected):
            await make(telnyx).order(NUMBER, "purchase 2", http)
        assert posts(telnyx) == 1

    async def test_hang_up_is_unknown_and_state_of_tells(self, telnyx: TelnyxStandIn, http: Http) -> None:
        empty = (200, {}, {"data": [], "meta": {"total_pages": 0}})
        telnyx.answer_with(empty, empty)
        telnyx.hang_up()
        with pytest.raises(Unknown):
            await make(telnyx).order(NUMBER, "purchase 1", http)
        assert await make(telnyx).state_of(NUMBER, "purchase 1", http) == "absent"

    @pytest.mark.parametrize(
        ("data", "state"),
        [({"status": "success"}, "owned"), ({"status": "pending"}, "pending"), ({"status": "odd"}, "pending"),
         ({}, "pending"), (None, "pending")],
    )  # fmt: skip
    async def test_what_an_order_answers(self, telnyx: TelnyxStandIn, http: Http, data: Any, state: str) -> None:
        empty = (200, {}, {"data": [], "meta": {"total_pages": 0}})
        telnyx.answer_with(empty, empty, (200, {}, {"data": data}))
        assert await make(telnyx).order(NUMBER, "purchase 1", http) == state

    async def test_an_order_that_fails_at_once(self, telnyx: TelnyxStandIn, http: Http) -> None:
        empty = (200, {}, {"data": [], "meta": {"total_pages": 0}})
        telnyx.answer_with(empty, empty, (200, {}, {"data": {"status": "failure"}}))
        with pytest.raises(Rejected):
            await make(telnyx).order(NUMBER, "purchase 1", http)

    async def test_without_funds(self, telnyx: TelnyxStandIn, http: Http) -> None:
        empty = (200, {}, {"data": [], "meta": {"total_pages": 0}})
        telnyx.answer_with(empty, empty, refused("20100", "Insufficient Funds", 403))
        with pytest.raises(Misconfigured) as error:
            await make(telnyx).order(NUMBER, "purchase 1", http)
        assert error.value.code == "20100"


class TestStateOf:
    @pytest.mark.parametrize(
        ("status", "state"),
        [("active", "owned"), ("emergency-only", "owned"), ("port-out-pending", "owned"),
         ("purchase-pending", "pending"), ("requirement-info-pending", "pending"), ("beamed", "pending"),
         ("purchase-failed", "absent"), ("ported-out", "absent"), ("deleted", "absent")],
    )  # fmt: skip
    async def test_by_status(self, telnyx: TelnyxStandIn, http: Http, status: str, state: str) -> None:
        await make(telnyx).order(NUMBER, "purchase 1", http)
        telnyx.add_owned(NUMBER, status=status)
        assert await make(telnyx).state_of(NUMBER, "purchase 1", http) == state
        assert await make(telnyx).state_of(NUMBER, "another purchase", http) == "absent"

    async def test_a_longer_number_is_another(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.add_owned(NUMBER + "9")
        assert await make(telnyx).state_of(NUMBER, "purchase 1", http) == "absent"

    async def test_a_list_that_is_none(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.answer_with((200, {}, "<html>OK</html>"))
        with pytest.raises(Unknown):
            await make(telnyx).state_of(NUMBER, "purchase 1", http)


class TestSetUp:
    async def test_profile_calls_and_label(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.add_owned(NUMBER)
        for _ in range(2):
            await make(telnyx).set_up(NUMBER, SETUP, http)
        assert telnyx.webhook_urls == {"P1": URL}
        assert telnyx.owned[NUMBER]["messaging_profile_id"] == "P1"
        assert telnyx.owned[NUMBER]["customer_reference"] == "Front desk"
        assert telnyx.voice[NUMBER] == {
            "call_forwarding": {
                "call_forwarding_enabled": True, "forwards_to": "+12025550199", "forwarding_type": "always",
            }
        }  # fmt: skip

    async def test_calls_go_nowhere(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.add_owned(NUMBER)
        await make(telnyx).set_up(NUMBER, Setup(), http)
        assert telnyx.voice[NUMBER] == {"call_forwarding": {"call_forwarding_enabled": False}}
        assert telnyx.webhook_urls == {}

    async def test_without_a_profile(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.add_owned(NUMBER)
        with pytest.raises(Misconfigured, match="messaging_profile_id"):
            await make(telnyx, messaging_profile_id="").set_up(NUMBER, SETUP, http)

    async def test_a_profile_that_leads_elsewhere_is_left_alone(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.add_owned(NUMBER)
        telnyx.webhook_urls["P1"] = "https://elsewhere.example/hook?key=secret"
        with pytest.raises(Misconfigured, match="webhook") as error:
            await make(telnyx).set_up(NUMBER, SETUP, http)
        assert "elsewhere" not in str(error.value)
        assert telnyx.webhook_urls == {"P1": "https://elsewhere.example/hook?key=secret"}

    async def test_a_number_of_somebody_else(self, telnyx: TelnyxStandIn, http: Http) -> None:
        with pytest.raises(Rejected):
            await make(telnyx).set_up(NUMBER, SETUP, http)

    async def test_a_number_without_an_id(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.add_owned(NUMBER, id=None)
        with pytest.raises(Misconfigured, match="id"):
            await make(telnyx).set_up(NUMBER, SETUP, http)


class TestRelease:
    async def test_twice(self, telnyx: TelnyxStandIn, http: Http) -> None:
        adapter = make(telnyx)
        await adapter.order(NUMBER, "purchase 1", http)
        for _ in range(2):
            await adapter.release(NUMBER, http)
        assert await adapter.state_of(NUMBER, "purchase 1", http) == "absent"
        assert await adapter.owned(http) == []
        assert sum(request.method == "DELETE" for request in telnyx.requests) == 1

    async def test_one_that_was_never_ours(self, telnyx: TelnyxStandIn, http: Http) -> None:
        await make(telnyx).release(NUMBER, http)

    async def test_one_that_goes_in_between(self, telnyx: TelnyxStandIn, http: Http) -> None:
        listed = {"data": [{"id": "9", "phone_number": NUMBER, "status": "active"}], "meta": {"total_pages": 1}}
        telnyx.answer_with((200, {}, listed))
        await make(telnyx).release(NUMBER, http)

    async def test_one_that_is_locked(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.add_owned(NUMBER)
        listed = {"data": [telnyx.owned[NUMBER]], "meta": {"total_pages": 1}}
        telnyx.answer_with((200, {}, listed), refused("10015", "Deletion lock is enabled", 422))
        with pytest.raises(Rejected):
            await make(telnyx).release(NUMBER, http)


class TestOwned:
    async def test_none(self, telnyx: TelnyxStandIn, http: Http) -> None:
        assert await make(telnyx).owned(http) == []

    async def test_of_several_pages(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.page_limit = 2
        numbers = [f"+1303555014{digit}" for digit in range(5)]
        for number in numbers:
            telnyx.add_owned(number)
        assert [own.number for own in await make(telnyx).owned(http)] == numbers

    async def test_pages_without_a_count(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.answer_with((200, {}, {"data": [{"id": "9", "phone_number": NUMBER, "status": "active"}]}))
        [own] = await make(telnyx).owned(http)
        assert own.number == NUMBER

    async def test_a_page_that_comes_again_is_given_up(self, telnyx: TelnyxStandIn, http: Http) -> None:
        telnyx.add_owned(NUMBER)
        page = (200, {}, {"data": [telnyx.owned[NUMBER]], "meta": {"total_pages": 10**9}})
        telnyx.answer_with(page, page, page)
        with pytest.raises(Unknown, match="twice"):
            await make(telnyx).owned(http)

    async def test_ever_new_pages_are_given_up(
        self, telnyx: TelnyxStandIn, http: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("adapters.telnyx_api.MAX_PAGES", 3)
        pages = [(200, {}, {"data": [{"id": str(id)}], "meta": {"total_pages": 10**9}}) for id in range(4)]
        telnyx.answer_with(*pages)
        with pytest.raises(Unknown, match="pages"):
            await make(telnyx).owned(http)

    async def test_registration(self, telnyx: TelnyxStandIn, http: Http) -> None:
        words = ["ASSIGNED", "PENDING_ASSIGNMENT", "FAILED_ASSIGNMENT", "PENDING_UNASSIGNMENT", "NEW", ""]
        for place, word in enumerate(words):
            number = f"+1303555014{place}"
            telnyx.add_owned(number, customer_reference="Front desk")
            if word:
                campaign = {"phoneNumber": number, "campaignId": "c1", "tcrCampaignId": "C2", "assignmentStatus": word}
                telnyx.campaigns.append(campaign)
        telnyx.add_owned("+18885550145", customer_reference="")
        owned = await make(telnyx).owned(http)
        first = OwnNumber("+13035550140", owned[0].provider_id, "Front desk", "", "registered", "C2")
        assert owned[0] == first
        assert [own.registration for own in owned] == [
            "registered", "pending", "rejected", "registered", "", "unregistered", "",
        ]  # fmt: skip

    async def test_campaigns_of_several_pages(self, telnyx: TelnyxStandIn, http: Http) -> None:
        for place in range(150):
            number = f"+1303555{place:04}"
            telnyx.campaigns.append({"phoneNumber": number, "campaignId": "C1", "assignmentStatus": "ASSIGNED"})
        telnyx.add_owned("+13035550149")
        [own] = await make(telnyx).owned(http)
        assert (own.registration, own.campaign) == ("registered", "C1")

    async def test_an_account_that_may_not_ask_for_campaigns(
        self, telnyx: TelnyxStandIn, http: Http, caplog: pytest.LogCaptureFixture
    ) -> None:
        telnyx.add_owned(NUMBER)
        listed = {"data": list(telnyx.owned.values()), "meta": {"total_pages": 1}}
        telnyx.answer_with((200, {}, listed), refused("10010", "Authorization failed", 403))
        with caplog.at_level(logging.WARNING):
            [own] = await make(telnyx).owned(http)
        assert (own.registration, own.campaign) == ("", "")
        assert "10DLC" in caplog.text


def test_calls_are_forwarded_by_telnyx_itself() -> None:
    assert TelnyxNumbers(SETTINGS).forwarded("+12025550199") is None


CALLS: list[Callable[[TelnyxStandIn, Http], Awaitable[Any]]] = [
    lambda telnyx, http: make(telnyx).search(Wanted("US"), http),
    lambda telnyx, http: make(telnyx).order(NUMBER, "purchase 1", http),
    lambda telnyx, http: make(telnyx).state_of(NUMBER, "purchase 1", http),
    lambda telnyx, http: make(telnyx).set_up(NUMBER, SETUP, http),
    lambda telnyx, http: make(telnyx).release(NUMBER, http),
    lambda telnyx, http: make(telnyx).owned(http),
    lambda telnyx, http: opt_outs(telnyx).opted_out(http),
]
FAILURES: list[tuple[Answer, type[SendError]]] = [
    (refused("10009", "Authentication failed", 401), Misconfigured),
    ((403, {}, {}), Misconfigured),
    ((429, {"Retry-After": "7"}, {}), Throttled),
    ((500, {}, "<html>"), Retry),
    ((503, {}, {}), Retry),
    ((502, {}, {}), Unknown),
]


@pytest.mark.parametrize("call", CALLS)
class TestFailures:
    @pytest.mark.parametrize(("answer", "error"), FAILURES)
    async def test_an_answer_of_failure(
        self, telnyx: TelnyxStandIn, http: Http, call: Any, answer: Answer, error: type[SendError]
    ) -> None:
        telnyx.answer_with(answer)
        with pytest.raises(error) as raised:
            await call(telnyx, http)
        assert type(raised.value) is error

    @pytest.mark.parametrize("silent", ["hang", "hang_up"])
    async def test_no_answer(self, telnyx: TelnyxStandIn, http: Http, call: Any, silent: str) -> None:
        # Twice: aiohttp repeats a GET by itself when the connection closes.
        getattr(telnyx, silent)(2)
        with pytest.raises(Unknown):
            await call(telnyx, http)

    async def test_nobody_there(self, telnyx: TelnyxStandIn, http: Http, call: Any) -> None:
        await telnyx.stop()
        with pytest.raises(Retry):
            await call(telnyx, http)
