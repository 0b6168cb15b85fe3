"""Typed reading of a file's nodes: each method gives a value of our types, or notes what is wrong and gives None."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import re2

from rules.nodes import Node
from rules.problems import Problems, did_you_mean
from rules.schedule import Schedule
from rules.tags import tag_name
from rules.text import MAX_PHRASE_WORDS, phrase

FieldType = Literal["text", "integer", "boolean", "date", "datetime"]
FIELD_TYPES: tuple[FieldType, ...] = ("text", "integer", "boolean", "date", "datetime")
MAX_WORDS = 200
MAX_PATTERNS = 50
MAX_PATTERN = 500
FOREVER = -1
"""A duration without an end; others are seconds."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_DURATION = re.compile(r"(?:(\d{1,9})w)?(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")
_TRUE = ("true", "yes", "on")
_FALSE = ("false", "no", "off")
_MAX_SECONDS = 10 * 366 * 86400
_FOREVER_DAYS = 100 * 366


@dataclass(frozen=True, slots=True)
class Span:
    """A duration on the wall clock: calendar days, which daylight saving may lengthen, and then seconds."""

    days: int
    seconds: int

    @property
    def is_forever(self) -> bool:
        """Whether it has no end."""
        return self.days >= _FOREVER_DAYS


@dataclass(slots=True)
class Declarations:
    """What the files declare for all of them. `workflows` are full names, 'file.workflow'."""

    lists: dict[str, str] = field(default_factory=dict)
    fields: dict[str, FieldType] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)
    vars: dict[str, str] = field(default_factory=dict)
    workflows: dict[str, int] = field(default_factory=dict)
    routes: frozenset[str] | None = None
    channels: frozenset[str] | None = None
    staff_is_route: bool = False
    """Whether a route is called "staff"; else that is the default one."""


