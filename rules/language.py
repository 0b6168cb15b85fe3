"""A rule of the rule files, once it has been read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Literal
from zoneinfo import ZoneInfo

from rules.actions import Action
from rules.facts import Event
from rules.reader import FOREVER
from rules.schedule import MICROSECONDS, local
from rules.when import When

COMPLIANCE, INTERRUPT, REPLY, ORDINARY, OTHERWISE, FALLBACK = range(6)
"""The bands of precedence. REPLY and OTHERWISE belong to the contact's open question."""

BAND_NAMES: Mapping[int, str] = {
    COMPLIANCE: "built in", INTERRUPT: "interrupt", REPLY: "answer", ORDINARY: "ordinary",
    OTHERWISE: "no answer", FALLBACK: "fallback",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cooldown:
    """How long a rule rests after it answered. `seconds` is FOREVER for once."""

    per: Literal["contact", "all"]
    seconds: int

    def is_over(self, last_fired: int | None, now: int) -> bool:
        """Whether the rule may answer again; times are UTC microseconds."""
        if last_fired is None:
            return True
        return self.seconds != FOREVER and now - last_fired >= self.seconds * MICROSECONDS


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `id` is 'file.rule'; `when` None holds always."""

    id: str
    file: str
    line: int
    band: int
    when: When | None
    actions: tuple[Action, ...]
    variables: Mapping[str, str]
    zone: ZoneInfo
    event: Event = "message"
    description: str = ""
    priority: int = 500
    continues: bool = False
    cooldown: Cooldown | None = None
    active_from: date | None = None
    active_until: date | None = None

    def cooldown_key(self) -> str | None:
        """The key under which facts say when it last fired: the id, or 'id *' where it rests for everybody."""
        if self.cooldown is None:
            return None
        return self.id if self.cooldown.per == "contact" else f"{self.id} *"

    def is_active(self, now: int) -> bool:
        """Whether its dates (both inclusive, in the file's zone) include `now`."""
        if self.active_from is None and self.active_until is None:
            return True
        today = local(now, self.zone).date()
        return (self.active_from or today) <= today <= (self.active_until or today)
