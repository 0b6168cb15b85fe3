"""Whoever looks at the console hears at once which conversations have changed, on whichever node."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest

from adapters.contract import Receipt
from bot.live import GATHER_SECONDS, Live
from bot.store.contract import EVERYTHING
from bot.store.migrate import migrate
from bot.store.open import open_store
from tests.bot.conftest import until
from tests.bot.load import table
from tests.bot.service import service

pytestmark = pytest.mark.slow

RULES = 'version: 1\nrules: [{id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}]\n'
ANA = "+12025550131"


@pytest.fixture
async def store(store_url, tmp_path):
    async with open_store(store_url, tmp_path) as opened:
        await migrate(opened)
        await asyncio.sleep(0.3)  # PostgreSQL's listener begins with EVERYTHING
        yield opened


class Ear:
    """One browser, which notes down what it hears."""

    def __init__(self, live):
        self.heard = []
        self.changes = live.changes(10)

    async def __aenter__(self):
        self._listening = asyncio.create_task(self._listen())
        await asyncio.sleep(0.01)
        return self

    async def _listen(self):
        async with aclosing(self.changes) as changes:
            async for changed in changes:
                self.heard.append(changed)

    async def __aexit__(self, *error):
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)

    async def hears(self, wanted, seconds=3):
        """Wait until something is heard that is so."""
        await until(lambda: wanted in self.heard, seconds)


async def change(store, *conversations):
    async with store.transaction() as transaction:
        transaction.conversations_changed(conversations)


async def test_what_changes_together_is_told_together_and_once(store):
    async with Ear(Live(store)) as ear:
        asked = time.monotonic()
        await change(store, "b")
        await change(store, "a", "b")
        await ear.hears(["a", "b"])
        assert GATHER_SECONDS <= time.monotonic() - asked < 2
        await change(store, "c")
        await ear.hears(["c"])
        await asyncio.sleep(2 * GATHER_SECONDS)
        assert ear.heard == [["a", "b"], ["c"]]


async def test_every_browser_hears_it(store):
    live = Live(store)
    async with Ear(live) as first, Ear(live) as second:
        await change(store, "a")
        await first.hears(["a"])
        await second.hears(["a"])


async def test_what_is_rolled_back_is_not_told(store):
    async def fail():
        async with store.transaction() as transaction:
            transaction.conversations_changed(["a"])
            raise RuntimeError

    async with Ear(Live(store)) as ear:
        with pytest.raises(RuntimeError):
            await fail()
        await change(store, "b")
        await ear.hears(["b"])
        assert ear.heard == [["b"]]


@pytest.mark.parametrize("count", [101, 201, 5000])
async def test_of_very_many_it_is_said_that_any_may_have_changed(store, count):
    """Also where their names would not fit into a notice of PostgreSQL."""
    async with Ear(Live(store)) as ear:
        await change(store, *(f"019a0000-0000-7000-8000-{n:012x}" for n in range(count)))
        await ear.hears([EVERYTHING])
        assert ear.heard == [[EVERYTHING]]


async def test_as_many_as_can_be_named_are_named(store):
    ids = [f"019a0000-0000-7000-8000-{n:012x}" for n in range(100)]
    async with Ear(Live(store)) as ear:
        await change(store, *ids)
        await ear.hears(ids)


async def test_where_nothing_changes_that_is_said_from_time_to_time(store):
    async with aclosing(Live(store).changes(0.05)) as changes:
        assert [await anext(changes) for _ in range(3)] == [[], [], []]
        await change(store, "a")
        for _ in range(100):
            if (heard := await anext(changes)) != []:
                break
        assert heard == ["a"]


async def test_whoever_leaves_is_forgotten(store):
    live = Live(store)
    async with Ear(live), Ear(live):
        assert len(live._listeners) == 2
    assert len(live._listeners) == 0
    leaving = live.changes(10)
    waiting = asyncio.create_task(anext(leaving))
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert len(live._listeners) == 0, "also without a word"
    await change(store, "a")


async def test_another_node_hears_it_too(fresh_postgres, tmp_path):
    async with open_store(fresh_postgres, tmp_path) as here, open_store(fresh_postgres, tmp_path) as there:
        await asyncio.sleep(0.3)
        async with Ear(Live(there)) as far, Ear(Live(here)) as near:
            asked = time.monotonic()
            await change(here, "a")
            await far.hears(["a"])
            await near.hears(["a"])
            assert time.monotonic() - asked < 2


async def test_after_a_lost_connection_anything_may_have_changed(fresh_postgres, tmp_path):
    async with open_store(fresh_postgres, tmp_path) as here, open_store(fresh_postgres, tmp_path) as there:
        await asyncio.sleep(0.3)
        async with Ear(Live(there)) as ear:
            others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'"
            await table(here, others)
            await ear.hears([EVERYTHING], 5)
            await change(here, "a")
            await ear.hears(["a"])


async def test_a_text_its_answer_and_how_that_fares_are_heard_of(store_url, tmp_path):
    async with service(store_url, tmp_path, RULES, "2026-03-03 12:00") as node:
        await asyncio.sleep(0.3)
        async with Ear(Live(node.store)) as ear:
            await node.text(ANA, "HOURS")
            (row,) = await table(node.store, "SELECT id FROM conversations")
            await ear.hears([row["id"]])
            ear.heard.clear()
            await node.intake.submit(node.config.channels["sim"], [Receipt(node.notebook.sent[-1].id, "delivered")])
            await ear.hears([row["id"]])


async def test_when_the_server_stops_every_browser_is_let_go(store):
    live = Live(store)
    async with aclosing(live.changes(10)) as changes, asyncio.timeout(2):
        waiting = asyncio.create_task(anext(changes))
        await asyncio.sleep(0.01)
        live.close()
        assert await waiting == []
        assert [changed async for changed in changes] == []
    assert [changed async for changed in live.changes(10)] == []
    assert len(live._listeners) == 0
