"""What the store holds as CSV: contacts, messages and the history of consent, page by page, in bounded memory.

An export is an iterator of pages of rows, the header first. `csv_chunks` makes text of it for whoever streams it, and
`write_csv` writes it. Contacts that were exported can be imported again.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence, Set
from typing import Literal, TextIO, get_args

import orjson

from bot.changes import dumps
from bot.clock import iso
from bot.csv_columns import BUILTIN_FIELDS, FORMULA, column_of, names_text
from bot.store.contract import Row, Store
from rules.facts import ALL_CONTACTS

What = Literal["contacts", "messages", "consent"]
WHATS: tuple[What, ...] = get_args(What)
Page = list[list[str]]
Pages = AsyncIterator[Page]

_PAGE = 1000
_CONTACT = ("id", "name", "phone", "label", "opted_in", "evidence", "blocked", "do_not_contact", "wrong_number",
            "lists", "tags")  # fmt: skip
_MESSAGE = ("id", "time", "direction", "state", "phone", "number", "channel", "body", "parts", "sent_by",
            "sent_by_name", "error")  # fmt: skip
_CONSENT = ("time", "phone", "event", "actor", "reason", "message_id", "before", "after")


class NoSuchList(Exception):
    """There is no list of that name; the message says so."""


async def export_pages(store: Store, what: What, fields: Iterable[str] = (), list_name: str | None = None) -> Pages:
    """The pages of an export, of all people or of those on a list. `fields` are those that the rule files declare.

    Raises NoSuchList, before anything is written."""
    if list_name == ALL_CONTACTS:
        list_name = None
    if list_name is not None:
        async with store.snapshot() as transaction:
            row = await transaction.row("list_named", name=list_name)
        if row is None or row["query"]:
            why = "Who is on it follows from its query." if row else ""
            raise NoSuchList(f"There is no list '{list_name}'{' by hand' if row else ''}. {why}".strip())
    match what:
        case "contacts":
            return _contact_pages(store, frozenset(fields), list_name)
        case "messages":
            return _pages_by_seq(store, "export_messages", _MESSAGE, _message, list_name)
        case "consent":
            return _pages_by_seq(store, "export_consent", _CONSENT, _consent, list_name)


async def _contact_pages(store: Store, declared: Set[str], list_name: str | None) -> Pages:
    """A row for each phone, those of a contact together, with every field that anybody has."""
    async with store.snapshot() as transaction:
        used = {row["name"] for row in await transaction.rows("field_names")}
    fields = sorted({*BUILTIN_FIELDS, *declared, *used})
    yield [[*_CONTACT, *(column_of(field, declared) for field in fields)]]
    contact = cursor = ""
    while True:
        async with store.snapshot() as transaction:
            rows = await transaction.rows("export_phones", contact=contact, cursor=cursor, list=list_name, limit=_PAGE)
            contacts = dumps(sorted({row["id"] for row in rows}))
            labels: dict[tuple[str, str], list[str]] = defaultdict(list)
            for row in await transaction.rows("load_labels", contacts=contacts):
                labels[row["kind"], row["contact_id"]].append(row["name"])
        yield [_contact(row, labels, fields) for row in rows]
        if len(rows) < _PAGE:
            return
        contact, cursor = rows[-1]["id"], rows[-1]["number"]


async def _pages_by_seq(
    store: Store, query: str, header: Sequence[str], cells: Callable[[Row], list[str]], list_name: str | None
) -> Pages:
    """Rows in the order in which they were written."""
    yield [list(header)]
    cursor = 0
    while True:
        async with store.snapshot() as transaction:
            rows = await transaction.rows(query, cursor=cursor, list=list_name, limit=_PAGE)
        yield [cells(row) for row in rows if row["is_wanted"]]
        if len(rows) < _PAGE:
            return
        cursor = rows[-1]["seq"]


async def csv_chunks(pages: Pages) -> AsyncIterator[str]:
    """The pages as CSV text, a chunk for each."""
    async for page in pages:
        yield _text(page)


async def write_csv(pages: Pages, target: TextIO) -> int:
    """Write the pages as CSV; returns the number of rows, without the header."""
    count = -1
    async for page in pages:
        target.write(_text(page))
        count += len(page)
    return count


def _text(page: Page) -> str:
    target = io.StringIO(newline="")
    csv.writer(target, lineterminator="\n").writerows([_safe(cell) for cell in row] for row in page)
    return target.getvalue()


def _contact(row: Row, labels: dict[tuple[str, str], list[str]], fields: Sequence[str]) -> list[str]:
    known = orjson.loads(row["fields"])
    flags = ("yes" if row[name] else "no" for name in ("blocked", "do_not_contact", "wrong_number"))
    return [
        row["id"],
        row["name"],
        row["number"],
        row["label"],
        "yes" if row["opted_in"] else "no",
        row["evidence"] or "",
        *flags,
        names_text(labels["list", row["id"]]),
        names_text(labels["tag", row["id"]]),
        *(str(known.get(field, "")) for field in fields),
    ]


def _message(row: Row) -> list[str]:
    return [
        row["id"],
        iso(row["created_at"]),
        row["direction"],
        row["state"],
        row["phone"],
        row["number"],
        row["channel"],
        row["body"],
        str(row["parts"]),
        row["sent_by"],
        row["sent_by_name"],
        row["error"] or "",
    ]


def _consent(row: Row) -> list[str]:
    return [
        iso(row["at"]),
        row["phone"],
        row["event"],
        row["actor"],
        row["reason"],
        row["message_id"] or "",
        row["before"],
        row["after"],
    ]


def _safe(cell: str) -> str:
    """A cell that no spreadsheet runs: a formula gets a ' before it, though a phone number is none. Nor may it end
    the row: a carriage return alone would, for csv does not quote it."""
    if "\r" in cell:
        cell = cell.replace("\r\n", "\n").replace("\r", "\n")
    is_number = cell[:1] in "+-" and cell[1:].isdigit()
    return f"'{cell}" if FORMULA.match(cell) and not is_number else cell
