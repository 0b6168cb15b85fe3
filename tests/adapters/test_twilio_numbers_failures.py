"""Twilio's numbers: refusals, silence, odd answers, and calls that are put through."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.errors import Misconfigured, Rejected, Retry, SendError, Throttled, Unknown
from adapters.http import Answer, Http
from adapters.numbers import Setup, Wanted
from adapters.twilio_numbers import TwilioNumbers
from tests.providers.standin import Reply
from tests.providers.twilio import PROVIDER, TwilioStandIn, refused

NUMBER = "+14155550100"
SERVICE = "MG" + "5" * 32
MESSAGES = "https://sms.example.org/webhooks/main"
ACCOUNT = PROVIDER.settings["account_sid"]


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioStandIn]:
    async with TwilioStandIn(ACCOUNT, PROVIDER.settings["auth_token"]) as stand_in:
        yield stand_in


def make(twilio: TwilioStandIn, **settings: str) -> TwilioNumbers:
    return TwilioNumbers({**PROVIDER.settings, "api_base": twilio.url, **settings})


CALLED = {
    "search": lambda numbers, http: numbers.search(Wanted("US"), http),
    "order": lambda numbers, http: numbers.order(NUMBER, "p", http),
    "state_of": lambda numbers, http: numbers.state_of(NUMBER, "p", http),
    "set_up": lambda numbers, http: numbers.set_up(NUMBER, Setup(MESSAGES), http),
    "release": lambda numbers, http: numbers.release(NUMBER, http),
    "owned": lambda numbers, http: numbers.owned(http),
}


@pytest.mark.parametrize("name", CALLED)
class TestWhateverIsAsked:
    @pytest.mark.parametrize(
        ("answer", "error"),
        [
            (refused(20003, "Authenticate", 401), Misconfigured),
            ((403, {}, "<html>"), Misconfigured),
            ((429, {"Retry-After": "7"}, {}), Throttled),
            ((500, {}, "oops"), Retry),
            ((503, {}, "oops"), Retry),
            ((503, {"Retry-After": "7"}, "oops"), Throttled),
            ((502, {}, "gateway"), Unknown),
            ((504, {}, "gateway"), Unknown),
            ((302, {"Location": "https://evil.example"}, ""), Misconfigured),
            ((400, {}, {"code": 99999, "message": "no"}), Rejected),
        ],
    )
    async def test_a_refusal_is_one_error(
        self, name: str, answer: Reply, error: type[SendError], twilio: TwilioStandIn, http: Http
    ) -> None:
        twilio.answer_with(answer)
        with pytest.raises(error) as caught:
            await CALLED[name](make(twilio), http)
        assert type(caught.value) is error
        assert getattr(caught.value, "retry_after", 7) == 7

    async def test_a_wrong_login_is_misconfigured(self, name: str, twilio: TwilioStandIn, http: Http) -> None:
        with pytest.raises(Misconfigured) as caught:
            await CALLED[name](make(twilio, auth_token="wrong secret"), http)
        assert "wrong secret" not in str(caught.value)

    async def test_no_answer_is_unknown(self, name: str, twilio: TwilioStandIn, http: Http) -> None:
        twilio.hang()
        with pytest.raises(Unknown):
            await CALLED[name](make(twilio), http)
        # The HTTP library itself asks once more where a repeat can do no harm.
        twilio.hang_up()
        with pytest.raises(Unknown):
            await CALLED[name](make(twilio), http)

    async def test_nobody_there_is_retry(self, name: str, twilio: TwilioStandIn, http: Http) -> None:
        await twilio.stop()
        with pytest.raises(Retry):
            await CALLED[name](make(twilio), http)


async def test_an_api_key_logs_in(http: Http) -> None:
    async with TwilioStandIn(ACCOUNT, "token", {"SK1": "key secret"}) as twilio:
        settings = {"auth_token": "not the token", "api_key_sid": "SK1", "api_key_secret": "key secret"}
        assert await make(twilio, **settings).owned(http) == []


@pytest.mark.parametrize(
    ("base", "hosts"),
    [
        ("", ["https://api.twilio.com", "https://messaging.twilio.com"]),
        ("https://api.twilio.com/", ["https://api.twilio.com", "https://messaging.twilio.com"]),
        (
            "https://api.dublin.ie1.twilio.com",
            ["https://api.dublin.ie1.twilio.com", "https://messaging.dublin.ie1.twilio.com"],
        ),
        ("http://127.0.0.1:99", ["http://127.0.0.1:99"]),
    ],
)
async def test_services_have_a_host_of_their_own(base: str, hosts: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def request(self: Http, method: str, url: str, **_: object) -> Answer:
        asked.append(url)
        content = b'{"incoming_phone_numbers": [{"sid": "PN1"}], "phone_numbers": [], "compliance": []}'
        return Answer(200, {}, content)

    monkeypatch.setattr(Http, "request", request)
    settings = {**PROVIDER.settings, "api_base": base, "messaging_service_sid": SERVICE}
    await TwilioNumbers(settings).owned(Http())
    assert sorted({url.split("/2010")[0].split("/v1")[0] for url in asked}) == sorted(hosts)


def test_a_call_is_put_through() -> None:
    answer = TwilioNumbers(PROVIDER.settings).forwarded("+12025550199")
    assert answer is not None
    assert answer.body.decode() == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Dial><Number>+12025550199</Number></Dial></Response>'
    )


NAMES = (
    "available_phone_numbers",
    "compliance",
    "incoming_phone_numbers",
    "meta",
    "next_page_uri",
    "next_page_url",
    "phone_number",
    "phone_numbers",
    "sid",
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(NUMBER),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(content=st.binary(max_size=50) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_answer_is_read_or_one_error(content: bytes) -> None:
    class Fixed(Http):
        async def request(self, method: str, url: str, **_: Any) -> Answer:
            return Answer(200, {}, content)

    async def ask_all() -> None:
        numbers = TwilioNumbers({**PROVIDER.settings, "messaging_service_sid": SERVICE})
        for call in CALLED.values():
            with suppress(SendError):
                await call(numbers, Fixed())

    asyncio.run(ask_all())
