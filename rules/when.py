"""The `when` of a rule: leaves joined by all, any, none and not; and how it is read from a file."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from rules.conditions import ANY_OF, BITS, PHONES, SCHEDULES, Condition
from rules.facts import ALL_CONTACTS
from rules.field_condition import Field
from rules.history_conditions import HISTORY_VALUES, Idle, Messages
from rules.nodes import Node
from rules.reader import FOREVER, Reader
from rules.text_conditions import PHRASES, Number, Regex
from rules.vocabulary import SAYINGS, Says, Vocabulary

MAX_NESTING = 8
MAX_WITHIN = 31 * 86_400
"""How far `messages` may look back, in seconds."""


@dataclass(frozen=True, slots=True)
class All:
    """True when every part is."""

    parts: tuple[When, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """True when a part is."""

    parts: tuple[When, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """True when its part is not."""

    part: When


When = All | Any | Not | Condition


def leaves(when: When) -> Iterator[Condition]:
    """The conditions of a tree, in reading order."""
    if isinstance(when, Not):
        yield from leaves(when.part)
    elif isinstance(when, All | Any):
        for part in when.parts:
            yield from leaves(part)
    else:
        yield when


def read_when(reader: Reader, node: Node, vocabulary: Vocabulary | None, depth: int = 1) -> When | None:
    """Read a condition; None, with the reason noted, where nothing of it can be used."""
    if depth > MAX_NESTING:
        reader.error(node, f"conditions are nested more than {MAX_NESTING} deep.")
        return None
    if node.kind != "mapping":
        reader.error(node, f"a condition must be a mapping such as {{keyword: hours}}, not {node.described}.")
        return None
    if not node.pairs:
        reader.error(node, "the condition is empty. For a rule that always applies write {always: true}.")
        return None
    known = _ALL_READERS if reader.builtin else _READERS
    parts: list[When] = []
    for name, value in reader.mapping(node, [*known, *_JOINTS], "condition").items():
        if name in _JOINTS:
            part = _read_joint(reader, name, value, vocabulary, depth)
        elif name == "says":
            part = _read_says(reader, value, vocabulary)
        else:
            part = known[name](reader, name, value)
        if part is not None:
            parts.append(part)
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else All(tuple(parts))


_JOINTS = ("all", "any", "none", "not")


def _read_joint(reader: Reader, name: str, node: Node, vocabulary: Vocabulary | None, depth: int) -> When | None:
    if name == "not":
        part = read_when(reader, node, vocabulary, depth + 1)
        return Not(part) if part is not None else None
    if node.kind != "list" or not node.items:
        reader.error(node, f"'{name}' needs a list of conditions, not {node.described}.")
        return None
    read = (read_when(reader, item, vocabulary, depth + 1) for item in node.items)
    parts = tuple(part for part in read if part is not None)
    if not parts:
        return None
    if name == "all":
        return All(parts)
    return Any(parts) if name == "any" else Not(Any(parts))


def _read_says(reader: Reader, node: Node, vocabulary: Vocabulary | None) -> When | None:
    saying = reader.choice(node, SAYINGS, "saying")
    match = next((known for known in SAYINGS if known == saying), None)
    return Says(match, vocabulary, line=node.line) if match and vocabulary else None


LeafReader = Callable[[Reader, str, Node], Condition | None]


def _words(reader: Reader, name: str, node: Node) -> Condition | None:
    phrases = reader.words(node, name)
    return PHRASES[name](phrases, line=node.line) if phrases else None


def _bit(reader: Reader, name: str, node: Node) -> Condition | None:
    wanted = reader.boolean(node, name)
    return None if wanted is None else BITS[name](wanted, line=node.line)


def _values(name: str, values: tuple[str, ...], node: Node) -> Condition | None:
    return ANY_OF[name](values, line=node.line) if values else None


def _choices(*choices: str) -> LeafReader:
    return lambda reader, name, node: _values(name, reader.choices(node, choices, name), node)


def _lists(reader: Reader, name: str, node: Node) -> Condition | None:
    known = [*reader.declared.lists, ALL_CONTACTS]
    return _values(name, reader.declared_names(node, known, "list", "Declare it under 'lists:'."), node)


def _tags(reader: Reader, name: str, node: Node) -> Condition | None:
    return _values(name, reader.tags(node), node)


def _channels(reader: Reader, name: str, node: Node) -> Condition | None:
    known = reader.declared.channels
    return _values(name, reader.declared_names(node, known, "channel", "It is not in config.toml."), node)


def _patterns(reader: Reader, name: str, node: Node) -> Condition | None:
    patterns = reader.patterns(node, name)
    return Regex(patterns, line=node.line) if patterns else None


def _phones(reader: Reader, name: str, node: Node) -> Condition | None:
    patterns = []
    for text in reader.texts(node, name):
        pattern = "".join(character for character in text if character not in " -().")
        if not re.fullmatch(r"\+?[0-9*]{1,40}", pattern):
            reader.error(node, f"'{text}' is no number pattern. Write it as +12025550123 or +1202*.")
            return None
        patterns.append(pattern)
    return PHONES[name](tuple(patterns), line=node.line) if patterns else None


def _countries(reader: Reader, name: str, node: Node) -> Condition | None:
    countries = tuple(text.upper() for text in reader.texts(node, name))
    if any(len(country) != 2 or not country.isalpha() for country in countries):
        reader.error(node, "a country is written in two letters, such as US.")
        return None
    return _values(name, countries, node)


def _number(reader: Reader, name: str, node: Node) -> Condition | None:
    if node.kind != "mapping":
        return Number(line=node.line) if reader.boolean(node, name) else None
    bounds = reader.mapping(node, ["min", "max"], "number")
    limits = {key: reader.integer(value, key, -(10**12), 10**12) for key, value in bounds.items()}
    return Number(limits.get("min"), limits.get("max"), line=node.line)


def _during(reader: Reader, name: str, node: Node) -> Condition | None:
    schedules = reader.declared.schedules
    if node.kind == "list":
        reader.error(node, f"'{name}' takes one schedule; join several with 'any'.")
        return None
    found = reader.declared_name(node, schedules, "schedule", "Declare it under 'schedules:'.")
    return SCHEDULES[name](schedules[found], line=node.line) if found else None


def _field(reader: Reader, name: str, node: Node) -> When | None:
    fields = reader.declared.fields
    tests: list[When] = []
    for key, value in reader.mapping(node, fields, "field").items():
        kind = fields[key]
        if value.kind != "mapping":
            operands = [reader.field_value(item, kind, key) for item in reader.items(value, key)]
            if all(operands):
                texts = tuple(operand for operand in operands if operand)
                tests.append(Field(key, kind, reader.zone, (("in", texts),), line=value.line))
            continue
        read = (
            _field_test(reader, key, test, operand)
            for test, operand in reader.mapping(value, _FIELD_TESTS, "comparison").items()
        )
        comparisons = tuple(comparison for comparison in read if comparison)
        if comparisons:
            tests.append(Field(key, kind, reader.zone, comparisons, line=value.line))
    if not tests:
        return None
    return tests[0] if len(tests) == 1 else All(tuple(tests))


_FIELD_TESTS = ("is", "not", "in", "gt", "gte", "lt", "lte", "exists", "within_next", "within_last")


def _field_test(reader: Reader, field: str, test: str, node: Node) -> tuple[str, tuple[str, ...]] | None:
    kind = reader.declared.fields[field]
    if test == "exists":
        wanted = reader.boolean(node, test)
        return None if wanted is None else (test, (str(wanted).lower(),))
    if test.startswith("within"):
        if kind not in ("date", "datetime"):
            reader.error(node, f"'{test}' needs a date or datetime field; '{field}' is {kind}.")
            return None
        seconds = reader.duration(node, test)
        return (test, (str(seconds),)) if seconds and seconds > 0 else None
    if test in ("gt", "gte", "lt", "lte") and kind in ("text", "boolean"):
        reader.error(node, f"'{test}' needs an integer or date field; '{field}' is {kind}.")
        return None
    nodes = reader.items(node, field) if test in ("in", "not") else [node]
    values = [reader.field_value(item, kind, field) for item in nodes]
    return (test, tuple(value for value in values if value)) if values and all(values) else None


def _event_list(reader: Reader, name: str, node: Node) -> Condition | None:
    found = reader.declared_names(node, reader.declared.lists, "list", "Declare it under 'lists:'.")
    return HISTORY_VALUES[name](found, line=node.line) if found else None


def _in_workflow(reader: Reader, name: str, node: Node) -> Condition | None:
    found = tuple(known for item in reader.items(node, name) if (known := reader.workflow(item)))
    return HISTORY_VALUES[name](found, line=node.line) if found else None


def _codes(reader: Reader, name: str, node: Node) -> Condition | None:
    codes = reader.texts(node, "error")
    return HISTORY_VALUES[name](codes, line=node.line) if codes else None


def _messages(reader: Reader, name: str, node: Node) -> Condition | None:
    keys = reader.mapping(node, ["within", "at_least"], "messages key")
    if len(keys) < 2:
        if keys or node.is_empty:
            reader.error(node, "'messages' needs both, as in {within: 10m, at_least: 3}.")
        return None
    within = reader.duration(keys["within"], "within")
    at_least = reader.integer(keys["at_least"], "at_least", 1, 1000)
    if within is not None and not 0 < within <= MAX_WITHIN:
        reader.error(keys["within"], f"'within' is {MAX_WITHIN // 86_400}d at the most.")
        return None
    return Messages(within, at_least, line=node.line) if within and at_least else None


def _idle(reader: Reader, name: str, node: Node) -> Condition | None:
    seconds = reader.duration(node, "idle")
    if seconds == FOREVER:
        reader.error(node, "nobody is idle forever: write a duration such as 30d.")
        return None
    return Idle(seconds, line=node.line) if seconds else None


_READERS: dict[str, Callable[[Reader, str, Node], When | None]] = {
    **dict.fromkeys(("keyword", "exact", "contains", "contains_all", "substring"), _words),
    "regex": _patterns,
    "number": _number,
    **dict.fromkeys(("empty", "has_media", "known", "first_message", "always"), _bit),
    "media_type": _choices("image", "video", "audio", "contact", "other"),
    "from": _phones,
    "from_country": _countries,
    "to": _phones,
    "channel": _channels,
    "status": _choices("opted_in", "opted_out", "blocked"),
    "in_list": _lists,
    "not_in_list": _lists,
    "tag": _tags,
    "field": _field,
    "during": _during,
    "outside": _during,
    "list": _event_list,
    "in_workflow": _in_workflow,
    "error": _codes,
    "messages": _messages,
    "idle": _idle,
}

_ALL_READERS = _READERS | {
    "sender": _choices("phone", "short_code", "name", "own"),
    "setting": _choices("any_message_opts_in", "natural_language_review"),
    "says": lambda reader, name, node: None,
}
