"""The list of opt-outs that Telnyx keeps: read at the start and every hour, and written to consent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from adapters.errors import Misconfigured, SendError
from adapters.http import Http
from bot.opt_out_sync import OptOutSync
from tests.bot.channels import RULES, Desk, desk
from tests.bot.conftest import until
from tests.bot.load import table
from tests.providers.telnyx import PROVIDER, TelnyxStandIn, refused
from tests.server import NUMBER, free_port

pytestmark = pytest.mark.slow

PROFILE = PROVIDER.settings["messaging_profile_id"]
TELNYX = "+12025550142"
ANA, BEN, CLEO = "+12025550131", "+12025550132", "+12025550133"


def entry(phone: str, profile: str = PROFILE) -> dict[str, str]:
    return {
        "from": TELNYX, "to": phone, "keyword": "STOP", "messaging_profile_id": profile,
        "created_at": "2026-11-20T18:10:02.574Z",
    }  # fmt: skip


@dataclass
class Listed:
    """A node whose provider has a list."""

    shop: Desk
    telnyx: TelnyxStandIn
    sync: OptOutSync

    async def opted_in(self, phone: str) -> bool | None:
        rows = await table(self.shop.store, f"SELECT opted_in FROM phones WHERE number = '{phone}'")
        return bool(rows[0]["opted_in"]) if rows else None


@asynccontextmanager
async def listed(store_url, tmp_path) -> AsyncIterator[Listed]:
    async with TelnyxStandIn(PROVIDER.settings["api_key"]) as telnyx, Http(1, 0.5) as http:
        main = {"adapter": "telnyx", "numbers": [TELNYX], "api_base": telnyx.url, **PROVIDER.settings}
        async with desk(store_url, tmp_path, channels__main=main) as shop:
            node = shop.node
            yield Listed(shop, telnyx, OptOutSync(node.config, shop.store, node.suppressions, http, shop.clock))


@pytest.fixture
async def node(store_url, tmp_path):
    async with listed(store_url, tmp_path) as made:
        yield made


async def test_who_is_on_it_is_opted_out_with_a_line_in_the_history_and_what_waits_is_cancelled(node):
    await node.shop.make(ANA)
    await node.shop.make(BEN)
    later = node.shop.clock.now + 10**10
    waits = await node.shop.send(ANA, "later", number=NUMBER, channel="sim", send_at=later)
    node.telnyx.opt_outs = [entry(ANA)]
    assert await node.sync.read("main") == 1
    assert (await node.opted_in(ANA), await node.opted_in(BEN)) == (False, True)
    assert (await node.shop.message(waits))["state"] == "cancelled"
    rows = await table(
        node.shop.store, f"SELECT event, actor FROM consent_events WHERE phone = '{ANA}' ORDER BY at, id"
    )
    assert [(row["event"], row["actor"]) for row in rows][-1] == ("opted_out", "provider")
    assert await node.sync.read("main") == 0, "and it is news only once"
    assert len(await table(node.shop.store, f"SELECT 1 FROM consent_events WHERE phone = '{ANA}'")) == len(rows)


async def test_one_whom_we_do_not_know_yet_begins_opted_out_and_start_lets_them_in(node):
    node.telnyx.opt_outs = [entry(CLEO)]
    assert await node.sync.read("main") == 0
    assert await node.opted_in(CLEO) is None, "nobody is made a contact by it"
    await node.shop.text(CLEO, "HOURS")
    assert await node.opted_in(CLEO) is False
    assert await node.shop.messages(CLEO) == []
    await node.shop.text(CLEO, "START")
    assert await node.opted_in(CLEO) is True


async def test_who_opted_in_with_us_since_stays_so_until_they_are_listed_anew(node):
    await node.shop.text(CLEO, "STOP")
    await node.shop.text(CLEO, "START")
    node.telnyx.opt_outs = [entry(CLEO) | {"created_at": "2020-01-01T00:00:00Z"}]
    assert await node.sync.read("main") == 0
    assert await node.opted_in(CLEO) is True
    node.telnyx.opt_outs.append(entry(CLEO) | {"created_at": "2100-01-01T00:00:00Z"})
    assert await node.sync.read("main") == 1
    assert await node.opted_in(CLEO) is False


async def test_the_list_only_ever_opts_out(node):
    await node.shop.text(ANA, "STOP")
    node.telnyx.opt_outs = []
    assert await node.sync.read("main") == 0
    assert await node.opted_in(ANA) is False


async def test_all_pages_are_read_and_what_is_no_phone_is_passed_over(node):
    node.telnyx.page_limit = 2
    phones = [f"+1203555{number:04d}" for number in range(7)]
    for phone in phones:
        await node.shop.make(phone)
    node.telnyx.opt_outs = [*map(entry, phones), entry("redacted"), entry(""), entry(ANA, "another profile")]
    assert await node.sync.read("main") == 7
    assert {await node.opted_in(phone) for phone in phones} == {False}


async def test_a_list_of_thousands_is_written_in_batches(store_url, tmp_path):
    async with listed(store_url, tmp_path) as node:
        node.telnyx.opt_outs = [entry(f"+1203{number:07d}") for number in range(2000000, 2001200)]
        known = [f"+120320{number:05d}" for number in (0, 501, 1199)]
        for phone in known:
            await node.shop.make(phone)
        assert await node.sync.read("main") == 3
        assert len(await table(node.shop.store, "SELECT 1 FROM suppressions")) == 1197


@pytest.mark.parametrize("trouble", ["401", "500", "hang", "hang_up"])
async def test_while_the_list_cannot_be_read_nothing_changes(trouble, node):
    await node.shop.make(ANA)
    node.telnyx.opt_outs = [entry(ANA)]
    if trouble == "401":
        node.telnyx.answer_with(refused("10009", "Authentication failed", 401))
    elif trouble == "500":
        node.telnyx.answer_with(refused("10007", "Unexpected error", 500))
    elif trouble == "hang":
        node.telnyx.hang()
    else:
        node.telnyx.hang_up()
    with pytest.raises(Misconfigured if trouble == "401" else SendError):
        await node.sync.read("main")
    assert await node.opted_in(ANA) is True
    assert await node.sync.read("main") == 1


@pytest.mark.parametrize("answer", [(200, {}, "no JSON"), (200, {}, {"data": 7}), (200, {}, {"data": [7, None, {}]})])
async def test_whatever_it_answers_the_worker_goes_on(answer, node):
    node.telnyx.answer_with(answer)
    draining = asyncio.Event()
    working = asyncio.create_task(node.sync.work(draining))
    await node.telnyx.wait_for(1)
    await asyncio.sleep(0.05)
    assert not working.done()
    draining.set()
    await asyncio.wait_for(working, 5)


async def test_a_failure_that_nobody_foresaw_does_not_end_the_worker(node, monkeypatch):
    calls = []

    async def fails(name):
        calls.append(name)
        raise KeyError("surprise")

    monkeypatch.setattr(node.sync, "read", fails)
    draining = asyncio.Event()
    working = asyncio.create_task(node.sync.work(draining))
    await until(lambda: calls)
    await asyncio.sleep(0.05)
    assert not working.done()
    draining.set()
    await asyncio.wait_for(working, 5)


async def test_two_nodes_that_read_at_once_write_it_once(fresh_postgres, tmp_path):
    async with listed(fresh_postgres, tmp_path) as node, Http(1, 2) as http:
        phones = [f"+1203555{number:04d}" for number in range(20)]
        for phone in phones:
            await node.shop.make(phone)
        node.telnyx.opt_outs = [*map(entry, phones)]
        other = OptOutSync(node.shop.node.config, node.shop.store, node.shop.node.suppressions, http, node.shop.clock)
        counts = await asyncio.gather(node.sync.read("main"), other.read("main"))
        assert sum(counts) == 20
        rows = await table(node.shop.store, "SELECT phone FROM consent_events WHERE event = 'opted_out'")
        assert sorted(row["phone"] for row in rows) == phones


@pytest.mark.slow
async def test_a_server_reads_it_when_it_starts(serve, api, client):
    port = free_port()
    main = {
        "adapter": "telnyx", "numbers": [TELNYX], "api_base": f"http://127.0.0.1:{port}", **PROVIDER.settings,
    }  # fmt: skip
    async with TelnyxStandIn(PROVIDER.settings["api_key"], port) as telnyx:
        telnyx.opt_outs = [entry(ANA)]
        server = await serve(rules=RULES, channels__main=main)
        staff = api(server)
        await until(lambda: telnyx.requests)
        message = {"id": "1", "from": ANA, "to": NUMBER, "body": "HOURS"}
        await asyncio.sleep(0.3)
        async with client.post(f"{server.url}/webhooks/sim", json=message) as response:
            assert response.status == 200
        assert not (await staff.phone(ANA))["opted_in"]
