"""Contacts, messages and the history of consent out as CSV."""

from __future__ import annotations

import csv
import io
import sqlite3

import orjson
import pytest

from bot import exporting
from bot.changes import write_people
from bot.consent import PhoneConsent
from bot.csv_columns import FORMULA
from bot.exporting import NoSuchList, csv_chunks, export_pages, write_csv
from bot.people import Contact, Phone
from bot.store.open import open_store
from tests.commands.contact_files import importer, stored, texted

pytestmark = pytest.mark.slow

FILE = """Name,Mobile,Home phone,Lists,Opted in,Evidence,favourite,state
Ana Lee,+1 202 555 0177,,vip,yes,form of 2026-01-02,crime,NY
Bob,(202) 555-0178,202-555-0179,,no,,,
Cy,202.555.0180,,club; vip,YES,till receipt 17,,
"""


@pytest.fixture
def importing(shop, textwright):
    """Import a text as a file."""
    return importer(shop, textwright)


@pytest.fixture
def exported(textwright):
    """The rows of an export: `exported("--what", "messages")`."""

    def run(*arguments: str) -> list[dict[str, str]]:
        done = textwright("contacts", "export", *arguments)
        assert done.code == 0, done.err
        return list(csv.DictReader(io.StringIO(done.out, newline="")))

    return run


class TestContacts:
    def test_what_was_exported_can_be_imported_elsewhere(self, shop, importing, textwright):
        importing(FILE)
        done = textwright("contacts", "export", "--output", "out.csv")
        assert (done.code, done.err) == (0, "4 phones.\n")
        text = (shop / "out.csv").read_text()
        (shop / "textwright.db").unlink()
        done = importing(text)
        assert done.code == 0, done.out + done.err
        assert textwright("contacts", "export").out.splitlines()[0] == text.splitlines()[0]
        without_ids = [row[1:] for row in csv.reader(io.StringIO(textwright("contacts", "export").out))]
        assert without_ids == [row[1:] for row in csv.reader(io.StringIO(text))]
        assert stored(shop, "SELECT COUNT(*) FROM contacts") == [(3,)]

    @pytest.mark.parametrize("page", [1, 2, 1000])
    def test_phones_of_a_contact_come_together_whatever_the_page(self, importing, exported, monkeypatch, page):
        monkeypatch.setattr(exporting, "_PAGE", page)
        importing("name,cell,home\n" + "".join(f"P{n},202555018{n},202555017{n}\n" for n in range(5)))
        rows = [(row["name"], row["phone"]) for row in exported()]
        assert rows == [(f"P{n}", f"+12025550{kind}{n}") for n in range(5) for kind in (17, 18)]

    @pytest.mark.parametrize("name", ["shoe_size", "Shoe-Size", "group", "phone", "id", "e-mail", "größe, in cm", "-"])
    def test_a_field_that_nobody_declared_goes_out_and_comes_back(self, shop, importing, textwright, name):
        importing("phone,favourite,x\n2025550191,crime,42\n", "--map", f"x=field:{name}")
        text = textwright("contacts", "export").out
        (shop / "textwright.db").unlink()
        done = importing(text)
        assert (done.code, done.err) == (0, "")
        ((fields,),) = stored(shop, "SELECT fields FROM contacts")
        assert orjson.loads(fields) == {"favourite": "crime", name: "42"}

    @pytest.mark.parametrize(
        "tags",
        [
            ["a;b"],
            ["a", "a;b", "c"],
            ["\\"],
            ["a\\", "b"],
            ["a\\;b", ";"],
            ["=1;2", "z"],
            [f"long {n:04d}" * 9 for n in range(50)],
        ],
    )
    def test_names_of_tags_and_lists_come_back_whatever_is_in_them(self, shop, importing, textwright, tags):
        importing("phone,name\n2025550191,Ana\n")
        with sqlite3.connect(shop / "textwright.db") as store:
            store.executemany("INSERT INTO lists (name, purpose, created_at) VALUES (?, '', 0)", [(t,) for t in tags])
            store.executemany("INSERT INTO list_members SELECT ?, id, 0, '' FROM contacts", [(t,) for t in tags])
            store.executemany("INSERT INTO tags SELECT id, ?, 0, '' FROM contacts", [(t,) for t in tags])
        text = textwright("contacts", "export").out
        with sqlite3.connect(shop / "textwright.db") as store:
            store.execute("DELETE FROM list_members")
            store.execute("DELETE FROM tags")
        assert importing(text).out == "1 rows: 0 new, 1 changed, 0 as they were, 0 left out.\n"
        assert stored(shop, "SELECT tag FROM tags ORDER BY 1") == sorted((tag,) for tag in tags)
        assert stored(shop, "SELECT list FROM list_members ORDER BY 1") == sorted((tag,) for tag in tags)

    def test_fields_that_need_no_declaration_go_out_too(self, importing, exported):
        importing(FILE)
        assert [row["state"] for row in exported() if row["name"] == "Ana Lee"] == ["NY"]

    def test_a_list_alone_can_be_exported(self, importing, exported):
        importing(FILE)
        rows = exported("--list", "club")
        assert [(row["name"], row["phone"], row["lists"]) for row in rows] == [("Cy", "+12025550180", "club;vip")]
        assert len(exported("--list", "All Contacts")) == 4

    @pytest.mark.parametrize("name", ["=1+2", "'=1+2", "''@x", "-1+cmd", "'", "'Ana"])
    def test_a_name_that_a_spreadsheet_would_run_is_quoted_and_comes_back(self, shop, importing, textwright, name):
        importing("phone,name\n2025550190,Ana\n")
        with sqlite3.connect(shop / "textwright.db") as store:
            store.execute("UPDATE contacts SET name = ?", (name,))
        text = textwright("contacts", "export").out
        assert not text.splitlines()[1].split(",")[1].startswith(tuple("=+-@"))
        assert importing(text).out == "1 rows: 0 new, 0 changed, 1 as they were, 0 left out.\n"


