"""Each condition and each action of the language, held against its case file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
import yaml

from rules import effects
from rules.engine import Engine
from rules.message import Message
from rules.reference import matches
from tests.rules import build

DECLARED = """version: 1
lists: {vip: service, club: marketing}
fields: {age: integer, colour: text, member: boolean, born: date, visit: datetime}
schedules:
  open: {hours: [{days: mon-fri, from: "09:00", to: "18:00"}]}
  night: {hours: [{days: mon-sun, from: "22:00", to: "06:00"}]}
workflows: {welcome: {steps: [{send: Hello}]}, farewell: {steps: [{send: Bye}]}}
"""


def cases(kind: str) -> list[Any]:
    """Every case of every file: a file's first one, and those under `more`."""
    return [
        pytest.param(case, id=f"{path.stem}-{number}")
        for path in sorted((build.CASES / kind).glob("*.yaml"))
        for number, case in enumerate(_flattened(yaml.safe_load(path.read_text(encoding="utf-8"))))
    ]


def _flattened(file: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield {key: value for key, value in file.items() if key != "more"}
    yield from file.get("more", ())


def rule_file(when_part: object, do: object, event: str = "message") -> str:
    rule = {"id": "it", "when": when_part, "do": do, "event": event}
    return DECLARED + yaml.safe_dump({"rules": [rule]}, allow_unicode=True, sort_keys=False)


def event_of(case: dict[str, Any]) -> dict[str, Any]:
    """The facts of a case, its event among them."""
    return {"event": case.get("event", "message"), **case.get("facts", {})}


@pytest.mark.parametrize("case", cases("conditions"))
def test_a_condition_holds_as_its_case_file_says(case: dict[str, Any]) -> None:
    text = rule_file(case["when"], [{"notify": "sales"}], case.get("event", "message"))
    if "refused" in case:
        assert [problem.message for problem in build.read(text)[1].errors] == [case["refused"]]
        return
    rules = [rule for rule in build.book(text).rules if rule.id == "a.it"]
    with closing(Engine(rules)) as engine:
        for expected, wanted in (("matches", [0]), ("misses", [])):
            for said in case.get(expected, ()):
                facts = build.facts(said, case.get("contact"), **event_of(case))
                message = Message(facts, build.NOON)
                assert matches(rules, message) == wanted, said
                assert engine.matches(message) == wanted, said


@pytest.mark.parametrize("case", cases("actions"))
def test_an_action_becomes_the_effects_of_its_case_file(case: dict[str, Any]) -> None:
    text = rule_file({"keyword": "hello"}, case["do"])
    if "refused" in case:
        assert [problem.message for problem in build.read(text)[1].errors] == [case["refused"]]
        return
    decision = build.rules(text.removeprefix("version: 1\n")).decide(build.facts("hello"), build.NOON)
    assert [_plain(effect) for effect in decision.fired[0].effects] == case["effects"]


def _plain(effect: effects.Effect) -> dict[str, Any]:
    """An effect as case files write it: without the fields that are at their defaults."""
    shown = {}
    for field in dataclasses.fields(effect):
        value = getattr(effect, field.name)
        if value != field.default:
            shown[field.name] = list(value) if isinstance(value, tuple) else value
    return {type(effect).__name__: shown}


def test_each_condition_says_what_it_saw() -> None:
    file = build.CASES / "conditions"
    for path in sorted(file.glob("*.yaml")):
        case = yaml.safe_load(path.read_text(encoding="utf-8"))
        if "refused" in case:
            continue
        event = case.get("event", "message")
        ruleset = build.rules(rule_file(case["when"], [{"notify": "sales"}], event).removeprefix("version: 1\n"))
        said = "hello" if event == "message" else ""
        explained = ruleset.explain(build.facts(said, case.get("contact"), **event_of(case)), build.NOON)
        tried = next(tried for tried in explained.tried if tried.rule == "a.it")
        assert all(reason.text for reason in tried.reasons)
        assert any(reason.saw for reason in tried.reasons)
        ruleset.close()
