"""When a message that the business begins may leave. The hours are data: quiet_hours.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import time
from functools import cache
from importlib import resources
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from rules.schedule import DAYS, Hours, Opening, Schedule, joined
from rules.wall_clock import DAY

_AHEAD = 400 * DAY
_EVERY_DAY = frozenset(range(7))


@dataclass(frozen=True, slots=True)
class Window:
    """When a message may leave, in UTC microseconds.

    From `opens_at` (now, if it may now) until before `closes_at`; afterwards again from `reopens_at`.
    """

    opens_at: int
    closes_at: int
    reopens_at: int


def window(
    now: int,
    zones: Sequence[ZoneInfo],
    *,
    region: str = "",
    marketing: bool = False,
    schedule: Schedule | None = None,
    narrowed: tuple[time, time] | None = None,
) -> Window | None:
    """When a message may leave, at `now` or later (UTC microseconds); None when not within 400 days.

    It has to be allowed in each of `zones`, the contact's (one at least). The hours of `region`, a US state,
    are for marketing alone. `schedule` must be open too, on its own clock. `narrowed`, from and until on the
    contact's clock, takes hours away and never adds any; it may run past midnight, and is the whole day when
    both are the same. `reopens_at` is 400 days after `closes_at` when nothing opens before.
    """
    if not zones:
        raise ValueError("a window needs a time zone")
    # In the order that rules out most first: nothing else is worked out for when a business is closed.
    constraints = [] if schedule is None else [schedule]
    contact = [_table().hours(region if marketing else "")]
    if narrowed is not None:
        contact.append((Hours(_EVERY_DAY, *narrowed),))
    constraints += [Schedule("", zone, hours) for zone in dict.fromkeys(zones) for hours in contact]
    return _window(now, constraints)


def state_of(phone: str) -> str:
    """The US state of a number in E.164, by its area code; "" unless that state has hours of its own."""
    return _table().states.get(phone[2:5], "") if phone.startswith("+1") else ""


def known_state(text: str) -> str:
    """A US state's two letters, where the table has hours of its own for it; "" for everything else."""
    state = text.strip().upper()
    return state if state in _table().states.values() else ""


def _window(now: int, constraints: Sequence[Schedule]) -> Window | None:
    first = _first(now, constraints)
    if first is None:
        return None
    opens_at, closes_at = first
    again = _first(closes_at, constraints)
    return Window(opens_at, closes_at, again[0] if again else closes_at + _AHEAD)


def _first(now: int, constraints: Sequence[Schedule]) -> Opening | None:
    """The first time that all are open, whole, if it begins within the time that is looked ahead."""
    # Quiet hours end every opening within a day, so one more day shows the end of the last one.
    end = now + _AHEAD + DAY
    found = next(joined(_common(now, end, constraints)), None)
    return found if found is not None and found[0] < now + _AHEAD else None


def _common(since: int, until: int, constraints: Sequence[Schedule]) -> Iterator[Opening]:
    """When all are open, in order. Nothing is worked out further ahead than it is asked for."""
    first, *others = constraints
    for opening in first.openings(since, until):
        if others:
            yield from _common(*opening, others)
        else:
            yield opening


@dataclass(frozen=True, slots=True)
class _Table:
    default: tuple[Hours, ...]
    stricter: Mapping[str, tuple[Hours, ...]]
    states: Mapping[str, str]  # of an area code

    def hours(self, region: str) -> tuple[Hours, ...]:
        return self.stricter.get(region, self.default)


@cache
def _table() -> _Table:
    data = yaml.safe_load(resources.files("rules").joinpath("quiet_hours.yaml").read_text(encoding="utf-8"))
    return _Table(
        _read_hours(data["default"]),
        {state: _read_hours(rule["hours"]) for state, rule in data["states"].items()},
        {code: state for state, rule in data["states"].items() for code in rule["area_codes"]},
    )


def _read_hours(lines: Iterable[Mapping[str, Any]]) -> tuple[Hours, ...]:
    return tuple(
        Hours(_read_days(line["days"]), time.fromisoformat(line["from"]), time.fromisoformat(line["to"]))
        for line in lines
    )


def _read_days(text: str) -> frozenset[int]:
    first, last = (DAYS.index(day) for day in text.split("-"))
    return frozenset(range(first, last + 1))
