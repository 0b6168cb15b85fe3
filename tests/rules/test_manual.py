"""docs/rules.md is what the grammar says, and every example on it loads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from rules import grammar, template
from rules.manual import manual
from tests.rules import build

PAGE = build.CASES.parents[2] / "docs" / "rules.md"
PRELUDE = """version: 1
name: example
lists: {vip: service, club: marketing, visits: service}
fields: {visits: integer, favourite: text, appointment_at: datetime}
vars: {shop: Corner Books}
schedules: {open: {hours: [{days: mon-fri, from: "09:00", to: "18:00"}]}}
"""
WELCOME = "workflows:\n  welcome: {steps: [{send: Hello}]}\n"
EVENT_OF = {"list": "list_joined", "error": "delivery_failed"}


def examples() -> Iterator[Any]:
    for name, item in {**grammar.CONDITIONS, **grammar.JOINTS}.items():
        event = EVENT_OF.get(name, "message")
        rule = f"  - id: one\n    event: {event}\n    when: {{{item.example}}}\n    do: [{{tag: seen}}]\n"
        yield pytest.param(f"{PRELUDE}{WELCOME}rules:\n{rule}", id=f"condition-{name}")
    for name, item in grammar.ACTIONS.items():
        rule = f"  - id: one\n    when: {{keyword: hi}}\n    do:\n      - {item.example}\n"
        yield pytest.param(f"{PRELUDE}{WELCOME}rules:\n{rule}", id=f"action-{name}")
    for name, item in grammar.STEPS.items():
        steps = f"      - {item.example}\n      - {{wait: 1h}}\n"
        yield pytest.param(f"{PRELUDE}workflows:\n  flow:\n    steps:\n{steps}", id=f"step-{name}")
    for event in grammar.EVENTS:
        rule = f"  - {{id: one, event: {event}, when: {{known: true}}, do: [{{tag: seen}}]}}\n"
        yield pytest.param(f"{PRELUDE}rules:\n{rule}", id=f"event-{event}")


@pytest.mark.parametrize("text", list(examples()))
def test_every_example_loads(text: str) -> None:
    assert [str(problem) for problem in build.read(text)[1].errors] == []


def test_the_page_is_what_the_grammar_says() -> None:
    made = manual()
    assert PAGE.read_text(encoding="utf-8") == made, "run: python -m rules.manual > docs/rules.md"


def test_the_examples_in_its_prose_load() -> None:
    first, *others = re.findall(r"```yaml\n(.*?)```", manual(), flags=re.DOTALL)
    assert build.said(first) == []
    price = "rules:\n  - {id: price, when: {keyword: price}, do: [{reply: '12.99'}]}\n"
    for other in others:
        assert build.said(f"version: 1\n{price}{other}") == []


def test_every_name_of_the_language_is_on_it() -> None:
    tables = [value for name, value in vars(grammar).items() if name.isupper() and isinstance(value, dict)]
    page = manual()
    assert len(tables) > 20
    assert [name for table in tables for name in table if f"`{name}`" not in page] == []


def test_every_filter_has_its_sentence() -> None:
    assert set(template.FILTERS) == set(template._FILTERS)
