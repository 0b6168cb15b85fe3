"""Contacts from CSV: which column is what, by its name or as the caller says, and the rows read by that."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.encodings import UNREADABLE
from bot.import_rows import LABELS, REFUSALS, YES, Record, RowError, several, tidy
from rules.problems import did_you_mean

PHONE_LABELS = {"phone": "cell", "cell": "cell", "home": "home", "work": "work"}
BUILTIN_FIELDS = ("first_name", "state", "timezone")
"""Fields of a contact that the rule files need not declare."""
TARGETS = ("id", "name", *PHONE_LABELS, "label", "lists", "tags", "opted_in", "evidence", *REFUSALS)
IGNORED = "-"
DELIMITERS = ",;\t"
FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""How a cell begins that a spreadsheet would run. An export puts one more ' before it, and an import takes it away."""
_NAMES = re.compile(r"(?:\\[\\;]|[^;])+")
_FIELD = re.compile(r"field:\s*(\S.*?)\s*", re.DOTALL)
_ALIASES: Mapping[str, str] = {
    "full_name": "name", "contact": "name", "number": "phone", "phone_number": "phone", "mobile": "cell",
    "mobile_phone": "cell", "cell_phone": "cell", "telephone": "phone", "tel": "phone", "home_phone": "home",
    "work_phone": "work", "list": "lists", "groups": "lists", "group": "lists", "tag": "tags", "labels": "tags",
    "consent": "opted_in", "opt_in": "opted_in", "subscribed": "opted_in", "consent_evidence": "evidence",
    "evidence_of_consent": "evidence", "dnc": "do_not_contact", "textable": IGNORED, "created_at": IGNORED,
}  # fmt: skip


class UnknownColumn(Exception):
    """A column that the file does not have, or a target that there is none of; the message says which."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file: the places of each target, of each field of the contact, and names nobody knows."""

    targets: Mapping[str, tuple[int, ...]]
    fields: Mapping[str, int]
    ignored: tuple[str, ...]
    delimiter: str = ","

    @property
    def has_phone(self) -> bool:
        """Whether any column holds phones."""
        return any(target in self.targets for target in PHONE_LABELS)


def columns_of(header: Sequence[str], fields: Iterable[str], given: Mapping[str, str], delimiter: str = ",") -> Columns:
    """Read a header. `fields` are those that the rule files declare; `given` maps a column to a target, a field
    ('field:NAME') or IGNORED. Raises UnknownColumn."""
    known = {*fields, *BUILTIN_FIELDS}
    folded = {_folded(column): column for column in header}
    wanted = {_folded(column): target for column, target in given.items()}
    for column in wanted:
        if column not in folded:
            raise UnknownColumn(f"the file has no column '{column}'.{did_you_mean(column, folded)}")
    targets: dict[str, tuple[int, ...]] = {}
    places: dict[str, int] = {}
    ignored = []
    for place, column in enumerate(header):
        target = wanted.get(_folded(column)) or _by_name(column, known)
        if target.startswith("field:"):
            places[target.removeprefix("field:")] = place
        elif target in TARGETS:
            targets[target] = (*targets.get(target, ()), place)
        elif target == "":
            ignored.append(column)
        elif target != IGNORED:
            hint = did_you_mean(target, TARGETS) or f" It is one of {', '.join(TARGETS)}, field:NAME and -."
            raise UnknownColumn(f"a column cannot become '{target}'.{hint}")
    return Columns(targets, places, tuple(ignored), delimiter)


def column_of(field: str, fields: Iterable[str]) -> str:
    """How a column is to be called that is read as this field again. `fields` are those of columns_of."""
    target = f"field:{field}"
    return field if _by_name(field, {*fields, *BUILTIN_FIELDS}) == target else target


def names_text(names: Iterable[str]) -> str:
    """Names in one cell: with ; between them, and \\ before one that is in a name."""
    return ";".join(re.sub(r"([\\;])", r"\\\1", name) for name in sorted(names))


def names_of(text: str) -> frozenset[str]:
    """The names in a cell, as names_text writes them."""
    return several(tidy(re.sub(r"\\([\\;])", r"\1", part)) for part in _NAMES.findall(text))


def read_csv(lines: Iterable[str], columns: Columns) -> Iterator[Record | RowError]:
    """Read the rows that follow the header (`lines` begin with it). The line of a row is its last one."""
    reader = csv.reader(lines, delimiter=columns.delimiter)
    next(reader, None)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RowError(reader.line_num, f"not readable as CSV: {error}.")
            continue
        if UNREADABLE.search("".join(cells)):
            yield RowError(reader.line_num, "a letter is not readable: save the file as UTF-8.")
        elif any(cells) and any(cell.strip() for cell in cells):
            yield _record(reader.line_num, cells, columns)


def _record(line: int, cells: Sequence[str], columns: Columns) -> Record | RowError:
    said: dict[str, str] = {}
    for target, places in columns.targets.items():
        for place in places:
            if place < len(cells) and (text := _clean(cells[place])):
                said[target] = text
                break
    label = said.get("label", "").lower()
    if label and label not in LABELS:
        return RowError(line, f"'{label}' is no label of a phone: cell, home, work or other.")
    return Record(
        line,
        name=said.get("name", ""),
        phones=tuple(
            (text, label if label and target == "phone" else own)
            for target, own in PHONE_LABELS.items()
            for place in columns.targets.get(target, ())
            if place < len(cells) and (text := _clean(cells[place]))
        ),
        lists=_names(cells, columns.targets.get("lists", ())),
        tags=_names(cells, columns.targets.get("tags", ())),
        fields={
            key: text for key, place in columns.fields.items() if place < len(cells) and (text := _clean(cells[place]))
        },
        opted_in=said.get("opted_in", ""),
        evidence=said.get("evidence", ""),
        marks=frozenset(mark for mark in REFUSALS if mark in said and said[mark].lower() in YES),
        id=said.get("id", ""),
    )


def _names(cells: Sequence[str], places: Iterable[int]) -> frozenset[str]:
    """The names in all of these cells: each may be as long as a cell, and all of them longer."""
    found: frozenset[str] = frozenset()
    for place in places:
        if place < len(cells) and cells[place]:
            found |= names_of(_bare(cells[place].strip()))
    return found


def _clean(text: str) -> str:
    return _bare(tidy(text))


def _bare(text: str) -> str:
    """A cell, without the ' that stands before what a spreadsheet would take for a formula."""
    return text[1:] if text[:1] == "'" and FORMULA.match(text) else text


def _by_name(column: str, fields: set[str]) -> str:
    if match := _FIELD.fullmatch(column):
        return f"field:{match[1]}"
    folded = _folded(column)
    if folded in TARGETS:
        return folded
    if folded in _ALIASES:
        return _ALIASES[folded]
    return min((f"field:{name}" for name in fields if _folded(name) == folded), default="")


def _folded(column: str) -> str:
    return re.sub(r"[^\w]+", "_", column.strip().lower()).strip("_")
