"""Nobody answers: another route is told, once, and only of those who still wait."""

from __future__ import annotations

import asyncio
import json
import sqlite3

import pytest
from standardwebhooks.webhooks import Webhook

from bot import escalation
from bot.changes import write_people
from bot.escalation import Escalation
from bot.people import conversation_from_row
from bot.routes import Absence, Routes
from bot.staff import StaffReply, queue_staff_replies
from bot.store.open import open_store
from tests.bot.conftest import NOBODY, until
from tests.bot.load import table
from tests.bot.service import service
from tests.server import NUMBER, free_port
from tests.staff.conftest import OTHER_SECRET, SECRET
from tests.staff.receiver import Receiver
from tests.web.site import running_site

RULES = """
version: 1
rules:
  - {id: person, when: {keyword: person}, do: [{handoff: {route: desk}}]}
  - {id: other, when: {keyword: other}, do: [{handoff: {route: other}}]}
"""
ANA, BEN = "+12025550131", "+12025550132"
MINUTE = 60 * 10**6


@pytest.fixture
async def node(store_url, tmp_path):
    """A node whose desk has ten minutes to answer, before the boss is told."""
    routes = {
        "routes__desk": NOBODY | {"escalate_minutes": 10, "escalate_to": "boss"},
        "routes__boss": NOBODY,
        "routes__other": NOBODY,
    }
    async with service(store_url, tmp_path, RULES, "2026-03-03 12:00", **routes) as made:
        yield made


def watch(node, store=None):
    """Who looks for the desk."""
    return Escalation(store or node.store, Routes(node.config.routes, "desk"), node.clock)


async def deal(node):
    """Look once; how many were told of."""
    return await watch(node).deal(node.config.routes["desk"])


async def escalated(node):
    rows = await table(node.store, "SELECT * FROM notifications WHERE type = 'conversation.escalated' ORDER BY seq")
    return [(row["route"], json.loads(row["payload"])) for row in rows]


async def conversation_of(node, phone):
    (row,) = await table(node.store, f"SELECT * FROM conversations WHERE phone = '{phone}'")
    return conversation_from_row(row)


async def answer(node, phone):
    reply = StaffReply((await conversation_of(node, phone)).id, "Here I am.", "bo")
    async with node.store.transaction() as transaction:
        await queue_staff_replies(transaction, [reply], now=node.clock(), staff_seconds=3600)


async def test_the_second_route_is_told_when_the_time_is_over_and_only_once(node):
    await node.text(ANA, "PERSON")
    since = node.clock.now
    node.clock.now = since + 5 * MINUTE
    await node.text(ANA, "anybody?")
    node.clock.now = since + 10 * MINUTE - 1
    assert await deal(node) == 0
    node.clock.now = since + 10 * MINUTE
    assert [await deal(node) for _ in range(3)] == [1, 0, 0]
    ((route, data),) = await escalated(node)
    assert route == "boss"
    assert (data["route"], data["note"]) == ("desk", "Nobody on desk has answered for 10 minutes.")
    assert (data["conversation"]["phone"], data["conversation"]["number"]) == (ANA, NUMBER)
    assert data["contact"]["id"]
    assert data["waiting_since"] == "2026-03-03T17:00:00.000Z"


async def test_who_was_answered_is_not_told_of_until_they_wait_again(node):
    await node.text(ANA, "PERSON")
    node.clock.now += 9 * MINUTE
    await answer(node, ANA)
    node.clock.now += 30 * MINUTE
    assert await deal(node) == 0
    await node.text(ANA, "one more thing")
    node.clock.now += 9 * MINUTE
    assert await deal(node) == 0
    node.clock.now += MINUTE
    assert await deal(node) == 1
    await answer(node, ANA)
    await node.text(ANA, "and another")
    node.clock.now += 10 * MINUTE
    assert await deal(node) == 1, "each time that they wait"
    assert len(await escalated(node)) == 2


async def test_a_conversation_that_is_closed_or_over_or_anothers_is_not_told_of(node):
    phones = [f"+1202555014{n}" for n in range(4)]
    for phone in phones:
        await node.text(phone, "OTHER" if phone == phones[3] else "PERSON")
    closed = await conversation_of(node, phones[0])
    async with node.store.transaction() as transaction:
        given = {"at": node.clock(), "source": "bo"}
        await write_people(transaction, [], [], [(closed, closed.handed_back())], **given)
    over = await conversation_of(node, phones[1])
    node.clock.now = over.staff_until
    await node.text(phones[2], "PERSON")
    node.clock.now += 10 * MINUTE
    assert await deal(node) == 1
    assert [data["conversation"]["phone"] for _, data in await escalated(node)] == [phones[2]]


