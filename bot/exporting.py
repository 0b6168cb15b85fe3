"""Contacts as CSV: a row for each phone, in bounded memory. What was exported can be imported again."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from typing import TextIO

import orjson

from bot.changes import dumps
from bot.store.contract import Row, Store

_PAGE = 1000
_FIXED = ("id", "name", "phone", "label", "opted_in", "evidence", "blocked", "do_not_contact", "wrong_number",
          "lists", "tags")  # fmt: skip


async def export_contacts(store: Store, target: TextIO, fields: Sequence[str], list_name: str | None = None) -> int:
    """Write the contacts (those of a list, or all) with these fields as columns; returns the number of rows."""
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow([*_FIXED, *fields])
    count, cursor = 0, ""
    while True:
        async with store.snapshot() as transaction:
            rows = await transaction.rows("export_phones", cursor=cursor, list=list_name, limit=_PAGE)
            contacts = dumps(sorted({row["id"] for row in rows}))
            labels: dict[tuple[str, str], list[str]] = defaultdict(list)
            for row in await transaction.rows("load_labels", contacts=contacts):
                labels[row["kind"], row["contact_id"]].append(row["name"])
        for row in rows:
            writer.writerow([_safe(cell) for cell in _cells(row, labels, fields)])
        count += len(rows)
        if len(rows) < _PAGE:
            return count
        cursor = rows[-1]["number"]


def _cells(row: Row, labels: dict[tuple[str, str], list[str]], fields: Sequence[str]) -> list[str]:
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
        ";".join(sorted(labels["list", row["id"]])),
        ";".join(sorted(labels["tag", row["id"]])),
        *(str(known.get(field, "")) for field in fields),
    ]


def _safe(cell: str) -> str:
    """A spreadsheet takes what begins with = + - @ for a formula; a phone number is none."""
    is_number = cell[:1] in "+-" and cell[1:].isdigit()
    return f"'{cell}" if cell[:1] in tuple("=+-@") and not is_number else cell
