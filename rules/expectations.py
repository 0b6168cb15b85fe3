"""The `tests:` of a rule file: what is texted, how much time passes, and what is expected of it. Read, not run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from rules.facts import Status
from rules.grammar import EXPECT_KEYS, TEST_CONTACT_KEYS, TEST_KEYS, TEST_STEPS
from rules.nodes import Node
from rules.problems import did_you_mean
from rules.reader import FieldType, Reader, Span, parse_moment
from rules.schedule import MICROSECONDS

DEFAULT_AT = "2026-03-03 12:00"
"""A Tuesday at noon, when most schedules are open."""

DEFAULT_PHONE = "+12025550123"
StepKind = Literal["in", "advance", "join", "leave"]
NO_RULE = "none"
NO_RUN, ENDED = "none", "ended"
"""Where somebody stands who never was in a workflow, or is in it no more."""


@dataclass(frozen=True, slots=True)
class TestContact:
    """Who texts. Without one the sender is unknown until they text."""

    phone: str = DEFAULT_PHONE
    status: Status = "opted_in"
    name: str = ""
    lists: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """One thing that is expected: the key of the language, and its values; `key` `workflow` and `field` name one."""

    key: str
    values: tuple[str, ...]
    line: int
    name: str = ""


@dataclass(frozen=True, slots=True)
class TestStep:
    """One step of a test: a text that comes in, time that passes, a list that is joined or left."""

    __test__ = False  # what pytest asks of a class of this name
    kind: StepKind
    line: int
    text: str = ""
    span: Span | None = None
    expected: tuple[Expected, ...] = ()


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test. `at` is UTC microseconds, `zone` the file's, on whose clock days pass."""

    __test__ = False
    name: str
    file: str
    line: int
    at: int
    zone: str
    contact: TestContact
    steps: tuple[TestStep, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What tests may name: the full ids of all rules and answers to questions, the steps of each workflow."""

    rules: frozenset[str]
    steps: Mapping[str, tuple[str, ...]]


def read_tests(reader: Reader, node: Node, known: Known) -> tuple[TestCase, ...]:
    """Read `tests:`."""
    cases = (_read_test(reader, item, known) for item in reader.items(node, "tests"))
    return tuple(case for case in cases if case is not None)


def _read_test(reader: Reader, node: Node, known: Known) -> TestCase | None:
    keys = reader.mapping(node, TEST_KEYS, "test key")
    missing = [key for key in ("name", "steps") if key not in keys]
    if missing and (keys or node.is_empty):
        reader.error(node, f"a test needs '{missing[0]}'.")
    text = keys["at"].text if "at" in keys else DEFAULT_AT
    at = parse_moment(text, reader.zone)
    if at is None:
        reader.error(keys["at"], f"'at' is a moment such as \"{DEFAULT_AT}\", not '{text}'.")
    items = reader.items(keys["steps"], "steps") if "steps" in keys else []
    steps = tuple(step for item in items if (step := _read_step(reader, item, known)) is not None)
    contact = _read_contact(reader, keys["contact"]) if "contact" in keys else TestContact()
    name = (reader.text(keys["name"], "the test's name") or "") if "name" in keys else ""
    if missing or at is None:
        return None
    moment = round(at.timestamp() * MICROSECONDS)
    return TestCase(name, reader.file, node.line, moment, str(reader.zone), contact, steps)


def _read_contact(reader: Reader, node: Node) -> TestContact:
    keys = reader.mapping(node, TEST_CONTACT_KEYS, "contact key")
    declared = reader.declared
    fields: dict[str, str] = {}
    if "fields" in keys:
        known = {"first_name": "text", **declared.fields}
        for name, value in reader.mapping(keys["fields"], known, "field").items():
            text = reader.field_value(value, declared.fields.get(name, "text"), name)
            if text is not None:
                fields[name] = text
    lists = (
        reader.declared_names(keys["lists"], declared.lists, "list", "Declare it under 'lists:'.")
        if "lists" in keys
        else ()
    )
    status = reader.choice(keys["status"], ["opted_in", "opted_out", "blocked"], "status") if "status" in keys else None
    statuses: tuple[Status, ...] = ("opted_in", "opted_out", "blocked")
    return TestContact(
        phone=(reader.text(keys["phone"], "phone") or DEFAULT_PHONE) if "phone" in keys else DEFAULT_PHONE,
        status=next((known for known in statuses if known == status), "opted_in"),
        name=(reader.text(keys["name"], "name") or "") if "name" in keys else "",
        lists=lists,
        tags=reader.tags(keys["tags"]) if "tags" in keys else (),
        fields=fields,
        is_known=True,
    )


def _read_step(reader: Reader, node: Node, known: Known) -> TestStep | None:
    keys = reader.mapping(node, [*TEST_STEPS, "expect"], "test step")
    kinds = [key for key in keys if key != "expect"]
    if len(kinds) != 1:
        if keys or node.is_empty:
            reader.error(node, f"a step of a test is one of {', '.join(TEST_STEPS)}.")
        return None
    value = keys[kinds[0]]
    expected = _read_expected(reader, keys["expect"], known) if "expect" in keys else ()
    if kinds[0] == "in":
        if value.kind != "text":
            reader.error(value, f"'in' is the text that comes in, not {value.described}.")
        return TestStep("in", node.line, value.text, expected=expected)
    if kinds[0] == "advance":
        span = reader.span(value, "advance")
        if span is not None and span.is_forever:
            reader.error(value, "a test does not take for ever: write how much time passes, such as 2d.")
            return None
        return TestStep("advance", node.line, span=span, expected=expected) if span else None
    name = reader.declared_name(value, reader.declared.lists, "list", "Declare it under 'lists:'.")
    kind: StepKind = "join" if kinds[0] == "join" else "leave"
    return TestStep(kind, node.line, name, expected=expected) if name else None


def _read_expected(reader: Reader, node: Node, known: Known) -> tuple[Expected, ...]:
    found: list[Expected] = []
    for key, value in reader.mapping(node, EXPECT_KEYS, "expectation").items():
        if key == "workflow":
            found += _workflows(reader, value, known)
        elif key == "field":
            found += _fields(reader, value)
        else:
            values = _values(reader, key, value, known.rules)
            if values:
                found.append(Expected(key, values, value.line))
    return tuple(found)


def _fields(reader: Reader, node: Node) -> Iterator[Expected]:
    known: dict[str, FieldType] = {"first_name": "text", **reader.declared.fields}
    for name, value in reader.mapping(node, known, "field").items():
        is_nothing = value.kind == "text" and not value.text
        text = "" if is_nothing else reader.field_value(value, known[name], name)
        if text is not None:
            yield Expected("field", (text,), value.line, name)


def _workflows(reader: Reader, node: Node, known: Known) -> Iterator[Expected]:
    for name, value in reader.mapping(node, None, "workflow").items():
        workflow = reader.workflow(Node("text", value.line, text=name))
        places = [*known.steps.get(workflow or "", ()), ENDED, NO_RUN]
        if workflow in known.steps and value.text not in places:
            hint = did_you_mean(value.text, places)
            reader.error(value, f"'{name}' has no step '{value.text}'.{hint or f' It could be {ENDED} or {NO_RUN}.'}")
        elif workflow is not None:
            yield Expected("workflow", (value.text,), value.line, workflow)


def _values(reader: Reader, key: str, node: Node, rules: frozenset[str]) -> tuple[str, ...]:
    declared = reader.declared
    match key:
        case "sent":
            number = reader.integer(node, key, 0, 1000)
            return () if number is None else (str(number),)
        case "no_reply":
            truth = reader.boolean(node, key)
            return () if truth is None else (str(truth).lower(),)
        case "in_list" | "not_in_list":
            return reader.declared_names(node, declared.lists, "list", "Declare it under 'lists:'.")
        case "notified":
            staff = None if declared.routes is None else {*declared.routes, "staff"}
            return reader.declared_names(node, staff, "route", "Routes are config.toml's [routes.NAME].")
        case "status":
            status = reader.choice(node, ["opted_in", "opted_out", "blocked"], key)
            return (status,) if status else ()
        case "mode":
            mode = reader.choice(node, ["auto", "staff", "paused"], key)
            return (mode,) if mode else ()
        case "rule":
            return tuple(_rule(reader, item, rules) for item in reader.items(node, key))
        case "tag":
            return reader.tags(node)
        case _:
            return reader.texts(node, key)


def _rule(reader: Reader, node: Node, rules: frozenset[str]) -> str:
    text = reader.text(node, "rule") or ""
    own = f"{reader.name_of_file}.{text}"
    if text == NO_RULE or text in rules:
        return text
    if own in rules:
        return own
    short = [rule.removeprefix(f"{reader.name_of_file}.") for rule in rules]
    reader.error(node, f"unknown rule '{text}'.{did_you_mean(text, [*rules, *short])}")
    return text
