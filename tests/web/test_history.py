"""A contact's whole history on one page, in order, page by page; and what is left of it after a deletion."""

from __future__ import annotations

import itertools

import pytest

from bot.clock import MICROSECONDS, system_clock
from bot.store.open import open_store
from bot.suppression import Suppressions
from bot.tokens import create_token
from tests.server import Api, Customer
from tests.web.browser import store_of
from tests.web.site import eventually, make_contact
from tests.web.tables import execute, rows_of

pytestmark = pytest.mark.slow


async def history(admin, contact, limit="500"):
    """All items, the newest first, page by page."""
    items, cursor = [], {}
    while True:
        page = await admin.get(f"/contacts/{contact}/history", limit=limit, **cursor)
        assert len(page["items"]) <= int(limit)
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}


@pytest.fixture
async def eventful(site, admin, texter):
    """Somebody of whom everything has happened that can happen; the id."""
    await texter.text("HOURS")
    await texter.wait_for(1)
    contact = await admin.contact_of(texter.phone)
    path = f"/contacts/{contact['id']}"
    await admin.call("PATCH", path, {"name": "Ana Ortiz", "fields": {"visit": "2026-12-24"}})
    await admin.call("PUT", f"{path}/tags/vip")
    await admin.call("PUT", f"/lists/club/contacts/{contact['id']}")

    async def run():
        return (await admin.get(f"{path}/runs"))["items"]

    await eventually(run, "the run of the list's workflow")
    await admin.call("POST", f"{path}/notes", {"body": "Prefers mornings."})
    await admin.call("DELETE", f"{path}/tags/vip")
    await texter.text("TAG ME")
    await texter.text("STOP")
    await texter.wait_for(2)
    await admin.call("PATCH", f"{path}/phones/{texter.phone}", {"opted_in": True, "reason": "signed again"})
    await admin.call("POST", "/messages", {"to": {"phone": texter.phone}, "body": "Welcome back"})
    await texter.wait_for(3)
    await admin.call("DELETE", f"/lists/club/contacts/{contact['id']}")
    return contact["id"]


async def test_one_page_tells_everything_that_happened_in_order(admin, texter, eventful):
    items = await history(admin, eventful)
    moments = [item["at"] for item in items]
    assert moments == sorted(moments, reverse=True)
    assert {item["kind"] for item in items} == {"message", "consent", "list", "tag", "run", "note", "change"}

    def told(kind):
        return [(item["title"], item["by"], item["detail"]) for item in reversed(items) if item["kind"] == kind]

    staff = "staff the admin"
    assert [(item["title"], item["direction"]) for item in reversed(items) if item["kind"] == "message"] == [
        ("HOURS", "inbound"), ("9 to 5", "outbound"), ("TAG ME", "inbound"), ("STOP", "inbound"),
        (next(item["title"] for item in items if "unsubscribed" in item["title"] or "opted out" in item["title"]
              or item["by"].endswith("stop")), "outbound"),
        ("Welcome back", "outbound"),
    ]  # fmt: skip
    assert [(title, detail) for title, _, detail in told("consent")][-1] == ("opted in", "signed again")
    assert [title for title, _, _ in told("consent")] == ["created", "opted out", "opted in"]
    assert told("list") == [("joined club", staff, ""), ("left club", staff, "")]
    assert told("tag") == [("tag vip added", staff, ""), ("tag vip removed", staff, "")]
    assert told("note") == [("Prefers mornings.", staff, "")]
    ((workflow, _, _),) = told("run")
    assert workflow == "workflow rules.drip"
    ((change, by, detail),) = told("change")
    assert (change, by) == ("change contact", "token the admin")
    assert "Ana Ortiz" in detail
    assert "2026-12-24" in detail
    messages = [item for item in items if item["kind"] == "message"]
    assert all(item["message"] == item["id"] and item["phone"] == texter.phone for item in messages)
    assert messages[0]["by"] == "staff the admin"