@dataclass(slots=True)
class Reader:
    """Reads the nodes of one file."""

    file: str
    problems: Problems
    declared: Declarations
    zone: ZoneInfo
    name_of_file: str = ""
    builtin: bool = False
    has_message: bool = True
    """Whether a message is what the part that is read answers: only then there is a `message.*`."""

    def error(self, node: Node, message: str) -> None:
        """Note an error at the node."""
        self.problems.error(self.file, node.line, message)

    def warning(self, node: Node, message: str) -> None:
        """Note a warning at the node."""
        self.problems.warning(self.file, node.line, message)

    def mapping(self, node: Node, known: Iterable[str] | None, what: str) -> dict[str, Node]:
        """The node's keys; unknown and repeated ones are errors. `known` None takes any name."""
        if node.kind != "mapping":
            self.error(node, f"a mapping of keys must stand here, not {node.described}.")
            return {}
        names = None if known is None else list(known)
        found: dict[str, Node] = {}
        for key, value in node.pairs:
            if key.text in found:
                self.error(key, f"'{key.text[:40]}' is given twice.")
            elif names is not None and key.text not in names:
                self.error(key, f"unknown {what} '{key.text[:40]}'.{did_you_mean(key.text, names)}")
            else:
                found[key.text] = value
        return found

    def text(self, node: Node, what: str) -> str | None:
        """A text that is not empty."""
        if node.kind != "text":
            self.error(node, f"{what} must be text, not {node.described}.")
            return None
        if not node.text.strip():
            self.error(node, f"{what} is empty.")
            return None
        return node.text

    def items(self, node: Node, what: str) -> list[Node]:
        """A list's items; one value stands for a list of one."""
        if node.kind == "mapping":
            self.error(node, f"{what} must be a list, not a mapping.")
            return []
        items = node.items if node.kind == "list" else [node]
        if not items:
            self.error(node, f"{what} is an empty list.")
        return items

    def texts(self, node: Node, what: str) -> tuple[str, ...]:
        """One or more texts."""
        found = (self.text(item, what) for item in self.items(node, what))
        return tuple(text for text in found if text is not None)

    def tags(self, node: Node) -> tuple[str, ...]:
        """One or more tags."""
        return tuple(tag_name(text) for text in self.texts(node, "tag"))

    def words(self, node: Node, what: str) -> tuple[tuple[str, ...], ...]:
        """One or more words or phrases, folded."""
        items = self.items(node, what)
        if len(items) > MAX_WORDS:
            self.error(node, f"{what} has {len(items)} words; {MAX_WORDS} is the most. Split the rule.")
            return ()
        found: dict[tuple[str, ...], None] = {}
        for item in items:
            text = self.text(item, what)
            if text is None:
                continue
            folded = phrase(text)
            if not folded:
                self.error(item, f"'{text}' has no letter, digit or emoji to compare.")
            elif len(folded) > MAX_PHRASE_WORDS:
                self.error(item, f"'{text}' has {len(folded)} words; {MAX_PHRASE_WORDS} is the most.")
            else:
                found[folded] = None
        return tuple(found)

    def patterns(self, node: Node, what: str) -> tuple[str, ...]:
        """One or more RE2 patterns."""
        good = []
        items = self.items(node, what)
        if len(items) > MAX_PATTERNS:
            self.error(node, f"{what} has {len(items)} patterns; {MAX_PATTERNS} is the most. Split the rule.")
            return ()
        for item in items:
            text = self.text(item, what)
            if text is None:
                continue
            if len(text) > MAX_PATTERN:
                self.error(item, f"the pattern has {len(text)} characters; {MAX_PATTERN} is the most.")
                continue
            try:
                compile_pattern(text)
            except re2.error as error:
                self.error(item, f"'{text}' is not a pattern in RE2 syntax: {_re2_reason(error)}.")
            else:
                good.append(text)
        return tuple(good)

    def name(self, node: Node, what: str) -> str | None:
        """A name: a letter, then letters, digits, '_' and '-'."""
        text = self.text(node, what)
        if text is not None and not _NAME.fullmatch(text):
            self.error(node, f"'{text}' is no {what} name: use letters, digits, '_' and '-', a letter first.")
            return None
        return text

    def declared_names(self, node: Node, known: Iterable[str] | None, what: str, where: str) -> tuple[str, ...]:
        """One or more names that were declared; `known` None means that nobody can say."""
        names = list(known) if known is not None else None
        found = []
        for item in self.items(node, what):
            text = self.text(item, what)
            if text is None:
                continue
            if names is not None and text not in names:
                self.error(item, f"unknown {what} '{text}'.{did_you_mean(text, names) or f' {where}'}")
            else:
                found.append(text)
        return tuple(found)

    def declared_name(self, node: Node, known: Iterable[str] | None, what: str, where: str) -> str | None:
        """One name that was declared."""
        if node.kind != "text":
            self.error(node, f"the name of one {what} must stand here, not {node.described}.")
            return None
        found = self.declared_names(node, known, what, where)
        return found[0] if found else None

    def choice(self, node: Node, choices: Iterable[str], what: str) -> str | None:
        """One of a few words."""
        found = self.choices(node, choices, what) if node.kind == "text" else ()
        if node.kind != "text":
            self.error(node, f"{what} must be one word, not {node.described}.")
        return found[0] if found else None

    def choices(self, node: Node, choices: Iterable[str], what: str) -> tuple[str, ...]:
        """One or more of a few words."""
        known = list(choices)
        found = []
        for item in self.items(node, what):
            text = self.text(item, what)
            if text is None:
                continue
            if text.lower() in known:
                found.append(text.lower())
            else:
                hint = did_you_mean(text, known) or f" It is one of {', '.join(known)}."
                self.error(item, f"unknown {what} '{text}'.{hint}")
        return tuple(found)

    def boolean(self, node: Node, what: str) -> bool | None:
        """true/false, yes/no or on/off."""
        word = node.text.lower() if node.kind == "text" else ""
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
        self.error(node, f"{what} must be true or false, not {node.described}.")
        return None

    def integer(self, node: Node, what: str, low: int, high: int) -> int | None:
        """A whole number within bounds."""
        text = node.text if node.kind == "text" else ""
        if re.fullmatch(r"-?\d{1,15}", text) and low <= int(text) <= high:
            return int(text)
        self.error(node, f"{what} must be a whole number from {low} to {high}, not {node.described}.")
        return None

    def duration(self, node: Node, what: str) -> int | None:
        """Seconds, from '30m', '6h', '2d', '1d12h'; FOREVER for 'forever'."""
        span = self.span(node, what)
        if span is None:
            return None
        return FOREVER if span.is_forever else span.days * 86_400 + span.seconds

    def span(self, node: Node, what: str, *, signed: bool = False) -> Span | None:
        """A duration whose days are days of the calendar; `signed` takes '-24h' and '+1d' too."""
        found = parse_span(node.text, signed=signed) if node.kind == "text" else None
        if found is None:
            self.error(node, f"{what} must be a duration such as 30m, 6h, 2d or 1d12h, not {node.described}.")
        return found

    def workflow(self, node: Node) -> str | None:
        """The full name of a workflow, which a file of its own may call by its short one."""
        text = self.text(node, "a workflow")
        if text is None:
            return None
        known = self.declared.workflows
        own = f"{self.name_of_file}.{text}"
        named_so = [name for name in known if name.partition(".")[2] == text]
        found = own if own in known else text if text in known else named_so[0] if len(named_so) == 1 else None
        if found is None:
            short = [name.partition(".")[2] for name in known]
            several = f" It could be {' or '.join(sorted(named_so))}." if named_so else ""
            hint = several or did_you_mean(text, [*short, *known]) or " Declare it under 'workflows:'."
            self.error(node, f"unknown workflow '{text}'.{hint}")
        return found

    def clock(self, node: Node, what: str) -> time | None:
        """A clock time 'HH:MM'; 24:00 is midnight."""
        text = node.text if node.kind == "text" else ""
        if text == "24:00":
            return time(0, 0)
        if re.fullmatch(r"([01]?\d|2[0-3]):[0-5]\d", text):
            hour, minute = text.split(":")
            return time(int(hour), int(minute))
        self.error(node, f'{what} must be a clock time such as "09:00", not {node.described}.')
        return None

    def date(self, node: Node, what: str) -> date | None:
        """A date 'YYYY-MM-DD'."""
        try:
            return date.fromisoformat(node.text if node.kind == "text" else "")
        except ValueError:
            self.error(node, f"{what} must be a date such as 2026-12-25, not {node.described}.")
            return None

    def timezone(self, node: Node) -> ZoneInfo | None:
        """An IANA time zone."""
        text = self.text(node, "timezone")
        if text is None:
            return None
        try:
            return ZoneInfo(text)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            self.error(node, f"unknown timezone '{text}'. Use an IANA name such as America/New_York.")
            return None

    def field_value(self, node: Node, kind: FieldType, what: str) -> str | None:
        """A value of a declared field, in its canonical text."""
        if kind == "boolean":
            truth = self.boolean(node, what)
            return None if truth is None else str(truth).lower()
        if kind == "integer":
            number = self.integer(node, what, -(10**15), 10**15)
            return None if number is None else str(number)
        text = self.text(node, what)
        if text is None or kind == "text":
            return text
        value = parse_moment(text, self.zone) if kind == "datetime" else parse_date(text)
        if value is None:
            example = "2026-03-05 15:00" if kind == "datetime" else "2026-03-05"
            self.error(node, f"{what} must be a {kind} such as {example}, not '{text}'.")
            return None
        return text


