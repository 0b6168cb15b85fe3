"""Contacts in from vCards: by the same rules as from CSV."""

from __future__ import annotations

import sqlite3

import pytest

from tests.commands.contact_files import RULES, everything, importer, stored

pytestmark = pytest.mark.slow

FILE = """BEGIN:VCARD
VERSION:3.0
N:Lee;Ana;;;
FN:Ana Lee
TEL;TYPE=CELL:+1 202 555 0177
TEL;TYPE=HOME:(202) 555-0178
CATEGORIES:reader,gold
NOTE:Likes crime
FAVOURITE:crime
END:VCARD
BEGIN:VCARD
VERSION:4.0
FN:Bob
TEL;VALUE=uri;TYPE=work:tel:+1-202-555-0179;ext=7
END:VCARD
"""
AGREED = ("--opted-in", "--evidence", "fair of 2026")


@pytest.fixture
def importing(shop, textwright):
    """Import a text as a file of vCards."""
    return importer(shop, textwright, "people.vcf")


def test_cards_come_in_with_labels_tags_and_fields(shop, importing):
    done = importing(FILE)
    assert (done.code, done.out) == (0, "2 rows: 2 new, 0 changed, 0 as they were, 0 left out.\n")
    assert done.err.startswith("nobody is opted in by this file:")
    assert done.err.endswith("\nnot imported: NOTE (a field of that name would keep it)\n")
    assert stored(shop, "SELECT number, label, opted_in FROM phones ORDER BY number") == [
        ("+12025550177", "cell", 0),
        ("+12025550178", "home", 0),
        ("+12025550179", "work", 0),
    ]
    assert stored(shop, "SELECT name, fields FROM contacts ORDER BY name") == [
        ("Ana Lee", '{"favourite":"crime","first_name":"Ana"}'),
        ("Bob", "{}"),
    ]
    assert stored(shop, "SELECT tag FROM tags ORDER BY tag") == [("gold",), ("reader",)]
    assert stored(shop, "SELECT DISTINCT actor, reason FROM consent_events") == [("import people.vcf", "imported")]


def test_a_person_with_two_phones_is_one_contact(shop, importing):
    importing(FILE)
    assert stored(shop, "SELECT COUNT(*) FROM contacts") == [(2,)]
    assert stored(shop, "SELECT COUNT(DISTINCT contact_id) FROM phones WHERE number < '+12025550179'") == [(1,)]


def test_the_same_cards_again_change_nothing(shop, importing):
    importing(FILE, "--list", "vip", *AGREED)
    before = everything(shop)
    assert importing(FILE, "--list", "vip", *AGREED).out == "2 rows: 0 new, 0 changed, 2 as they were, 0 left out.\n"
    assert everything(shop) == before


def test_cards_opt_nobody_in_without_evidence(shop, importing):
    done = importing(FILE, "--opted-in")
    assert done.code == 1
    assert done.out.splitlines()[0] == ("people.vcf:1: opting in needs evidence: where and when did the person agree?")
    assert importing(FILE, *AGREED, "--list", "club").code == 0
    assert stored(shop, "SELECT DISTINCT opted_in FROM phones") == [(1,)]
    assert stored(shop, "SELECT DISTINCT reason FROM consent_events") == [("fair of 2026",)]
    assert stored(shop, "SELECT DISTINCT list, evidence FROM list_events") == [("club", "fair of 2026")]


def test_whoever_opted_out_or_is_suppressed_is_not_opted_in_by_a_card(shop, importing):
    from bot.suppression import Suppressions

    importing(FILE)
    key = bytes.fromhex(stored(shop, "SELECT value FROM settings WHERE key = 'suppression_key'")[0][0])
    with sqlite3.connect(shop / "textwright.db") as store:
        store.execute("DELETE FROM phones WHERE number = '+12025550177'")
        store.execute(
            "INSERT INTO suppressions (phone_hash, at, reason) VALUES (?, 1, 'opted_out')",
            (Suppressions(key).hash("+12025550177"),),
        )
    done = importing(FILE, *AGREED)
    assert done.out == "2 rows: 0 new, 1 changed, 1 as they were, 0 left out; 3 phones stay opted out.\n"
    assert stored(shop, "SELECT DISTINCT opted_in FROM phones") == [(0,)]


def test_a_dry_run_of_cards_changes_nothing(shop, importing):
    assert importing(FILE, "--dry-run").out.startswith("would be: 2 rows: 2 new")
    assert stored(shop, "SELECT COUNT(*) FROM contacts") == [(0,)]


def test_a_wrong_card_is_named_by_its_line_and_the_others_come_in(shop, importing, tmp_path):
    wrong = (
        FILE
        + "BEGIN:VCARD\nFN:Nobody\nEND:VCARD\n"
        + "BEGIN:VCARD\nFN:Bad\nTEL:call me\nEND:VCARD\n"
        + "BEGIN:VCARD\nFN:Torn\nTEL 2025550181\nEND:VCARD\n"
        + "BEGIN:VCARD\nTEL:2025550182\nVISITS:three\nEND:VCARD\n"
        + "BEGIN:VCARD\nFN:Torn too\n"
    )
    done = importing(wrong, "--errors", "wrong.csv")
    assert done.code == 1
    assert done.out.splitlines() == [
        "people.vcf:16: there is no phone number.",
        "people.vcf:19: 'call me' is no phone number.",
        "people.vcf:25: 'TEL 2025550181' is no line of a vCard.",
        "people.vcf:27: 'three' is no integer for 'visits'.",
        "people.vcf:31: the card that begins here has no END:VCARD.",
        "7 rows: 2 new, 0 changed, 0 as they were, 5 left out.",
    ]
    assert (tmp_path / "wrong.csv").read_text().splitlines()[1] == "16,there is no phone number."


def test_a_category_may_say_that_somebody_is_not_to_be_texted(shop, importing):
    importing(FILE.replace("gold", "do-not-contact"), *AGREED)
    marks = "SELECT number, do_not_contact FROM phones ORDER BY number"
    assert stored(shop, marks) == [("+12025550177", 1), ("+12025550178", 1), ("+12025550179", 0)]


@pytest.mark.parametrize("start", ["\ufeff", "\r\n", "  "])
def test_a_file_is_known_by_how_it_begins(shop, textwright, start):
    done = importer(shop, textwright, "people.txt")((start + FILE).replace("\n", "\r\n").encode())
    assert done.out == "2 rows: 2 new, 0 changed, 0 as they were, 0 left out.\n"


def test_letters_of_an_old_phone_are_read_by_their_character_set(shop, importing):
    old = "BEGIN:VCARD\nVERSION:2.1\nN;CHARSET=ISO-8859-1:Müller;Jörg\nTEL;CELL:2025550177\nEND:VCARD\n"
    assert importing(old.encode("latin-1")).code == 0
    assert stored(shop, "SELECT name FROM contacts") == [("Jörg Müller",)]


def test_columns_are_of_csv_only(importing):
    done = importing(FILE, "--map", "TEL=home")
    assert (done.code, done.err) == (1, "people.vcf: --map is for CSV: vCards have no columns.\n")


def test_a_note_is_kept_where_a_field_is_declared_for_it(shop, importing):
    (shop / "rules.yaml").write_text(RULES.replace("visits: integer", "note: text"))
    importing(FILE)
    fields = stored(shop, "SELECT fields FROM contacts WHERE name = 'Ana Lee'")
    assert fields == [('{"note":"Likes crime","favourite":"crime","first_name":"Ana"}',)]
