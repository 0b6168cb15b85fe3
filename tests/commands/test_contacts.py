"""Contacts in from a CSV file."""

from __future__ import annotations

import sqlite3

import orjson
import pytest

from bot import importing as importing_module
from bot.clock import system_clock
from bot.csv_columns import UnknownColumn, columns_of
from bot.import_rows import Plan, Record
from bot.importing import import_contacts
from bot.store.contract import Conflict
from bot.store.open import open_store
from bot.suppression import Suppressions
from tests.commands.contact_files import RULES, everything, importer, stored, texted

pytestmark = pytest.mark.slow

FILE = """Name,Mobile,Home phone,Lists,Opted in,Evidence,favourite,shoe size
Ana Lee,+1 202 555 0177,,vip,yes,form of 2026-01-02,crime,42
Bob,(202) 555-0178,202-555-0179,,no,,,
Cy,202.555.0180,,club; vip,YES,till receipt 17,,
"""


@pytest.fixture
def importing(shop, textwright):
    """Import a text as a file: `importing(text, "--dry-run")`."""
    return importer(shop, textwright)


class TestImport:
    def test_a_file_comes_in_with_lists_fields_labels_and_consent(self, shop, importing):
        done = importing(FILE)
        assert done.code == 0, done.out + done.err
        assert done.out == "3 rows: 3 new, 0 changed, 0 as they were, 0 left out.\n"
        assert "not imported: shoe size" in done.err
        assert stored(shop, "SELECT number, label, opted_in FROM phones ORDER BY number") == [
            ("+12025550177", "cell", 1),
            ("+12025550178", "cell", 0),
            ("+12025550179", "home", 0),
            ("+12025550180", "cell", 1),
        ]
        assert stored(shop, "SELECT fields FROM contacts WHERE name = 'Ana Lee'") == [('{"favourite":"crime"}',)]
        events = stored(shop, "SELECT event, actor, reason FROM consent_events WHERE phone = '+12025550177'")
        assert events == [("created", "import people.csv", "form of 2026-01-02")]
        joined = stored(shop, "SELECT list, evidence FROM list_events WHERE list = 'club'")
        assert joined == [("club", "till receipt 17")]

    def test_the_same_file_again_changes_nothing(self, shop, importing):
        importing(FILE)
        before = everything(shop)
        assert importing(FILE).out == "3 rows: 0 new, 0 changed, 3 as they were, 0 left out.\n"
        assert everything(shop) == before

    def test_a_dry_run_says_the_same_and_changes_nothing(self, shop, importing):
        done = importing(FILE, "--dry-run")
        assert done.out == "would be: 3 rows: 3 new, 0 changed, 0 as they were, 0 left out.\n"
        assert stored(shop, "SELECT COUNT(*) FROM contacts") == [(0,)]

    def test_a_wrong_row_is_named_by_its_line_and_the_others_come_in(self, shop, importing):
        done = importing(
            "phone,name,lists,opted in,evidence,label\n"
            "+12025550181,Good,,,,\n"
            "call me,Bad,,,,\n"
            '+12025550182,"Two\nlines",,,,\n'
            "+12025550183,No evidence,,yes,,\n"
            "+12025550184,No list,nope,,,\n"
            "+12025550185,Maybe,,perhaps,,\n"
            "+12025550186,Label,,,,mobile\n"
            ",Nobody,,,,\n"
        )
        assert done.code == 1
        assert done.out.splitlines() == [
            "people.csv:3: 'call me' is no phone number.",
            "people.csv:6: opting in needs evidence: where and when did the person agree?",
            "people.csv:7: there is no list 'nope'.",
            "people.csv:8: 'perhaps' is neither yes nor no.",
            "people.csv:9: 'mobile' is no label of a phone: cell, home, work or other.",
            "people.csv:10: there is no phone number.",
            "8 rows: 2 new, 0 changed, 0 as they were, 6 left out.",
        ]
        assert stored(shop, "SELECT number FROM phones ORDER BY 1") == [("+12025550181",), ("+12025550182",)]

    def test_whoever_opted_out_is_not_opted_in_by_a_file(self, shop, importing):
        importing(FILE)
        with sqlite3.connect(shop / "textwright.db") as store:
            store.execute("UPDATE phones SET opted_in = 0 WHERE number = '+12025550177'")
        done = importing(FILE.replace("Ana Lee", "Ana B. Lee"))
        assert done.out == "3 rows: 0 new, 1 changed, 2 as they were, 0 left out; 1 phones stay opted out.\n"
        assert stored(shop, "SELECT opted_in FROM phones WHERE number = '+12025550177'") == [(0,)]

    def test_one_evidence_may_stand_for_all(self, shop, importing):
        done = importing("phone\n2025550187\n2025550188\n", "--opted-in", "--evidence", "fair 2026", "--list", "club")
        assert done.code == 0
        assert stored(shop, "SELECT COUNT(*) FROM phones WHERE opted_in = 1") == [(2,)]
        assert stored(shop, "SELECT DISTINCT evidence FROM list_events") == [("fair 2026",)]

    @pytest.mark.parametrize(
        ("said", "opted_in"),
        [("", 1), ("yes", 1), ("no", 0), ("No ", 0), ("0", 0), ("opted_out", 0), ("unsubscribed", 0), ("off", 0)],
    )
    def test_a_rows_own_word_counts_for_more_than_what_is_said_of_all(self, shop, importing, said, opted_in):
        text = f"phone,opted in\n2025550187,{said}\n"
        assert importing(text, "--opted-in", "--evidence", "fair 2026").code == 0
        assert stored(shop, "SELECT opted_in FROM phones") == [(opted_in,)]
        reason = "fair 2026" if opted_in else "imported"
        assert stored(shop, "SELECT reason FROM consent_events") == [(reason,)]

    @pytest.mark.parametrize("said", ["no", "unsubscribed"])
    def test_a_no_opts_out_whoever_is_known_and_once(self, shop, importing, said):
        importing(FILE)
        texted(shop, ("outbound", "+12025550177", "queued"), ("outbound", "+12025550180", "queued"))
        text = f"phone,opted in,evidence\n+12025550177,{said},form\n+12025550178,{said},\n"
        assert importing(text, "--dry-run").out.startswith("would be: 2 rows: 0 new, 1 changed")
        assert stored(shop, "SELECT opted_in FROM phones WHERE number = '+12025550177'") == [(1,)]
        assert importing(text).out == "2 rows: 0 new, 1 changed, 1 as they were, 0 left out.\n"
        assert stored(shop, "SELECT number, opted_in FROM phones WHERE opted_in = 1") == [("+12025550180", 1)]
        event = stored(shop, "SELECT phone, event, actor, reason FROM consent_events ORDER BY seq")[-1]
        assert event == ("+12025550177", "opted_out", "import people.csv", "the file says opted out")
        states = stored(shop, "SELECT state, error FROM messages ORDER BY phone")
        assert states == [("cancelled", "the phone opted out"), ("queued", None)]
        before = everything(shop)
        assert importing(text).out == "2 rows: 0 new, 0 changed, 2 as they were, 0 left out.\n"
        assert everything(shop) == before

    def test_numbers_of_two_contacts_in_one_row_are_refused(self, shop, importing):
        importing(FILE)
        done = importing("cell,home\n+12025550177,+12025550178\n")
        assert done.out.startswith("people.csv:2: its numbers belong to several contacts.\n")

    def test_columns_are_mapped_by_hand(self, shop, importing):
        done = importing("who,nr\nDee,2025550189\n", "--map", "who=name", "--map", "nr=phone")
        assert done.code == 0, done.err
        assert stored(shop, "SELECT name FROM contacts") == [("Dee",)]

    @pytest.mark.parametrize(
        ("header", "arguments", "labels"),
        [
            ("Phone,Tel", [], ["cell", "cell"]),
            ("Mobile,Cell phone", [], ["cell", "cell"]),
            ("Home,Home phone", [], ["home", "home"]),
            ("Work,Phone", [], ["work", "cell"]),
            ("Phone,Fax", ["--map", "Fax=phone"], ["cell", "cell"]),
        ],
    )
    def test_each_column_of_phones_gives_a_phone(self, shop, importing, header, arguments, labels):
        text = f"{header}\n2025550191,2025550192\n2025550193,\n,2025550194\n2025550195,2025550195\n"
        assert importing(text, *arguments).out == "4 rows: 4 new, 0 changed, 0 as they were, 0 left out.\n"
        assert stored(shop, "SELECT label FROM phones WHERE number < '+12025550193' ORDER BY number") == [
            (label,) for label in labels
        ]
        assert stored(shop, "SELECT COUNT(*) FROM phones") == [(5,)]

    @pytest.mark.parametrize(
        ("text", "arguments", "says"),
        [
            ("name\nAna\n", [], "no column holds phone numbers"),
            ("phone\n1\n", ["--map", "fone=phone"], "the file has no column 'fone'. Did you mean 'phone'?"),
            ("phone\n1\n", ["--map", "phone=fone"], "a column cannot become 'fone'. Did you mean 'phone'?"),
            ("", [], "no column holds phone numbers"),
        ],
    )
    def test_a_file_that_cannot_be_read_says_why(self, importing, text, arguments, says):
        done = importing(text, *arguments)
        assert done.code == 1
        assert says in done.err


