"""Long texts in parts: joined in whatever order they come, and receipts by part weighed together."""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.contract import Inbound, Media, Part, Receipt
from bot.tidying import Tidying
from tests.bot.channels import RULES, desk, second
from tests.bot.conftest import in_a_loop_of_its_own, until
from tests.bot.load import table
from tests.bot.service import MICROSECONDS
from tests.providers.vonage import PROVIDER, signed
from tests.server import NUMBER, free_port

pytestmark = pytest.mark.slow

ANA, BEN = "+12025550131", "+12025550132"
WORDS = ("Do you have ", "the big ", "atlas of ", "birds?")


def part(number: int, total: int, body: str, group: str = "7", sender: str = ANA, id: str | None = "") -> Inbound:
    """A part; `id` "" is one of its own, None is of a provider that gives none."""
    name = f"{sender}-{group}-{number}-{body}" if id == "" else id
    return Inbound(name, sender, NUMBER, body, part=Part(group, number, total))


def parts_of(*bodies: str, **more: Any) -> list[Inbound]:
    return [part(number, len(bodies), body, **more) for number, body in enumerate(bodies, 1)]


class Front:
    """Takes what providers say to a node."""

    def __init__(self, shop) -> None:
        self.shop = shop
        self.tidying = Tidying(shop.node.config, shop.store, shop.node.intake, shop.clock)

    async def say(self, *events: Inbound | Receipt) -> list[str]:
        """One request; the status of each message in it."""
        channel = self.shop.node.config.channels["sim"]
        results = await self.shop.node.intake.submit(channel, events)
        await self.shop.settle()
        return [result.status for result in results]

    async def wait(self, seconds: float) -> int:
        """Let time pass; how many texts were given up."""
        self.shop.clock.now += round(seconds * MICROSECONDS)
        return await self.tidying.give_up_waiting()

    async def read(self, phone: str = ANA) -> list[str]:
        """The texts of a customer, as they were read."""
        where = f"phone = '{phone}' AND direction = 'inbound'"
        return [
            row["body"] for row in await table(self.shop.store, f"SELECT body FROM messages WHERE {where} ORDER BY seq")
        ]

    async def waiting(self) -> int:
        return len(await table(self.shop.store, "SELECT 1 FROM inbound_parts WHERE joined = 0"))


@pytest.fixture
async def front(store_url, tmp_path):
    async with desk(store_url, tmp_path) as shop:
        yield Front(shop)


