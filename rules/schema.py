"""The JSON Schema of rule files, for editors: made of the grammar, so it knows what the loader knows.

It says what may stand where. What a name stands for (a list, a step, a route) only the loader can tell.
"""

from __future__ import annotations

from rules import grammar
from rules.shapes import SHAPES, Json, any_of, constructs, listed, mapping, one_of, ref

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> Json:
    """The whole schema."""
    return {
        "$schema": DIALECT,
        "title": "Textwright rule file",
        **mapping(grammar.FILE_KEYS, SHAPES),
        "$defs": {**_declared(), **_rules(), **_workflows(), **_tests()},
    }


def _declared() -> dict[str, Json]:
    return {
        "compliance": mapping(grammar.COMPLIANCE_KEYS, SHAPES),
        "quiet_hours": mapping(grammar.QUIET_HOURS_KEYS, SHAPES),
        "schedule": mapping(grammar.SCHEDULE_KEYS, SHAPES),
        "hours": mapping(grammar.HOURS_KEYS, SHAPES),
    }


def _rules() -> dict[str, Json]:
    return {
        "rule": mapping(grammar.RULE_KEYS, SHAPES) | any_of("when", "fallback", "event"),
        "event": _event(),
        "condition": constructs({**grammar.CONDITIONS, **grammar.JOINTS}, SHAPES),
        "actions": listed(ref("action"), maxItems=grammar.MAX_ACTIONS),
        "action": constructs(grammar.ACTIONS, SHAPES),
        "reply": mapping(grammar.REPLY_KEYS, SHAPES),
        "notify": mapping(grammar.NOTIFY_KEYS, SHAPES),
        "handoff": mapping(grammar.HANDOFF_KEYS, SHAPES),
        "cooldown": mapping(grammar.COOLDOWN_KEYS, SHAPES),
        "active": mapping(grammar.ACTIVE_KEYS, SHAPES),
    }


def _event() -> Json:
    """Each event with its sentence, which a plain list of words could not have."""
    return {"anyOf": [{"const": name, "title": name, "description": says} for name, says in grammar.EVENTS.items()]}


def _workflows() -> dict[str, Json]:
    step = constructs(grammar.STEPS, SHAPES)
    name = {**SHAPES["name"], "title": "id", "description": "The step's name, for goto, tests and the console."}
    return {
        "workflow": mapping(grammar.WORKFLOW_KEYS, SHAPES),
        "enroll": mapping(grammar.ENROLL_KEYS, SHAPES),
        "step": step | {"properties": {"id": name, **step["properties"]}} | one_of(grammar.STEPS),
        "ask": mapping(grammar.ASK_KEYS, SHAPES),
        "branch": mapping(grammar.BRANCH_KEYS, SHAPES),
        "else": mapping(grammar.ELSE_KEYS, SHAPES),
        "otherwise": mapping(grammar.OTHERWISE_KEYS, SHAPES) | any_of("reply", "goto"),
        "on_timeout": mapping(grammar.ON_TIMEOUT_KEYS, SHAPES),
        "wait_until": mapping(grammar.WAIT_UNTIL_KEYS, SHAPES),
    }


def _tests() -> dict[str, Json]:
    expect = {**SHAPES["expect"], "title": "expect", "description": "What is expected of it."}
    step = mapping(grammar.TEST_STEPS, SHAPES)
    return {
        "test": mapping(grammar.TEST_KEYS, SHAPES),
        "test_contact": mapping(grammar.TEST_CONTACT_KEYS, SHAPES),
        "test_step": step | {"properties": {**step["properties"], "expect": expect}} | one_of(grammar.TEST_STEPS),
        "expect": mapping(grammar.EXPECT_KEYS, SHAPES),
    }
