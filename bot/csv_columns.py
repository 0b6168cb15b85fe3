"""Which column of a contact file is what: by its name, or as the caller says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rules.problems import did_you_mean

PHONE_LABELS = {"phone": "cell", "cell": "cell", "home": "home", "work": "work"}
REFUSALS = ("blocked", "do_not_contact", "wrong_number")
TARGETS = ("name", *PHONE_LABELS, "label", "lists", "tags", "opted_in", "evidence", *REFUSALS)
IGNORED = "-"
_ALIASES: Mapping[str, str] = {
    "full_name": "name", "contact": "name", "number": "phone", "phone_number": "phone", "mobile": "cell",
    "mobile_phone": "cell", "cell_phone": "cell", "telephone": "phone", "tel": "phone", "home_phone": "home",
    "work_phone": "work", "list": "lists", "groups": "lists", "group": "lists", "tag": "tags", "labels": "tags",
    "consent": "opted_in", "opt_in": "opted_in", "subscribed": "opted_in", "consent_evidence": "evidence",
    "evidence_of_consent": "evidence", "dnc": "do_not_contact", "id": IGNORED, "textable": IGNORED,
    "created_at": IGNORED,
}  # fmt: skip


class UnknownColumn(Exception):
    """A column that the file does not have, or a target that there is none of; the message says which."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of one file: the places of each target, of each field of the contact, and names nobody knows."""

    targets: Mapping[str, tuple[int, ...]]
    fields: Mapping[str, int]
    ignored: tuple[str, ...]

    @property
    def has_phone(self) -> bool:
        """Whether any column holds phones."""
        return any(target in self.targets for target in PHONE_LABELS)


def columns_of(header: Sequence[str], fields: Iterable[str], given: Mapping[str, str]) -> Columns:
    """Read a header. `fields` are those that the rule files declare; `given` maps a column to a target, a field
    ('field:NAME') or IGNORED. Raises UnknownColumn."""
    known = {*fields, "first_name", "timezone", "state"}
    folded = {_folded(column): column for column in header}
    wanted = {_folded(column): target for column, target in given.items()}
    for column in wanted:
        if column not in folded:
            raise UnknownColumn(f"the file has no column '{column}'.{did_you_mean(column, folded)}")
    targets: dict[str, tuple[int, ...]] = {}
    places: dict[str, int] = {}
    ignored = []
    for place, column in enumerate(header):
        target = wanted.get(_folded(column)) or _by_name(_folded(column), known)
        if target.startswith("field:"):
            places[target.removeprefix("field:")] = place
        elif target in TARGETS:
            targets[target] = (*targets.get(target, ()), place)
        elif target == "":
            ignored.append(column)
        elif target != IGNORED:
            hint = did_you_mean(target, TARGETS) or f" It is one of {', '.join(TARGETS)}, field:NAME and -."
            raise UnknownColumn(f"a column cannot become '{target}'.{hint}")
    return Columns(targets, places, tuple(ignored))


def _by_name(column: str, fields: set[str]) -> str:
    if column in TARGETS:
        return column
    if column in _ALIASES:
        return _ALIASES[column]
    return next((f"field:{name}" for name in fields if _folded(name) == column), "")


def _folded(column: str) -> str:
    return re.sub(r"[^\w]+", "_", column.strip().lower()).strip("_")