AUDIT = "SELECT actor, operation, target, detail FROM audit ORDER BY seq"


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        ([], {}),
        (["--dry-run"], {"dry_run": True}),
        (["--list", "club", "--map", "who=name"], {"lists": ["club"], "map": ["who=name"]}),
        (["--opted-in", "--evidence", "fair 2026"], {"opted_in": True, "evidence": "fair 2026"}),
    ],
)
def test_who_brought_a_file_is_in_the_audit_log(shop, importing, arguments, detail):
    importing("phone,who\n2025550191,Ana\n", *arguments)
    ((actor, operation, target, said),) = stored(shop, AUDIT)
    assert (actor, operation, target) == ("command line", "create_import", "/imports")
    assert orjson.loads(said) == {"name": "people.csv", **detail}


def test_a_header_is_read_in_the_words_that_people_use():
    columns = columns_of(["Full Name", "Cell Phone", "E-mail", "Favourite", "ID", "First name"], ["favourite"], {})
    assert dict(columns.targets) == {"id": (4,), "name": (0,), "cell": (1,)}
    assert dict(columns.fields) == {"favourite": 3, "first_name": 5}
    assert columns.ignored == ("E-mail",)


def test_a_field_can_be_named_for_a_column():
    assert dict(columns_of(["Colour", "phone"], [], {"Colour": "field:colour"}).fields) == {"colour": 0}
    with pytest.raises(UnknownColumn):
        columns_of(["phone"], [], {"nope": "name"})