@pytest.mark.parametrize("are_equal", [False, True])
async def test_pages_lose_and_repeat_nothing_also_of_one_moment(site, admin, eventful, are_equal):
    if are_equal:
        now = system_clock()
        phones = [phone["number"] for phone in (await admin.get(f"/contacts/{eventful}"))["phones"]]
        for number, name in itertools.product(range(11), ("b", "a")):
            # As many as make sequence numbers of different lengths.
            await admin.call("PUT", f"/contacts/{eventful}/tags/{name}{number}")
        columns = dict.fromkeys(("list_events", "tag_events", "notes", "audit"), "at") | {"runs": "started_at"}
        for table, column in columns.items():
            await execute(site, f"UPDATE {table} SET {column} = {now} WHERE contact_id = '{eventful}'")
        await execute(site, f"UPDATE messages SET created_at = {now} WHERE phone = '{phones[0]}'")
        await execute(site, f"UPDATE consent_events SET at = {now} WHERE phone = '{phones[0]}'")
    whole = await history(admin, eventful)
    assert len({(item["kind"], item["id"]) for item in whole}) == len(whole) >= 12
    assert (len({item["at"] for item in whole}) == 1) is are_equal
    for limit in ("1", "2", "5", str(len(whole) - 1), str(len(whole))):
        assert await history(admin, eventful, limit) == whole, limit


async def test_what_happens_while_one_reads_does_not_move_the_pages(admin, eventful):
    whole = await history(admin, eventful)
    first = await admin.get(f"/contacts/{eventful}/history", limit="3")
    await admin.call("POST", f"/contacts/{eventful}/notes", {"body": "Later."})
    rest = await admin.get(f"/contacts/{eventful}/history", limit="500", cursor=first["next"])
    assert first["items"] + rest["items"] == whole


@pytest.mark.parametrize(
    "cursor", ["x", "1", "1:", "x:note:1", "1:NOTE:1", "1:note:" + "1" * 40, "-1:note:1", "9" * 30 + ":note:1"]
)
async def test_a_cursor_that_no_page_gave_is_refused(any_site, client, new_phone, cursor):
    admin = any_site.api(client)
    contact = await make_contact(admin, new_phone())
    status, problem = await admin.call("GET", f"/contacts/{contact['id']}/history", cursor=cursor)
    assert (status, problem["errors"]) == (422, [{"field": "cursor", "detail": "not a cursor"}])


async def test_what_a_rule_does_is_told_with_the_rule(serve, store_url, client):
    rules = """
version: 1
lists: {club: service}
rules:
  - {id: mark, when: {keyword: mark}, do: [{tag: vip}, {add_to_list: club}, {reply: "Marked."}]}
  - {id: unmark, when: {keyword: unmark}, do: [{untag: vip}, {remove_from_list: club}]}
"""
    server = await serve(store_url, rules=rules)
    async with open_store(store_url, server.folder, exclusive=False) as store:
        api = Api(server, client, str(await create_token(store, "tests", "admin")))
    customer = Customer(server, client, "+12025550123")
    await customer.text("MARK")
    await customer.wait_for(1)
    await customer.text("UNMARK")
    contact = await api.contact_of(customer.phone)
    items = await history(api, contact["id"])
    told = {item["title"]: item["by"] for item in items if item["kind"] in ("tag", "list")}
    assert told.keys() == {"tag vip added", "tag vip removed", "joined club", "left club"}
    assert (told["joined club"], told["left club"]) == ("rule rules.mark", "rule rules.unmark")
    # Which rule it was is not kept of a tag.
    assert told["tag vip added"].split()[0] == told["tag vip removed"].split()[0] == "rule"
    (answer,) = [item for item in items if item["direction"] == "outbound"]
    assert (answer["title"], answer["by"]) == ("Marked.", "rule rules.mark")
    assert [item["title"] for item in items if item["kind"] == "message"] == ["UNMARK", "Marked.", "MARK"]


async def test_the_history_is_of_this_person_only(admin, new_phone, eventful):
    other = await make_contact(admin, new_phone())
    assert {(item["kind"], item["title"]) for item in await history(admin, other["id"])} == {
        ("consent", "created"), ("change", "create contact"),
    }  # fmt: skip
    assert (await admin.call("GET", "/contacts/nope/history"))[0] == 404


TABLES = (
    "contacts", "phones", "messages", "conversations", "notes", "runs", "tag_events", "list_events", "tags",
    "list_members", "consent_events", "audit", "idempotency_keys", "decisions", "notifications", "broadcast_recipients",
)  # fmt: skip


