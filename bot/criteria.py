"""Which contacts: what a search asks for, what a list by query holds, and whom "all that match" texts. One meaning.

The SQL is store/sql/matching.sql, which every query about a selection of contacts includes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import orjson

from bot.clock import MICROSECONDS
from bot.store.contract import Transaction
from rules.facts import ALL_CONTACTS

# Also with the hyphens, blanks and directions that come along from a web page or an address book.
_NUMBER_LIKE = re.compile(r"[0-9\s()+./\u2010-\u2015\u2212\u200e\u200f\u202a-\u202e\u2066-\u2069-]+")
_DAY = 86_400 * MICROSECONDS
_FEW = 1000


class UnknownList(Exception):
    """There is no list of that name."""


def searchable(name: str) -> str:
    """A name as it is looked for: small letters without accents, so that "elodie" finds Élodie."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).casefold()


@dataclass(frozen=True, slots=True)
class Criteria:
    """What a contact must be; None asks nothing. `q` is part of a name or of a number."""

    q: str | None = None
    list: str | None = None
    tag: str | None = None
    without_tag: str | None = None
    field: str | None = None
    value: str | None = None
    opted_in: bool | None = None
    blocked: bool | None = None
    textable: bool | None = None
    texted_within_days: int | None = None
    silent_for_days: int | None = None

    def as_json(self) -> dict[str, Any]:
        """What is asked, and nothing else."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def parameters(self, prefix: str, now: int) -> dict[str, Any]:
        """The parameters of matching.sql. `now` is UTC microseconds."""
        is_number = self.q is not None and _NUMBER_LIKE.fullmatch(self.q)
        # Only what can be a number is looked for among the numbers: "Wing 5" is a name.
        digits = re.sub(r"[^0-9]", "", self.q or "") if is_number else ""
        values = {
            "q": None if self.q is None else f"%{_escaped(searchable(self.q.strip()))}%",
            "digits": f"%{digits}%" if digits else None,
            "few": None,
            "list": None if self.list == ALL_CONTACTS else self.list,
            "tag": self.tag,
            "without_tag": self.without_tag,
            "field": self.field,
            "value": self.value,
            "opted_in": _flag(self.opted_in),
            "blocked": _flag(self.blocked),
            "textable": _flag(self.textable),
            "texted_since": None if self.texted_within_days is None else now - self.texted_within_days * _DAY,
            "silent_since": None if self.silent_for_days is None else now - self.silent_for_days * _DAY,
        }
        return {f"{prefix}_{name}": value for name, value in values.items()}


@dataclass(frozen=True, slots=True)
class Selection:
    """Contacts that meet two sets of criteria at once: what is searched for, within a list by query.

    `few` are all that a short list or a rare tag of theirs has: the store begins with them, and looks at nobody else.
    Where there are many, it does better to look at one contact after the other until the page is full.
    """

    wanted: Criteria
    within: Criteria = field(default_factory=Criteria)
    few: Sequence[str] | None = None

    def parameters(self, now: int) -> dict[str, Any]:
        """The parameters of a query that selects contacts."""
        values = self.wanted.parameters("a", now) | self.within.parameters("b", now)
        return values if self.few is None else values | {"a_few": orjson.dumps(self.few).decode()}


async def selection(transaction: Transaction, criteria: Criteria) -> Selection:
    """The contacts that the criteria mean; a list by query counts as what it asks for. Raises UnknownList."""
    within = Criteria()
    if criteria.list is not None and criteria.list != ALL_CONTACTS:
        row = await transaction.row("list_named", name=criteria.list)
        if row is None:
            raise UnknownList(criteria.list)
        if row["query"]:
            criteria, within = replace(criteria, list=None), criteria_from(row["query"])
    return Selection(criteria, within, await _few(transaction, criteria, within))


async def _few(transaction: Transaction, *asked: Criteria) -> Sequence[str] | None:
    """The people of a list by hand or with a tag, where they are few."""
    for criteria in asked:
        if criteria.list is not None and criteria.list != ALL_CONTACTS:
            rows = await transaction.rows("some_of_list", list=criteria.list, limit=_FEW + 1)
            if len(rows) <= _FEW:
                return [row["contact_id"] for row in rows]
        if criteria.tag is not None:
            rows = await transaction.rows("some_tagged", tag=criteria.tag, limit=_FEW + 1)
            if len(rows) <= _FEW:
                return [row["contact_id"] for row in rows]
    return None


def criteria_from(text: str) -> Criteria:
    """Criteria as a list keeps them."""
    known: Mapping[str, Any] = orjson.loads(text) if text else {}
    return Criteria(**known)


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def _flag(value: bool | None) -> int | None:
    return None if value is None else int(value)
