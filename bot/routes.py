"""Routes: where staff are told, when somebody is there, and who is told instead or when nobody answers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import time

from bot.following import follow
from bot.store.contract import Store
from rules.schedule import DAYS, Hours, Schedule

_LINE = re.compile(r"([a-z]{3})(?:-([a-z]{3}))? (\d{2}:\d{2})-(\d{2}:\d{2})")


@dataclass(frozen=True, slots=True)
class Route:
    """[routes.NAME]. Outside `hours` (None is always) whoever is handed over is told `away_reply`, and `away_to` is
    told of it instead. Who waits for `escalate_minutes` (0 is never) is told to `escalate_to` too."""

    name: str
    url: str
    secret: str
    allow_private: bool = False
    default: bool = False
    hours: Schedule | None = None
    away_reply: str = ""
    away_to: str = ""
    escalate_minutes: int = 0
    escalate_to: str = ""
    events: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Absence:
    """A route's people are away until a moment (UTC microseconds); `stand_in` is told instead, "" for nobody else."""

    until: int
    stand_in: str
    actor: str = ""


class Routes:
    """The routes and who is away, as every node sees them. Run `work()` as a task, to hear of changes."""

    def __init__(self, routes: Mapping[str, Route], default: str = "") -> None:
        self.all = routes
        self.default = default
        self.absences: Mapping[str, Absence] = {}

    def named(self, name: str) -> Route | None:
        """The route, the default one for "", None where there is none."""
        return self.all.get(name or self.default)

    def is_away(self, name: str, now: int) -> bool:
        """Whether nobody is there: outside its hours, or said to be away."""
        route = self.named(name)
        if route is None:
            return False
        absence = self.absences.get(route.name)
        is_absent = absence is not None and absence.until > now
        return is_absent or (route.hours is not None and not route.hours.is_open(now))

    def told(self, name: str, now: int) -> str:
        """The route that is told when `name` should be: itself, or who stands in for it; never a third one."""
        route = self.named(name)
        if route is None or not self.is_away(name, now):
            return route.name if route else ""
        absence = self.absences.get(route.name)
        stand_in = absence.stand_in if absence is not None and absence.until > now else route.away_to
        return stand_in if stand_in in self.all else route.name

    async def load(self, store: Store) -> None:
        """Read who is away."""
        async with store.snapshot() as transaction:
            rows = await transaction.rows("all_absences")
        self.absences = {row["route"]: Absence(row["until"], row["stand_in"], row["actor"]) for row in rows}

    async def work(self, store: Store) -> None:
        """Read it again whenever any node has changed it."""
        await follow(store, "routes", lambda: self.load(store))


def opening_hours(lines: Sequence[str]) -> tuple[Hours, ...]:
    """Lines such as "mon-fri 09:00-17:00". Raises ValueError."""
    hours = []
    for line in lines:
        found = _LINE.fullmatch(line.strip().lower())
        if not found or found[1] not in DAYS or (found[2] or found[1]) not in DAYS:
            raise ValueError(f"'{line}' are no hours. Write them as \"mon-fri 09:00-17:00\".")
        start, end = DAYS.index(found[1]), DAYS.index(found[2] or found[1])
        days = range(start, end + 1) if start <= end else [*range(start, 7), *range(end + 1)]
        try:
            since, until = time.fromisoformat(found[3]), time.fromisoformat(found[4])
        except ValueError as error:
            raise ValueError(f"'{line}': a time is 00:00 to 23:59.") from error
        hours.append(Hours(frozenset(days), since, until))
    return tuple(hours)
