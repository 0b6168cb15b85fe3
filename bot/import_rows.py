"""A person as a file tells of them, and what is made of it: the same for a CSV row and for a vCard."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

from bot.consent import Label
from bot.naming import said
from bot.phones import parse_phone
from rules.facts import ALL_CONTACTS
from rules.reader import FieldType, is_value
from rules.tags import DO_NOT_CONTACT, OPT_IN, WRONG_NUMBER, tag_name

MAX_NAME = 200
MAX_CELL = 1000
LABELS: tuple[Label, ...] = ("cell", "home", "work", "other")
REFUSALS = ("blocked", "do_not_contact", "wrong_number")
YES = frozenset({"1", "true", "yes", "y", "x", "on", "opted_in", "subscribed"})
NO = frozenset({"", "0", "false", "no", "n", "off", "opted_out", "unsubscribed"})
# As people write a number of the North American plan; the library takes a hundred times as long to say the same.
_NANP = re.compile(r"(?:\+?1[ .-]?)?(?:\(([2-9][0-9]{2})\) ?|([2-9][0-9]{2})[ .-]?)([0-9]{3})[ .-]?([0-9]{4})")
_NANP_AT_HOME = frozenset({"US", "CA"})


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that was left out, and why. `line` counts from 1, a header included."""

    line: int
    message: str


class RowRefused(Exception):
    """A row that cannot be taken; the message says why."""


class Record(NamedTuple):
    """One person, as the file says it: what every reader makes, and nothing in it is checked.

    `phones` are (text, label); `opted_in` is a word for yes or no; `marks` are of REFUSALS; records of one `id` that is
    not "" are of one person."""

    line: int
    name: str
    phones: tuple[tuple[str, str], ...]
    lists: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    fields: Mapping[str, str] = {}
    opted_in: str = ""
    evidence: str = ""
    marks: frozenset[str] = frozenset()
    id: str = ""


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """One row, checked. `phones` are (E.164, label)."""

    line: int
    name: str
    phones: tuple[tuple[str, str], ...]
    lists: frozenset[str]
    tags: frozenset[str]
    fields: Mapping[str, str]
    opted_in: bool
    opted_out: bool
    """The row itself says no. Where it says nothing, neither holds."""
    evidence: str
    refusals: frozenset[str]
    """Of REFUSALS: what the phones are marked as. A file may put such a mark, and never take one away."""
    beside: str = ""
    """A phone of the same person, of an earlier row."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for all rows of an import. `by` is who, for the history."""

    country: str
    by: str
    lists: frozenset[str] = frozenset()
    kinds: Mapping[str, FieldType] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    opted_in: bool = False
    evidence: str = ""
    dry_run: bool = False
    most_errors: int = 1000
    batch_rows: int = 400


def checked(record: Record, plan: Plan) -> ImportedRow:
    """Check a record. Raises RowRefused."""
    phones: dict[str, str] = {}
    for text, label in record.phones:
        phone = imported_phone(text, plan.country)
        if phone is None:
            raise RowRefused(f"'{text[:40]}' is no phone number.")
        phones.setdefault(phone, label)
    if not phones:
        raise RowRefused("there is no phone number.")
    word = record.opted_in.lower()
    if word not in YES and word not in NO:
        raise RowRefused(f"'{word[:40]}' is neither yes nor no.")
    opted_in, opted_out = word in YES or (plan.opted_in and not word), bool(word) and word in NO
    evidence = said(record.evidence) or ("" if opted_out else plan.evidence)
    if opted_in and not evidence:
        raise RowRefused("opting in needs evidence: where and when did the person agree?")
    if len(record.name) > MAX_NAME:
        raise RowRefused(f"the name has {len(record.name)} characters; {MAX_NAME} is the most.")
    for key, value in record.fields.items():
        if key in plan.kinds and not is_value(value, plan.kinds[key], plan.zone):
            raise RowRefused(f"'{value[:40]}' is no {plan.kinds[key]} for '{key}'.")
    tags = frozenset(tag_name(tag) for tag in record.tags)
    return ImportedRow(
        line=record.line,
        name=record.name,
        phones=tuple(phones.items()),
        lists=(plan.lists | record.lists) - {ALL_CONTACTS},
        tags=tags - {OPT_IN},
        fields=record.fields,
        opted_in=opted_in,
        opted_out=opted_out,
        evidence=evidence[:500],
        refusals=record.marks | {tag.replace("-", "_") for tag in tags & {DO_NOT_CONTACT, WRONG_NUMBER}},
    )


def imported_phone(text: str, country: str) -> str | None:
    """parse_phone, at once where a number of the North American plan is written in one of its usual ways."""
    if text[:1] == "+" or country in _NANP_AT_HOME:
        match = _NANP.fullmatch(text)
        if match:
            return f"+1{match[1] or match[2]}{match[3]}{match[4]}"
    return parse_phone(text, country)


def tidy(text: str) -> str:
    """A value as it is kept: no blanks around it, no NUL (PostgreSQL has none), and not longer than MAX_CELL."""
    return text.strip().replace("\0", "")[:MAX_CELL]


def several(parts: Iterable[str]) -> frozenset[str]:
    """Names, without blanks around them."""
    return frozenset(name for part in parts if (name := part.strip()))
