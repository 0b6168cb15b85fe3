"""Two servers on one PostgreSQL: they share the work, and no contact notices."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from bot.store.open import open_store
from tests.bot.conftest import until
from tests.bot.load import RULES, Customers, Provider, assert_exactly_its_consequences, settings
from tests.bot.test_crash import until_sent
from tests.server import Server, free_port

pytestmark = pytest.mark.slow
EACH = 25


class Held(Provider):
    """Never answers one phone's messages until it is let go."""

    held_phone = ""
    holding = False

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.let_go = asyncio.Event()

    async def _handle(self, received: Any) -> Any:
        if (await received.post())["To"] == self.held_phone:
            self.holding = True
            await self.let_go.wait()
        return await super()._handle(received)


@pytest.fixture
async def provider() -> AsyncIterator[Held]:
    async with Held(free_port()) as stand_in:
        yield stand_in
        stand_in.let_go.set()


def port_of(provider: Provider) -> int:
    return int(provider.url.rpartition(":")[2])


async def test_with_load_on_both_nodes_every_contact_is_answered_once_and_in_order(
    serve, fresh_postgres, tmp_path, provider
):
    nodes = [await serve(fresh_postgres, rules=RULES, **settings(port_of(provider))) for _ in range(2)]
    customers = Customers(nodes, [f"+1202777{number:04d}" for number in range(40)])
    async with asyncio.timeout(120):
        await customers.text(EACH)
    async with open_store(fresh_postgres, tmp_path) as store:
        await until_sent(store, 60)
        ends = await assert_exactly_its_consequences(store, customers, provider)
    assert ends == {"sent, arrived 1 times": 40 * EACH}
    for phone in customers.phones:
        assert provider.bodies_to(phone) == [f"{n} after n {n}" for n in range(EACH)]
    assert not customers.refusals
    for node in nodes:
        async with aiohttp.ClientSession() as client, client.get(f"{node.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        [sent] = [line for line in lines if line.startswith('textwright_sends_total{channel="main",outcome="sent"}')]
        assert float(sent.split()[-1]) > 0, "both nodes send"


async def test_what_a_busy_node_took_is_answered_by_the_other_at_once(serve, fresh_postgres, provider):
    provider.held_phone = "+12027770001"
    options = settings(port_of(provider), concurrency=1, answer_seconds=60)
    busy: Server = await serve(fresh_postgres, rules=RULES, **options)
    await Customers([busy], [provider.held_phone]).text(1)
    await until(lambda: provider.holding)
    await serve(fresh_postgres, rules=RULES, **options)
    await asyncio.sleep(1.0)
    asked = time.monotonic()
    await Customers([busy], ["+12027770002"]).text(1)
    await until(lambda: provider.bodies_to("+12027770002"))
    # Without a notice the other node would look by itself every five seconds.
    assert time.monotonic() - asked < 2.0
    assert provider.bodies_to(provider.held_phone) == []


async def test_a_node_that_is_killed_leaves_its_work_to_the_other(serve, fresh_postgres, tmp_path, provider):
    nodes = [await serve(fresh_postgres, rules=RULES, **settings(port_of(provider))) for _ in range(2)]
    customers = Customers(nodes, [f"+1202777{number:04d}" for number in range(20)])
    load = asyncio.create_task(customers.text())
    await asyncio.sleep(1.0)
    nodes[0].kill()
    await asyncio.sleep(1.0)
    customers.stopping = True
    await load
    async with open_store(fresh_postgres, tmp_path) as store:
        await until_sent(store, 60)
        ends = await assert_exactly_its_consequences(store, customers, provider)
    assert ends["sent, arrived 1 times"] > 20
