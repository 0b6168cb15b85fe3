"""Contacts in from a CSV file and out again."""

from __future__ import annotations

import csv
import io
import sqlite3

import pytest

from bot.csv_columns import UnknownColumn, columns_of

RULES = """version: 1
name: shop
lists: {club: marketing, vip: service}
fields: {favourite: text, visits: integer}
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}
"""
FILE = """Name,Mobile,Home phone,Lists,Opted in,Evidence,favourite,shoe size
Ana Lee,+1 202 555 0177,,vip,yes,form of 2026-01-02,crime,42
Bob,(202) 555-0178,202-555-0179,,no,,,
Cy,202.555.0180,,club; vip,YES,till receipt 17,,
"""


@pytest.fixture
def importing(shop, textwright):
    """Import a text as a file: `importing(text, "--dry-run")`."""
    (shop / "rules.yaml").write_text(RULES)

    def run(text: str, *arguments: str):
        (shop / "people.csv").write_text(text, encoding="utf-8")
        return textwright("contacts", "import", "people.csv", *arguments)

    return run


def stored(shop, sql: str):
    with sqlite3.connect(shop / "textwright.db") as store:
        return store.execute(sql).fetchall()


def everything(shop):
    """Every row of every table that an import may write."""
    tables = ("contacts", "phones", "list_members", "tags", "consent_events", "list_events", "occurrences")
    return {table: stored(shop, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}


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

    def test_numbers_of_two_contacts_in_one_row_are_refused(self, shop, importing):
        importing(FILE)
        done = importing("cell,home\n+12025550177,+12025550178\n")
        assert done.out.startswith("people.csv:2: its numbers belong to several contacts.\n")

    def test_columns_are_mapped_by_hand(self, shop, importing):
        done = importing("who,nr\nDee,2025550189\n", "--map", "who=name", "--map", "nr=phone")
        assert done.code == 0, done.err
        assert stored(shop, "SELECT name FROM contacts") == [("Dee",)]

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


class TestExport:
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
        # A contact with two phones comes back as two: a row is a phone.
        assert without_ids == [row[1:] for row in csv.reader(io.StringIO(text))]

    def test_a_list_alone_can_be_exported(self, importing, textwright):
        importing(FILE)
        rows = list(csv.DictReader(io.StringIO(textwright("contacts", "export", "--list", "club").out)))
        assert [(row["name"], row["phone"], row["lists"]) for row in rows] == [("Cy", "+12025550180", "club;vip")]

    def test_a_cell_that_a_spreadsheet_would_run_is_quoted_and_comes_back(self, shop, importing, textwright):
        importing('name,phone\n"=1+2",2025550190\n')
        text = textwright("contacts", "export").out
        assert "'=1+2" in text
        assert importing(text).out == "1 rows: 0 new, 0 changed, 1 as they were, 0 left out.\n"


def test_a_header_is_read_in_the_words_that_people_use():
    columns = columns_of(["Full Name", "Cell Phone", "E-mail", "Favourite", "ID", "First name"], ["favourite"], {})
    assert dict(columns.targets) == {"name": (0,), "cell": (1,)}
    assert dict(columns.fields) == {"favourite": 3, "first_name": 5}
    assert columns.ignored == ("E-mail",)


def test_a_field_can_be_named_for_a_column():
    assert dict(columns_of(["Colour", "phone"], [], {"Colour": "field:colour"}).fields) == {"colour": 0}
    with pytest.raises(UnknownColumn):
        columns_of(["phone"], [], {"nope": "name"})


class TestWhoIsNotToBeTexted:
    def test_marks_come_in_by_column_and_by_tag_and_none_is_taken_away(self, shop, importing):
        importing(
            "phone,opted in,evidence,do not contact,wrong_number,blocked,tags\n"
            "2025550191,yes,form,yes,,,\n2025550192,yes,form,,x,,\n2025550193,yes,form,,,1,\n"
            "2025550194,yes,form,,,,do-not-contact;gold\n2025550195,yes,form,,,,\n"
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
