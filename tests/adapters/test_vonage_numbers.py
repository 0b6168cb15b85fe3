"""Vonage's numbers, against its stand-in."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from adapters import NUMBERS
from adapters.errors import Misconfigured, Rejected, Retry, SendError, Throttled, Unknown
from adapters.http import Http
from adapters.numbers import OwnNumber, Setup, Wanted
from adapters.vonage_numbers import VonageNumbers
from tests.providers.vonage import PROVIDER, VonageStandIn, number, number_error

URL = "https://sms.example.org/webhooks/vonage"
SETTINGS = dict(PROVIDER.settings)
ADDRESS = (
    "Numbers from this country can be requested from the Dashboard (https://dashboard.nexmo.com/buy-numbers) as they "
    "require a valid local address to be provided before being purchased."
)
Action = Callable[[VonageNumbers, Http], Awaitable[Any]]
ACTIONS: dict[str, Action] = {
    "search": lambda numbers, http: numbers.search(Wanted("US"), http),
    "order": lambda numbers, http: numbers.order("+12125550100", "p1", http),
    "state_of": lambda numbers, http: numbers.state_of("+12125550100", "p1", http),
    "set_up": lambda numbers, http: numbers.set_up("+12125550100", Setup(URL), http),
    "release": lambda numbers, http: numbers.release("+12125550100", http),
    "owned": lambda numbers, http: numbers.owned(http),
}


@pytest.fixture
async def vonage() -> AsyncIterator[VonageStandIn]:
    async with VonageStandIn(SETTINGS["api_key"], SETTINGS["api_secret"]) as stand_in:
        yield stand_in


def make(vonage: VonageStandIn, **settings: str) -> VonageNumbers:
    return VonageNumbers({**SETTINGS, "api_base": vonage.url + "/", **settings})


def test_is_registered() -> None:
    assert NUMBERS["vonage"] is VonageNumbers


class TestSearch:
    async def test_by_area_code(self, vonage: VonageStandIn, http: Http) -> None:
        first, second = await make(vonage).search(Wanted("US", area_code="212"), http)
        assert (first.number, first.price) == ("+12125550100", "0.90")
        assert (second.number, second.price) == ("+12125550101", "1.10")
        assert vonage.requests[0].query == {
            "country": "US", "features": "SMS,VOICE", "size": "20", "pattern": "1212", "search_pattern": "0"
        }  # fmt: skip

    async def test_no_credential_is_in_the_address(self, vonage: VonageStandIn, http: Http) -> None:
        await make(vonage).search(Wanted("US"), http)
        assert SETTINGS["api_secret"] not in vonage.requests[0].path

    async def test_by_the_calling_code_of_another_country(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.available["441615550100"] = number("GB")
        [offer] = await make(vonage).search(Wanted("GB", area_code="161"), http)
        assert offer.number == "+441615550100"
        assert vonage.requests[0].query["pattern"] == "44161"

    async def test_of_a_country(self, vonage: VonageStandIn, http: Http) -> None:
        assert [offer.number for offer in await make(vonage).search(Wanted("CA"), http)] == ["+14165550100"]

    async def test_local_is_not_toll_free(self, vonage: VonageStandIn, http: Http) -> None:
        found = await make(vonage).search(Wanted("US"), http)
        assert [offer.number for offer in found] == ["+12125550100", "+12125550101"]

    async def test_toll_free(self, vonage: VonageStandIn, http: Http) -> None:
        found = await make(vonage).search(Wanted("US", kind="toll_free"), http)
        assert [offer.number for offer in found] == ["+18005550100"]

    async def test_no_more_than_wanted(self, vonage: VonageStandIn, http: Http) -> None:
        assert len(await make(vonage).search(Wanted("US", limit=1), http)) == 1
        await make(vonage).search(Wanted("US", limit=1000), http)
        assert [request.query["size"] for request in vonage.requests] == ["1", "100"]

    async def test_nothing_found(self, vonage: VonageStandIn, http: Http) -> None:
        assert await make(vonage).search(Wanted("US", area_code="907"), http) == []

    async def test_number_without_calls_is_left_out(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.available = {"12125550100": {**number(), "features": ["SMS"]}}
        assert await make(vonage).search(Wanted("US"), http) == []

    async def test_by_region_is_refused_and_not_ignored(self, vonage: VonageStandIn, http: Http) -> None:
        with pytest.raises(Rejected, match="area code"):
            await make(vonage).search(Wanted("US", region="NY"), http)
        assert vonage.requests == []

    async def test_odd_items_are_left_out(self, vonage: VonageStandIn, http: Http) -> None:
        odd = [None, [], {}, {"msisdn": None}, {"msisdn": ["1"]}, {"msisdn": 12125550100, "cost": 0.9, "type": []}]
        vonage.answer_with((200, {}, {"count": 6, "numbers": odd}))
        [offer] = await make(vonage).search(Wanted("US"), http)
        assert (offer.number, offer.price) == ("+12125550100", "0.9")


class TestOrder:
    async def test_order(self, vonage: VonageStandIn, http: Http) -> None:
        assert await make(vonage).order("+12125550100", "p1", http) == "owned"
        assert vonage.requests[0].fields == {"country": "US", "msisdn": "12125550100"}
        assert list(vonage.owned) == ["12125550100"]

    async def test_of_canada(self, vonage: VonageStandIn, http: Http) -> None:
        assert await make(vonage).order("+14165550100", "p1", http) == "owned"

    async def test_toll_free(self, vonage: VonageStandIn, http: Http) -> None:
        assert await make(vonage).order("+18005550100", "p1", http) == "owned"

    async def test_twice_buys_once(self, vonage: VonageStandIn, http: Http) -> None:
        numbers = make(vonage)
        assert [await numbers.order("+12125550100", "p1", http) for _ in range(2)] == ["owned", "owned"]
        assert list(vonage.owned) == ["12125550100"]

    async def test_number_that_is_gone(self, vonage: VonageStandIn, http: Http) -> None:
        with pytest.raises(Rejected, match="method failed") as caught:
            await make(vonage).order("+12125550199", "p1", http)
        assert caught.value.code == "420"

    @pytest.mark.parametrize("status", [200, 400, 420])
    async def test_country_that_wants_an_address(self, vonage: VonageStandIn, http: Http, status: int) -> None:
        vonage.answer_with(number_error(420, ADDRESS, status))
        with pytest.raises(Misconfigured, match="address"):
            await make(vonage).order("+12125550100", "p1", http)

    async def test_answer_that_is_lost_after_the_number_was_bought(self, vonage: VonageStandIn, http: Http) -> None:
        numbers = make(vonage)
        vonage.hang()
        with pytest.raises(Unknown):
            await numbers.order("+12125550100", "p1", http)
        vonage.owned["12125550100"] = vonage.available.pop("12125550100")
        assert await numbers.state_of("+12125550100", "p1", http) == "owned"
        assert await numbers.order("+12125550100", "p1", http) == "owned"

    @pytest.mark.parametrize("said", ["", "12125550100", "+", "+999123456789"])
    async def test_number_of_no_country(self, vonage: VonageStandIn, http: Http, said: str) -> None:
        with pytest.raises(Rejected, match="country"):
            await make(vonage).order(said, "p1", http)

    @pytest.mark.parametrize("content", ["<html>welcome</html>", {}, {"foo": 1}, {"error-code": "999"}])
    async def test_answer_that_says_nothing_is_unknown(self, vonage: VonageStandIn, http: Http, content: Any) -> None:
        vonage.answer_with((200, {}, content))
        with pytest.raises(Unknown):
            await make(vonage).order("+12125550100", "p1", http)


class TestState:
    async def test_absent_then_owned(self, vonage: VonageStandIn, http: Http) -> None:
        numbers = make(vonage)
        assert await numbers.state_of("+12125550100", "p1", http) == "absent"
        await numbers.order("+12125550100", "p1", http)
        assert await numbers.state_of("+12125550100", "p1", http) == "owned"

    async def test_a_number_that_begins_alike_is_another(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["121255501001"] = number()
        assert await make(vonage).state_of("+12125550100", "p1", http) == "absent"

    async def test_answer_that_is_no_list_does_not_say_absent(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.answer_with((200, {}, "<html>maintenance</html>"))
        with pytest.raises(Unknown):
            await make(vonage).state_of("+12125550100", "p1", http)


class TestSetUp:
    async def test_webhook_and_forwarding(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["12125550100"] = number()
        numbers = make(vonage)
        for _ in range(2):
            await numbers.set_up("+12125550100", Setup(URL, f"{URL}/calls", "+12025550199", "Shop"), http)
        assert vonage.owned["12125550100"] == number(
            moHttpUrl=URL, voiceCallbackType="tel", voiceCallbackValue="12025550199"
        )

    async def test_what_is_not_said_is_left_alone(self, vonage: VonageStandIn, http: Http) -> None:
        had = number(moHttpUrl=URL, voiceCallbackType="sip", voiceCallbackValue="sip:a@b.example", app_id="a1")
        vonage.owned["12125550100"] = had
        await make(vonage).set_up("+12125550100", Setup(), http)
        assert vonage.owned["12125550100"] == had

    async def test_forwarding_keeps_the_webhook(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["12125550100"] = number(moHttpUrl=URL, app_id="a1")
        await make(vonage).set_up("+12125550100", Setup(forward_to="+12025550199"), http)
        assert vonage.owned["12125550100"] == number(
            moHttpUrl=URL, app_id="a1", voiceCallbackType="tel", voiceCallbackValue="12025550199"
        )

    async def test_forwarding_nowhere_ends_it(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["12125550100"] = number(moHttpUrl=URL, voiceCallbackType="tel", voiceCallbackValue="12025550199")
        await make(vonage).set_up("+12125550100", Setup(URL), http)
        assert vonage.owned["12125550100"] == number(moHttpUrl=URL)

    async def test_with_the_country_that_the_account_names(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["18005550100"] = number("CA", "landline-toll-free")
        await make(vonage).set_up("+18005550100", Setup(URL), http)
        assert vonage.requests[-1].fields["country"] == "CA"

    async def test_number_that_is_not_ours(self, vonage: VonageStandIn, http: Http) -> None:
        with pytest.raises(Rejected, match="not in this account"):
            await make(vonage).set_up("+12125550100", Setup(URL), http)

    async def test_webhook_that_vonage_cannot_reach(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["12125550100"] = number()
        vonage.answer_with(vonage.usual, number_error(420, "method failed", 420))
        with pytest.raises(Misconfigured, match="method failed"):
            await make(vonage).set_up("+12125550100", Setup(URL), http)

    def test_calls_are_forwarded_by_the_number_itself(self) -> None:
        assert VonageNumbers(SETTINGS).forwarded("+12025550199") is None


class TestRelease:
    async def test_release_and_again(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["12125550100"] = number()
        numbers = make(vonage)
        await numbers.release("+12125550100", http)
        assert vonage.owned == {}
        await numbers.release("+12125550100", http)

    async def test_that_somebody_else_was_faster_with(self, vonage: VonageStandIn, http: Http) -> None:
        listed = (200, {}, {"count": 1, "numbers": [{**number(), "msisdn": "12125550100"}]})
        vonage.answer_with(listed, number_error(420, "method failed", 420))
        await make(vonage).release("+12125550100", http)

    async def test_that_is_refused(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["12125550100"] = number()
        vonage.answer_with(vonage.usual, number_error(420, "method failed", 420))
        with pytest.raises(Rejected, match="method failed"):
            await make(vonage).release("+12125550100", http)


class TestOwned:
    async def test_none(self, vonage: VonageStandIn, http: Http) -> None:
        assert await make(vonage).owned(http) == []

    async def test_what_is_said_of_one(self, vonage: VonageStandIn, http: Http) -> None:
        vonage.owned["12125550100"] = number(moHttpUrl=URL)
        assert await make(vonage).owned(http) == [OwnNumber("+12125550100", "12125550100", messages_url=URL)]

    @pytest.mark.parametrize(("count", "pages"), [(100, 1), (101, 2), (250, 3)])
    async def test_of_several_pages(self, vonage: VonageStandIn, http: Http, count: int, pages: int) -> None:
        vonage.owned = {str(12125550000 + place): number() for place in range(count)}
        assert len(await make(vonage).owned(http)) == count
        assert len(vonage.requests) == pages

    async def test_pages_without_an_end(self, vonage: VonageStandIn, http: Http) -> None:
        page = (200, {}, {"count": 10**9, "numbers": [{**number(), "msisdn": "12125550100"}]})
        vonage.answer_with(*[page] * 3)
        assert len(await make(vonage).owned(http)) == 1
        assert len(vonage.requests) == 2

    async def test_ever_new_pages_are_given_up(
        self, vonage: VonageStandIn, http: Http, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("adapters.vonage_numbers.MAX_PAGES", 3)
        numbers = [{**number(), "msisdn": f"1212555010{digit}"} for digit in range(4)]
        vonage.answer_with(*[(200, {}, {"count": 10**9, "numbers": [each]}) for each in numbers])
        with pytest.raises(Unknown, match="pages"):
            await make(vonage).owned(http)


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
class TestTrouble:
    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            (number_error(401, "authentication failed", 401), Misconfigured),
            (number_error(401, "authentication failed"), Misconfigured),
            ((403, {}, "<html>forbidden</html>"), Misconfigured),
            ((404, {}, "<html>not found</html>"), Misconfigured),
            ((429, {}, "slow down"), Throttled),
            ((500, {}, {}), Retry),
            ((502, {}, "<html>gateway</html>"), Unknown),
            ((503, {}, {}), Retry),
        ],
    )
    async def test_answers(
        self, vonage: VonageStandIn, http: Http, action: Action, answer: Any, kind: type[SendError]
    ) -> None:
        vonage.answer_with(answer)
        with pytest.raises(kind):
            await action(make(vonage), http)

    async def test_waits_as_long_as_it_is_told(self, vonage: VonageStandIn, http: Http, action: Action) -> None:
        vonage.answer_with((429, {"Retry-After": "7"}, {}))
        with pytest.raises(Throttled) as caught:
            await action(make(vonage), http)
        assert caught.value.retry_after == 7

    async def test_wrong_secret(self, vonage: VonageStandIn, http: Http, action: Action) -> None:
        with pytest.raises(Misconfigured) as caught:
            await action(make(vonage, api_secret="another secret"), http)
        assert "another secret" not in str(caught.value)

    async def test_no_answer(self, vonage: VonageStandIn, http: Http, action: Action) -> None:
        vonage.hang()
        with pytest.raises(Unknown):
            await action(make(vonage), http)

    async def test_connection_closed(self, vonage: VonageStandIn, http: Http, action: Action) -> None:
        # A GET on a connection that was kept is repeated once by the client itself.
        vonage.hang_up()
        with pytest.raises(Unknown):
            await action(make(vonage), http)
