"""vCards in: what the three versions write, what programs make of them, and what is wrong with a card."""

from __future__ import annotations

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.import_rows import Record, RowError
from bot.vcards import MAX_LINE, VCards


def card(*lines: str, version: str = "3.0") -> str:
    return "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""])


def read(text: str, fields: tuple[str, ...] = ()) -> list[Record | RowError]:
    return list(VCards(text.splitlines(keepends=True), fields))


def only(text: str, fields: tuple[str, ...] = ()) -> Record:
    (record,) = read(text, fields)
    assert isinstance(record, Record), record
    return record


class TestVersions:
    def test_a_card_of_2_1_as_old_phones_write_it(self):
        record = only(
            card(
                "N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:M=C3=BCller;J=C3=B6rg=",
                "=20Karl;;;",
                "TEL;CELL:+12025550177",
                "TEL;HOME;VOICE:202 555 0178",
                "PHOTO;ENCODING=BASE64;JPEG:",
                " AAAA",
                " BBBB=",
                "",
                version="2.1",
            )
        )
        assert record.name == "Jörg Karl Müller"
        assert record.fields == {"first_name": "Jörg Karl"}
        assert record.phones == (("+12025550177", "cell"), ("202 555 0178", "home"))

    def test_a_card_of_3_0_as_address_books_write_it(self):
        record = only(
            card(
                "FN:Ana\\, Countess\\; of L",
                " ee",
                "N:Lee;Ana;Maria,Eva;Dr.;",
                "item1.TEL;type=CELL,VOICE;type=pref:+1 (202) 555-0177",
                "item1.X-ABLabel:_$!<Mobile>!$_",
                "CATEGORIES:vip,likes a\\,b",
                "NOTE:Reads\\ncrime.",
            )
        )
        assert record.name == "Ana, Countess; of Lee"
        assert record.fields == {"first_name": "Ana"}
        assert record.phones == (("+1 (202) 555-0177", "cell"),)
        assert record.tags == {"vip", "likes a,b"}

    def test_a_card_of_4_0_with_its_uris(self):
        record = only(
            card(
                "FN:Ana Lee",
                'TEL;VALUE=uri;PREF=1;TYPE="voice,cell":tel:+1-202-555-0177',
                "TEL;VALUE=uri;TYPE=work:tel:+1-202-555-0178;ext=102",
                version="4.0",
            )
        )
        assert record.phones == (("+1-202-555-0177", "cell"), ("tel:+1-202-555-0178;ext=102", "work"))

    def test_a_name_is_put_together_where_none_is_written_out(self):
        assert only(card("N:Lee;Ana;Maria;Dr.;MD", "TEL:1")).name == "Dr. Ana Maria Lee MD"
        assert only(card("FN: ", "N:Lee;Ana", "TEL:1")).name == "Ana Lee"
        assert only(card("N:O\\;Neil;Ana\\, B", "TEL:1")).name == "Ana, B O;Neil"

    def test_letters_of_another_character_set_are_read_by_it(self):
        assert only(card("FN;QUOTED-PRINTABLE;CHARSET=ISO-8859-1:M=FCller", version="2.1")).name == "Müller"
        assert only(card("FN;ENCODING=quoted-printable:J=C3=B6rg", version="2.1")).name == "Jörg"
        assert only(card("FN;ENCODING=8BIT;CHARSET=UTF-8:Müller", version="2.1")).name == "Müller"
        bytes_ = card("FN;CHARSET=WINDOWS-1252:Müller", version="2.1").encode("cp1252")
        assert only(bytes_.decode("utf-8", "surrogateescape")).name == "Müller"

    def test_what_no_character_set_explains_is_still_text(self):
        wrong = card("FN:Müller").encode("latin-1").decode("utf-8", "surrogateescape")
        assert only(wrong).name == "M\ufffdller"
        halves = card("FN;ENCODING=QUOTED-PRINTABLE;CHARSET=unicode_escape:\\ud800x", version="2.1")
        assert only(halves).name == "?x"


@pytest.mark.parametrize(
    ("parameters", "label"),
    [
        ("", "cell"),
        (";TYPE=VOICE", "cell"),
        (";TYPE=home", "home"),
        (";TYPE=WORK,VOICE", "work"),
        (";WORK;CELL", "cell"),
        (";TYPE=mobile", "cell"),
        (';TYPE="home,text"', "cell"),
        (";TYPE=WORK;TYPE=FAX", "other"),
        (";PAGER", "other"),
    ],
)
def test_a_phone_is_labelled_by_its_type(parameters: str, label: str):
    assert only(card(f"TEL{parameters}:2025550177")).phones == (("2025550177", label),)


class TestFields:
    CARD = card(
        "FN:Ana", "ORG:Acme\\, Inc.;;Sales", "EMAIL;TYPE=INTERNET:a@shop.example", "EMAIL:b@shop.example",
        "NOTE:One; two\\nthree", "X-Shoe-Size:42", "TEL:2025550177",
    )  # fmt: skip

    def test_a_property_becomes_the_field_that_the_rule_files_declare_under_its_name(self):
        assert only(self.CARD, ("email", "org", "note", "x_shoe_size")).fields == {
            "org": "Acme, Inc., Sales",
            "email": "a@shop.example",
            "note": "One; two\nthree",
            "x_shoe_size": "42",
        }

    def test_every_other_one_is_named_when_all_is_read(self):
        cards = VCards(self.CARD.splitlines(), ("email",))
        assert [record.fields for record in cards if isinstance(record, Record)] == [{"email": "a@shop.example"}]
        assert cards.ignored == {"ORG", "NOTE", "X-SHOE-SIZE"}

    def test_a_picture_is_no_field(self):
        assert only(card("PHOTO;ENCODING=b:AAAA", "LOGO;BASE64:AAAA"), ("photo", "logo")).fields == {}


