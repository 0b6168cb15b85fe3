"""Event webhooks: each event is told to the routes that ask for it and to no other, once, or not at all."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from standardwebhooks.webhooks import Webhook

from adapters.contract import Receipt
from adapters.errors import Rejected
from bot.changes import write_people
from bot.consent import block, opt_in_by_staff, opt_out, unblock
from bot.contacts import Editing, delete, people_by_id
from bot.events import EVENTS
from bot.people import conversation_from_row
from bot.staff import Draft, queue_drafts
from tests.bot.conftest import NOBODY
from tests.bot.load import table
from tests.bot.service import Service, service
from tests.server import NUMBER, free_port
from tests.staff.conftest import OTHER_SECRET, SECRET
from tests.staff.receiver import Receiver
from tests.web.site import eventually, running_site

RULES = """
version: 1
lists: {club: marketing}
fields: {likes: text}
rules:
  - {id: person, when: {keyword: person}, do: [{handoff: {route: desk}}]}
  - id: mark
    when: {keyword: mark}
    do: [{tag: vip}, {add_to_list: club}, {set: {likes: tea}}]
  - {id: unmark, when: {keyword: unmark}, do: [{untag: vip}, {remove_from_list: club}]}
"""
ANA, BEN = "+12025550131", "+12025550132"


@pytest.fixture
async def node(store_url, tmp_path):
    """A node on a store in which two routes ask for every event, and nobody has been told of any yet."""
    routes = {"routes__desk": NOBODY, "routes__first": NOBODY, "routes__second": NOBODY}
    async with service(store_url, tmp_path, RULES, "2026-03-03 12:00", **routes) as made:
        await meet(made, ANA, BEN)
        yield made


async def meet(node, ana, ben):
    """Ana is known, Ben is not, and what has happened so far is forgotten."""
    node.ana, node.ben = ana, ben
    await subscribe(node, {})
    await node.text(ana, "hello")
    await subscribe(node, {name: ["first", "second"] for name in EVENTS})


async def subscribe(node, wanted):
    """Which routes are told of which events, from now on."""
    async with node.store.transaction() as transaction:
        await transaction.rows("forget_subscriptions")
        rows = [{"event": event, "route": route} for event, routes in wanted.items() for route in routes]
        await transaction.each("add_subscriptions", rows)


async def told(node):
    """(event, route, payload) of all events, the oldest first; what a route of a rule is told is none."""
    rows = await table(node.store, "SELECT * FROM notifications WHERE route <> 'desk' ORDER BY seq")
    return [(row["type"], row["route"], json.loads(row["payload"])) for row in rows]


async def ana(node):
    (row,) = await table(node.store, f"SELECT contact_id FROM phones WHERE number = '{node.ana}'")
    return row["contact_id"]


async def edit(node, *changes):
    """Staff change Ana."""
    async with node.editing(await ana(node)) as editing:
        for change in changes:
            change(editing)


async def consent(node, *changes):
    await edit(node, *(lambda editing, change=change: editing.change(node.ana, change, "a test") for change in changes))


async def receive(node, state):
    """A text is sent to Ana, and the provider says what became of it."""
    await send(node)
    receipt = Receipt(node.notebook.sent[-1].id, state, "30005")
    await node.intake.submit(node.config.channels["sim"], [receipt])


async def send(node):
    draft = Draft(node.ana, "Hello.", (), "bo", NUMBER, "sim")
    async with node.store.transaction() as transaction:
        await queue_drafts(transaction, [draft], now=node.clock(), first=lambda phone: ("", ""))
    await node.settle()


async def fail(node):
    async def refused(message, http):
        raise Rejected("the number is unknown")

    node.notebook.send, usual = refused, node.notebook.send
    await send(node)
    node.notebook.send = usual


async def remove(node):
    id_ = await ana(node)
    async with node.store.transaction() as transaction:
        concerns = node.rules.current.concerns
        editing = await Editing.begin(transaction, node.suppressions, concerns, id_, "staff bo", node.clock())
        await delete(transaction, editing)


async def close(node):
    await node.text(node.ana, "PERSON")
    (row,) = await table(node.store, f"SELECT * FROM conversations WHERE phone = '{node.ana}'")
    before = conversation_from_row(row)
    async with node.store.transaction() as transaction:
        pairs = [(before, before.handed_back())]
        await write_people(transaction, [], [], pairs, at=node.clock(), source="bo")


Cause = Callable[[Service], Awaitable[object]]
CAUSES: dict[str, list[Cause]] = {
    "contact.created": [lambda node: node.text(node.ben, "hello"), lambda node: node.make(node.ben)],
    "contact.changed": [
        lambda node: edit(node, lambda editing: editing.rename("Ana", None)),
        lambda node: edit(node, lambda editing: editing.rename(None, {"likes": "tea"})),
        lambda node: node.text(node.ana, "MARK"),
    ],
    "contact.deleted": [remove],
    "contact.opted_in": [
        lambda node: consent(node, opt_out, lambda state: opt_in_by_staff(state, "a form")),
    ],
    "contact.opted_out": [lambda node: consent(node, opt_out), lambda node: node.text(node.ana, "STOP")],
    "contact.blocked": [lambda node: consent(node, block)],
    "contact.unblocked": [lambda node: consent(node, block, unblock)],
    "list.joined": [
        lambda node: edit(node, lambda editing: editing.join("club")),
        lambda node: node.text(node.ana, "MARK"),
        lambda node: node.make(node.ben, "club"),
    ],
    "list.left": [lambda node: marked(node)],
    "tag.added": [
        lambda node: edit(node, lambda editing: editing.tag("vip", "")),
        lambda node: node.text(node.ana, "MARK"),
    ],
    "tag.removed": [lambda node: marked(node)],
    "conversation.routed": [lambda node: node.text(node.ana, "PERSON")],
    "conversation.closed": [close],
    "message.received": [lambda node: node.text(node.ana, "hello again")],
    "message.sent": [send],
    "message.delivered": [lambda node: receive(node, "delivered")],
    "message.undelivered": [lambda node: receive(node, "undelivered")],
    "message.failed": [fail, lambda node: receive(node, "failed")],
}
# About no person, and told to the default route too: tests/bot/test_failover.py and tests/numbers.
ELSEWHERE = {"channel.out", "channel.back", "number.bought", "number.trouble"}
_EACH = [(name, number) for name, causes in CAUSES.items() for number in range(len(causes))]


async def marked(node):
    await node.text(node.ana, "MARK")
    await node.text(node.ana, "UNMARK")


def test_every_event_has_a_cause_here():
    assert set(CAUSES) | ELSEWHERE == set(EVENTS)
    assert not set(CAUSES) & ELSEWHERE


async def test_what_causes_an_event_tells_each_route_that_asks_once(node):
    for place, (name, number) in enumerate(_EACH):
        await meet(node, f"+1301555{place:04d}", f"+1302555{place:04d}")
        before = len(await told(node))
        await CAUSES[name][number](node)
        found = [(route, data) for event, route, data in (await told(node))[before:] if event == name]
        assert Counter(route for route, _ in found) == {"first": 1, "second": 1}, (name, number)
        assert found[0][1] == found[1][1]
        data = found[0][1]
        assert data["at"] == "2026-03-03T17:00:00.000Z"
        assert (data.get("message") or data.get("conversation") or data["contact"])["id"]


async def test_with_a_contact_everything_that_was_told_of_them_goes(node):
    await marked(node)
    await send(node)
    await edit(node, lambda editing: editing.rename("Ana", None))
    await consent(node, opt_out, block, unblock)
    await node.text(node.ben, "MARK")
    id_ = await ana(node)
    about = {event for event, _, data in await told(node) if id_ in json.dumps(data)}
    assert about >= {"tag.removed", "list.left", "contact.changed", "contact.blocked", "contact.opted_out"}
    others = [item for item in await told(node) if node.ben in json.dumps(item)]
    await remove(node)
    assert {event for event, _, data in await told(node) if id_ in json.dumps(data)} == {"contact.deleted"}
    assert [item for item in await told(node) if node.ana in json.dumps(item)] == []
    assert [item for item in await told(node) if node.ben in json.dumps(item)] == others


async def test_a_route_hears_of_nothing_that_it_did_not_ask_for(node):
    await subscribe(node, {"tag.added": ["first"], "message.received": ["second"]})
    await marked(node)
    await node.text(node.ben, "STOP")
    assert Counter((event, route) for event, route, _ in await told(node)) == {
        ("tag.added", "first"): 1, ("message.received", "second"): 3,
    }  # fmt: skip


async def test_nodes_that_start_in_the_same_moment_agree_on_who_is_told(node):
    wanted = {"tag.added": ["first", "second"]}
    for _ in range(5):
        await asyncio.gather(*(subscribe(node, wanted) for _ in range(4)))
    await node.text(node.ana, "MARK")
    assert [(event, route) for event, route, _ in await told(node)] == [("tag.added", "first"), ("tag.added", "second")]


async def test_where_nobody_asks_nothing_is_written(node):
    await subscribe(node, {})
    await marked(node)
    await consent(node, opt_out)
    await node.make(node.ben, "club")
    assert await told(node) == []


async def test_what_was_rolled_back_is_told_to_nobody(node):
    person = (await people(node))[0]
    after = replace(person.contact, name="Ana", tags=frozenset({"vip"}))
    seen = Counter()

    async def write():
        async with node.store.transaction() as transaction:
            await write_people(transaction, [(person.contact, after)], [], [], at=node.clock(), source="bo")
            rows = await transaction.rows("page_notifications", state=None, cursor=2**62, limit=100)
            seen.update(row["type"] for row in rows)
            raise RuntimeError("the disk is full")

    with pytest.raises(RuntimeError):
        await write()
    assert seen == {"tag.added": 2, "contact.changed": 2}
    assert await told(node) == []


async def people(node):
    id_ = await ana(node)
    async with node.store.snapshot() as transaction:
        return await people_by_id(transaction, [id_])


async def test_what_changes_nothing_tells_nothing(node):
    await node.text(node.ana, "MARK")
    before = await told(node)
    await node.text(node.ana, "MARK")
    await edit(node, lambda editing: editing.tag("vip", ""), lambda editing: editing.join("club"))
    await edit(node, lambda editing: editing.rename("", {"likes": "tea"}))
    assert [event for event, _, _ in (await told(node))[len(before) :]] == ["message.received"] * 2


async def test_a_second_handoff_after_the_time_of_staff_is_told_and_one_in_it_is_not(node):
    await node.text(node.ana, "PERSON")
    await node.text(node.ana, "PERSON")
    (row,) = await table(node.store, "SELECT staff_until FROM conversations")
    node.clock.now = row["staff_until"]
    await node.text(node.ana, "PERSON")
    events = [event for event, route, _ in await told(node) if route == "first"]
    assert events.count("conversation.routed") == 2


async def test_a_receipt_that_comes_twice_or_late_is_told_once(node):
    await send(node)
    id_ = node.notebook.sent[-1].id
    for state in ("delivered", "delivered", "sent", "undelivered"):
        await node.intake.submit(node.config.channels["sim"], [Receipt(id_, state)])
    events = Counter(event for event, route, _ in await told(node) if route == "first")
    assert (events["message.sent"], events["message.delivered"], events["message.undelivered"]) == (1, 1, 0)


async def test_of_whoever_is_deleted_nothing_but_the_id_is_left_to_be_told(node):
    await edit(node, lambda editing: editing.rename("Ana Ruiz", {"likes": "tea"}))
    await consent(node, opt_out)
    id_ = await ana(node)
    await remove(node)
    left = await told(node)
    assert {(event, data["contact"]["id"]) for event, _, data in left} == {("contact.deleted", id_)}
    assert "Ruiz" not in json.dumps(left)
    assert node.ana not in json.dumps(left)


async def test_a_server_and_its_commands_tell_signed_and_once(tmp_path_factory, client):
    port = free_port()
    wanted = ["contact.created", "list.joined", "tag.added", "message.received", "message.sent"]
    with running_site(
        tmp_path_factory.mktemp("events"), "sqlite:///test.db", rules=RULES,
        env={"DESK_SECRET": SECRET, "CRM_SECRET": OTHER_SECRET},
        routes__desk={"url": f"http://127.0.0.1:{port}/desk", "secret": {"env": "DESK_SECRET"}, "allow_private": True},
        routes__crm={"url": f"http://127.0.0.1:{port}/crm", "secret": {"env": "CRM_SECRET"}, "allow_private": True,
                     "events": [*wanted, "contact.created"]},
    ) as site:  # fmt: skip
        async with Receiver(port) as receiver:
            await site.customer(client, ANA).text("MARK")
            people = site.server.folder / "people.csv"
            people.write_text("phone,name,tags\n+12025550141,Bo,new\n+12025550142,Cy,new\n", encoding="utf-8")
            made = site.server.command("contacts", "import", str(people), "--list", "club")
            assert made.returncode == 0, made.stderr + made.stdout

            async def all_there():
                return receiver.told if len(receiver.told) >= 4 + 6 else None

            found = await eventually(all_there, "all that was asked for")
            assert {said.path for said in found} == {"/crm"}
            for said in found:
                Webhook(OTHER_SECRET).verify(said.body, dict(said.headers))
            assert len({said.id for said in found}) == len(found)
            assert Counter(said.json["type"] for said in found) == {
                "contact.created": 3, "list.joined": 3, "tag.added": 3, "message.received": 1,
            }  # fmt: skip
            names = {said.json["data"]["contact"]["name"] for said in found if said.json["type"] == "contact.created"}
            assert names == {"", "Bo", "Cy"}
            (route,) = [item for item in (await site.api(client).get("/routes"))["items"] if item["name"] == "crm"]
            assert route["events"] == wanted
