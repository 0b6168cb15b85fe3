"""Who is told first: what a person waits for before events, and no route at the cost of the others; and how long what
was told is kept."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from bot.alerts import alert
from bot.changes import notification
from bot.events import event
from bot.metrics import Metrics
from bot.notify import Notifier
from bot.tidying import Tidying
from tests.bot.conftest import SECRET
from tests.bot.load import table
from tests.bot.service import service
from tests.server import free_port
from tests.staff.receiver import Receiver
from tests.web.site import eventually

RULES = "version: 1\nrules: [{id: hours, when: {keyword: hours}, do: [{reply: '9 to 5'}]}]\n"
EVENT = "contact.created"


@asynccontextmanager
async def silence():
    """The port of a receiver that takes connections and never answers."""
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


@pytest.fixture
async def port():
    return free_port()


@pytest.fixture
async def node(store_url, tmp_path, port):
    """A node with a route that never answers, and two that do."""
    async with silence() as silent:
        places = {"desk": silent, "boss": port, "office": port}
        routes = {
            f"routes__{name}": {"url": f"http://127.0.0.1:{place}/{name}", "secret": SECRET, "allow_private": True}
            for name, place in places.items()
        }
        routes["routes__boss"]["default"] = True
        async with service(store_url, tmp_path, RULES, "2026-03-03 12:00", **routes) as made:
            yield made


async def tell(node, route, count=1, kind="conversation.routed"):
    """So many notifications that somebody waits for."""
    rows = [notification(route, kind, {}, at=node.clock(), conversation_id=None) for _ in range(count)]
    async with node.store.transaction() as transaction:
        await transaction.each("insert_notifications", rows)


async def publish(node, route, count):
    """So many events that a route asked for."""
    async with node.store.transaction() as transaction:
        await transaction.rows("forget_subscriptions")
        await transaction.each("add_subscriptions", [{"event": EVENT, "route": route}])
        await transaction.each("publish_events", [event(EVENT, {}, at=node.clock() - 1) for _ in range(count)])


async def claim(node, transaction, share):
    """What a node would tell now, so many of each route."""
    now = node.clock()
    return await transaction.rows(
        "claim_notifications", now=now, lease_until=now + 9, limit=4 * share, share=share, held="[]"
    )


@asynccontextmanager
async def at_work(node):
    """A notifier that is at work."""
    notifier, draining = Notifier(node.config, node.store, Metrics(), node.clock), asyncio.Event()
    await notifier.open()
    work = asyncio.create_task(notifier.work(draining))
    try:
        yield
    finally:
        await notifier.close()
        work.cancel()
        await asyncio.wait({work})


async def until_told(receiver, count, seconds=5.0):
    """What came, once there is so much."""

    async def there():
        return receiver.told if len(receiver.told) >= count else []

    return await eventually(there, f"{count} deliveries", seconds)


async def test_a_route_that_never_answers_keeps_nobody_from_the_others(node, port):
    async with Receiver(port) as receiver:
        await publish(node, "desk", 150)
        await tell(node, "desk", 150)
        async with at_work(node):
            await asyncio.sleep(0.3)
            await tell(node, "boss")
            async with node.store.transaction() as transaction:
                await transaction.wake("notifications")
            [told] = await until_told(receiver, 1, seconds=2)
            assert told.path == "/boss"
            rows = await table(node.store, "SELECT id FROM notifications WHERE state = 'sending' AND route = 'desk'")
            assert 0 < len(rows) <= 4


async def test_what_a_person_waits_for_goes_before_events(node, port):
    async with Receiver(port) as receiver:
        await publish(node, "office", 300)
        await tell(node, "boss", 2)
        await tell(node, "office")
        async with at_work(node):
            told = await until_told(receiver, 303)
    kinds = [item.json["type"] for item in told]
    # The first claim: two for the one route, four for the other, which then come in any order.
    assert kinds[:6].count("conversation.routed") == 3
    assert kinds.count(EVENT) == 300


async def test_an_alert_is_no_event_like_others_for_who_asked_for_it(node):
    async with node.store.transaction() as transaction:
        await transaction.each("add_subscriptions", [{"event": "channel.out", "route": "office"}])
        await alert(transaction, node.config, "channel.out", {"channel": "sim"}, "It is out.", at=node.clock())
    rows = await table(node.store, "SELECT priority FROM notifications")
    assert [row["priority"] for row in rows] == [0, 0]


async def test_of_a_route_that_is_no_more_is_told_nobody_and_it_ends(node):
    await tell(node, "closed_down", 9)
    notifier = Notifier(node.config, node.store, Metrics(), node.clock)
    await notifier.run_until_idle()
    rows = await table(node.store, "SELECT state FROM notifications")
    assert [row["state"] for row in rows] == ["dead"] * 9


async def test_what_was_told_long_ago_is_forgotten_and_what_could_not_be_told_later(node, monkeypatch):
    monkeypatch.setattr("bot.tidying._MOST_FORGOTTEN", 4)
    kinds = {"queued": 3, "delivered": 9, "dead": 5}
    for kind, count in kinds.items():
        await tell(node, "office", count, kind)
    async with node.store.transaction() as transaction:
        rows = await claim(node, transaction, 100)
        fates = [{"id": row["id"], "state": row["type"], "error": "", "due_at": 0} for row in rows]
        await transaction.each("settle_notifications", fates, now=node.clock())
    tidying = Tidying(node.config, node.store, node.intake, node.clock)
    for days, left in ((29, kinds), (2, kinds | {"delivered": 0}), (58, kinds | {"delivered": 0}), (2, {"queued": 3})):
        node.clock.now += days * 86_400_000_000
        await tidying.forget()
        rows = await table(node.store, "SELECT state FROM notifications")
        assert Counter(row["state"] for row in rows) == Counter(left)


@pytest.mark.parametrize("waiting", [100, 20_000])
async def test_a_claim_costs_the_same_however_many_wait(node, waiting):
    """It reads the first few of each route, and no more."""
    for _ in range(waiting // 100):
        await tell(node, "office", 50)
    await publish(node, "desk", waiting // 2)
    taken = []
    for _ in range(5):
        begun = time.perf_counter()
        async with node.store.transaction() as transaction:
            rows = await claim(node, transaction, 4)
        taken.append(time.perf_counter() - begun)
        assert [row["type"] for row in rows].count(EVENT) == 4
        assert len(rows) == 8
    assert min(taken) < 0.05


async def test_what_a_dead_server_was_telling_is_told_at_once_where_no_other_node_can_be_at_it(node):
    await tell(node, "boss", 3)
    async with node.store.transaction() as transaction:
        assert len(await claim(node, transaction, 4)) == 3
    await Notifier(node.config, node.store, Metrics(), node.clock).recover()
    states = {row["state"] for row in await table(node.store, "SELECT state FROM notifications")}
    assert states == ({"sending"} if node.store.shared else {"queued"})