class TestBrokenCards:
    def test_a_broken_card_is_named_by_its_line_and_the_others_are_read(self):
        text = card("FN:One", "TEL:1") + card("FN:Two", "this is no line", "TEL:2") + card("FN:Three", "TEL:3")
        one, two, three = read(text)
        assert isinstance(one, Record)
        assert two == RowError(9, "'this is no line' is no line of a vCard.")
        assert isinstance(three, Record)
        assert (one.line, three.line) == (1, 12)

    def test_a_card_without_an_end_does_not_take_the_next_one_along(self):
        lost, good, last = read("BEGIN:VCARD\nFN:Lost\n" + card("FN:Good") + "BEGIN:VCARD\nFN:Last\n")
        assert lost == RowError(1, "the card that begins here has no END:VCARD.")
        assert isinstance(good, Record)
        assert last == RowError(7, "the card that begins here has no END:VCARD.")

    def test_what_stands_between_cards_is_said_once(self):
        assert [record.line for record in read("hello\nworld\n" + card("FN:A") + "bye\n")] == [1, 3, 7]

    def test_an_unknown_character_set_breaks_its_card_only(self):
        wrong, good = read(card("FN;CHARSET=klingon;QUOTED-PRINTABLE:a", version="2.1") + card("FN:Good"))
        assert wrong == RowError(3, "'klingon' is no character set.")
        assert isinstance(good, Record)

    def test_an_agent_who_has_a_card_inside_is_not_the_person(self):
        inside = "AGENT:\r\nBEGIN:VCARD\r\nFN:Agent\r\nTEL:2\r\nEND:VCARD"
        record = only(card("FN:Boss", inside, "TEL:1", version="2.1"))
        assert (record.name, record.phones) == ("Boss", (("1", "cell"),))

    def test_an_agent_whose_card_has_no_end_costs_one_card_only(self):
        torn = "BEGIN:VCARD\nFN:Boss\nAGENT:\nBEGIN:VCARD\nFN:Agent\nEND:VCARD\n"
        lost, good = read(torn + card("FN:Good"))
        assert lost == RowError(1, "the card that begins here has no END:VCARD.")
        assert isinstance(good, Record)

    def test_a_card_that_would_not_fit_into_a_batch_is_refused(self):
        numbers = [f"TEL:20255501{n}" for n in range(10, 31)]
        assert isinstance(read(card(*numbers[1:]))[0], Record)
        assert read(card(*numbers)) == [RowError(23, "it has more than 20 phones.")]
        assert read(card(f"CATEGORIES:{','.join(map(str, range(101)))}")) == [
            RowError(3, "it has more than 100 categories.")
        ]

    def test_a_quoted_printable_value_that_is_cut_off_does_not_swallow_the_end(self):
        cut, good = read(card("TEL:1", "FN;QUOTED-PRINTABLE:A=", version="2.1") + card("FN:Good"))
        assert isinstance(cut, Record)
        assert (cut.name, cut.phones) == ("A", (("1", "cell"),))
        assert isinstance(good, Record)

    def test_a_backslash_at_the_end_stays_one(self):
        assert only(card("FN:A\\")).name == "A\\"

    def test_a_line_that_is_made_to_be_slow_is_not(self):
        began = time.perf_counter()
        for sign in (",", ";", '"', '""', "=", ";A=,", "a.", "\\"):
            read(card("TEL;A=" + sign * MAX_LINE, "FN" + sign * MAX_LINE, "FN:" + sign * MAX_LINE))
        assert time.perf_counter() - began < 5


def test_long_photos_and_notes_are_read_past_and_not_kept():
    photo = "PHOTO;ENCODING=b:" + "A" * 60 + ("\r\n " + "A" * 74) * 2000
    note = "NOTE;ENCODING=QUOTED-PRINTABLE:" + ("=41" * 20 + "=\r\n") * 1000 + "end"
    record = only(card("FN:Ana", photo, note, "TEL:1"))
    assert (record.name, record.phones) == ("Ana", (("1", "cell"),))


def test_a_file_of_any_length_is_read_card_by_card():
    endless = itertools.cycle(card("FN:Ana", "TEL:1").splitlines(keepends=True))
    assert len(list(itertools.islice(VCards(endless, ()), 1000))) == 1000


_PIECES = st.sampled_from(
    ["BEGIN:VCARD", "END:VCARD", "VERSION:2.1", "N:a;b", "FN:", "TEL;CELL:1", "AGENT:", " fold", "\t", "", ";", ":",
     "FN;QUOTED-PRINTABLE:=C3=", "\\", "CATEGORIES:a,b", "TEL;TYPE=\"", "x.y:z", "FN;CHARSET=utf-7:+2AA-é", "\udcff"]
)  # fmt: skip


@given(st.lists(_PIECES | st.text(max_size=20), max_size=30))
def test_no_text_breaks_the_reader_and_all_it_finds_can_be_stored(lines: list[str]):
    for record in VCards((f"{line}\n" for line in lines), ("org",)):
        texts = (
            [record.message]
            if isinstance(record, RowError)
            else [record.name, *record.tags, *record.fields.values(), *(text for text, _ in record.phones)]
        )
        for text in texts:
            assert "\0" not in text
            text.encode()
