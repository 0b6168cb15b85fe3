"""Failover on whole servers: two Twilio accounts in a pool, one of which goes down; what staff see of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from tests.bot.conftest import SECRET, everything, until
from tests.providers.twilio import TwilioStandIn, refused, signed_webhook
from tests.server import Api, Server, free_port
from tests.staff.receiver import Receiver
from tests.web.browser import signed_in
from tests.web.site import Site, eventually

pytestmark = pytest.mark.slow
MAIN, SPARE = "+12025550142", "+12025550143"
TOKENS = {"main": "the auth token", "spare": "another token"}
ACCOUNTS = {"main": "AC" + "0" * 32, "spare": "AC" + "1" * 32}
PUBLIC = "https://sms.example.org"
RULES = 'version: 1\nrules: [{id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}]\n'
OUTBOX = {"retry_base_seconds": 0.05, "retry_max_seconds": 0.3, "answer_seconds": 0.4, "max_attempts": 50}


@dataclass
class Pool:
    """Servers that send through two accounts; which are up is for the test to say."""

    nodes: list[Server] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=lambda: {name: free_port() for name in TOKENS})
    up: dict[str, TwilioStandIn] = field(default_factory=dict)
    seen: dict[str, list[TwilioStandIn]] = field(default_factory=lambda: {name: [] for name in TOKENS})
    receiver: Receiver = field(default_factory=lambda: Receiver(free_port()))

    async def start(self, name: str, **options: Any) -> TwilioStandIn:
        """Have an account answer."""
        made = TwilioStandIn(ACCOUNTS[name], options.get("token", TOKENS[name]), port=self.ports[name])
        await made.start()
        self.up[name] = made
        self.seen[name].append(made)
        return made

    async def stop(self, name: str) -> None:
        await self.up.pop(name).stop()

    def sections(self) -> dict[str, Any]:
        channels = {
            f"channels__{name}": {
                "adapter": "twilio", "numbers": [number], "account_sid": ACCOUNTS[name], "auth_token": TOKENS[name],
                "api_base": f"http://127.0.0.1:{self.ports[name]}",
            }
            for name, number in (("main", MAIN), ("spare", SPARE))
        }  # fmt: skip
        desk = {"url": f"http://127.0.0.1:{self.receiver._port}/desk", "secret": SECRET, "allow_private": True}
        ops = {**desk, "url": desk["url"].replace("desk", "ops"), "events": ["channel.out", "channel.back"]}
        return {
            **channels,
            "server": {"public_url": PUBLIC},
            "outbox": OUTBOX,
            "pools__both": {"channels": ["main", "spare"]},
            "routes__desk": {**desk, "default": True},
            "routes__ops": ops,
        }

    def told(self) -> list[tuple[str, str, str]]:
        """(path, event, channel) of what staff were told."""
        return sorted(
            (told.path, told.json["type"], told.json["data"]["channel"])
            for told in self.receiver.told
            if told.json["type"].startswith("channel.")
        )

    def taken(self, name: str) -> Counter[tuple[str, str]]:
        """What an account took: the requests that it answered with a message."""
        found: Counter[tuple[str, str]] = Counter()
        for stand_in in self.seen[name]:
            for answer in stand_in.answered:
                if isinstance(answer, dict) and "sid" in answer:
                    found[answer["to"], answer["body"]] += 1
        return found

    async def text(self, client: aiohttp.ClientSession, phone: str, body: str, node: int = 0) -> None:
        """A customer texts the main number."""
        self._count = getattr(self, "_count", 0) + 1
        fields = {"MessageSid": f"SM{phone[1:]}x{self._count}", "From": phone, "To": MAIN, "Body": body}
        headers, raw = signed_webhook(f"{PUBLIC}/webhooks/main", fields, TOKENS["main"])
        async with client.post(f"{self.nodes[node].url}/webhooks/main", data=raw, headers=headers) as response:
            assert response.status == 200


@pytest.fixture
async def pool() -> AsyncIterator[Pool]:
    made = Pool()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(made.receiver)
        yield made
        for name in list(made.up):
            await made.stop(name)


async def left(staff: Api, phone: str) -> list[tuple[str, str, str]]:
    """(body, number, state) of our texts to a phone once none waits, oldest first."""

    async def there() -> list[dict[str, Any]]:
        rows = await everything(staff, "/messages", phone=phone, direction="outbound")
        return [] if any(row["state"] in ("queued", "sending") for row in rows) else rows[::-1]

    rows = await eventually(there, f"texts to {phone} left", seconds=30)
    return [(row["body"], row["number"], row["state"]) for row in rows]


async def _break(pool: Pool, how: str) -> None:
    """Have the main account fail, in one of the ways in which providers do."""
    if how == "refused":
        await pool.stop("main")
        return
    main = pool.up["main"]
    if how == "hangs":
        main.hang(1000)
    else:
        answer = refused(20500, "Internal Server Error", 500) if how == "500" else refused(20003, "Authenticate", 401)
        main.answer_with(*[answer] * 1000)


@pytest.mark.parametrize("how", ["refused", "500", "401", "hangs"])
async def test_a_channel_goes_down_and_comes_back_and_no_contact_is_lost_or_told_twice(how, pool, serve, api, client):
    await pool.start("main")
    await pool.start("spare")
    pool.nodes.append(await serve(rules=RULES, **pool.sections()))
    staff = api(pool.nodes[0])
    phones = [f"+1202777{number:04d}" for number in range(16)]
    for phone in phones:
        await pool.text(client, phone, "HOURS")
        assert await left(staff, phone) == [("9 to 5", MAIN, "sent")]
    await _break(pool, how)
    for place, phone in enumerate(phones):
        await pool.text(client, phone, "HOURS please")
        if place == 5:
            await until(lambda: len(pool.told()) == 2)
    ends = {phone: (await left(staff, phone))[1:] for phone in phones}
    states = Counter((number, state) for texts in ends.values() for _, number, state in texts)
    assert set(states) <= ({(SPARE, "sent"), (MAIN, "unknown")} if how == "hangs" else {(SPARE, "sent")})
    assert states[SPARE, "sent"] >= 4
    assert set(pool.taken("spare").values()) == {1}
    unknown = {phone for phone, texts in ends.items() if texts[0][2] == "unknown"}
    assert not unknown & {phone for phone, _ in pool.taken("spare")}, "what may have left is not sent again"

    await until(lambda: pool.told() == [("/desk", "channel.out", "main"), ("/ops", "channel.out", "main")])
    channels = {item["name"]: item for item in (await staff.get("/channels"))["items"]}
    assert channels["main"]["out"]["reason"]
    assert channels["spare"]["out"] is None
    assert {channels[name]["pool"] for name in ("main", "spare")} == {"both"}
    async with client.get(f"{pool.nodes[0].url}/metrics") as response:
        lines = (await response.text()).splitlines()
    assert 'textwright_channel_out{channel="main"} 1.0' in lines
    assert 'textwright_channel_out{channel="spare"} 0.0' in lines
    browser = await signed_in(Site(pool.nodes[0], {"admin": "x"}), client, "admin")
    for page in ("/inbox", "/settings"):
        async with client.get(f"{pool.nodes[0].url}{page}", headers=browser.headers) as response:
            shown = await response.text()
        assert "Channel main is out" in shown, page
        assert TOKENS["main"] not in shown

    if how != "refused":
        await pool.stop("main")
    main = await pool.start("main")
    for count in range(40):
        await pool.text(client, phones[count % 16], f"HOURS {count}")
        await asyncio.sleep(0.05)
        if len(pool.told()) == 4:
            break
    await until(lambda: pool.told()[:2] == [("/desk", "channel.back", "main"), ("/desk", "channel.out", "main")])
    assert Counter(told[1] for told in pool.told()) == {"channel.out": 2, "channel.back": 2}
    await left(staff, phones[0])
    before = len(main.requests)
    await pool.text(client, phones[0], "HOURS again")
    assert (await left(staff, phones[0]))[-1] == ("9 to 5", MAIN, "sent"), "from the number that they know"
    assert len(main.requests) > before
    async with client.get(f"{pool.nodes[0].url}/inbox", headers=browser.headers) as response:
        assert "is out" not in await response.text()


async def test_two_nodes_tell_once_and_lose_nothing(pool, serve, fresh_postgres, api, client):
    await pool.start("main")
    await pool.start("spare")
    for _ in range(2):
        pool.nodes.append(await serve(fresh_postgres, rules=RULES, **pool.sections()))
    staff = api(pool.nodes[0])
    phones = [f"+1202777{number:04d}" for number in range(40)]
    await pool.stop("main")
    await asyncio.gather(*(pool.text(client, phone, "HOURS", place % 2) for place, phone in enumerate(phones)))
    for phone in phones:
        assert await left(staff, phone) == [("9 to 5", SPARE, "sent")]
    assert pool.taken("spare") == Counter({(phone, "9 to 5"): 1 for phone in phones})
    await until(lambda: len(pool.told()) >= 2)
    await pool.start("main")
    for count in range(60):
        await pool.text(client, phones[count % 40], f"HOURS {count}", count % 2)
        await asyncio.sleep(0.05)
        if len(pool.told()) >= 4:
            break
    await asyncio.sleep(0.5)
    assert Counter(told[1] for told in pool.told()) == {"channel.out": 2, "channel.back": 2}
    for node in pool.nodes:
        async with client.get(f"{node.url}/metrics") as response:
            assert 'textwright_channel_out{channel="main"} 0.0' in (await response.text()).splitlines()
    for phone in phones:
        await left(staff, phone)
    both = pool.taken("main") + pool.taken("spare")
    rows = await everything(staff, "/messages", direction="outbound")
    assert sum(both.values()) == len(rows), "each left exactly once"


async def test_a_node_that_is_killed_while_it_moves_texts_loses_and_doubles_none(
    pool, serve, fresh_postgres, api, client
):
    await pool.start("spare")
    for _ in range(2):
        sections = pool.sections() | {"outbox": {**OUTBOX, "concurrency": 8}}
        pool.nodes.append(await serve(fresh_postgres, rules=RULES, **sections))
    staff = api(pool.nodes[1])
    phones = [f"+1202777{number:04d}" for number in range(60)]
    texts = [pool.text(client, phone, "HOURS", 1) for phone in phones]
    posting = asyncio.gather(*texts)
    await asyncio.sleep(0.3)
    pool.nodes[0].kill()
    await posting

    async def over() -> bool:
        rows = await everything(staff, "/messages", direction="outbound")
        return len(rows) == 60 and not any(row["state"] in ("queued", "sending") for row in rows)

    await until(over, 60)
    rows = await everything(staff, "/messages", direction="outbound")
    taken = pool.taken("spare")
    assert set(taken.values()) == {1}
    for row in rows:
        assert row["state"] == "unknown" or (row["state"], taken[row["phone"], "9 to 5"]) == ("sent", 1)
    assert sum(row["state"] == "unknown" for row in rows) <= 8, "those that it had in hand"
