"""The shapes that values of a rule file have, as JSON Schema; the grammar (grammar.py) names them.

YAML's plain `yes`, `12` and `09:00` are text to us, but an editor's checker sees a boolean, a number and a time:
so wherever a text may stand, the schema takes any scalar.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
SCALAR: Json = {"type": ["string", "number", "boolean", "null"]}
NAME_PATTERN = "^[A-Za-z][A-Za-z0-9_-]{0,63}$"
_PARTS = r"(?=.*\d)(\d{1,9}[wW])?(\d{1,9}[dD])?(\d{1,9}[hH])?(\d{1,9}[mM])?(\d{1,9}[sS])?"


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
    """One of a few words, in any case; an editor offers them as they are written here."""
    return {"anyOf": [{"enum": list(choices)}, {"type": "string", "pattern": _any_case(*choices)}]}


def _any_case(*choices: str) -> str:
    written = ("".join(f"[{c}{c.upper()}]" if c.isalpha() else c for c in choice) for choice in choices)
    return f"^({'|'.join(written)})$"


def integer(low: int | None = None, high: int | None = None) -> Json:
    """A whole number, which may stand in quotes."""
    bounds = {name: bound for name, bound in (("minimum", low), ("maximum", high)) if bound is not None}
    return {"anyOf": [{"type": "integer", **bounds}, {"type": "string", "pattern": r"^-?\d{1,15}$"}]}


def listed(item: Json, **bounds: int) -> Json:
    """A list of one or more."""
    return {"type": "array", "items": item, "minItems": 1, **bounds}


def named(value: Json) -> Json:
    """A mapping from names of the author's to values."""
    return {"type": "object", "propertyNames": {"pattern": NAME_PATTERN}, "additionalProperties": value}


def mapping(keys: Mapping[str, Key], shapes: Mapping[str, Json]) -> Json:
    """A mapping with these keys and no others."""
    properties = {name: {**shapes[key.shape], "title": name, "description": key.says} for name, key in keys.items()}
    found: Json = {"type": "object", "additionalProperties": False, "properties": properties}
    required = [name for name, key in keys.items() if key.required]
    return found | ({"required": required} if required else {})


def constructs(known: Mapping[str, Construct], shapes: Mapping[str, Json]) -> Json:
    """A mapping of one or more constructs."""
    properties = {
        name: {**shapes[item.shape], "title": name, "description": f"{item.says}\n\nExample: {item.example}"}
        for name, item in known.items()
    }
    return {"type": "object", "additionalProperties": False, "minProperties": 1, "properties": properties}


def one_of(required: Iterable[str]) -> Json:
    """What a mapping needs exactly one of."""
    return {"oneOf": [{"required": [name]} for name in required]}


def any_of(*required: str) -> Json:
    """What a mapping needs one of, at least."""
    return {"anyOf": [{"required": [name]} for name in required]}


def keyed(**properties: Json) -> Json:
    """A mapping with these keys and no others, none of which must be there."""
    return {"type": "object", "additionalProperties": False, "properties": properties}


_TRUE, _FALSE = ("true", "yes", "on"), ("false", "no", "off")
_BOOLEAN: Json = {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": _any_case(*_TRUE, *_FALSE)}]}
_DURATION: Json = {"type": "string", "pattern": f"^(forever|{_PARTS})$"}
_FIELD = keyed(
    exists=_BOOLEAN,
    within_next=_DURATION,
    within_last=_DURATION,
    **dict.fromkeys(("in", "not"), one_or_many(SCALAR)),
    **dict.fromkeys(("is", "gt", "gte", "lt", "lte"), SCALAR),
)
_STATUS = words("opted_in", "opted_out", "blocked")
_CONDITION = ref("condition")

SHAPES: Mapping[str, Json] = {
    "text": SCALAR,
    "texts": one_or_many(SCALAR),
    "words": one_or_many(SCALAR),
    "dates": {"anyOf": [SCALAR, {"type": "array", "items": SCALAR}]},
    "name": {"type": "string", "pattern": NAME_PATTERN},
    "boolean": _BOOLEAN,
    "true": {"anyOf": [{"const": True}, {"type": "string", "pattern": _any_case(*_TRUE)}]},
    "integer": integer(),
    "priority": integer(1, 999),
    "repeat": integer(0, 10),
    "sent": integer(0, 1000),
    "duration": _DURATION,
    "offset": {"type": "string", "pattern": f"^[+-]*{_PARTS}$"},
    "clock": {"type": "string", "pattern": r"^(([01]?\d|2[0-3]):[0-5]\d|24:00)$"},
    "number": {"anyOf": [_BOOLEAN, keyed(min=integer(), max=integer())]},
    "messages": {**keyed(within=_DURATION, at_least=integer(1, 1000)), "required": ["within", "at_least"]},
    "fields": named({"anyOf": [one_or_many(SCALAR), _FIELD]}),
    "values": {"type": "object", "additionalProperties": SCALAR},
    "counts": named(integer()),
    "media_types": one_or_many(words("image", "video", "audio", "contact", "other")),
    "statuses": one_or_many(_STATUS),
    "condition": _CONDITION,
    "conditions": listed(_CONDITION),
    "actions": ref("actions"),
    "steps": listed(ref("step"), maxItems=200),
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
    "replies": listed(ref("branch")),
    "otherwise": ref("otherwise"),
    "on_timeout": ref("on_timeout"),
    "branches": listed({"anyOf": [ref("branch"), ref("else")]}),
    "lists": named(words("marketing", "service")),
    "field_types": named(words("text", "integer", "boolean", "date", "datetime")),
    "vars": named(SCALAR),
    "schedules": named(ref("schedule")),
    "hours": listed(ref("hours")),
    "rules": listed(ref("rule")),
    "workflows": named(ref("workflow")),
    "tests": listed(ref("test")),
    "compliance": ref("compliance"),
    "quiet_hours": ref("quiet_hours"),
    "per": words("contact", "all"),
    "natural_language_stop": words("opt_out", "review"),
    "version": {"enum": [1, "1"]},
    "test_contact": ref("test_contact"),
    "test_steps": listed(ref("test_step")),
    "expect": ref("expect"),
    "status": _STATUS,
    "mode": words("auto", "staff", "paused"),
}