class TestRowsOfOneId:
    FILE = "id,name,phone,label,opted in,evidence\n7,Ana,2025550191,cell,yes,form\n{}7,Ana,2025550192,home,no,\n"
    PHONES = (
        "SELECT number, label, opted_in FROM phones WHERE contact_id = (SELECT id FROM contacts WHERE name = 'Ana')"
    )

    @pytest.mark.parametrize("between", ["", "8,Bob,2025550193,,,\n,Cy,2025550194,,,\n,Di,2025550195,,,\n"])
    @pytest.mark.parametrize("batch", [1, 480])
    def test_are_one_contact_and_a_second_time_nothing(self, shop, importing, monkeypatch, between, batch):
        monkeypatch.setattr(importing_module, "BATCH_PHONES", batch)
        text, others = self.FILE.format(between), between.count("\n")
        assert importing(text).out == f"{2 + others} rows: {1 + others} new, 1 changed, 0 as they were, 0 left out.\n"
        assert stored(shop, self.PHONES) == [("+12025550191", "cell", 1), ("+12025550192", "home", 0)]
        assert stored(shop, "SELECT COUNT(*) FROM contacts") == [(1 + others,)]
        before = everything(shop)
        assert importing(text).out == f"{2 + others} rows: 0 new, 0 changed, {2 + others} as they were, 0 left out.\n"
        assert everything(shop) == before

    def test_whose_numbers_are_known_stay_with_whom_they_are(self, shop, importing):
        importing("name,phone\nAna,2025550191\nBob,2025550192\n")
        assert importing(self.FILE.format("").replace("Ana", "")).code == 0
        assert stored(shop, "SELECT COUNT(DISTINCT contact_id) FROM phones") == [(2,)]

    def test_are_remembered_for_long_and_not_for_ever(self, shop, importing, monkeypatch):
        monkeypatch.setattr(importing_module, "_MOST_IDS", 2)
        ids = (1, 2, 1, 3, 2, 1)
        importing("id,phone\n" + "".join(f"{id_},202555019{n}\n" for n, id_ in enumerate(ids)))
        assert stored(shop, "SELECT COUNT(*) FROM contacts") == [(4,)]

    def test_may_be_said_to_be_nothing(self, shop, importing):
        importing(self.FILE.format(""), "--map", "id=-")
        assert stored(shop, "SELECT COUNT(*) FROM contacts") == [(2,)]


