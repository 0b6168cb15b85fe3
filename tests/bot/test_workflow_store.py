"""The tables and queries of workflows on both engines, and their migration on top of a store with data."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from bot.changes import dumps, list_event, message_row, note_row, occurrence
from bot.consent import PhoneConsent
from bot.people import Conversation, Run, run_from_row
from bot.store.contract import Store, StoreError
from bot.store.migrate import migrations
from bot.store.open import open_store
from tests.bot.load import table

pytestmark = pytest.mark.slow

ANA, BEN = "ana", "ben"
PHONES = {ANA: "+12025550123", BEN: "+12025550124"}


def run(id_: str, contact: str = ANA, **values: Any) -> Run:
    usual = {"workflow": "shop.course", "version": "v1", "rules": "r1", "number": "+12025550100", "channel": "sim"}
    return Run(
        id=id_,
        contact_id=contact,
        phone=PHONES[contact],
        **{**usual, "step": "nap", "source": "x", "started_at": 1, "expires_at": 1000, **values},
    )


def rows_of(*runs: Run) -> list[dict[str, Any]]:
    return [{name: getattr(item, name) for name in Run.__slots__} for item in runs]


async def people(transaction: Any) -> None:
    flags = {name: int(value) for name, value in PhoneConsent().as_json().items()}
    await transaction.each(
        "insert_contacts",
        [{"id": id_, "name": "", "search": "", "fields": "{}", "source": "x", "at": 0} for id_ in PHONES],
    )
    await transaction.each(
        "upsert_phones",
        [{"number": number, "contact_id": id_, "label": "cell", "at": 0, **flags} for id_, number in PHONES.items()],
    )


@pytest.fixture
async def store(store_url, tmp_path) -> AsyncIterator[Store]:
    async with open_store(store_url, tmp_path) as opened:
        async with opened.transaction() as transaction:
            await people(transaction)
        yield opened


async def test_a_run_is_written_moved_on_and_read_again_as_it_was(store):
    first, second = run("1", due_at=7), run("2", BEN, waits_for="reply", due_at=5, step="ask")
    async with store.transaction() as transaction:
        await transaction.each("insert_runs", rows_of(first, second))
    moved = replace(
        first, step="bye", waits_for="window", waits_since=3, due_at=9, repeated=2, sent=4, number="+1202555"
    )
    ended = replace(second, state="ended", outcome="finished", ended_at=6)
    async with store.transaction() as transaction:
        await transaction.each("update_runs", rows_of(moved, ended))
        found = await transaction.rows("load_runs", contacts=dumps([ANA, BEN]))
        assert [run_from_row(row) for row in found] == [moved]
        past = await transaction.rows("load_past_runs", contacts=dumps([ANA, BEN]))
        assert [tuple(row.values()) if isinstance(row, dict) else tuple(row) for row in past] == [(BEN, "shop.course")]


async def test_what_is_due_comes_in_order_of_its_time(store):
    times = {"a": 30, "b": 10, "c": 20, "d": 10, "e": 50}
    async with store.transaction() as transaction:
        await transaction.each("insert_runs", rows_of(*(run(id_, due_at=due) for id_, due in times.items())))
        await transaction.each("update_runs", rows_of(run("c", due_at=20, state="ended")))
        assert [row["id"] for row in await transaction.rows("due_runs", now=30, limit=10)] == ["b", "d", "a"]
        assert [row["id"] for row in await transaction.rows("due_runs", now=30, limit=1)] == ["b"]
        assert (await transaction.row("next_due_run"))["due_at"] == 10


async def test_runs_are_counted_by_step_moved_and_cancelled_by_version(store):
    inside = [run("1"), run("2", BEN), run("3", step="ask"), run("4", version="v2"), run("5", workflow="shop.other")]
    old = {"workflow": "shop.course", "version": "v1"}
    async with store.transaction() as transaction:
        await transaction.each("insert_runs", rows_of(*inside, run("6", state="ended")))
        found = await transaction.rows("people_inside")
        assert [(row["workflow"], row["version"], row["rules"], row["step"], row["people"]) for row in found] == [
            ("shop.course", "v1", "r1", "ask", 1),
            ("shop.course", "v1", "r1", "nap", 2),
            ("shop.course", "v2", "r1", "nap", 1),
            ("shop.other", "v1", "r1", "nap", 1),
        ]
        contacts = await transaction.each("contacts_inside", [old])
        assert sorted(row["contact_id"] for row in contacts) == [ANA, BEN]
        await transaction.rows("move_runs", **old, step="nap", new_version="v3", new_rules="r3")
        await transaction.rows("tell_of_cancelled_runs", **old, source="edited", now=9)
        await transaction.rows("cancel_runs", **old, outcome="edited", now=9)
    rows = await table(store, "SELECT id, version, rules, state, outcome, ended_at FROM runs ORDER BY seq")
    assert [tuple(row.values()) for row in rows] == [
        ("1", "v3", "r3", "active", "", 0),
        ("2", "v3", "r3", "active", "", 0),
        ("3", "v1", "r1", "ended", "edited", 9),
        ("4", "v2", "r1", "active", "", 0),
        ("5", "v1", "r1", "active", "", 0),
        ("6", "v1", "r1", "ended", "", 0),
    ]
    async with store.snapshot() as transaction:
        [told] = await transaction.rows("waiting_occurrences", limit=10)
    assert (told["contact_id"], told["event"], told["detail"], told["at"]) == (ANA, "workflow_ended", "shop.course", 9)


async def test_occurrences_wait_in_order_until_they_are_forgotten(store):
    happened = [occurrence(id_, "list_joined", name, at=1, source="x") for id_ in PHONES for name in ("a", "b")]
    async with store.transaction() as transaction:
        await transaction.each("insert_occurrences", happened)
        failed = {"event": "delivery_failed", "detail": "30005", "source": "x", "at": 2}
        phones = [{"phone": PHONES[BEN], **failed}, {"phone": "+12025559999", **failed}]
        await transaction.each("insert_occurrences_of_phones", phones)
        waiting = await transaction.rows("waiting_occurrences", limit=3)
        assert [(row["contact_id"], row["detail"]) for row in waiting] == [(ANA, "a"), (ANA, "b"), (BEN, "a")]
        await transaction.each("forget_occurrences", [{"seq": row["seq"]} for row in waiting])
        rest = await transaction.rows("waiting_occurrences", limit=3)
        assert [(row["contact_id"], row["detail"]) for row in rest] == [(BEN, "b"), (BEN, "30005")]
        assert (await transaction.row("count_occurrences"))["count"] == 2


async def test_an_enrolment_moves_over_the_members_of_its_list(store):
    async with store.transaction() as transaction:
        await transaction.rows("add_list", name="club", purpose="service", asks="", now=0)
        members = [{"list": "club", "contact_id": id_, "at": 0, "source": "x"} for id_ in PHONES]
        await transaction.each("join_lists", members)
        total = (await transaction.row("count_members", list="club"))["count"]
        for id_, now in (("e2", 5), ("e1", 5), ("e0", 9)):
            new = {"workflow": "shop.course", "list": "club", "source": "x", "total": total, "now": now}
            await transaction.rows("add_enrolment", id=id_, **new)
        seen = []
        while enrolment := await transaction.row("open_enrolment"):
            found = await transaction.rows("next_members", list="club", cursor=enrolment["cursor"], limit=1)
            seen += [(enrolment["id"], row["contact_id"]) for row in found]
            cursor = found[0]["contact_id"] if found else enrolment["cursor"]
            step = {"done": len(found), "started": len(found), "finished_at": 0 if found else 7}
            await transaction.rows("move_enrolment", id=enrolment["id"], cursor=cursor, **step)
        assert seen == [(id_, contact) for id_ in ("e1", "e2", "e0") for contact in (ANA, BEN)]
        done = await transaction.row("enrolment_by_id", id="e1")
        assert (done["total"], done["done"], done["started"], done["finished_at"]) == (2, 2, 2, 7)
        page = await transaction.rows("page_enrolments", cursor="e2", limit=1)
        assert [row["id"] for row in page] == ["e1"]
        everybody = await transaction.rows("next_contacts", cursor="", limit=10)
        assert [row["contact_id"] for row in everybody] == [ANA, BEN]


async def test_a_contact_that_is_deleted_takes_everything_of_its_workflows_along(store):
    async with store.transaction() as transaction:
        await transaction.each("insert_runs", rows_of(run("1"), run("2", BEN)))
        await transaction.each("insert_occurrences", [occurrence(ANA, "changed", "", at=1, source="x")])
        await transaction.each("insert_list_events", [list_event(ANA, "club", "list_joined", at=1, actor="x")])
        await transaction.each("insert_notes", [note_row(ANA, "ann", "rude", at=1)])
        await transaction.rows("delete_contact", id=ANA)
    assert [row["id"] for row in await table(store, "SELECT id FROM runs")] == ["2"]
    for name in ("occurrences", "list_events", "notes"):
        assert await table(store, f"SELECT 1 FROM {name}") == []


async def test_a_run_of_nobody_is_refused(store):
    with pytest.raises(StoreError):
        async with store.transaction() as transaction:
            await transaction.each("insert_runs", [{**rows_of(run("1"))[0], "contact_id": "nobody"}])


async def test_histories_and_notes_come_the_newest_first(store):
    async with store.transaction() as transaction:
        names = ("a", "b", "c")
        events = [list_event(ANA, name, "list_joined", at=1, actor="x", evidence="a form") for name in names]
        await transaction.each("insert_list_events", events)
        await transaction.each("insert_notes", [note_row(ANA, "ann", name, at=1) for name in names])
        page = {"contact": ANA, "cursor": 2**62, "limit": 2}
        assert [row["list"] for row in await transaction.rows("list_history", **page)] == ["c", "b"]
        assert [row["body"] for row in await transaction.rows("notes_of", **page)] == ["c", "b"]
        await transaction.each("insert_runs", rows_of(run("1"), run("2", state="ended"), run("3", BEN)))
        query = {"cursor": 2**62, "limit": 10}
        for name, wanted, found in (
            ("runs_of_contact", {"contact": ANA, "state": None}, ["2", "1"]),
            ("runs_of_workflow", {"workflow": "shop.course", "state": "active"}, ["3", "1"]),
        ):
            assert [row["id"] for row in await transaction.rows(name, **wanted, **query)] == found


async def test_a_version_of_the_rules_comes_into_force_once_until_another_does(store):
    async with store.transaction() as transaction:
        for now, version in enumerate(("a", "a", "b", "a")):
            await transaction.rows("keep_rule_version", version=version, files="[]", now=now)
            await transaction.rows("activate_rules", version=version, now=now)
        latest = await transaction.rows("latest_activations", limit=10)
    assert [(row["version"], row["at"]) for row in latest] == [("a", 3), ("b", 2), ("a", 0)]


async def test_messages_of_a_phone_are_counted_since_a_moment(store):
    conversation = Conversation("c", PHONES[ANA], "+12025550100", "sim", created_at=0)
    texts = [
        message_row(conversation, id=f"m{at}", direction=direction, state="received", body="x", media="[]",
                    sent_by="contact", sent_by_name="", created_at=at)
        for at, direction in ((1, "inbound"), (5, "inbound"), (6, "outbound"), (9, "inbound"))
    ]  # fmt: skip
    async with store.transaction() as transaction:
        await transaction.each("insert_messages", texts)
        [row] = await transaction.rows("count_inbound", phones=dumps(list(PHONES.values())), since=4)
    assert (row["phone"], row["count"]) == (PHONES[ANA], 2)


async def test_what_did_not_leave_within_its_hours_is_held_until_the_next(store):
    conversation = Conversation("c", PHONES[ANA], "+12025550100", "sim", created_at=0)
    usual: dict[str, Any] = {"direction": "outbound", "state": "queued", "body": "x", "media": "[]", "created_at": 0}
    usual |= {"sent_by": "workflow", "sent_by_name": ""}
    windows = {"over": 10, "open": 90, "always": 0}
    async with store.transaction() as transaction:
        await transaction.each(
            "insert_messages",
            [message_row(conversation, id=id_, **usual, sent_before=end, hours="0") for id_, end in windows.items()],
        )
        await transaction.rows("hold_overdue", now=20, forever=2**62)
        (row,) = await transaction.rows("overdue_messages", forever=2**62, limit=10)
        assert (row["id"], row["hours"]) == ("over", "0")
        await transaction.each("give_hours", [{"id": "over", "due_at": 50, "sent_before": 60, "hours": "0"}], now=20)
        assert (await transaction.row("next_held"))["due_at"] == 50
    states = {row["id"]: row["state"] for row in await table(store, "SELECT id, state FROM messages")}
    assert states == {"over": "held", "open": "queued", "always": "queued"}


OLD_STORE = """
INSERT INTO contacts (id, name, fields, source, created_at, updated_at) VALUES ('ana', 'Ana', '{}', 'x', 0, 0);
INSERT INTO phones (
    number, contact_id, label, opted_in, blocked, do_not_contact, wrong_number, created_at
) VALUES ('+12025550123', 'ana', 'cell', 1, 0, 0, 0, 0);
INSERT INTO lists (name, purpose, created_at) VALUES ('club', 'service', 0);
INSERT INTO messages (
    id, direction, state, channel, number, phone, conversation_id, body, media, parts, sent_by, sent_by_name,
    exempt_until, priority, due_at, lease_until, attempts, created_at, updated_at
)
VALUES (
    'm', 'outbound', 'queued', 'sim', '+12025550100', '+12025550123', 'c', 'x', '[]', 1, 'rule', 'r',
    0, 0, 0, 0, 0, 0, 0
);
"""


async def test_the_tables_of_workflows_come_to_a_store_that_has_people_and_messages(store_url, tmp_path, monkeypatch):
    every = migrations()
    with monkeypatch.context() as patch:
        patch.setattr("bot.store.migrate.migrations", lambda: every[:1])
        async with open_store(store_url, tmp_path) as store, store.migrating():
            await store.script(OLD_STORE)
    async with open_store(store_url, tmp_path) as store, store.transaction() as transaction:
        assert [row["version"] for row in await transaction.rows("applied_migrations")] == [m.version for m in every]
        message = await transaction.row("message_by_id", id="m")
        assert (message["sent_before"], message["hours"], message["run_id"]) == (0, "", None)
        await transaction.rows("hold_overdue", now=2**60, forever=2**62)
        claimed = await transaction.rows(
            "claim_messages", now=1, lease_until=2, limit=10, allowances="[]", channels="[]"
        )
        assert [(row["id"], row["state"]) for row in claimed] == [("m", "sending")]
        await transaction.each("insert_runs", rows_of(run("1")))
        assert len(await transaction.rows("load_runs", contacts=dumps([ANA]))) == 1
