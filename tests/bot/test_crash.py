"""kill -9 at random moments, under load: nothing acknowledged is lost, nothing is done twice."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from bot.store.contract import Store
from bot.store.open import open_store
from tests.bot.conftest import until
from tests.bot.load import RULES, Customers, Provider, assert_exactly_its_consequences, settings, table
from tests.server import free_port

pytestmark = pytest.mark.slow


async def until_sent(store: Store, seconds: float) -> None:
    async def is_sent() -> bool:
        return not await table(store, "SELECT 1 FROM messages WHERE state IN ('queued', 'sending') LIMIT 1")

    await until(is_sent, seconds)


async def killed(serve, store_url: str, base: Path, times: int, settle_seconds: float) -> str:
    """Kill a server `times` times under load; returns how its replies ended, in words."""
    port = free_port()
    async with Provider(port) as provider:
        server = await serve(store_url, rules=RULES, **settings(port))
        customers = Customers([server], [f"+1202777{number:04d}" for number in range(24)])
        load = asyncio.create_task(customers.text())
        for _ in range(times):
            await asyncio.sleep(random.uniform(0.05, 0.7))
            assert not load.done()
            server.kill()
            await server.start()
        await asyncio.sleep(0.5)
        customers.stopping = True
        await load
        assert await server.stop() == 0
        await server.start()
        async with open_store(store_url, base, exclusive=False) as store:
            await until_sent(store, settle_seconds)
            ends = await assert_exactly_its_consequences(store, customers, provider)
    return f"{times} kills, {sum(ends.values())} replies: {dict(ends)}, refused: {dict(customers.refusals)}"


async def test_thirty_kills_lose_and_double_nothing_on_sqlite(serve, tmp_path, record_property):
    ends = await killed(serve, f"sqlite:///{tmp_path / 'killed.db'}", tmp_path, 30, 30)
    record_property("ends", ends)
    print(ends)


async def test_five_kills_lose_and_double_nothing_on_postgresql(serve, fresh_postgres, tmp_path, record_property):
    # What a dead node was sending is known to be lost only when its lease is over.
    ends = await killed(serve, fresh_postgres, tmp_path, 5, 60)
    record_property("ends", ends)
    print(ends)
