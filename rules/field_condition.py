"""The condition on a field of the contact."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from rules.conditions import MISSING, Condition
from rules.message import Message
from rules.reader import FieldType, parse_date, parse_moment, source
from rules.schedule import MICROSECONDS

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")

Comparable = str | bool | int | date | datetime
Check = Callable[[Comparable | None, int], bool]
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt, "gte": operator.ge, "lt": operator.lt, "lte": operator.le,
}  # fmt: skip


@dataclass(frozen=True)
class Field(Condition):
    """A field of the contact compares so. Of a missing field only `not` and `exists: false` are true."""

    name = "field"
    field_name: str
    kind: FieldType
    zone: ZoneInfo
    tests: tuple[tuple[str, tuple[str, ...]], ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_key", (self.field_name, self.kind, self.zone))
        object.__setattr__(self, "_checks", tuple(self._check(test, operands) for test, operands in self.tests))

    def holds(self, message: Message) -> bool:
        """True when every comparison is."""
        key, checks = self.__dict__["_key"], self.__dict__["_checks"]
        if key not in message.typed:
            message.typed[key] = self._typed(message.facts.contact.fields.get(self.field_name))
        value = message.typed[key]
        return all([check(value, message.now) for check in checks])

    def saw(self, message: Message) -> str:
        """The field's value."""
        return message.facts.contact.fields.get(self.field_name, MISSING)[:60]

    @property
    def argument(self) -> str:
        """The field and its comparisons."""
        tests = {test: source(operands) for test, operands in self.tests}
        return f"{{{self.field_name}: {source(tests)}}}"

    def _check(self, test: str, operands: tuple[str, ...]) -> Check:
        """One comparison, its operands read once."""
        if test == "exists":
            wanted = operands == ("true",)
            return lambda value, _now: (value is not None) is wanted
        if test in ("within_next", "within_last"):
            seconds = int(operands[0]) * (1 if test == "within_next" else -1)
            return lambda value, now: value is not None and self._within(value, seconds, now)
        typed = tuple(self._typed(operand) for operand in operands)
        if test == "not":
            return lambda value, _now: value is None or value not in typed
        if test in ("is", "in"):
            return lambda value, _now: value is not None and value in typed
        operand, compare = typed[0], _COMPARISONS[test]
        return lambda value, _now: value is not None and operand is not None and compare(value, operand)

    def _within(self, value: Comparable, seconds: int, now: int) -> bool:
        if isinstance(value, date) and not isinstance(value, datetime):
            value = datetime.combine(value, time(), self.zone)
        assert isinstance(value, datetime)
        ahead = value.timestamp() - now / MICROSECONDS
        return 0 <= ahead <= seconds if seconds > 0 else seconds <= ahead <= 0

    def _typed(self, text: str | None) -> Comparable | None:
        if text is None:
            return None
        if self.kind == "integer":
            return int(text) if _INTEGER.fullmatch(text) else None
        if self.kind == "boolean":
            return text.lower() in ("true", "yes", "on", "1")
        if self.kind == "date":
            return parse_date(text)
        return parse_moment(text, self.zone) if self.kind == "datetime" else text.casefold()