async def test_of_a_deleted_person_no_table_keeps_the_name_or_the_number(site, admin, texter, new_phone, eventful):
    second = new_phone()
    path = f"/contacts/{eventful}"
    await admin.call("POST", f"{path}/phones", {"number": second})
    await admin.call("PATCH", f"{path}/phones/{second}", {"opted_in": True, "reason": f"by {second}"})
    await admin.call("DELETE", f"{path}/phones/{second}", confirm="true")
    await admin.call("POST", "/broadcasts", {"to": {"contacts": [eventful]}, "body": "Hello"})
    await texter.wait_for(4)
    (conversation,) = (await admin.get("/conversations", phone=texter.phone))["items"]
    await admin.call("POST", f"/conversations/{conversation['id']}/messages", {"body": "Hello again"})
    assert (await admin.call("DELETE", path, confirm="true"))[0] == 204
    for table in TABLES:
        kept = str(await rows_of(site, table))
        for word in ("Ana Ortiz", texter.phone, "Prefers mornings", "TAG ME"):
            assert word not in kept or _elsewhere(word), (table, word)
        if table not in ("audit", "consent_events"):
            assert eventful not in kept, table
    log = (await admin.get("/audit", contact=eventful, limit="500"))["items"]
    assert {row["target"] for row in log} == {"(deleted)", path}
    assert [row["detail"] for row in log] == [{"query": {"confirm": True}}] + [{}] * (len(log) - 1)
    assert {"change_contact", "send_message", "remove_phone", "delete_contact"} <= {row["operation"] for row in log}
    assert (await admin.call("GET", f"{path}/history"))[0] == 404


def _elsewhere(word: str) -> bool:
    """Whether other tests' people say that, too."""
    return not word.startswith("+")


async def test_a_phone_is_removed_with_what_was_texted_with_it_and_its_opt_out_is_kept(site, client, admin, new_phone):
    first, gone = new_phone(), site.customer(client, new_phone())
    await gone.text("HOURS")
    await gone.wait_for(1)
    await gone.text("STOP")
    await gone.wait_for(2)
    contact = await admin.contact_of(gone.phone)
    path = f"/contacts/{contact['id']}"
    where = f"{path}/phones/{gone.phone}"
    status, problem = await admin.call("DELETE", where, confirm="true")
    assert (status, problem["detail"]) == (409, "It is the contact's only phone. Delete the contact instead.")
    await admin.call("POST", f"{path}/phones", {"number": first})
    for query in ({}, {"confirm": "false"}):
        assert (await admin.call("DELETE", where, **query))[0] == 422
    assert len((await admin.get(path))["phones"]) == 2
    status, changed = await admin.call("DELETE", where, confirm="true")
    assert (status, [phone["number"] for phone in changed["phones"]]) == (200, [first])
    assert changed == await admin.get(path)
    assert (await admin.call("DELETE", where, confirm="true"))[0] == 404
    for table in ("phones", "messages", "conversations", "consent_events", "decisions"):
        assert gone.phone not in str(await rows_of(site, table)), table
    items = await history(admin, contact["id"])
    assert {item["kind"] for item in items} == {"consent", "change"}
    async with store_of(site) as store:
        hash_ = (await Suppressions.of(store)).hash(gone.phone)
    assert hash_ in {row["phone_hash"] for row in await rows_of(site, "suppressions")}
    # Whoever has it next has not agreed to anything.
    again = await make_contact(admin, gone.phone)
    assert again["phones"][0]["opted_in"] is False


async def test_a_long_history_is_read_at_once(admin, texter, site):
    """Of one page the work does not grow with the history: each kind gives no more than the page takes."""
    await texter.text("HOURS")
    contact = await admin.contact_of(texter.phone)
    insert = "INSERT INTO notes (id, contact_id, author, body, at) VALUES "
    rows = ", ".join(f"('note-{contact['id']}-{n}', '{contact['id']}', 'x', 'n', {n})" for n in range(3000))
    await execute(site, insert + rows)
    started = system_clock()
    page = await admin.get(f"/contacts/{contact['id']}/history", limit="50")
    assert len(page["items"]) == 50
    assert page["next"] is not None
    assert system_clock() - started < 2 * MICROSECONDS
