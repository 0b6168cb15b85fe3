"""Plivo's numbers, against its stand-in."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from adapters import NUMBERS
from adapters.errors import Misconfigured, Rejected, Retry, SendError, Throttled, Unknown
from adapters.http import Http
from adapters.numbers import OwnNumber, Setup, Wanted
from adapters.plivo_numbers import MAX_PAGES, PlivoNumbers
from tests.providers.plivo import PlivoStandIn, for_rent

SETTINGS = {"auth_id": "MA1", "auth_token": "the auth token", "app_id": "77"}
SETUP = Setup("https://sms.example.org/webhooks/plivo", "https://sms.example.org/calls/plivo", "+12025550199", "Shop")


@pytest.fixture
async def plivo() -> AsyncIterator[PlivoStandIn]:
    async with PlivoStandIn(SETTINGS) as stand_in:
        stand_in.available = {
            "14155550101": for_rent("14155550101"),
            "14155550102": for_rent("14155550102", city=None, monthly_rental_rate=0.8),
            "12125550103": for_rent("12125550103", city="NEW YORK", region="New York, UNITED STATES"),
            "18885550104": for_rent("18885550104", type="tollfree", sub_type="tollfree", city=None),
        }
        yield stand_in


def make(plivo: PlivoStandIn, **settings: str) -> PlivoNumbers:
    return PlivoNumbers({**SETTINGS, "api_base": plivo.url + "/", **settings})


def test_is_registered() -> None:
    assert NUMBERS["plivo"] is PlivoNumbers


class TestSearch:
    async def test_by_area_code(self, plivo: PlivoStandIn, http: Http) -> None:
        first, second = await make(plivo).search(Wanted("US", area_code="415"), http)
        assert (first.number, first.locality, first.price) == ("+14155550101", "SAN FRANCISCO", "0.80000")
        assert first.region == "California, UNITED STATES"
        assert (second.number, second.locality, second.price) == ("+14155550102", "", "")
        assert plivo.requests[0].query == {
            "country_iso": "US", "type": "local", "services": "voice,sms", "pattern": "415",
            "limit": "20", "offset": "0",
        }  # fmt: skip

    async def test_by_region(self, plivo: PlivoStandIn, http: Http) -> None:
        [offer] = await make(plivo).search(Wanted("US", region="New York"), http)
        assert offer.number == "+12125550103"

    async def test_toll_free_has_no_region(self, plivo: PlivoStandIn, http: Http) -> None:
        [offer] = await make(plivo).search(Wanted("US", region="New York", kind="toll_free"), http)
        assert offer.number == "+18885550104"
        assert plivo.requests[0].query["type"] == "tollfree"

    async def test_nothing_found(self, plivo: PlivoStandIn, http: Http) -> None:
        assert await make(plivo).search(Wanted("US", area_code="907"), http) == []

    async def test_number_without_texts_or_calls_is_left_out(self, plivo: PlivoStandIn, http: Http) -> None:
        plivo.available = {
            "14155550101": for_rent("14155550101", sms_enabled=False),
            "14155550102": for_rent("14155550102", voice_enabled=False),
            "14155550103": for_rent("14155550103"),
        }
        assert [offer.number for offer in await make(plivo).search(Wanted("US"), http)] == ["+14155550103"]

    async def test_as_many_as_asked_for(self, plivo: PlivoStandIn, http: Http) -> None:
        plivo.available = {str(number): for_rent(str(number)) for number in range(14155550100, 14155550150)}
        numbers = make(plivo)
        assert len(await numbers.search(Wanted("US", limit=3), http)) == 3
        assert len(plivo.requests) == 1
        assert len({offer.number for offer in await numbers.search(Wanted("US", limit=45), http)}) == 45
        assert len(plivo.requests) == 4

    async def test_odd_objects_are_left_out(self, plivo: PlivoStandIn, http: Http) -> None:
        odd = [None, [], {}, {"number": 7}, {"number": "١٢٣"}, {"number": "14155550101", "region": []}]
        plivo.answer_with((200, {}, {"meta": {"next": None}, "objects": odd}))
        [offer] = await make(plivo).search(Wanted("US"), http)
        assert (offer.number, offer.region) == ("+14155550101", "")


class TestOrder:
    async def test_order_then_owned(self, plivo: PlivoStandIn, http: Http) -> None:
        numbers = make(plivo)
        assert await numbers.state_of("+14155550101", "r1", http) == "absent"
        assert await numbers.order("+14155550101", "r1", http) == "owned"
        assert plivo.requests[-1].json == {"app_id": "77"}
        assert await numbers.state_of("+14155550101", "r1", http) == "owned"
        assert set(plivo.owned) == {"14155550101"}

    async def test_order_twice_buys_once(self, plivo: PlivoStandIn, http: Http) -> None:
        numbers = make(plivo)
        assert [await numbers.order("+14155550101", "r1", http) for _ in range(2)] == ["owned", "owned"]
        assert set(plivo.owned) == {"14155550101"}
        assert "14155550102" in plivo.available

    async def test_number_that_is_gone_is_rejected(self, plivo: PlivoStandIn, http: Http) -> None:
        with pytest.raises(Rejected, match="not found"):
            await make(plivo).order("+14155550199", "r1", http)

    async def test_refused_order_is_rejected(self, plivo: PlivoStandIn, http: Http) -> None:
        with pytest.raises(Rejected, match="app_id"):
            await make(plivo, app_id="99").order("+14155550101", "r1", http)

    async def test_without_an_application(self, plivo: PlivoStandIn, http: Http) -> None:
        assert await make(plivo, app_id="").order("+14155550101", "r1", http) == "owned"
        assert plivo.requests[-1].json == {}

    async def test_number_that_wants_documents_is_pending(self, plivo: PlivoStandIn, http: Http) -> None:
        plivo.available["4969365065273"] = for_rent("4969365065273", restriction="city-address")
        numbers = make(plivo)
        assert await numbers.order("+4969365065273", "r1", http) == "pending"
        assert await numbers.state_of("+4969365065273", "r1", http) == "pending"
        assert await numbers.order("+4969365065273", "r1", http) == "pending"

    @pytest.mark.parametrize("content", [{}, {"numbers": []}, {"numbers": [7]}, {"numbers": [{"status": "?"}]}, "ok"])
    async def test_success_that_says_nothing_is_unknown(self, content: object, plivo: PlivoStandIn, http: Http) -> None:
        plivo.answer_with((201, {}, content))
        with pytest.raises(Unknown):
            await make(plivo).order("+14155550101", "r1", http)

    async def test_lost_answer_is_unknown_and_state_of_tells(self, plivo: PlivoStandIn, http: Http) -> None:
        plivo.delay = 0.4
        numbers = make(plivo)
        with pytest.raises(Unknown):
            await numbers.order("+14155550101", "r1", http)
        plivo.delay = 0.0
        plivo.usual(plivo.requests[0])
        assert await numbers.state_of("+14155550101", "r1", http) == "owned"

    @pytest.mark.parametrize("number", ["", "+", "14155550101/../x", "+1 415", "²"])
    async def test_what_is_no_number_is_never_asked_for(self, number: str, plivo: PlivoStandIn, http: Http) -> None:
        with pytest.raises(Rejected):
            await make(plivo).order(number, "r1", http)
        assert plivo.requests == []


class TestSetUpAndRelease:
    async def test_set_up_points_application_and_number(self, plivo: PlivoStandIn, http: Http) -> None:
        numbers = make(plivo)
        await numbers.order("+14155550101", "r1", http)
        for _ in range(2):
            await numbers.set_up("+14155550101", SETUP, http)
        assert plivo.applications["77"] == {
            "message_url": SETUP.messages_url, "message_method": "POST",
            "answer_url": SETUP.calls_url, "answer_method": "POST",
        }  # fmt: skip
        assert plivo.owned["14155550101"]["alias"] == "Shop"
        assert plivo.owned["14155550101"]["application"].endswith("/Application/77/")

    async def test_blank_urls_leave_the_application_alone(self, plivo: PlivoStandIn, http: Http) -> None:
        numbers = make(plivo)
        await numbers.order("+14155550101", "r1", http)
        await numbers.set_up("+14155550101", Setup(), http)
        assert [request.path for request in plivo.requests[1:]] == ["/v1/Account/MA1/Number/14155550101/"]
        assert plivo.requests[-1].json == {"app_id": "77"}

    async def test_without_an_application_is_misconfigured(self, plivo: PlivoStandIn, http: Http) -> None:
        with pytest.raises(Misconfigured, match="app_id"):
            await make(plivo, app_id="").set_up("+14155550101", SETUP, http)

    async def test_unknown_application_is_misconfigured(self, plivo: PlivoStandIn, http: Http) -> None:
        with pytest.raises(Misconfigured):
            await make(plivo, app_id="99").set_up("+14155550101", SETUP, http)

    async def test_number_of_somebody_else_is_rejected(self, plivo: PlivoStandIn, http: Http) -> None:
        with pytest.raises(Rejected):
            await make(plivo).set_up("+14155550101", SETUP, http)

    async def test_release_twice(self, plivo: PlivoStandIn, http: Http) -> None:
        numbers = make(plivo)
        await numbers.order("+14155550101", "r1", http)
        await numbers.release("+14155550101", http)
        await numbers.release("+14155550101", http)
        assert plivo.owned == {}
        assert await numbers.state_of("+14155550101", "r1", http) == "absent"

    def test_a_call_is_put_through(self) -> None:
        answer = PlivoNumbers(SETTINGS).forwarded("+12025550199")
        assert answer is not None
        assert answer.content_type == "application/xml"
        assert answer.body.endswith(b"<Response><Dial><Number>+12025550199</Number></Dial></Response>")


class TestOwned:
    async def test_none(self, plivo: PlivoStandIn, http: Http) -> None:
        assert await make(plivo).owned(http) == []

    async def test_all_of_several_pages(self, plivo: PlivoStandIn, http: Http) -> None:
        plivo.owned = {str(number): {"number": str(number)} for number in range(14155550100, 14155550145)}
        owned = await make(plivo).owned(http)
        assert [number.number for number in owned] == [f"+{number}" for number in plivo.owned]
        assert len(plivo.requests) == 3

    async def test_what_is_told_of_a_number(self, plivo: PlivoStandIn, http: Http) -> None:
        ten_dlc = {"number_type": "local", "tendlc_campaign_id": "CX1", "alias": "Shop"}
        toll_free = {"number_type": "tollfree", "tendlc_registration_status": "UNREGISTERED", "alias": None}
        plivo.owned = {
            "1": {"number": "14155550101", **ten_dlc, "tendlc_registration_status": "COMPLETED"},
            "2": {"number": "14155550102", "number_type": "local", "tendlc_registration_status": "PROCESSING"},
            "3": {"number": "18885550103", **toll_free, "toll_free_sms_verification": "PENDING_VERIFICATION"},
            "4": {"number": "18885550104", **toll_free, "toll_free_sms_verification": "VERIFIED"},
            "5": {"number": "14155550105", "tendlc_registration_status": "something new"},
        }
        assert await make(plivo).owned(http) == [
            OwnNumber("+14155550101", "14155550101", "Shop", registration="registered", campaign="CX1"),
            OwnNumber("+14155550102", "14155550102", registration="pending"),
            OwnNumber("+18885550103", "18885550103", registration="pending"),
            OwnNumber("+18885550104", "18885550104", registration="registered"),
            OwnNumber("+14155550105", "14155550105"),
        ]

    async def test_list_without_an_end_is_given_up(self, http: Http, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("adapters.plivo_numbers.MAX_PAGES", 3)
        assert MAX_PAGES > 3
        async with PlivoStandIn(SETTINGS) as plivo:
            plivo.answer_with(*[(200, {}, {"meta": {"next": "/more"}, "objects": [{"number": "1"}]})] * 4)
            with pytest.raises(Unknown):
                await make(plivo).owned(http)


Call = Callable[[PlivoNumbers, Http], Awaitable[object]]
CALLS: list[Call] = [
    lambda numbers, http: numbers.search(Wanted("US"), http),
    lambda numbers, http: numbers.order("+14155550101", "r1", http),
    lambda numbers, http: numbers.state_of("+14155550101", "r1", http),
    lambda numbers, http: numbers.set_up("+14155550101", SETUP, http),
    lambda numbers, http: numbers.release("+14155550101", http),
    lambda numbers, http: numbers.owned(http),
]


@pytest.mark.parametrize("call", CALLS)
class TestFailures:
    @pytest.mark.parametrize(
        ("status", "error"),
        [(401, Misconfigured), (402, Misconfigured), (403, Misconfigured), (429, Throttled), (500, Retry), (503, Retry),
         (502, Unknown), (504, Unknown)],
    )  # fmt: skip
    async def test_refusals(
        self, status: int, error: type[SendError], call: Call, plivo: PlivoStandIn, http: Http
    ) -> None:
        plivo.answer_with((status, {}, {"error": "refused"}))
        with pytest.raises(error):
            await call(make(plivo), http)

    async def test_wrong_token(self, call: Call, plivo: PlivoStandIn, http: Http) -> None:
        with pytest.raises(Misconfigured, match="authentication"):
            await call(make(plivo, auth_token="other"), http)

    async def test_when_to_come_back(self, call: Call, plivo: PlivoStandIn, http: Http) -> None:
        plivo.answer_with((429, {"Retry-After": "7"}, {}))
        with pytest.raises(Throttled) as caught:
            await call(make(plivo), http)
        assert caught.value.retry_after == 7.0

    async def test_no_answer(self, call: Call, plivo: PlivoStandIn, http: Http) -> None:
        plivo.hang()
        with pytest.raises(Unknown):
            await call(make(plivo), http)
        # The client itself asks a second time where the method allows it.
        plivo.hang_up()
        with pytest.raises(Unknown):
            await call(make(plivo), http)


@pytest.mark.parametrize("content", ["<html>", {}, {"objects": "none"}, {"objects": None}])
async def test_answer_that_is_no_list_is_retry(content: object, plivo: PlivoStandIn, http: Http) -> None:
    plivo.answer_with((200, {}, content), (200, {}, content), (200, {}, content))
    for call in (CALLS[0], CALLS[2], CALLS[5]):
        with pytest.raises(Retry):
            await call(make(plivo), http)
