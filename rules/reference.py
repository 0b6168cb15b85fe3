"""The plain reading of the rules: what the compiled engine is held against, and what answers when it fails."""

from __future__ import annotations

from collections.abc import Sequence

from rules.language import Rule
from rules.message import Message
from rules.when import All, Any, Not, When


def holds(when: When | None, message: Message) -> bool:
    """Whether the condition is true of the message; None always is."""
    if when is None:
        return True
    if isinstance(when, All):
        return all(holds(part, message) for part in when.parts)
    if isinstance(when, Any):
        return any(holds(part, message) for part in when.parts)
    if isinstance(when, Not):
        return not holds(when.part, message)
    return when.holds(message)


def matches(rules: Sequence[Rule], message: Message) -> list[int]:
    """The indexes of the rules whose condition is true, in order of precedence."""
    event = message.facts.event
    return [index for index, rule in enumerate(rules) if rule.event == event and holds(rule.when, message)]
