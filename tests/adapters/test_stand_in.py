"""The stand-ins themselves, since the whole server is tested against them."""

import asyncio

from multidict import CIMultiDict

from adapters.contract import Outbound, WebhookRequest
from adapters.http import Http
from adapters.twilio import Twilio
from tests.providers.standin import Reply, Request, StandIn
from tests.providers.twilio import TwilioStandIn, refused, signed_webhook

ACCOUNT = "AC" + "0" * 32


async def test_answers_are_given_once_and_then_the_usual_ones(http: Http) -> None:
    async def late(request: Request) -> Reply:
        await asyncio.sleep(0)
        return 418, {}, {"saw": request.path}

    async with StandIn() as provider:
        provider.answer_with((500, {"X-Odd": "1"}, "broken"), lambda request: refused(21610), late)
        answers = [await http.post(f"{provider.url}/x?y=1", json={}) for _ in range(4)]
    assert [answer.status for answer in answers] == [500, 400, 418, 200]
    assert (answers[0].headers["x-odd"], answers[0].body) == ("1", b"broken")
    assert answers[2].json() == {"saw": "/x?y=1"}


async def test_delay_comes_before_the_answer_and_after_the_request(http: Http) -> None:
    async with StandIn() as provider:
        provider.delay = 0.05
        posting = asyncio.create_task(http.post(provider.url, json={}))
        assert len(await provider.wait_for(1)) == 1
        assert not posting.done()
        assert (await posting).status == 200


async def test_starts_again_on_the_same_port(http: Http) -> None:
    provider = StandIn()
    async with provider:
        url = provider.url
    async with provider:
        assert provider.url == url
        assert (await http.post(url, json={})).status == 200


async def test_twilio_takes_each_message_under_an_id_of_its_own(http: Http) -> None:
    async with TwilioStandIn(ACCOUNT, "t") as provider:
        adapter = Twilio({"account_sid": ACCOUNT, "auth_token": "t", "api_base": provider.url})
        long = Outbound("m1", "+12025550100", "+12025550123", "x" * 300)
        first, second = await adapter.send(long, http), await adapter.send(long, http)
    assert first.provider_id != second.provider_id
    assert first.parts == 2


def test_twilio_signs_webhooks_that_the_adapter_believes() -> None:
    url = "http://127.0.0.1:8080/webhooks/text"
    headers, body = signed_webhook(url, {"MessageSid": "SM1", "Body": "é +&"}, "t")
    Twilio({"account_sid": "AC1", "auth_token": "t"}).verify(WebhookRequest(url, CIMultiDict(headers), body))
