"""Templates: `{{ path | filter }}` and nothing else. No logic, no calls, one pass.

They are compiled when a file is loaded, where an unknown path or filter is an error, and a path that can be
missing must end in a default, so that "Hi None" cannot be sent. Values are never parsed again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from rules.facts import Facts
from rules.message import Message
from rules.problems import did_you_mean
from rules.reader import parse_moment
from rules.schedule import local
from rules.segments import cut
from rules.text import fold

MAX_VALUE = 160
_TYPICAL_VALUE = "x" * 12
MAX_SEGMENTS = 10
MAX_TEXT = 1530
"""Ten segments of GSM-7 (153 septets each), and so the most that a message can hold."""
MAX_TEMPLATE = 4000

_FILTER = re.compile(r"""\s*([a-z_]+)\s*(?:\(\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)')\s*\))?\s*""")
_MOMENT_FORM = re.compile(r"(?:[^%\x00-\x1f]|%-?[aAbBdeHIjlmMpSuyYZz%]){0,60}")
# Control and bidi characters, and lone surrogates, which no channel could encode.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")

OPTIONAL: Mapping[str, str] = {
    "contact.name": "Their name.",
    "contact.first_name": "The field of that name, else the first word of their name.",
    "business.contact": "How to reach you, from config.toml.",
    "message.text": "What they texted.",
    "message.keyword": "Its first word.",
}
"""Paths whose value may be missing; every declared field of the contact is one too."""

ALWAYS: Mapping[str, str] = {
    "contact.number": "Their phone number.",
    "business.name": "Your name, from config.toml.",
    "business.country": "Your country, in two letters.",
    "business.contact_hint": "How to reach you, as the end of a sentence; nothing where there is no contact.",
    "message.number": "Your number that they texted.",
    "now.date": "Today, as 2026-03-03.",
    "now.time": "The time, as 14:30.",
    "now.weekday": "The day, as Tuesday.",
}
"""Paths that always have a value."""

FILTERS: Mapping[str, str] = {
    "default": "This, where there is no value.",
    "upper": "IN CAPITALS.",
    "lower": "in small letters.",
    "title": "Every Word With A Capital.",
    "first_word": "The first word only.",
    "date": 'A date or moment in another form, with the letters of strftime: `date("%a %d %b")`.',
    "time": 'Its time: `time("%H:%M")`.',
    "truncate": 'So many characters at the most: `truncate("40")`.',
}


class TemplateError(Exception):
    """A template that cannot be; the message says what was meant."""


Value = str | datetime
Filter = Callable[[Value, str], Value]


@dataclass(frozen=True, slots=True)
class _Slot:
    path: str
    filters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Template:
    """A compiled template. `text` is what the author wrote."""

    text: str
    parts: tuple[str | _Slot, ...]
    zone: ZoneInfo

    @property
    def typical(self) -> str:
        """The text with a word of ordinary length in each slot: what a warning about its length goes by."""
        return "".join(part if isinstance(part, str) else _TYPICAL_VALUE for part in self.parts)

    def render(self, message: Message, variables: Mapping[str, str]) -> str:
        """The text for this message, capped at ten segments."""
        pieces = (
            part if isinstance(part, str) else _filled(part, message, variables, self.zone) for part in self.parts
        )
        return cut("".join(pieces)[:MAX_TEXT], MAX_SEGMENTS)


def compile_template(
    text: str, zone: ZoneInfo, fields: Iterable[str], variables: Iterable[str], allow_message: bool = True
) -> Template:
    """Compile; raise TemplateError with a suggestion."""
    optional = {*OPTIONAL, *(f"contact.{name}" for name in fields)}
    known = {*ALWAYS, *optional, *(f"var.{name}" for name in variables)}
    if not allow_message:
        known = {path for path in known if not path.startswith("message.")}
    parts: list[str | _Slot] = []
    if len(text) > MAX_TEMPLATE:
        raise TemplateError(f"the text has {len(text)} characters; {MAX_TEMPLATE} is the most.")
    rest = text
    while True:
        plain, opened, rest = rest.partition("{{")
        parts.append(plain)
        inside, closed, rest = rest.partition("}}")
        if "}}" in plain or (opened and not closed):
            raise TemplateError("'{{' and '}}' must stand in pairs.")
        if not opened:
            return Template(text, tuple(part for part in parts if part != ""), zone)
        parts.append(_slot(inside, known, optional))


def _slot(inside: str, known: Iterable[str], optional: Iterable[str]) -> _Slot:
    path, *rest = _split_pipes(inside)
    path = path.strip()
    if path not in known and path.startswith("message.") and not any(name.startswith("message.") for name in known):
        raise TemplateError(f"'{path}': there is no message here, only in answers to one.")
    if path not in known:
        raise TemplateError(f"unknown path '{path}'.{did_you_mean(path, known)}")
    filters = tuple(_filter(piece) for piece in rest)
    if path in optional and not path.startswith("message.") and all(name != "default" for name, _ in filters):
        raise TemplateError(f"'{path}' can be missing: end it in | default(\"...\").")
    return _Slot(path, filters)


def _split_pipes(inside: str) -> list[str]:
    pieces, quote, current = [], "", ""
    for character in inside:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "|":
            pieces.append(current)
            current = ""
            continue
        current += character
    return [*pieces, current]


def _filter(piece: str) -> tuple[str, str]:
    match = _FILTER.fullmatch(piece)
    if not match:
        raise TemplateError(f"'{piece.strip()}' is no filter.")
    name, double, single = match.groups()
    if name not in _FILTERS:
        raise TemplateError(f"unknown filter '{name}'.{did_you_mean(name, _FILTERS)}")
    argument = double if double is not None else single or ""
    if name == "truncate" and not re.fullmatch(r"[0-9]{1,4}", argument):
        raise TemplateError('truncate needs a length: truncate("40").')
    if name in ("date", "time") and not _MOMENT_FORM.fullmatch(argument):
        raise TemplateError(f"'{argument}' is no form of a {name}. Write it as in {name}(\"%d %B, %H:%M\").")
    return name, argument


def _filled(slot: _Slot, message: Message, variables: Mapping[str, str], zone: ZoneInfo) -> str:
    value: Value = _look_up(slot.path, message, variables, zone)
    for name, argument in slot.filters:
        value = _FILTERS[name](value, argument)
    text = value.strftime("%Y-%m-%d %H:%M") if isinstance(value, datetime) else value
    limit = MAX_TEXT if slot.path in ("message.text",) or slot.path.startswith("var.") else MAX_VALUE
    return _CONTROL.sub("", text)[:limit]


def _look_up(path: str, message: Message, variables: Mapping[str, str], zone: ZoneInfo) -> Value:
    scope, _, name = path.partition(".")
    facts = message.facts
    if scope == "contact":
        return _contact(facts, name)
    if scope == "business":
        return _business(facts, name)
    if scope == "var":
        return variables[name]
    if scope == "now":
        moment = local(message.now, zone)
        return moment.strftime({"date": "%Y-%m-%d", "time": "%H:%M", "weekday": "%A"}[name])
    if name == "keyword":
        return (fold(facts.text).symbols or ("",))[0]
    return facts.text if name == "text" else facts.number


def _contact(facts: Facts, name: str) -> str:
    if name in ("name", "first_name"):
        return facts.contact.name if name == "name" else facts.contact.first_name
    return facts.phone if name == "number" else facts.contact.fields.get(name, "")


def _business(facts: Facts, name: str) -> str:
    business = facts.business
    if name == "contact_hint":
        return f", or contact {business.contact[:50]}" if business.contact else ""
    return {"name": business.name, "contact": business.contact, "country": business.country}[name]


def _as_moment(value: Value, form: str) -> Value:
    if isinstance(value, datetime):
        return value.strftime(form)
    moment = parse_moment(value, ZoneInfo("UTC")) if value else None
    return moment.strftime(form) if moment else value


def _text(change: Callable[[str], str]) -> Filter:
    return lambda value, _argument: change(value) if isinstance(value, str) else value


_FILTERS: Mapping[str, Filter] = {
    "default": lambda value, argument: value or argument,
    "upper": _text(str.upper),
    "lower": _text(str.lower),
    "title": _text(str.title),
    "first_word": _text(lambda text: (text.split() or [""])[0]),
    "date": lambda value, argument: _as_moment(value, argument or "%Y-%m-%d"),
    "time": lambda value, argument: _as_moment(value, argument or "%H:%M"),
    "truncate": lambda value, argument: value[: int(argument)] if isinstance(value, str) else value,
}
