"""Queueing one text to many: nobody is lost or texted twice, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter

import pytest

from bot.broadcasting import Broadcaster
from bot.changes import dumps
from bot.store.open import open_store
from tests.bot.course import arrived
from tests.bot.load import table
from tests.bot.service import service
from tests.server import Customer
from tests.web.site import eventually
from tests.web.test_broadcasts import OVER, done, send

RULES = 'version: 1\nrules: [{id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}]\n'


async def fill(store_url, folder, count):
    """Contacts, put into the store at once; their phones, by contact."""
    made = {f"019a0000-0000-7000-8000-{n:012x}": f"+1{203 + n // 10000}777{n % 10000:04d}" for n in range(count)}
    async with open_store(store_url, folder, exclusive=False) as store, store.transaction() as transaction:
        row = {"name": "", "search": "", "fields": "{}", "source": "test", "at": 1}
        await transaction.each("insert_contacts", [row | {"id": id_} for id_ in made])
        phone = {"label": "cell", "opted_in": 1, "blocked": 0, "do_not_contact": 0, "wrong_number": 0, "at": 1}
        phones = [phone | {"number": number, "contact_id": id_} for id_, number in made.items()]
        await transaction.each("upsert_phones", phones)
    return made


class TestMany:
    async def test_calling_it_back_stops_what_waits_and_what_is_queued(self, serve, store_url, tmp_path, api):
        server = await serve(store_url, rules=RULES, channels__sim={"rate_per_second": 5})
        admin = api(server)
        await fill(store_url, server.folder, 1500)
        broadcast = await send(admin, to={"matching": {}})
        await eventually(lambda: _queued(admin, broadcast), "some are queued")
        status, back = await admin.call("POST", f"/broadcasts/{broadcast['id']}/cancel")
        assert (status, back["cancelled"]) == (200, True)
        after = await done(admin, broadcast)
        await asyncio.sleep(0.5)
        assert await admin.get(f"/broadcasts/{broadcast['id']}") == after
        assert after["progress"]["cancelled"] > 1400
        assert sum(after["progress"].values()) == 1500
        texts = arrived(server.folder)
        assert len(texts) == after["progress"].get("sent", 0)

    @pytest.mark.slow
    async def test_a_customer_is_answered_at_once_while_five_thousand_are_texted(
        self, serve, store_url, client, api, record_property
    ):
        server = await serve(store_url, rules=RULES)
        admin = api(server)
        await fill(store_url, server.folder, 5000)
        broadcast = await send(admin, to={"matching": {}})
        waits = []
        while set((await admin.get(f"/broadcasts/{broadcast['id']}"))["progress"]) - OVER:
            customer = Customer(server, client, f"+1301777{len(waits):04d}")
            asked = time.monotonic()
            await customer.text("HOURS")
            await customer.wait_for(1)
            waits.append(time.monotonic() - asked)
        record_property("waits", waits)
        assert len(waits) >= 3, "it was under way"
        assert max(waits) < 2.0, waits

    @pytest.mark.slow
    async def test_killed_in_the_middle_everybody_gets_it_exactly_once(self, serve, store_url, api):
        """What was being sent at a kill is held as unknown: it may or may not have left, and is not sent again."""
        server = await serve(store_url, rules=RULES)
        admin = api(server)
        made = await fill(store_url, server.folder, 3000)
        broadcast = await send(admin, to={"matching": {}})
        waiting = []
        for _ in range(4):
            await asyncio.sleep(random.uniform(0.05, 0.25))
            waiting.append((await admin.get(f"/broadcasts/{broadcast['id']}"))["progress"].get("waiting", 0))
            server.kill()
            await server.start()
        assert 0 < waiting[1] < 3000, waiting
        await _assert_each_once(store_url, made, [broadcast], [server.folder])

    @pytest.mark.slow
    async def test_two_nodes_text_each_exactly_once(self, serve, fresh_postgres, api):
        nodes = [await serve(fresh_postgres, rules=RULES) for _ in range(2)]
        made = await fill(fresh_postgres, nodes[0].folder, 2000)
        broadcasts = [await send(api(node), to={"matching": {}}) for node in nodes]
        await _assert_each_once(fresh_postgres, made, broadcasts, [node.folder for node in nodes])


async def _queued(admin, broadcast):
    found = (await admin.get(f"/broadcasts/{broadcast['id']}"))["progress"]
    return found if found.get("waiting", 0) < 1500 else None


async def _assert_each_once(store_url, made, broadcasts, folders):
    """Everybody got each of the broadcasts once."""
    async with open_store(store_url, folders[0], exclusive=False) as store:

        async def over():
            unfinished = await table(store, "SELECT 1 FROM broadcasts WHERE finished_at = 0")
            states = "SELECT 1 FROM messages WHERE state IN ('queued', 'sending') LIMIT 1"
            return not unfinished and not await table(store, states)

        await eventually(over, "all of it is sent", 90)
        rows = await table(store, "SELECT * FROM broadcast_recipients")
        messages = {row["id"]: row for row in await table(store, "SELECT * FROM messages")}
    wanted = Counter((item["id"], *pair) for item in broadcasts for pair in made.items())
    assert Counter((row["broadcast_id"], row["contact_id"], row["phone"]) for row in rows) == wanted
    assert {row["state"] for row in rows} == {"queued"}
    assert sorted(row["message_id"] for row in rows) == sorted(messages), "each message is one recipient's"
    assert all(messages[row["message_id"]]["phone"] == row["phone"] for row in rows)
    texts = Counter({phone: len(bodies) for phone, bodies in arrived(*folders).items()})
    for phone in made.values():
        states = Counter(row["state"] for row in messages.values() if row["phone"] == phone)
        assert states["sent"] <= texts[phone] <= states["sent"] + states["unknown"] == len(broadcasts)


class Slowed(Broadcaster):
    """Takes its time over a batch."""

    begun = None

    async def _queue(self, *given):
        if self.begun is not None:
            self.begun.set()
            await asyncio.sleep(0.3)
        return await super()._queue(*given)


@pytest.fixture
async def node(store_url, tmp_path):
    async with service(store_url, tmp_path, RULES, "2026-03-03 12:00") as made:
        yield made


async def begun(node, *phones):
    """A broadcast to new contacts of which nothing is queued yet; who queues it, and the contacts."""
    made = [await node.make(phone) for phone in phones]
    values = {"author": "bo", "body": "Hello", "media": "[]", "number": "", "channel": "", "send_at": 0}
    async with node.store.transaction() as transaction:
        await transaction.rows("add_broadcast", id="b1", audience='{"template":false}', now=node.clock(), **values)
        ids = dumps([person.contact.id for person in made])
        await transaction.rows("address_contacts", broadcast="b1", contacts=ids)
    return Slowed(node.config, node.store, node.rules, node.senders, frozenset(), node.clock), made


class TestBetweenCreationAndQueueing:
    async def test_who_opts_out_is_refused_at_the_gate(self, node):
        broadcaster, _ = await begun(node, "+12025550131", "+12025550132")
        await node.text("+12025550131", "STOP")
        while await broadcaster.deal():
            pass
        rows = await table(node.store, "SELECT phone, state, reason FROM broadcast_recipients ORDER BY phone")
        assert [tuple(row.values()) for row in rows] == [
            ("+12025550131", "refused", "the phone is opted out"), ("+12025550132", "queued", ""),
        ]  # fmt: skip
        await node.settle()
        assert (len(node.notebook.to("+12025550131")), node.notebook.to("+12025550132")) == (1, ["Hello"])

    async def test_called_back_while_a_batch_is_being_queued_nothing_of_it_is_sent(self, node):
        """On PostgreSQL the two are at work at the same time, and what is called back must wait for the batch."""
        broadcaster, _ = await begun(node, "+12025550133", "+12025550134")
        broadcaster.begun = asyncio.Event()
        dealing = asyncio.create_task(broadcaster.deal())
        await broadcaster.begun.wait()
        async with node.store.transaction() as transaction:
            await transaction.rows("cancel_broadcast", id="b1", now=node.clock())
            await transaction.rows("cancel_recipients", id="b1")
            await transaction.rows("cancel_texts_of_broadcast", id="b1", now=node.clock())
        await dealing
        assert not await broadcaster.deal()
        await node.settle()
        assert node.notebook.log == []
        states = await table(node.store, "SELECT state FROM messages")
        assert {row["state"] for row in states} <= {"cancelled"}

    async def test_who_is_deleted_meanwhile_stops_nobody_elses(self, node):
        broadcaster, made = await begun(node, "+12025550135", "+12025550136")
        async with node.store.transaction() as transaction:
            await transaction.rows("delete_contact", id=made[0].contact.id)
        while await broadcaster.deal():
            pass
        await node.settle()
        assert [(recipient, body) for _, recipient, body in node.notebook.log] == [("+12025550136", "Hello")]
