"""A whole server and the stand-in of each provider in turn: texts, repeats, STOP, trouble, receipts, two channels."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio

from adapters import ADAPTERS
from tests.adapters import cases
from tests.bot.business import PUBLIC, Business
from tests.bot.conftest import Shop, everything, ids, settled, until
from tests.providers.all import PROVIDERS
from tests.providers.provider import Text, Webhook
from tests.providers.smsc import Smsc
from tests.providers.standin import Reply, Request, StandIn
from tests.server import Api, free_port

# A provider is there for all of its tests: one that came and went would be bound to ever less often (SMPP).
pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]
RULES = """
version: 1
name: shop
rules:
  - id: hours
    when: {keyword: hours}
    do: [{reply: "We are open 9 to 6."}]
"""
OPEN = "We are open 9 to 6."
OUTBOX = {"retry_base_seconds": 0.05, "retry_max_seconds": 0.1, "answer_seconds": 0.7}
NUMBERS = {"ours": "+12025550142", "theirs": "+12025550143"}
CONFIRMS = {"ours": False, "theirs": True}
IMPATIENT = {"answer_seconds": "0.7", "reconnect_seconds": "0.05"}


@pytest.fixture(scope="module", params=sorted(PROVIDERS))
def business(request: pytest.FixtureRequest, open_shop: Callable[..., Shop]) -> Business:
    name = request.param
    provider = PROVIDERS[name]
    ports = {channel: free_port() for channel in NUMBERS}
    channels = {}
    for channel, number in NUMBERS.items():
        base = f"http://127.0.0.1:{ports[channel]}"
        known = ADAPTERS[name].settings
        settings: dict[str, Any] = {**provider.settings, "adapter": name, "numbers": [number]}
        settings |= {key: value for key, value in IMPATIENT.items() if key in known}
        settings |= {key: base for key, setting in known.items() if setting.default.startswith("https://")}
        settings |= {"api_base": base} if "api_base" in known else {}
        if "port" in known:
            settings["port"] = str(ports[channel])
        if "send_url" in settings:
            settings["send_url"] = base + urlsplit(settings["send_url"]).path
        channels[channel] = settings | {"carrier_confirms_opt_out": CONFIRMS[channel]}
    sections = {f"channels__{channel}": settings for channel, settings in channels.items()}
    shop = open_shop(rules=RULES, server={"public_url": PUBLIC}, outbox=OUTBOX, **sections)
    return Business(name, provider, shop, ports, channels)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def open_for_business(business: Business) -> AsyncIterator[Business]:
    async with AsyncExitStack() as stack:
        for channel, port in business.ports.items():
            stand_in = business.provider.stand_in(business.settings(channel), port)
            business.stand_ins[channel] = await stack.enter_async_context(stand_in)
        for stand_in in business.stand_ins.values():
            if isinstance(stand_in, Smsc):
                await stand_in.bound()
        yield business


class Phone:
    """A customer's phone, as the provider tells of it."""

    def __init__(self, business: Business, client: aiohttp.ClientSession, number: str) -> None:
        self.business = business
        self.client = client
        self.number = number
        self.staff: Api = business.shop.staff(client)

    def webhook(self, body: str, channel: str = "ours", id: str = "", media: tuple[str, ...] = ()) -> Webhook:
        text = Text(self.number, NUMBERS[channel], body, id or str(uuid4()), media)
        return self.business.provider.text(self.business.url(channel), self.business.settings(channel), text)

    async def text(self, body: str, channel: str = "ours", **more: Any) -> None:
        assert await self.business.call(self.client, channel, self.webhook(body, channel, **more)) == 200

    async def report(self, id: str, state: Any, channel: str = "ours", error: str = "") -> None:
        settings = self.business.settings(channel)
        webhook = self.business.provider.report(self.business.url(channel), settings, id, state, error)
        assert await self.business.call(self.client, channel, webhook) == 200

    async def sent(self) -> list[dict[str, Any]]:
        """Our messages to this phone, oldest first, when none is on its way any more."""
        return await settled(self.staff, phone=self.number)

    async def received(self) -> list[dict[str, Any]]:
        return (await everything(self.staff, "/messages", phone=self.number, direction="inbound"))[::-1]

    async def opted_in(self) -> bool:
        return bool((await self.staff.phone(self.number))["opted_in"])

    def asked(self, channel: str = "ours") -> list[Text]:
        """What the provider was asked to send to this phone."""
        stand_in = self.business.stand_ins[channel]
        asked = [self.business.provider.asked(request) for request in stand_in.requests]
        return [text for text in asked if text.recipient == self.number]

    @property
    def stand_in(self) -> StandIn:
        return self.business.stand_ins["ours"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def caller() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of the loop that the stand-ins are in."""
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
def phone(open_for_business: Business, caller: aiohttp.ClientSession, numbers: Iterator[str]) -> Phone:
    for stand_in in open_for_business.stand_ins.values():
        stand_in.requests.clear()
        stand_in.answered.clear()
    return Phone(open_for_business, caller, next(numbers))


async def test_a_text_is_answered_through_the_provider(phone):
    await phone.text("HOURS")
    [message] = await phone.sent()
    assert (message["state"], message["attempts"], message["body"]) == ("sent", 1, OPEN)
    [asked] = phone.asked()
    assert (asked.sender, asked.recipient, asked.body) == (NUMBERS["ours"], phone.number, OPEN)
    assert message["provider_id"] == phone.business.provider.given_id(phone.stand_in.answered[0])
    [stored] = await phone.received()
    assert (stored["body"], stored["channel"], stored["number"]) == ("HOURS", "ours", NUMBERS["ours"])


@pytest.mark.parametrize("body", ["What’s open? 🌻 Größe", "日本語", "a+b=c&d % e", '<b>"quoted" \\n {json}'])
async def test_a_text_of_any_kind_comes_in_as_it_is(body, phone):
    await phone.text(body)
    [stored] = await phone.received()
    assert stored["body"] == body


async def test_a_redelivery_and_a_replay_change_nothing(phone):
    id = str(uuid4())
    first = phone.webhook("HOURS", id=id)
    for webhook in (first, first, phone.webhook("HOURS", id=id), first):
        assert await phone.business.call(phone.client, "ours", webhook) == 200
    statuses = await asyncio.gather(*(phone.business.call(phone.client, "ours", first) for _ in range(10)))
    assert set(statuses) == {200}
    await phone.sent()
    await asyncio.sleep(0.2)
    assert [message["state"] for message in await phone.sent()] == ["sent"]
    assert len(await phone.received()) == len(phone.asked()) == 1


async def test_one_that_is_tampered_with_gets_403_and_stores_nothing(phone):
    before = await ids(phone.staff)
    whole = phone.webhook("HOURS")
    if isinstance(phone.stand_in, Smsc):
        # Texts come by a connection of ours, and so none is believed that comes by HTTP.
        async with phone.client.post(f"{phone.business.shop.server.url}/webhooks/ours", data=whole.body) as response:
            assert response.status == 403
        assert await ids(phone.staff) == before
        return
    # What a header says of the algorithm is never believed, and so proves nothing.
    is_proof = {name: name != "Content-Type" and not name.endswith("algorithm") for name in whole.headers}
    proofs = {name: value for name, value in whole.headers.items() if is_proof[name]}
    tampered = [Webhook({**whole.headers, name: _other(value)}, whole.body) for name, value in proofs.items()]
    tampered += [Webhook({"Content-Type": whole.headers.get("Content-Type", "")}, whole.body)] if proofs else []
    has_login = whole.headers.get("Authorization", "").startswith("Basic ")
    if not has_login:
        tampered.append(Webhook(whole.headers, whole.body.replace(b"HOURS", b"H0URS")))
        tampered.append(Webhook(whole.headers, whole.body.replace(phone.number[1:].encode(), b"12025550199")))
    for webhook in tampered:
        assert webhook != whole
        assert await phone.business.call(phone.client, "ours", webhook) == 403, webhook
    assert await ids(phone.staff) == before
    assert await phone.business.call(phone.client, "ours", whole) == 200


def _other(value: str) -> str:
    """A value with another character in its middle."""
    place = len(value) // 2
    return value[:place] + ("1" if value[place] != "1" else "2") + value[place + 1 :]


@pytest.mark.parametrize(("channel", "confirmations"), [("ours", 1), ("theirs", 0)])
async def test_stop_is_confirmed_once_and_then_nothing_leaves_until_start(channel, confirmations, phone):
    await phone.text("HOURS", channel)
    assert len(await phone.sent()) == 1
    await phone.text("STOP", channel)
    assert not await phone.opted_in()
    told = (await phone.sent())[1:]
    assert [message["state"] for message in told] == ["sent"] * confirmations
    assert all("unsubscribed" in message["body"] for message in told)
    await phone.text("STOP", channel)
    await phone.text("HOURS", channel)
    body = {"to": {"phone": phone.number}, "body": "A special offer"}
    assert (await phone.staff.call("POST", "/messages", body))[1]["queued"] == 0
    assert len(await phone.sent()) == 1 + confirmations
    await phone.text("START", channel)
    assert await phone.opted_in()
    await phone.text("HOURS", channel)
    last = (await phone.sent())[-1]
    assert (last["body"], last["state"], last["channel"]) == (OPEN, "sent", channel)


async def test_stop_on_one_channel_silences_the_phone_on_all(phone):
    for channel in NUMBERS:
        await phone.text("HOURS", channel)
    assert [(item["channel"], item["number"]) for item in await phone.sent()] == [*NUMBERS.items()]
    assert len((await phone.staff.get("/contacts", q=phone.number))["items"]) == 1
    assert len(await everything(phone.staff, "/conversations", phone=phone.number)) == 2
    await phone.text("STOP", "theirs")
    for channel in NUMBERS:
        await phone.text("HOURS", channel)
    assert len(await phone.sent()) == 2, "consent belongs to the phone"
    await phone.text("START", "ours")
    for channel in NUMBERS:
        await phone.text("HOURS", channel)
    assert [item["channel"] for item in await phone.sent() if item["body"] == OPEN] == ["ours", "theirs"] * 2
    assert {text.sender for text in phone.asked("theirs")} == {NUMBERS["theirs"]}


async def test_one_that_is_throttled_is_sent_again_not_too_soon(phone):
    phone.stand_in.answer_with(phone.business.provider.throttled(1))
    await phone.text("HOURS")
    await phone.stand_in.wait_for(1)
    refused_at = time.monotonic()
    await phone.stand_in.wait_for(2)
    if not isinstance(phone.stand_in, Smsc):  # SMPP has no way to say for how long
        assert time.monotonic() - refused_at >= 0.9
    [message] = await phone.sent()
    assert (message["state"], message["attempts"]) == ("sent", 2)


@pytest.mark.parametrize("how", ["hang", "hang_up"])
async def test_without_an_answer_a_message_is_held_and_never_sent_again(how, phone):
    getattr(phone.stand_in, how)()
    await phone.text("HOURS")
    [message] = await phone.sent()
    assert message["state"] == "unknown"
    if isinstance(phone.stand_in, Smsc):
        await phone.stand_in.bound()
    await phone.text("HOURS please")
    assert [item["state"] for item in await phone.sent()] == ["unknown", "sent"], "and what follows is not held up"
    assert len(phone.asked()) == 2


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (["delivered"], "delivered"),
        (["sent", "delivered"], "delivered"),
        (["delivered", "sent"], "delivered"),
        (["undelivered", "sent"], "undelivered"),
        (["failed"], "failed"),
        (["delivered", "delivered"], "delivered"),
    ],
)
@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "after it"])
async def test_receipts_in_any_order_end_in_the_furthest_state(said, state, early, phone):
    provider, stand_in = phone.business.provider, phone.stand_in

    async def late(request: Request) -> Reply:
        answer = stand_in.usual(request)
        for word in said:
            await phone.report(provider.given_id(answer[2]), word)
        return answer

    if early:
        stand_in.answer_with(late)
    await phone.text("HOURS")
    [message] = await phone.sent()
    if not early:
        assert message["state"] == "sent"
        for word in said:
            await phone.report(message["provider_id"], word)
    [message] = await phone.sent()
    # Some providers have one word for what did not arrive, whichever of the two it was.
    assert message["state"].replace("undelivered", "failed") == state.replace("undelivered", "failed")


def _cannot_say_so(phone) -> bool:
    """Whether nothing of the provider's says that somebody opted out, by its case file or by its nature (SMPP)."""
    why = cases.load(phone.business.name).get("impossible_outcomes", {}).get("opted_out", "")
    return "no code" in why or isinstance(phone.stand_in, Smsc)


async def test_an_answer_that_says_opted_out_changes_consent(phone):
    provider, settings = phone.business.provider, phone.business.settings("ours")
    answer = provider.opted_out()
    if answer is None:
        assert provider.opted_out_report(phone.business.url("ours"), settings, "x") or _cannot_say_so(phone)
        return
    phone.stand_in.answer_with(answer)
    await phone.text("HOURS")
    [message] = await phone.sent()
    assert message["state"] == "failed"
    assert not await phone.opted_in()
    contact = await phone.staff.contact_of(phone.number)
    [event, *_] = (await phone.staff.get(f"/contacts/{contact['id']}/consent"))["items"]
    assert (event["event"], event["actor"]) == ("opted_out", "provider")
    for channel in NUMBERS:
        await phone.text("HOURS", channel)
    assert len(await phone.sent()) == 1


async def test_a_receipt_that_says_opted_out_changes_consent(phone):
    provider, settings = phone.business.provider, phone.business.settings("ours")
    if provider.opted_out_report(phone.business.url("ours"), settings, "x") is None:
        assert provider.opted_out() or _cannot_say_so(phone)
        return
    await phone.text("HOURS")
    [message] = await phone.sent()
    webhook = provider.opted_out_report(phone.business.url("ours"), settings, message["provider_id"])
    assert await phone.business.call(phone.client, "ours", webhook) == 200
    [message] = await phone.sent()
    assert message["state"] in ("failed", "undelivered")
    assert not await phone.opted_in()


async def test_pictures_come_in_and_go_out_or_are_refused_with_the_reason(phone):
    picture = "https://media.example/a.jpg"
    await phone.text("HOURS")
    await phone.sent()
    body = {"to": {"phone": phone.number}, "body": "Look", "media": [picture], "from": NUMBERS["ours"]}
    _, accepted = await phone.staff.call("POST", "/messages", body)
    if not phone.business.capabilities.supports_media:
        assert accepted["queued"] == 0
        assert "no media" in accepted["recipients"][0]["reason"]
        return
    assert accepted["queued"] == 1, accepted
    assert [item["state"] for item in await phone.sent()] == ["sent", "sent"]
    assert len([request for request in phone.stand_in.requests if picture in _said(request)]) == 1
    await phone.text("my cat", media=(picture,))
    last = (await phone.received())[-1]
    assert (last["body"], [media["url"] for media in last["media"]]) == ("my cat", [picture])


def _said(request: Request) -> str:
    return unquote(request.body.decode())


async def test_while_it_cannot_be_reached_messages_wait_and_are_sent_when_it_is_back(phone):
    stand_in = phone.stand_in
    webhook = phone.webhook("HOURS")
    if isinstance(stand_in, Smsc):
        stand_in.answer_with((0x14, {}, {}))
        assert await phone.business.call(phone.client, "ours", webhook) == 200
    else:
        await stand_in.stop()
        assert await phone.business.call(phone.client, "ours", webhook) == 200

        async def tried_again() -> bool:
            [message] = await everything(phone.staff, "/messages", phone=phone.number, direction="outbound")
            return int(message["attempts"]) >= 2

        await until(tried_again)
        await stand_in.start()
    [message] = await phone.sent()
    assert message["state"] == "sent"
    assert len({text.body for text in phone.asked()}) == 1
