"""How a rule is read from a file."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

from rules.actions import read_actions
from rules.facts import Event
from rules.grammar import ACTIVE_KEYS, COOLDOWN_KEYS, EVENTS, RULE_KEYS
from rules.language import COMPLIANCE, FALLBACK, INTERRUPT, ORDINARY, Cooldown, Rule
from rules.nodes import Node
from rules.reader import Reader
from rules.vocabulary import Vocabulary
from rules.when import read_when


def read_rules(reader: Reader, node: Node, words: Vocabulary) -> list[Rule]:
    """Read `rules:`; those that sleep or are wrong are left out."""
    rules: list[Rule] = []
    ids: dict[str, int] = {}
    for item in reader.items(node, "rules"):
        rule = _read_rule(reader, item, words)
        if rule is None:
            continue
        if rule.id in ids:
            reader.error(item, f"the id '{rule.id}' is taken by the rule in line {ids[rule.id]}.")
        ids.setdefault(rule.id, rule.line)
        rules.append(rule)
    return rules


def _read_rule(reader: Reader, node: Node, words: Vocabulary) -> Rule | None:
    keys = reader.mapping(node, RULE_KEYS, "rule key")
    if not keys and not node.is_empty:
        return None
    name = reader.name(keys["id"], "rule") if "id" in keys else None
    if "id" not in keys:
        reader.error(node, "a rule needs an 'id'.")
    found = _event(reader, keys.get("event"))
    event: Event = found or "message"
    reader = replace(reader, has_message=event == "message")
    flags = {key: bool(reader.boolean(keys[key], key)) for key in ("interrupt", "fallback", "continue") if key in keys}
    enabled = reader.boolean(keys["enabled"], "enabled") if "enabled" in keys else True
    if flags.get("interrupt") and flags.get("fallback"):
        reader.error(node, "a rule cannot be both 'interrupt' and 'fallback'.")
    if "when" not in keys and not flags.get("fallback") and found == "message":
        reader.error(node, "a rule needs a 'when', unless it is a fallback.")
    when = read_when(reader, keys["when"], words) if "when" in keys else None
    actions = read_actions(reader, keys["do"]) if "do" in keys else ()
    if "do" not in keys:
        reader.error(node, "a rule needs a 'do' with its actions.")
    priority = reader.integer(keys["priority"], "priority", 1, 999) if "priority" in keys else 500
    active = reader.mapping(keys["active"], ACTIVE_KEYS, "active key") if "active" in keys else {}
    band = INTERRUPT if flags.get("interrupt") else FALLBACK if flags.get("fallback") else ORDINARY
    if name is None or enabled is False or ("when" in keys and when is None):
        return None
    return Rule(
        id=f"{reader.name_of_file}.{name}",
        file=reader.file,
        line=node.line,
        band=COMPLIANCE if reader.builtin else band,
        when=when,
        actions=actions,
        variables=reader.declared.vars,
        zone=reader.zone,
        event=event,
        description=(reader.text(keys["description"], "description") or "") if "description" in keys else "",
        priority=priority or 500,
        continues=flags.get("continue", False),
        cooldown=_read_cooldown(reader, keys["cooldown"]) if "cooldown" in keys else None,
        active_from=reader.date(active["from"], "from") if "from" in active else None,
        active_until=reader.date(active["until"], "until") if "until" in active else None,
    )


def _event(reader: Reader, node: Node | None) -> Event | None:
    if node is None:
        return "message"
    found = reader.choice(node, EVENTS, "event")
    events: tuple[Event, ...] = get_args(Event)
    return next((event for event in events if event == found), None)


def _read_cooldown(reader: Reader, node: Node) -> Cooldown | None:
    if node.kind == "text":
        seconds = reader.duration(node, "cooldown")
        return Cooldown("contact", seconds) if seconds else None
    keys = reader.mapping(node, COOLDOWN_KEYS, "cooldown key")
    if "for" not in keys:
        reader.error(node, "a cooldown needs 'for', such as {per: contact, for: 2h}.")
        return None
    seconds = reader.duration(keys["for"], "cooldown")
    per = reader.choice(keys["per"], ["contact", "all"], "per") if "per" in keys else "contact"
    return Cooldown("all" if per == "all" else "contact", seconds) if seconds and per else None