class TestMessages:
    def test_messages_go_out_with_what_became_of_them(self, shop, importing, exported, textwright):
        importing(FILE)
        texted(shop, ("inbound", "+12025550177", ""), ("outbound", "+12025550180", "carrier says no"))
        assert exported("--what", "messages")[1] == {
            "id": "m1",
            "time": "1970-01-01T00:00:01.000Z",
            "direction": "outbound",
            "state": "failed",
            "phone": "+12025550180",
            "number": "+12025550100",
            "channel": "sim",
            "body": "Hello",
            "parts": "1",
            "sent_by": "rule",
            "sent_by_name": "hours",
            "error": "carrier says no",
        }
        assert textwright("contacts", "export", "--what", "messages").err == "2 messages.\n"

    def test_messages_of_a_list_alone_can_be_exported(self, shop, importing, exported, monkeypatch):
        monkeypatch.setattr(exporting, "_PAGE", 2)
        importing(FILE)
        texted(shop, *[("inbound", f"+1202555017{n}", "") for n in (1, 2, 3, 4, 5, 7)])
        assert [row["phone"] for row in exported("--what", "messages", "--list", "vip")] == ["+12025550177"]
        assert len(exported("--what", "messages", "--list", "All Contacts")) == 6
        assert exported("--what", "messages", "--list", "club") == []

    @pytest.mark.parametrize("body", ["=1+2", "@SUM(A1)", "\t=1", "\r=1", "hi\r=1+2", "hi\n=1+2", '",=1', "+1 (2)"])
    def test_no_text_of_a_customer_runs_in_a_spreadsheet(self, shop, importing, exported, body):
        importing(FILE)
        texted(shop, ("inbound", "+12025550177", ""), body=body)
        (row,) = exported("--what", "messages")
        assert not FORMULA.match(row["body"]) or row["body"].startswith("'")
        assert row["body"].lstrip("'") == body.replace("\r", "\n")


@pytest.mark.parametrize("what", exporting.WHATS)
@pytest.mark.parametrize(("arguments", "detail"), [([], "{}"), (["--list", "club"], '{"list":"club"}')])
def test_who_took_it_is_in_the_audit_log(shop, importing, exported, what, arguments, detail):
    importing(FILE)
    exported("--what", what, *arguments)
    row = stored(shop, "SELECT actor, operation, target, detail FROM audit ORDER BY seq")[-1]
    assert row == ("command line", f"export_{what}", f"/exports/{what}.csv", detail)


