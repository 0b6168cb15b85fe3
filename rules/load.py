"""Read rule files into a RuleBook, or say everything that is wrong with them, at once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from importlib import resources
from zoneinfo import ZoneInfo

from rules.actions import read_actions
from rules.language import COMPLIANCE, FALLBACK, INTERRUPT, ORDINARY, Cooldown, Rule, RuleBook, SourceFile
from rules.lint import warn_about
from rules.nodes import Node, parse
from rules.problems import Problems, did_you_mean
from rules.reader import FIELD_TYPES, Declarations, FieldType, Reader
from rules.schedule import DAYS, Hours, Schedule
from rules.text import phrase
from rules.vocabulary import Vocabulary, vocabulary
from rules.when import read_when

FILE_KEYS = (
    "version", "name", "description", "timezone", "compliance", "lists", "fields", "schedules", "vars", "rules",
    "workflows", "tests",
)  # fmt: skip
RULE_KEYS = (
    "id", "when", "do", "description", "event", "continue", "priority", "interrupt", "fallback", "enabled",
    "cooldown", "active",
)  # fmt: skip
EVENTS = (
    "message", "list_joined", "list_left", "contact_added", "opted_in", "opted_out", "delivery_failed",
    "workflow_ended",
)  # fmt: skip
COMPLIANCE_KEYS = (
    "help", "extra_stop_words", "extra_start_words", "extra_help_words", "natural_language_stop", "quiet_hours",
)  # fmt: skip
MAX_HELP = 160
_RESERVED_FIELDS = ("name", "number", "first_name")


@dataclass(slots=True)
class _File:
    source: SourceFile
    keys: dict[str, Node]
    reader: Reader
    name: str


@dataclass(slots=True)
class _Compliance:
    """What the files add to the built-in rules."""

    stop: frozenset[tuple[str, ...]] = frozenset()
    start: frozenset[tuple[str, ...]] = frozenset()
    help: frozenset[tuple[str, ...]] = frozenset()
    added: list[tuple[Reader, Node, str]] = field(default_factory=list)
    help_text: Node | None = None
    help_reader: Reader | None = None
    review: bool = False


def builtin_source() -> SourceFile:
    """The built-in compliance rules."""
    text = resources.files("rules").joinpath("compliance.yaml").read_text(encoding="utf-8")
    return SourceFile("compliance", "compliance.yaml", text)


def load(
    sources: Sequence[SourceFile],
    problems: Problems,
    *,
    timezone: str = "UTC",
    routes: Iterable[str] | None = None,
    channels: Iterable[str] | None = None,
) -> RuleBook | None:
    """Read the files (`path` is shown in problems). None when there is any error.

    `routes` and `channels` are the names that config.toml has; None leaves them unchecked.
    """
    declared = Declarations(
        routes=None if routes is None else frozenset(routes),
        channels=None if channels is None else frozenset(channels),
    )
    zone = ZoneInfo(timezone)
    files = [file for source in sources if (file := _open(source, problems, declared, zone))]
    _unique_names(files, problems)
    for file in files:
        _read_declarations(file)
    extra = _Compliance()
    for file in files:
        _read_compliance(file, extra)
    words, rules = _read_builtin(problems, zone, extra)
    for file in files:
        rules.extend(_read_rules(file, words))
    ordered = sorted(rules, key=lambda rule: (rule.band, rule.priority))
    warn_about(ordered, words, problems)
    if problems.errors:
        return None
    return RuleBook(
        version=_version([builtin_source(), *sources]),
        files=tuple(sources),
        rules=tuple(ordered),
        vocabulary=words,
        lists=dict(declared.lists),
        fields=dict(declared.fields),
        natural_language_review=extra.review,
    )


def _version(sources: Iterable[SourceFile]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        digest.update(f"{source.name}\0{source.text}\0".encode(errors="replace"))
    return digest.hexdigest()[:16]


def _open(source: SourceFile, problems: Problems, declared: Declarations, zone: ZoneInfo) -> _File | None:
    root = parse(source.text, source.path, problems)
    if root is None:
        if not any(problem.file == source.path for problem in problems.items):
            problems.error(source.path, 1, "the file is empty. A rule file begins with 'version: 1'.")
        return None
    reader = Reader(source.path, problems, declared, zone)
    if root.kind != "mapping":
        reader.error(root, f"a rule file is a mapping that begins with 'version: 1', not {root.described}.")
        return None
    keys = reader.mapping(root, FILE_KEYS, "key")
    if "version" not in keys:
        reader.error(root, "a rule file begins with 'version: 1'.")
    else:
        reader.integer(keys["version"], "version", 1, 1)
    if "timezone" in keys:
        reader.zone = reader.timezone(keys["timezone"]) or zone
    name = reader.name(keys["name"], "file") if "name" in keys else re.sub(r"\W+", "_", source.name)
    if "workflows" in keys:
        reader.error(keys["workflows"], "'workflows' are part of the language, but not of this version.")
    if "tests" in keys:
        reader.warning(keys["tests"], "'tests' are not run by this version.")
    return _File(source, keys, reader, name or source.name)


def _unique_names(files: list[_File], problems: Problems) -> None:
    seen = {"compliance": "the built-in rules"}
    for file in files:
        if file.name in seen:
            line = file.keys["name"].line if "name" in file.keys else 1
            problems.error(file.source.path, line, f"the name '{file.name}' is taken by {seen[file.name]}.")
        seen[file.name] = file.source.path


def _read_declarations(file: _File) -> None:
    reader, declared = file.reader, file.reader.declared
    for name, node in _named(file, "lists"):
        purpose = reader.choice(node, ["marketing", "service"], "purpose")
        if purpose and declared.lists.setdefault(name, purpose) != purpose:
            reader.error(node, f"another file declares the list '{name}' as {declared.lists[name]}.")
    for name, node in _named(file, "fields"):
        kind = reader.choice(node, FIELD_TYPES, "field type")
        match: FieldType | None = next((known for known in FIELD_TYPES if known == kind), None)
        if name in _RESERVED_FIELDS and kind != "text":
            reader.error(node, f"every contact has '{name}'; it is text.")
        elif match and declared.fields.setdefault(name, match) != match:
            reader.error(node, f"another file declares the field '{name}' as {declared.fields[name]}.")
    for name, node in _named(file, "vars"):
        text = reader.text(node, f"the variable '{name}'")
        if text and declared.vars.setdefault(name, text) != text:
            reader.error(node, f"another file gives the variable '{name}' another value.")
    for name, node in _named(file, "schedules"):
        schedule = _read_schedule(reader, name, node)
        if schedule and declared.schedules.setdefault(name, schedule) != schedule:
            reader.error(node, f"another file declares the schedule '{name}' otherwise.")


def _named(file: _File, section: str) -> list[tuple[str, Node]]:
    node = file.keys.get(section)
    if node is None:
        return []
    found = file.reader.mapping(node, None, section)
    bad = {name for name in found if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]{0,63}", name)}
    for name in bad:
        file.reader.error(found[name], f"'{name}' is no name: use letters, digits, '_' and '-', a letter first.")
    return [(name, value) for name, value in found.items() if name not in bad]


def _read_schedule(reader: Reader, name: str, node: Node) -> Schedule | None:
    keys = reader.mapping(node, ["hours", "closed", "timezone"], "schedule key")
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
    keys = reader.mapping(node, ["days", "from", "to"], "hours key")
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


def _read_compliance(file: _File, extra: _Compliance) -> None:
    node = file.keys.get("compliance")
    if node is None:
        return
    reader = file.reader
    keys = reader.mapping(node, COMPLIANCE_KEYS, "compliance key")
    for key, name in (
        ("extra_stop_words", "stop"),
        ("extra_start_words", "start"),
        ("extra_help_words", "help"),
    ):
        if key in keys:
            setattr(extra, name, getattr(extra, name) | frozenset(reader.words(keys[key], key)))
            extra.added.append((reader, keys[key], name))
    if "natural_language_stop" in keys:
        choice = reader.choice(keys["natural_language_stop"], ["opt_out", "review"], "natural_language_stop")
        extra.review = extra.review or choice == "review"
    if "quiet_hours" in keys:
        reader.error(keys["quiet_hours"], "'quiet_hours' are part of the language, but not of this version.")
    if "help" in keys:
        if extra.help_text is not None:
            reader.error(keys["help"], "another file words the help text.")
        text = reader.text(keys["help"], "the help text")
        if text is None:
            return
        if len(text) > MAX_HELP:
            reader.error(keys["help"], f"the help text has {len(text)} characters; {MAX_HELP} is the most.")
        if "stop" not in text.lower():
            reader.error(keys["help"], "the help text must say how to stop, for example 'Reply STOP to stop'.")
        extra.help_text, extra.help_reader = keys["help"], reader


def _read_builtin(problems: Problems, zone: ZoneInfo, extra: _Compliance) -> tuple[Vocabulary, list[Rule]]:
    source = builtin_source()
    root = parse(source.text, source.path, problems)
    assert root is not None, "the built-in rules are not YAML"
    reader = Reader(source.path, problems, Declarations(), zone, builtin=True)
    keys = reader.mapping(root, ["version", "name", "words", "parts", "patterns", "rules"], "key")
    lists = {
        name: frozenset(phrase for item in node.items for phrase in reader.words(item, name))
        for name, node in reader.mapping(keys["words"], None, "words").items()
    }
    _keep_builtin_words(lists, extra)
    lists["stop"] |= extra.stop
    lists["start"] |= extra.start
    lists["help"] |= extra.help
    parts, patterns = (
        {name: reader.texts(node, name) for name, node in reader.mapping(keys[key], None, key).items()}
        for key in ("parts", "patterns")
    )
    words = vocabulary(lists, {name: part for name, (part,) in parts.items()}, patterns)
    file = _File(source, keys, reader, source.name)
    rules = _read_rules(file, words)
    if extra.help_text is not None and extra.help_reader is not None:
        rules = [_reworded(rule, extra.help_text, extra.help_reader) for rule in rules]
    return words, rules


def _keep_builtin_words(lists: dict[str, frozenset[tuple[str, ...]]], extra: _Compliance) -> None:
    """A file adds words; one that means something else already would take that meaning away."""
    for reader, node, kind in extra.added:
        for other in {"stop", "start", "help"} - {kind}:
            builtin = lists[other] | (lists["strong"] if other == "stop" else frozenset())
            for item in node.items if node.kind == "list" else [node]:
                if item.kind == "text" and phrase(item.text) in builtin:
                    reader.error(item, f"'{item.text}' is a built-in {other} word and stays one.")


def _reworded(rule: Rule, text: Node, reader: Reader) -> Rule:
    """The built-in help rule with a file's own wording."""
    if rule.id != "compliance.help":
        return rule
    confirm = Node("mapping", text.line, pairs=[(Node("text", text.line, text="help"), text)])
    action = Node("mapping", text.line, pairs=[(Node("text", text.line, text="confirm"), confirm)])
    own = Reader(reader.file, reader.problems, reader.declared, reader.zone, builtin=True)
    actions = read_actions(own, Node("list", text.line, items=[action]))
    return Rule(rule.id, rule.file, rule.line, rule.band, rule.when, actions, reader.declared.vars, reader.zone)