class TestWhoIsNotToBeTexted:
    def test_marks_come_in_by_column_and_by_tag_and_none_is_taken_away(self, shop, importing):
        importing(
            "phone,opted in,evidence,do not contact,wrong_number,blocked,tags\n"
            "2025550191,yes,form,yes,,,\n2025550192,yes,form,,x,,\n2025550193,yes,form,,,1,\n"
            "2025550194,yes,form,,,,Do Not Contact;gold\n2025550195,yes,form,,,,\n"
        )
        flags = "SELECT number, do_not_contact, wrong_number, blocked, opted_in FROM phones ORDER BY number"
        marked = [
            ("+12025550191", 1, 0, 0, 1),
            ("+12025550192", 0, 1, 0, 1),
            ("+12025550193", 0, 0, 1, 0),
            ("+12025550194", 1, 0, 0, 1),
            ("+12025550195", 0, 0, 0, 1),
        ]
        assert stored(shop, flags) == marked
        importing("phone,do not contact\n2025550191,no\n2025550195,yes\n")
        assert stored(shop, flags) == [*marked[:4], ("+12025550195", 1, 0, 0, 1)]

    def test_a_new_number_of_somebody_who_is_not_to_be_texted_is_not_either(self, shop, importing):
        importing("phone,opted in,evidence,dnc\n2025550191,yes,form,yes\n")
        importing("cell,home,opted in,evidence\n2025550191,2025550192,yes,form\n")
        assert stored(shop, "SELECT do_not_contact FROM phones ORDER BY number") == [(1,), (1,)]

    def test_what_was_exported_keeps_its_marks(self, shop, importing, textwright):
        importing("phone,opted in,evidence,do not contact\n2025550191,yes,form,yes\n")
        text = textwright("contacts", "export").out
        (shop / "textwright.db").unlink()
        importing(text)
        assert stored(shop, "SELECT do_not_contact FROM phones") == [(1,)]


def test_a_field_of_another_type_is_refused_by_its_line(importing):
    done = importing("phone,visits\n2025550191,three\n2025550192,3\n")
    assert done.out.splitlines()[0] == "people.csv:2: 'three' is no integer for 'visits'."
    assert done.out.splitlines()[1].startswith("2 rows: 1 new")


@pytest.mark.parametrize("column", ["opted in", "blocked"])
def test_an_opt_out_is_told_to_whoever_waits_for_it(shop, importing, column):
    importing("phone,opted in,evidence\n2025550191,yes,form\n")
    (shop / "rules.yaml").write_text(
        RULES + 'workflows:\n  drip: {list: vip, steps: [{wait: 1d}, {send: "Hello"}]}\n', encoding="utf-8"
    )
    (shop / "people.csv").write_text(f"phone,{column}\n2025550191,{'no' if column == 'opted in' else 'yes'}\n")
    from bot.cli import main

    assert main(("contacts", "import", "people.csv")) == 0
    assert stored(shop, "SELECT event, phone FROM occurrences") == [("opted_out", "+12025550191")]


def test_a_changed_field_is_told_to_whoever_waits_for_it(shop, importing):
    (shop / "rules.yaml").write_text(
        RULES + 'workflows:\n  drip: {list: vip, steps: [{wait: 1d}, {send: "Hello"}]}\n', encoding="utf-8"
    )
    (shop / "people.csv").write_text("phone,visits\n2025550191,3\n")
    from bot.cli import main

    assert main(("contacts", "import", "people.csv")) == 0
    (shop / "people.csv").write_text("phone,visits\n2025550191,4\n")
    assert main(("contacts", "import", "people.csv")) == 0
    assert [row[0] for row in stored(shop, "SELECT event FROM occurrences ORDER BY seq")] == ["changed"]


def test_a_row_that_is_no_csv_is_named_and_the_others_come_in(importing):
    done = importing(f'phone,name\n2025550191,"{"long " * 30_000}"\n2025550192,Bob\n')
    assert done.out.splitlines()[0].startswith("people.csv:2: not readable as CSV: field larger than field limit")
    assert done.out.splitlines()[-1] == "2 rows: 1 new, 0 changed, 0 as they were, 1 left out."