class TestConsent:
    def test_every_change_of_consent_goes_out_with_who_and_why(self, importing, exported, textwright):
        importing(FILE)
        rows = exported("--what", "consent")
        assert [(row["phone"], row["event"], row["reason"]) for row in rows] == [
            ("+12025550177", "created", "form of 2026-01-02"),
            ("+12025550178", "created", "imported"),
            ("+12025550179", "created", "imported"),
            ("+12025550180", "created", "till receipt 17"),
        ]
        assert {row["actor"] for row in rows} == {"import people.csv"}
        assert list(rows[0]) == ["time", "phone", "event", "actor", "reason", "message_id", "before", "after"]
        assert rows[0]["before"] == "{}"
        assert orjson.loads(rows[0]["after"])["opted_in"] is True
        assert textwright("contacts", "export", "--what", "consent", "--list", "club").err == "1 changes of consent.\n"


def test_a_list_that_there_is_none_of_is_refused_before_anything_is_written(shop, importing, textwright):
    importing(FILE)
    (shop / "out.csv").write_text("kept")
    done = textwright("contacts", "export", "--list", "clubb", "--output", "out.csv")
    assert (done.code, done.err) == (1, "There is no list 'clubb'.\n")
    assert (shop / "out.csv").read_text() == "kept"


class TestOnBothEngines:
    @pytest.fixture
    async def store(self, store_url, tmp_path):
        """A store with 2,500 events of consent and no message."""
        async with open_store(store_url, tmp_path) as store:
            event = {"contact_id": None, "event": "created", "actor": "a", "reason": "r", "message_id": None}
            async with store.transaction() as transaction:
                rows = [
                    {**event, "id": f"e{n}", "phone": f"+1{n}", "at": n, "before": "{}", "after": "{}"}
                    for n in range(2500)
                ]
                await transaction.each("insert_consent_events", rows)
                await transaction.each("declare_lists", [{"name": "vip", "purpose": "service", "at": 1}])
            yield store

    async def test_pages_are_bounded_and_hold_every_row_once(self, store):
        pages = [page async for page in await export_pages(store, "consent")]
        assert [len(page) for page in pages] == [1, 1000, 1000, 500]
        assert [row[1] for page in pages[1:] for row in page] == [f"+1{n}" for n in range(2500)]

    async def test_contacts_go_out_with_every_field_that_anybody_has(self, store, monkeypatch):
        monkeypatch.setattr(exporting, "_PAGE", 2)
        people = [Contact(f"c{n}", fields={f"f{n}": "x", "org": "Acme"}) for n in range(3)]
        phones = [Phone(f"+1202{n}", f"c{n % 3}", PhoneConsent()) for n in range(9)]
        async with store.transaction() as transaction:
            pairs = [(None, person) for person in people], [(None, phone) for phone in phones]
            await write_people(transaction, *pairs, [], at=1, source="test")
        (header, *rows) = [row async for page in await export_pages(store, "contacts", ["org"]) for row in page]
        assert header[11:] == ["field:f0", "field:f1", "field:f2", "first_name", "org", "state", "timezone"]
        assert [(row[0], row[2]) for row in rows] == [(f"c{n}", f"+1202{n + m}") for n in range(3) for m in (0, 3, 6)]
        assert rows[0][11:] == ["x", "", "", "", "Acme", "", ""]

    @pytest.mark.parametrize("what", exporting.WHATS)
    async def test_each_can_be_streamed_and_written(self, store, what):
        text = "".join([chunk async for chunk in csv_chunks(await export_pages(store, what, ["org"]))])
        target = io.StringIO(newline="")
        count = await write_csv(await export_pages(store, what, ["org"]), target)
        assert target.getvalue() == text
        assert count == len(text.splitlines()) - 1
        assert [page async for page in await export_pages(store, what, [], "vip")][1:] in ([[]], [[], [], []])
        with pytest.raises(NoSuchList):
            await export_pages(store, what, [], "nope")
