"""The shapes that values of a rule file have, as JSON Schema; the grammar (grammar.py) names them.

YAML's plain `yes`, `12` and `09:00` are text to us, but an editor's checker sees a boolean, a number and a time:
so wherever a text may stand, the schema takes any scalar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
SCALAR: Json = {"type": ["string", "number", "boolean", "null"]}
DURATION_PATTERN = r"^(forever|[+-]?(\d+w)?(\d+d)?(\d+h)?(\d+m)?(\d+s)?)$"


@dataclass(frozen=True, slots=True)
class Key:
    """A key of a mapping: the shape of its value, what it is for, and whether it must be there."""

    shape: str
    says: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Construct:
    """A condition, an action or a step: its shape, what it does, and one use of it, which is a test too."""

    shape: str
    says: str
    example: str


def one_or_many(item: Json) -> Json:
    """A value, or a list of them."""
    return {"anyOf": [item, {"type": "array", "items": item, "minItems": 1}]}


def ref(name: str) -> Json:
    """A reference to a definition of the schema."""
    return {"$ref": f"#/$defs/{name}"}


def words(*choices: str) -> Json:
    """One of a few words."""
    return {"enum": list(choices)}


def named(value: Json) -> Json:
    """A mapping from names of the author's to values."""
    return {"type": "object", "additionalProperties": value}


def mapping(keys: Mapping[str, Key], shapes: Mapping[str, Json]) -> Json:
    """A mapping with these keys and no others."""
    properties = {name: {**shapes[key.shape], "description": key.says} for name, key in keys.items()}
    found: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    required = [name for name, key in keys.items() if key.required]
    return found | ({"required": required} if required else {})


def constructs(known: Mapping[str, Construct], shapes: Mapping[str, Json], others: Mapping[str, Json]) -> Json:
    """A mapping of one or more constructs."""
    properties = {name: {**shapes[item.shape], "description": item.says} for name, item in known.items()}
    return {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": {**properties, **others}}


_NUMBERS: Json = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"min": {"type": "integer"}, "max": {"type": "integer"}},
}
_WITHIN: Json = {
    "type": "object",
    "additionalProperties": False,
    "required": ["within", "at_least"],
    "properties": {"within": {"type": "string", "pattern": DURATION_PATTERN}, "at_least": {"type": "integer"}},
}
_BOOLEAN: Json = {"enum": [True, False, "true", "false", "yes", "no", "on", "off"]}
_DURATION: Json = {"type": "string", "pattern": DURATION_PATTERN}
_CONDITION, _ACTIONS, _STEPS = ref("condition"), ref("actions"), ref("step")

SHAPES: Mapping[str, Json] = {
    "text": SCALAR,
    "texts": one_or_many(SCALAR),
    "words": one_or_many(SCALAR),
    "boolean": _BOOLEAN,
    "true": {"enum": [True, "true", "yes", "on"]},
    "integer": {"type": "integer"},
    "priority": {"type": "integer", "minimum": 1, "maximum": 999},
    "duration": _DURATION,
    "offset": _DURATION,
    "clock": {"type": "string", "pattern": r"^\d{1,2}:\d{2}$"},
    "number": {"anyOf": [_BOOLEAN, _NUMBERS]},
    "messages": _WITHIN,
    "fields": named({"anyOf": [one_or_many(SCALAR), named(one_or_many(SCALAR))]}),
    "values": named(SCALAR),
    "counts": named({"type": "integer"}),
    "media_types": one_or_many(words("image", "video", "audio", "contact", "other")),
    "statuses": one_or_many(words("opted_in", "opted_out", "blocked")),
    "condition": _CONDITION,
    "conditions": {"type": "array", "items": _CONDITION, "minItems": 1},
    "actions": _ACTIONS,
    "steps": {"type": "array", "items": _STEPS, "minItems": 1},
    "step_id": {"type": "string"},
    "reply": {"anyOf": [SCALAR, ref("reply")]},
    "notify": {"anyOf": [{"type": "string"}, ref("notify")]},
    "handoff": {"anyOf": [{"type": "string"}, ref("handoff")]},
    "event": ref("event"),
    "cooldown": {"anyOf": [_DURATION, ref("cooldown")]},
    "active": ref("active"),
    "enroll": ref("enroll"),
    "again": words("never", "after_end", "restart"),
    "on": words("list_joined", "manual"),
    "on_change": words("finish_old", "follow", "cancel"),
    "ask": ref("ask"),
    "wait_until": ref("wait_until"),
    "replies": {"type": "array", "items": ref("branch"), "minItems": 1},
    "otherwise": ref("otherwise"),
    "on_timeout": ref("on_timeout"),
    "branches": {"type": "array", "items": {"anyOf": [ref("branch"), ref("else")]}, "minItems": 1},
    "lists": named(words("marketing", "service")),
    "field_types": named(words("text", "integer", "boolean", "date", "datetime")),
    "schedules": named(ref("schedule")),
    "hours": one_or_many(ref("hours")),
    "rules": {"type": "array", "items": ref("rule")},
    "workflows": named(ref("workflow")),
    "tests": {"type": "array", "items": ref("test")},
    "compliance": ref("compliance"),
    "quiet_hours": ref("quiet_hours"),
    "per": words("contact", "all"),
    "natural_language_stop": words("opt_out", "review"),
    "version": {"enum": [1, "1"]},
    "test_contact": ref("test_contact"),
    "test_steps": {"type": "array", "items": ref("test_step"), "minItems": 1},
    "expect": ref("expect"),
    "status": words("opted_in", "opted_out", "blocked"),
    "mode": words("auto", "staff", "paused"),
}
