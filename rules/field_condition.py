"""The condition on a field of the contact."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from rules.conditions import MISSING, Condition
from rules.message import Message
from rules.reader import FieldType, parse_date, parse_moment, source
from rules.schedule import MICROSECONDS

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")

Comparable = str | bool | Decimal | date | datetime


@dataclass(frozen=True)
class Field(Condition):
    """A field of the contact compares so. Of a missing field only `not` and `exists: false` are true."""

    name = "field"
    field_name: str
    kind: FieldType
    zone: ZoneInfo
    tests: tuple[tuple[str, tuple[str, ...]], ...]

    def __post_init__(self) -> None:
        operands = {texts: tuple(self._typed(text) for text in texts) for _, texts in self.tests}
        object.__setattr__(self, "_operands", operands)

    def holds(self, message: Message) -> bool:
        """True when every comparison is."""
        key = (self.field_name, self.kind, self.zone)
        if key not in message.typed:
            message.typed[key] = self._typed(message.facts.contact.fields.get(self.field_name))
        value: Comparable | None = message.typed[key]
        return all(self._passes(value, test, operands, message.now) for test, operands in self.tests)

    def saw(self, message: Message) -> str:
        """The field's value."""
        return message.facts.contact.fields.get(self.field_name, MISSING)[:60]

    @property
    def argument(self) -> str:
        """The field and its comparisons."""
        tests = {test: source(operands) for test, operands in self.tests}
        return f"{{{self.field_name}: {source(tests)}}}"

    def _passes(self, value: Comparable | None, test: str, operands: tuple[str, ...], now: int) -> bool:
        if test == "exists":
            return (value is not None) == (operands == ("true",))
        if test == "not":
            return value is None or value not in self._all_typed(operands)
        if value is None:
            return False
        if test in ("is", "in"):
            return value in self._all_typed(operands)
        if test in ("within_next", "within_last"):
            return self._within(value, int(operands[0]) * (1 if test == "within_next" else -1), now)
        return _compare(value, test, self._all_typed(operands)[0])

    def _all_typed(self, operands: tuple[str, ...]) -> tuple[Comparable | None, ...]:
        typed: dict[tuple[str, ...], tuple[Comparable | None, ...]] = self.__dict__["_operands"]
        return typed[operands]

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
            return Decimal(text) if _INTEGER.fullmatch(text) else None
        if self.kind == "boolean":
            return text.lower() in ("true", "yes", "on", "1")
        if self.kind == "date":
            return parse_date(text)
        return parse_moment(text, self.zone) if self.kind == "datetime" else text.casefold()


def _compare(value: Comparable, test: str, operand: Comparable | None) -> bool:
    if operand is None:
        return False
    if test in ("gt", "lte"):
        above = value > operand  # type: ignore[operator]
        return above if test == "gt" else not above
    below = value < operand  # type: ignore[operator]
    return below if test == "lt" else not below
