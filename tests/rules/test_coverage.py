"""Every entry of the grammar has a case: a construct that nobody tried is no part of the language."""

from __future__ import annotations

import pytest

from rules import actions, grammar, when, workflow_reader
from tests.rules import build

CASES = {
    "conditions": {*grammar.CONDITIONS, *grammar.JOINTS},
    "actions": set(grammar.ACTIONS),
    "steps": set(grammar.STEPS),
    "events": set(grammar.EVENTS),
    "rules": set(grammar.RULE_KEYS),
    "workflows": set(grammar.WORKFLOW_KEYS),
    "tests": set(grammar.EXPECT_KEYS),
}


@pytest.mark.parametrize("kind", CASES)
def test_every_entry_has_a_case_file_of_its_name(kind: str) -> None:
    """'wait.yaml' is the case of `wait`, and 'wait-for_the_clock.yaml' one more."""
    names = {path.stem.partition("-")[0] for path in (build.CASES / kind).glob("*.yaml")}
    assert names == CASES[kind]


def test_what_is_read_is_what_the_grammar_says() -> None:
    assert {*when._READERS, *when._JOINTS} == CASES["conditions"]
    assert set(actions._READERS) == CASES["actions"]
    assert set(workflow_reader._READERS) == CASES["steps"]
    assert set(when._FIELD_TESTS) == set(grammar.FIELD_TESTS)


def test_every_expectation_is_tried_with_success_and_without() -> None:
    for key in grammar.EXPECT_KEYS:
        text = (build.CASES / "tests" / f"{key}.yaml").read_text(encoding="utf-8")
        assert f": expects {key}: " in text, key
        assert "name: fails" not in text.partition("tests:")[2].lstrip("\n -")[:12], f"{key}: the first test passes"