def _read_rules(file: _File, words: Vocabulary) -> list[Rule]:
    node = file.keys.get("rules")
    if node is None:
        return []
    rules: list[Rule] = []
    ids: dict[str, int] = {}
    for item in file.reader.items(node, "rules"):
        rule = _read_rule(file, item, words)
        if rule is None:
            continue
        if rule.id in ids:
            file.reader.error(item, f"the id '{rule.id}' is taken by the rule in line {ids[rule.id]}.")
        ids.setdefault(rule.id, rule.line)
        rules.append(rule)
    return rules


def _read_rule(file: _File, node: Node, words: Vocabulary) -> Rule | None:
    reader = file.reader
    keys = reader.mapping(node, RULE_KEYS, "rule key")
    if not keys:
        return None
    name = reader.name(keys["id"], "rule") if "id" in keys else None
    if "id" not in keys:
        reader.error(node, "a rule needs an 'id'.")
    if "event" in keys:
        event = reader.choice(keys["event"], EVENTS, "event")
        if event not in (None, "message"):
            reader.error(keys["event"], f"the event '{event}' is part of the language, but not of this version.")
    flags = {key: bool(reader.boolean(keys[key], key)) for key in ("interrupt", "fallback", "continue") if key in keys}
    enabled = reader.boolean(keys["enabled"], "enabled") if "enabled" in keys else True
    if flags.get("interrupt") and flags.get("fallback"):
        reader.error(node, "a rule cannot be both 'interrupt' and 'fallback'.")
    if "when" not in keys and not flags.get("fallback"):
        reader.error(node, "a rule needs a 'when', unless it is a fallback.")
    when = read_when(reader, keys["when"], words) if "when" in keys else None
    actions = read_actions(reader, keys["do"]) if "do" in keys else ()
    if "do" not in keys:
        reader.error(node, "a rule needs a 'do' with its actions.")
    priority = reader.integer(keys["priority"], "priority", 1, 999) if "priority" in keys else 500
    active = reader.mapping(keys["active"], ["from", "until"], "active key") if "active" in keys else {}
    band = INTERRUPT if flags.get("interrupt") else FALLBACK if flags.get("fallback") else ORDINARY
    if name is None or enabled is False or ("when" in keys and when is None):
        return None
    return Rule(
        id=f"{file.name}.{name}",
        file=file.source.path,
        line=node.line,
        band=COMPLIANCE if reader.builtin else band,
        when=when,
        actions=actions,
        variables=reader.declared.vars,
        zone=reader.zone,
        description=keys["description"].text if "description" in keys else "",
        priority=priority or 500,
        continues=flags.get("continue", False),
        cooldown=_read_cooldown(reader, keys["cooldown"]) if "cooldown" in keys else None,
        active_from=reader.date(active["from"], "from") if "from" in active else None,
        active_until=reader.date(active["until"], "until") if "until" in active else None,
    )


def _read_cooldown(reader: Reader, node: Node) -> Cooldown | None:
    if node.kind == "text":
        seconds = reader.duration(node, "cooldown")
        return Cooldown("contact", seconds) if seconds else None
    keys = reader.mapping(node, ["per", "for"], "cooldown key")
    if "for" not in keys:
        reader.error(node, "a cooldown needs 'for', such as {per: contact, for: 2h}.")
        return None
    seconds = reader.duration(keys["for"], "cooldown")
    per = reader.choice(keys["per"], ["contact", "all"], "per") if "per" in keys else "contact"
    return Cooldown("all" if per == "all" else "contact", seconds) if seconds and per else None
