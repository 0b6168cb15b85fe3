"""Explanations for programs: the command's --json and the API say the same."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bot.clock import iso
from rules.decide import Explanation


def as_json(explanation: Explanation, now: int) -> dict[str, Any]:
    """An explanation as JSON values; `now` is when it was decided, in UTC microseconds."""
    decision = explanation.decision
    return {
        "version": decision.version,
        "at": iso(now),
        "rule": decision.rule,
        "matched": list(decision.matched),
        "fired": [fired.rule for fired in decision.fired],
        "effects": [
            {"rule": fired.rule, "effect": type(effect).__name__, **asdict(effect)}
            for fired in decision.fired
            for effect in fired.effects
        ],
        "tried": [asdict(tried) for tried in explanation.tried],
    }
