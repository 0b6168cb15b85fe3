"""Receipts by part: a long text has arrived when all of its parts have, and failed when one has."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.contract import Part, Receipt, Sent
from tests.bot.channels import desk, second
from tests.bot.load import table
from tests.server import NUMBER

pytestmark = pytest.mark.slow

ANA, BEN = "+12025550131", "+12025550132"


async def sent(shop, given: Sent, phone: str = ANA, early: tuple[Receipt, ...] = ()) -> str:
    """A text that the provider took in parts; `early` are receipts that come before its answer."""

    async def send(message, http):
        if early:
            await shop.node.intake.submit(shop.node.config.channels["sim"], early)
        return given

    shop.lines["sim"].send = send
    await shop.make(phone)
    id_ = await shop.send(phone, "x" * 400, number=NUMBER, channel="sim")
    await shop.settle()
    return id_


THREE = ("p1", "p2", "p3")


def by_id(number: int, state: str, error: str = "", **more: Any) -> Receipt:
    return Receipt(THREE[number - 1], state, error, **more)


def by_number(number: int, state: str, error: str = "", **more: Any) -> Receipt:
    return Receipt("p1", state, error, part=Part("", number, 3), **more)


@pytest.mark.parametrize("way", [by_id, by_number])
@pytest.mark.parametrize("early", range(4), ids=lambda count: f"{count} early")
class TestReceipts:
    async def _state(self, shop, way, early, said) -> tuple[str, str | None]:
        receipts = [way(number, state, "e" if state in ("failed", "undelivered") else "") for number, state in said]
        given = Sent("p1", parts=3, part_ids=THREE if way is by_id else ())
        id_ = await sent(shop, given, early=tuple(receipts[:early]))
        for receipt in receipts[early:]:
            await shop.node.intake.submit(shop.node.config.channels["sim"], [receipt])
        row = await shop.message(id_)
        return row["state"], row["error"]

    async def test_delivered_only_when_all_are(self, way, early, tmp_path):
        for place, order in enumerate(itertools.permutations((1, 2, 3))):
            async with _desk(tmp_path / str(place)) as shop:
                said = [(number, "delivered") for number in order]
                assert await self._state(shop, way, early, said) == ("delivered", None)
            async with _desk(tmp_path / f"{place}b") as shop:
                assert (await self._state(shop, way, early, said[:2]))[0] == "sent"

    async def test_failed_when_one_is_whatever_the_others_say(self, way, early, tmp_path):
        for place, order in enumerate(itertools.permutations((1, 2, 3))):
            async with _desk(tmp_path / str(place)) as shop:
                said = [(number, "undelivered" if number == 2 else "delivered") for number in order]
                assert await self._state(shop, way, early, said) == ("undelivered", "e")

    async def test_late_and_repeated_ones_take_nothing_back(self, way, early, tmp_path):
        async with _desk(tmp_path / "a") as shop:
            said = [(1, "delivered"), (2, "delivered"), (1, "sent"), (3, "delivered"), (2, "sent"), (3, "undelivered")]
            assert await self._state(shop, way, early, said) == ("delivered", None)
        async with _desk(tmp_path / "b") as shop:
            said = [(1, "undelivered"), (2, "delivered"), (3, "delivered"), (1, "delivered")]
            assert await self._state(shop, way, early, said) == ("delivered", None)


async def test_a_part_that_says_opted_out_opts_out_early_or_late(store_url, tmp_path):
    async with desk(store_url, tmp_path) as shop:
        opted_out = by_id(2, "failed", "21610", opted_out=True)
        await sent(shop, Sent("p1", parts=3, part_ids=THREE), ANA, early=(opted_out,))
        await sent(shop, Sent("q1", parts=2, part_ids=("q1", "q2")), BEN)
        await shop.node.intake.submit(
            shop.node.config.channels["sim"], [Receipt("q2", "failed", "21610", opted_out=True)]
        )
        phones = await table(shop.store, "SELECT opted_in FROM phones ORDER BY number")
        assert [phone["opted_in"] for phone in phones] == [0, 0]


async def test_receipts_of_the_whole_from_a_provider_that_counts_parts_are_of_the_whole(store_url, tmp_path):
    async with desk(store_url, tmp_path) as shop:
        id_ = await sent(shop, Sent("m1", parts=3))
        await shop.node.intake.submit(shop.node.config.channels["sim"], [Receipt("m1", "delivered")])
        assert (await shop.message(id_))["state"] == "delivered"


async def test_a_first_part_that_arrived_is_not_the_whole_though_nobody_counted_parts(store_url, tmp_path):
    async with desk(store_url, tmp_path) as shop:

        async def send(message, http):
            return Sent("p1", part_ids=("p1", "p2"))

        shop.lines["sim"].send = send
        await shop.make(ANA)
        id_ = await shop.send(ANA, "short", number=NUMBER, channel="sim")
        await shop.settle()
        channel = shop.node.config.channels["sim"]
        await shop.node.intake.submit(channel, [Receipt("p1", "delivered")])
        assert (await shop.message(id_))["state"] == "sent"
        await shop.node.intake.submit(channel, [Receipt("p2", "delivered")])
        assert (await shop.message(id_))["state"] == "delivered"


@asynccontextmanager
async def _desk(folder):
    folder.mkdir()
    async with desk(f"sqlite:///{folder / 'store.db'}", folder) as shop:
        yield shop


async def test_receipts_of_two_parts_on_two_nodes_in_the_same_moment_end_as_delivered(fresh_postgres, tmp_path):
    async with desk(fresh_postgres, tmp_path) as one, second(tmp_path / "two", one.store, one) as two:
        channel = one.node.config.channels["sim"]
        for turn in range(25):
            ids = (f"p{turn}-1", f"p{turn}-2")
            id_ = await sent(one, Sent(ids[0], part_ids=ids), f"+1203777{turn:04d}")
            await asyncio.gather(
                one.node.intake.submit(channel, [Receipt(ids[0], "delivered")]),
                two.node.intake.submit(channel, [Receipt(ids[1], "delivered")]),
            )
            assert (await one.message(id_))["state"] == "delivered", turn
