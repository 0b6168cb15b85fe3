"""Contacts in from CSV as spreadsheets save it: in several encodings, with several delimiters."""

from __future__ import annotations

import codecs

import pytest

from bot import encodings
from tests.commands.contact_files import importer, stored

NAMES = ("Zoë Müller", "Ana Núñez", "O’Hara – €5")
FILE = "name,phone\n" + "".join(f"{name},202555019{n}\n" for n, name in enumerate(NAMES))
ASCII = "name,phone\n" + "".join(f"Ana Lee {n},+1202{n}\n" for n in range(5550000, 5550200))
ALONE = b"name,phone\nZo\xeb,2025550191\n"


@pytest.fixture
def importing(shop, textwright):
    """Import a text or bytes as a file."""
    return importer(shop, textwright)


@pytest.fixture(params=[1 << 20, 7, 1])
def chunks(request, monkeypatch):
    """Files that are looked at in pieces of so many bytes."""
    monkeypatch.setattr(encodings, "_CHUNK_BYTES", request.param)


@pytest.mark.parametrize(
    "data",
    [
        FILE.encode(),
        codecs.BOM_UTF8 + FILE.encode(),
        FILE.encode("cp1252"),
        codecs.BOM_UTF16_LE + FILE.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + FILE.encode("utf-16-be"),
        codecs.BOM_UTF16_LE + FILE.replace(",", "\t").replace("\n", "\r\n").encode("utf-16-le"),
    ],
)
@pytest.mark.usefixtures("chunks")
def test_names_come_in_as_they_are_in_every_encoding(shop, importing, data):
    done = importing(data)
    assert done.code == 0, done.out + done.err
    assert stored(shop, "SELECT name FROM contacts ORDER BY id") == [(name,) for name in NAMES]


@pytest.mark.parametrize(
    ("data", "names", "wrong"),
    [
        # Late in the file, so that its first piece tells nothing.
        (ASCII.encode() + "Zoë,2025550191\n".encode("cp1252"), ["Zoë"], 0),
        (ASCII.encode() + "Zoë,2025550191\n".encode() + b"Zo\xeb,2025550192\n", ["Zoë"], 1),
        (codecs.BOM_UTF8 + ALONE, [], 1),
        (ALONE, ["Zoë"], 0),
        (ALONE.replace(b"\xeb", b"\x81"), [], 1),
    ],
)
@pytest.mark.usefixtures("chunks")
def test_no_name_is_guessed(shop, importing, data, names, wrong):
    done = importing(data)
    assert stored(shop, "SELECT name FROM contacts WHERE name LIKE 'Zo%'") == [(name,) for name in names]
    assert done.out.count("a letter is not readable: save the file as UTF-8.") == wrong
    assert done.code == (1 if wrong else 0)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("Name;Phone;favourite\nAna;2025550191;a,b\n", '{"favourite":"a,b"}'),
        ("Name\tPhone\tfavourite\nAna\t2025550191\ta;b\n", '{"favourite":"a;b"}'),
        ("Name,Phone,favourite\nAna,2025550191,a;b\n", '{"favourite":"a;b"}'),
        ('"Name";"Phone";"favourite"\n"Ana";"2025550191";"a;b"\n', '{"favourite":"a;b"}'),
        ("Name;Phone;Last, first;favourite\nAna;2025550191;Lee;a\n", '{"favourite":"a"}'),
        ("\ufeffPhone;Name;favourite\n2025550191;Ana;a\n", '{"favourite":"a"}'),
    ],
)
def test_the_delimiter_is_the_one_that_gives_the_columns(shop, importing, text, fields):
    done = importing(text)
    assert done.code == 0, done.out + done.err
    assert stored(shop, "SELECT name, fields FROM contacts") == [("Ana", fields)]
    assert stored(shop, "SELECT number FROM phones") == [("+12025550191",)]


@pytest.mark.parametrize(
    ("data", "arguments", "says"),
    [
        (b"Name;Nummer\nAna;2025550191\n", [], "no column holds phone numbers"),
        (b"Name;Fon\nAna;2\n", ["--map", "Fone=phone"], "the file has no column 'fone'. Did you mean 'fon'?"),
        (codecs.BOM_UTF16_LE + b"p\0h\0o", [], "the file begins as UTF-16, and is not readable as that."),
        (codecs.BOM_UTF8 + b"phone,stra\xdfe\n1,2\n", [], "its first line is not readable: save the file as UTF-8."),
        (b"x" * 200_000, [], "its first line is not readable as CSV."),
    ],
)
def test_a_file_that_cannot_be_read_says_why(importing, data, arguments, says):
    done = importing(data, *arguments)
    assert done.code == 1
    assert says in done.err


def test_columns_are_mapped_by_hand_whatever_the_delimiter(shop, importing):
    done = importing("Wer;Nummer\nAna;2025550191\n", "--map", "Wer=name", "--map", "Nummer=phone")
    assert done.code == 0, done.err
    assert stored(shop, "SELECT name FROM contacts") == [("Ana",)]