def test_empty_rows_are_no_rows(importing):
    assert importing("phone,name\n\n , \n2025550191,Ana\n,\n").out.startswith("1 rows: 1 new")


def test_progress_is_told_while_rows_come_in(shop, importing):
    rows = "".join(f"+1202{n:07d}\n" for n in range(2000000, 2021000))
    done = importing(f"phone\n{rows}", "--dry-run")
    assert done.err.splitlines()[1:] == ["10000 rows ...", "20000 rows ..."]


class TestBatches:
    @pytest.fixture
    async def store(self, store_url, tmp_path):
        """An empty store."""
        async with open_store(store_url, tmp_path) as store:
            yield store

    @staticmethod
    def records(count: int, phones: int) -> list[Record]:
        return [
            Record(n, "Ana", tuple((f"+1202{n * phones + m:07d}", "cell") for m in range(phones)))
            for n in range(200_000, 200_000 + count)
        ]

    async def run(self, store, records, **plan):
        suppressions = await Suppressions.of(store)
        plan = Plan("US", "import test", **plan)
        marks = []
        outcome = await import_contacts(
            store, suppressions, lambda *_: False, records, plan, system_clock, lambda o: marks.append(o.new)
        )
        return outcome, marks

    async def test_a_batch_never_locks_more_phones_than_other_nodes_can_bear(self, store):
        outcome, marks = await self.run(store, self.records(900, 1))
        assert (outcome.new, marks) == (900, [400, 800, 900])
        outcome, marks = await self.run(store, self.records(300, 3))
        assert marks[0] * 3 <= 500

    async def test_a_dry_run_counts_what_the_real_run_does(self, store):
        def record(n: int, name: str = "Ana", **said) -> Record:
            return Record(n, name, ((f"+1202{n + 2000000}", "cell"),), **said)

        await self.run(store, [record(n) for n in range(5)], opted_in=True, evidence="form")
        suppressions = await Suppressions.of(store)
        async with store.transaction() as transaction:
            await suppressions.add(transaction, ["+12022000030"], 1, "gone")
            await transaction.each("declare_lists", [{"name": "vip", "purpose": "service", "at": 1}])
        records = [
            *[record(n) for n in range(30)],
            *[record(n, "Bob" if n % 2 else "Ana") for n in range(0, 30, 3)],
            *[record(n, opted_in="no") for n in (0, 0, 29, 29)],
            *[record(n, lists=frozenset({name})) for n in (1, 1, 31) for name in ("vip", "nope")],
            *[record(n) for n in (30, 30)],
            *[Record(0, "Ana", (*record(n).phones, *record(32).phones)) for n in (1, 1, 2)],
            *[record(n, id="7") for n in (33, 34, 34)],
        ]
        everybody = {"opted_in": True, "evidence": "fair", "batch_rows": 4}
        async with store.snapshot() as transaction:
            before = [dict(row) for row in await transaction.rows("export_phones", **EXPORT)]
        dry, _ = await self.run(store, records, dry_run=True, **everybody)
        async with store.snapshot() as transaction:
            assert [dict(row) for row in await transaction.rows("export_phones", **EXPORT)] == before
        real, _ = await self.run(store, records, **everybody)
        assert dry == real
        assert (real.new, real.error_count, real.kept_out) == (28, 4, 2)

    async def test_a_batch_that_another_node_is_in_the_way_of_is_taken_again(self, store, monkeypatch):
        whole, failures = importing_module.write_additions, iter([True, True, False])

        async def sometimes(*arguments, **options):
            await whole(*arguments, **options)
            if next(failures, False):
                raise Conflict("deadlock")

        monkeypatch.setattr(importing_module, "write_additions", sometimes)
        outcome, _ = await self.run(store, self.records(10, 1))
        assert (outcome.rows, outcome.new) == (10, 10)
        async with store.snapshot() as transaction:
            row = await transaction.row("count_contacts")
        assert row["count"] == 10

    async def test_a_conflict_without_end_ends_the_import(self, store, monkeypatch):
        async def never(*_arguments, **_options):
            raise Conflict("deadlock")

        monkeypatch.setattr(importing_module, "write_additions", never)
        with pytest.raises(Conflict):
            await self.run(store, self.records(10, 1))


EXPORT = {"contact": "", "cursor": "", "list": None, "limit": 1000}
