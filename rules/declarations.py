"""What a rule file declares for all of them: lists, fields, variables and schedules."""

from __future__ import annotations

import re
from datetime import date, time

from rules.grammar import HOURS_KEYS, SCHEDULE_KEYS
from rules.nodes import Node
from rules.problems import did_you_mean
from rules.reader import FIELD_TYPES, FieldType, Reader
from rules.schedule import DAYS, Hours, Schedule

_RESERVED_FIELDS = ("name", "number", "first_name", "timezone")


def read_declarations(reader: Reader, keys: dict[str, Node]) -> None:
    """Read them; a conflict with another file's is an error."""
    declared = reader.declared
    for name, node in named(reader, keys, "lists"):
        purpose = reader.choice(node, ["marketing", "service"], "purpose")
        if purpose and declared.lists.setdefault(name, purpose) != purpose:
            reader.error(node, f"another file declares the list '{name}' as {declared.lists[name]}.")
    for name, node in named(reader, keys, "fields"):
        kind = reader.choice(node, FIELD_TYPES, "field type")
        match: FieldType | None = next((known for known in FIELD_TYPES if known == kind), None)
        if name in _RESERVED_FIELDS and kind not in (None, "text"):
            reader.error(node, f"every contact has '{name}'; it is text.")
        elif match and declared.fields.setdefault(name, match) != match:
            reader.error(node, f"another file declares the field '{name}' as {declared.fields[name]}.")
    for name, node in named(reader, keys, "vars"):
        text = reader.text(node, f"the variable '{name}'")
        if text and declared.vars.setdefault(name, text) != text:
            reader.error(node, f"another file gives the variable '{name}' another value.")
    for name, node in named(reader, keys, "schedules"):
        schedule = _read_schedule(reader, name, node)
        if schedule and declared.schedules.setdefault(name, schedule) != schedule:
            reader.error(node, f"another file declares the schedule '{name}' otherwise.")


def named(reader: Reader, keys: dict[str, Node], section: str) -> list[tuple[str, Node]]:
    """The entries of a section whose keys are names of the author's."""
    node = keys.get(section)
    if node is None:
        return []
    found = reader.mapping(node, None, section)
    bad = {name for name in found if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name)}
    for name in bad:
        reader.error(found[name], f"'{name}' is no name: use letters, digits, '_' and '-', a letter first.")
    return [(name, value) for name, value in found.items() if name not in bad]


def _read_schedule(reader: Reader, name: str, node: Node) -> Schedule | None:
    keys = reader.mapping(node, SCHEDULE_KEYS, "schedule key")
    if "hours" not in keys:
        reader.error(node, f"the schedule '{name}' needs 'hours'.")
        return None
    zone = (reader.timezone(keys["timezone"]) if "timezone" in keys else None) or reader.zone
    hours = [line for item in reader.items(keys["hours"], "hours") if (line := _read_hours(reader, item))]
    closed: list[date | None] = []
    if "closed" in keys and (keys["closed"].kind != "list" or keys["closed"].items):
        closed = [reader.date(item, "closed") for item in reader.items(keys["closed"], "closed")]
    return Schedule(name, zone, tuple(hours), frozenset(day for day in closed if day))


def _read_hours(reader: Reader, node: Node) -> Hours | None:
    keys = reader.mapping(node, HOURS_KEYS, "hours key")
    missing = [key for key in ("days", "from", "to") if key not in keys]
    if missing:
        reader.error(node, f"hours need 'days', 'from' and 'to'; here '{missing[0]}' is missing.")
        return None
    days = _read_days(reader, keys["days"])
    since: time | None = reader.clock(keys["from"], "from")
    until: time | None = reader.clock(keys["to"], "to")
    return Hours(days, since, until) if days and since is not None and until is not None else None


def _read_days(reader: Reader, node: Node) -> frozenset[int]:
    days: set[int] = set()
    for item in reader.items(node, "days"):
        text = (reader.text(item, "days") or "").lower()
        first, _, last = text.partition("-")
        first, last = first.strip()[:3], (last or first).strip()[:3]
        if first not in DAYS or last not in DAYS:
            reader.error(item, f"unknown day '{text}'.{did_you_mean(text, DAYS)} Write mon-fri, sat or [mon, wed].")
            continue
        start, end = DAYS.index(first), DAYS.index(last)
        days.update(range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)])
    return frozenset(days)