def is_value(text: str, kind: FieldType, zone: ZoneInfo) -> bool:
    """Whether a text is a value of that type, as conditions and waits read it."""
    match kind:
        case "integer":
            return re.fullmatch(r"[+-]?[0-9]{1,15}", text) is not None
        case "boolean":
            return text.lower() in (*_TRUE, *_FALSE, "1", "0")
        case "date":
            return parse_date(text) is not None
        case "datetime":
            return parse_moment(text, zone) is not None
        case "text":
            return True


def compile_pattern(text: str) -> re2._Regexp:
    """A business's pattern, compiled as RE2: case-insensitive, linear in time, small in memory."""
    options = re2.Options()
    options.max_mem = 1 << 20
    options.case_sensitive = False
    options.log_errors = False
    return re2.compile(text, options)


def _re2_reason(error: re2.error) -> str:
    reason = error.args[0]
    return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)


def parse_span(text: str, *, signed: bool = False) -> Span | None:
    """A duration as an author writes it: 30m, 1d12h, forever; `signed` takes -24h too."""
    text = text.strip().lower()
    if text == "forever" and not signed:
        return Span(_FOREVER_DAYS, 0)
    sign = -1 if signed and text.startswith("-") else 1
    match = _DURATION.fullmatch(text.lstrip("+-") if signed else text)
    if not match or not any(match.groups()):
        return None
    weeks, days, hours, minutes, seconds = (int(number or 0) for number in match.groups())
    span = Span(sign * (weeks * 7 + days), sign * (hours * 3600 + minutes * 60 + seconds))
    total = abs(span.days * 86_400 + span.seconds)
    return span if 0 < total <= _MAX_SECONDS or (signed and total == 0) else None


def parse_date(text: str) -> date | None:
    """A date field's value."""
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def parse_moment(text: str, zone: ZoneInfo) -> datetime | None:
    """A datetime field's value; without an offset it is on the wall clock of `zone`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=zone)


def source(value: object) -> str:
    """A value as an author would write it, for explanations."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple | list | frozenset):
        parts = [" ".join(item) if isinstance(item, tuple) else source(item) for item in value]
        return parts[0] if len(parts) == 1 else f"[{', '.join(parts)}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {source(item)}" for key, item in value.items()) + "}"
    return str(value)