class TestJoined:
    @pytest.mark.parametrize("order", [*itertools.permutations(range(3))])
    @pytest.mark.parametrize("at_once", [True, False])
    async def test_in_any_order_in_one_request_or_in_several(self, order, at_once, front):
        parts = parts_of("one ", "two ", "three")
        given = [parts[place] for place in order]
        if at_once:
            assert sorted(await front.say(*given)) == ["received", "waiting", "waiting"]
        else:
            assert [await front.say(event) for event in given] == [["waiting"], ["waiting"], ["received"]]
        assert await front.read() == ["one two three"]
        assert await front.waiting() == 0

    async def test_in_the_place_of_its_last_part(self, front):
        one, two = parts_of("one ", "two")
        assert await front.say(one, Inbound("x", ANA, NUMBER, "between"), two, Inbound("y", ANA, NUMBER, "after")) == [
            "waiting", "received", "received", "received"
        ]  # fmt: skip
        assert await front.read() == ["between", "one two", "after"]

    async def test_repeated_parts_change_nothing_before_and_after(self, front):
        one, two = parts_of("one ", "two")
        for event in (one, one, two, two, one):
            await front.say(event)
        await front.say(one, one, two, two)
        assert await front.read() == ["one two"]
        await front.wait(3600)
        assert await front.read() == ["one two"]

    async def test_repeated_parts_without_an_id_too(self, front):
        one, two = parts_of("one ", "two", id=None)
        for events in ([one], [one], [two], [two, one], [one, one]):
            await front.say(*events)
            front.shop.clock.now += 5 * MICROSECONDS
        assert await front.read() == ["one two"]
        await front.wait(61)
        assert await front.read() == ["one two"]

    async def test_the_same_reference_an_hour_later_is_another_text(self, front):
        await front.say(*parts_of("one ", "two"))
        await front.wait(3600)
        await front.say(*parts_of("three ", "four"))
        assert await front.read() == ["one two", "three four"]

    async def test_the_same_text_by_the_same_reference_an_hour_later_is_another_where_parts_have_no_id(self, front):
        for _ in range(2):
            await front.say(*parts_of("one ", "two", id=None))
            await front.wait(3600)
        assert await front.read() == ["one two"] * 2
        await front.say(*parts_of("one ", "three", id=None))
        await front.wait(3600)
        assert await front.read() == ["one two", "one two", "one three"], "though its first part was there before"

    async def test_when_a_part_is_missing_what_is_there_is_read_once_and_the_late_one_by_itself(self, front):
        one, two, three = parts_of("one ", "two ", "three")
        await front.say(one)
        assert await front.wait(40) == 0
        await front.say(three)
        assert await front.wait(59) == 0, "it is waited for from the last that came"
        assert await front.wait(2) == 1
        assert await front.read() == ["one three"]
        assert await front.wait(3600) == 0
        await front.say(two)
        assert await front.read() == ["one three"]
        assert await front.wait(61) == 1
        assert await front.read() == ["one three", "two "]
        for event in (one, two, three):
            await front.say(event)
        await front.wait(61)
        assert await front.read() == ["one three", "two "]

    async def test_a_reference_that_is_used_again_while_a_part_is_missing_takes_the_newer_parts(self, front):
        await front.say(part(1, 2, "lost "))
        front.shop.clock.now += MICROSECONDS
        await front.say(*parts_of("one ", "two"))
        assert await front.read() == ["one two"]
        await front.wait(61)
        assert await front.read() == ["one two", "lost "]

    @pytest.mark.parametrize(
        ("first", "second_"),
        [
            ({"group": "7"}, {"group": "8"}),
            ({"sender": ANA}, {"sender": BEN}),
            ({"total": 2}, {"total": 3}),
        ],
    )
    async def test_parts_of_different_texts_do_not_meet(self, first, second_, front):
        await front.say(part(**{"number": 1, "total": 2, "body": "a", **first}))
        assert await front.say(part(**{"number": 2, "total": 2, "body": "b", **second_})) == ["waiting"]
        await front.wait(61)
        assert sorted(await front.read() + await front.read(BEN)) == ["a", "b"]

    async def test_two_channels_do_not_meet(self, front):
        one, two = parts_of("one ", "two")
        await front.say(one)
        spare = front.shop.node.config.channels["spare"]
        assert [r.status for r in await front.shop.node.intake.submit(spare, [two])] == ["waiting"]
        assert await front.waiting() == 2

    async def test_255_parts(self, front):
        bodies = [f"{number:03d};" for number in range(255)]
        parts = parts_of(*bodies)
        await front.say(*parts[200:], *parts[:200])
        assert await front.read() == ["".join(bodies)]

    @pytest.mark.parametrize(
        "numbers", [(0, 2), (3, 2), (-1, -1), (1, 1), (1, 0), (1, 256), (2**40, 2**41), (1, 2**70)]
    )
    async def test_numbers_that_cannot_be_make_a_text_of_its_own(self, numbers, front):
        assert await front.say(part(*numbers, "alone")) == ["received"]
        assert await front.read() == ["alone"]

    async def test_references_and_bodies_of_any_kind_are_kept_apart_and_read(self, front):
        for place, group in enumerate(["", "x" * 5000, "x" * 5001, "a\0b", "ab", "\ud800", "{}:'\"", "é" * 300]):
            one, two = (
                part(number, 2, f"{place}{word}", group, id=f"{place}-{number}")
                for number, word in ((1, "\0a"), (2, "\ud800b"))
            )
            await front.say(one)
            await front.say(two)
        assert await front.read() == [f"{place}a{place}\ufffdb" for place in range(8)]

    async def test_a_stop_in_parts_counts_when_it_is_whole_and_one_between_the_parts_at_once(self, front):
        one, two = parts_of("ST", "OP")
        await front.say(one)
        assert await table(front.shop.store, f"SELECT 1 FROM phones WHERE number = '{ANA}'") == []
        await front.say(two)
        [phone] = await table(front.shop.store, f"SELECT opted_in FROM phones WHERE number = '{ANA}'")
        assert phone["opted_in"] == 0
        three, four = parts_of("Do you ", "deliver?", group="9", sender=BEN)
        await front.say(three)
        await front.say(Inbound("stop", BEN, NUMBER, "STOP"))
        await front.say(four)
        [phone] = await table(front.shop.store, f"SELECT opted_in FROM phones WHERE number = '{BEN}'")
        assert phone["opted_in"] == 0
        assert await front.read(BEN) == ["STOP", "Do you deliver?"]

    async def test_media_of_parts_come_along(self, front):
        one, two = parts_of("one ", "two")
        await front.say(replace(two, media=(Media("https://x.example/2.png", "image/png"),)))
        await front.say(replace(one, media=(Media("https://x.example/1.png"),)))
        [row] = await table(front.shop.store, "SELECT media FROM messages WHERE direction = 'inbound'")
        assert row["media"].count("url") == 2
        assert row["media"].index("1.png") < row["media"].index("2.png")

    async def test_what_only_told_repeats_is_forgotten_in_time(self, front):
        await front.say(*parts_of("one ", "two"))
        await front.say(part(1, 2, "waits", "8"))
        await front.tidying.forget()
        assert len(await table(front.shop.store, "SELECT 1 FROM inbound_parts")) == 3
        front.shop.clock.now += 2 * 86_400 * MICROSECONDS
        await front.tidying.forget()
        assert await front.waiting() == 1, "what waits is not lost"
        assert len(await table(front.shop.store, "SELECT 1 FROM inbound_parts")) == 1