async def test_whoever_stops_waits_for_nobody(node):
    await node.text(ANA, "PERSON")
    await node.text(ANA, "STOP")
    node.clock.now += 20 * MINUTE
    assert await deal(node) == 0


async def test_who_stands_in_for_the_second_route_is_told(node):
    await node.text(ANA, "PERSON")
    node.clock.now += 10 * MINUTE
    watching = watch(node)
    watching._all.absences = {"boss": Absence(node.clock.now + 1, "other")}
    await watching.deal(node.config.routes["desk"])
    assert [route for route, _ in await escalated(node)] == ["other"]


async def test_nodes_that_look_at_the_same_time_tell_once(node, store_url, tmp_path):
    phones = [f"+1202555{n:04d}" for n in range(140, 170)]
    for phone in phones:
        await node.text(phone, "PERSON")
    node.clock.now += 10 * MINUTE
    async with open_store(store_url, tmp_path, exclusive=False) as second:
        stores = [node.store, second, node.store, second]
        found = await asyncio.gather(*(watch(node, store).deal(node.config.routes["desk"]) for store in stores))
    assert sum(found) == 30
    assert sorted(data["conversation"]["phone"] for _, data in await escalated(node)) == phones


async def test_whoever_looks_at_the_conversation_hears_of_it(node):
    heard = []
    node.store.on_change(heard.append)
    await node.text(ANA, "PERSON")
    own = (await conversation_of(node, ANA)).id
    node.clock.now += 10 * MINUTE
    await asyncio.sleep(0.1)
    heard.clear()
    await deal(node)
    await until(lambda: frozenset({own}) in heard, 2)


async def test_the_worker_looks_until_the_server_drains_whatever_the_store_says(node, monkeypatch):
    monkeypatch.setattr(escalation, "LOOK_SECONDS", 0.02)
    await node.text(ANA, "PERSON")
    node.clock.now += 10 * MINUTE
    watching, draining = watch(node), asyncio.Event()
    deals, failures = watching.deal, [escalation.StoreError("it is away"), escalation.StoreError("still")]

    async def failing(route):
        if failures:
            raise failures.pop()
        return await deals(route)

    monkeypatch.setattr(watching, "deal", failing)
    working = asyncio.create_task(watching.work(draining))

    async def is_told():
        return await escalated(node)

    await until(is_told)
    draining.set()
    await asyncio.wait_for(working, 1)


async def test_a_server_tells_both_routes_each_with_its_own_signature(tmp_path_factory, client):
    """The desk is given a conversation by hand; and when it does not answer, the boss is told."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with running_site(
        tmp_path_factory.mktemp("escalation"), "sqlite:///test.db", rules=RULES,
        env={"DESK_SECRET": SECRET, "BOSS_SECRET": OTHER_SECRET},
        routes__desk={"url": f"{base}/desk", "secret": {"env": "DESK_SECRET"}, "allow_private": True,
                      "escalate_minutes": 10, "escalate_to": "boss"},
        routes__boss={"url": f"{base}/boss", "secret": {"env": "BOSS_SECRET"}, "allow_private": True},
        routes__other={"url": f"{base}/other", "secret": {"env": "BOSS_SECRET"}, "allow_private": True},
    ) as site:  # fmt: skip
        admin, ana = site.api(client), site.customer(client, ANA)
        async with Receiver(port) as receiver:
            await ana.text("hello")
            (conversation,) = (await admin.get("/conversations"))["items"]
            body = {"route": "desk", "note": "For you."}
            assert (await admin.call("PATCH", f"/conversations/{conversation['id']}", body))[0] == 200
            (given,) = await receiver.wait_for(ANA)
            event = Webhook(SECRET).verify(given.body, dict(given.headers))
            assert (given.path, event["type"], event["data"]["note"]) == ("/desk", "conversation.routed", "For you.")
            await ana.text("anybody?")
            with sqlite3.connect(site.server.folder / "test.db", timeout=10) as store:
                store.execute("UPDATE conversations SET waiting_since = waiting_since - 600000000")
            store.close()
            (_, _, late) = await receiver.wait_for(ANA, 3)
            event = Webhook(OTHER_SECRET).verify(late.body, dict(late.headers))
            assert (late.path, event["type"]) == ("/boss", "conversation.escalated")