class TestTwoNodes:
    async def test_parts_that_come_to_two_nodes_in_the_same_moment_are_joined_once(self, fresh_postgres, tmp_path):
        async with desk(fresh_postgres, tmp_path) as one, second(tmp_path / "two", one.store, one) as two:
            channel = one.node.config.channels["sim"]
            for turn in range(25):
                parts = parts_of(*WORDS, group=f"{turn}", sender=f"+1202777{turn:04d}")
                nodes = (one, two, one, two)
                await asyncio.gather(
                    *(node.node.intake.submit(channel, [event]) for node, event in zip(nodes, parts, strict=True)),
                    *(node.node.intake.submit(channel, [event]) for node, event in zip(nodes[1:], parts, strict=False)),
                )
            rows = await table(one.store, "SELECT body FROM messages WHERE direction = 'inbound'")
            assert [row["body"] for row in rows] == ["".join(WORDS)] * 25

    async def test_two_nodes_that_give_up_waiting_in_the_same_moment_read_it_once(self, fresh_postgres, tmp_path):
        async with desk(fresh_postgres, tmp_path) as one, second(tmp_path / "two", one.store, one) as two:
            fronts = Front(one), Front(two)
            for turn in range(10):
                await fronts[0].say(part(1, 2, "half", sender=f"+1202777{turn:04d}"))
            one.clock.now += 61 * MICROSECONDS
            await asyncio.gather(*(front.tidying.give_up_waiting() for front in fronts))
            assert len(await table(one.store, "SELECT 1 FROM messages WHERE direction = 'inbound'")) == 10


@pytest.mark.slow
async def test_parts_outlive_kill_9(serve, store_url, api, client):
    """Over Vonage, whose parts nobody else joins."""
    settings = dict(PROVIDER.settings)
    channel = {"adapter": "vonage", "numbers": [NUMBER.replace("0100", "0155")], **settings}
    channel["api_base"] = f"http://127.0.0.1:{free_port()}"
    server = await serve(store_url, rules=RULES, channels__main=channel)
    staff = api(server)

    async def post(number: int, body: str) -> None:
        fields = {
            "msisdn": ANA[1:], "to": channel["numbers"][0][1:], "messageId": f"v{number}", "text": body,
            "type": "text", "api-key": settings["api_key"], "concat": "true", "concat-ref": "77",
            "concat-total": "3", "concat-part": str(number),
            "message-timestamp": time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime()),
        }  # fmt: skip
        data = urlencode(signed(fields, settings)).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with client.post(f"{server.url}/webhooks/main", data=data, headers=headers) as response:
            assert response.status == 200, await response.text()

    for number, body in ((3, "three"), (1, "one "), (2, "two ")):
        await post(number, body)
        server.kill()
        await server.start()
        await post(number, body)

    async def read() -> list[str]:
        return [item["body"] for item in (await staff.get("/messages", phone=ANA, direction="inbound"))["items"]]

    await until(read)
    assert await read() == ["one two three"]


# Whatever comes between: the parts of several texts, mixed, repeated and cut into requests as chance will have it.

TEXTS = st.lists(
    st.tuples(st.sampled_from([ANA, BEN]), st.lists(st.text("abc é", min_size=1, max_size=3), min_size=2, max_size=5)),
    min_size=1, max_size=5,
)  # fmt: skip


@pytest.mark.parametrize("with_ids", [True, False])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=TEXTS, data=st.data())
def test_any_mixture_of_parts_gives_exactly_the_texts(tmp_path_factory, with_ids, texts, data):
    parts = [
        part(number, len(bodies), body, group=f"{place}", sender=sender, id=f"{place}-{number}" if with_ids else None)
        for place, (sender, bodies) in enumerate(texts)
        for number, body in enumerate(bodies, 1)
    ]
    repeats = data.draw(st.lists(st.sampled_from(parts), max_size=4))
    mixed = data.draw(st.permutations([*parts, *repeats]))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(mixed)), max_size=6)))
    requests = [mixed[a:b] for a, b in itertools.pairwise([0, *cuts, len(mixed)]) if mixed[a:b]]

    async def read() -> list[tuple[str, str]]:
        folder = tmp_path_factory.mktemp("mixture")
        async with desk(f"sqlite:///{folder / 'store.db'}", folder) as shop:
            channel = shop.node.config.channels["sim"]
            for events in requests:
                await shop.node.intake.submit(channel, events)
            await Front(shop).wait(3600)
            rows = await table(shop.store, "SELECT phone, body FROM messages WHERE direction = 'inbound'")
            return sorted((row["phone"], row["body"]) for row in rows)

    expected = sorted((sender, "".join(bodies)) for sender, bodies in texts)
    found = in_a_loop_of_its_own(read())
    # What says the same as the message before it, without an id, is a repeat: so it is with whole texts, too.
    assert found == expected if with_ids else set(found) == set(expected)
