"""Opening hours on the wall clock of a time zone."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from rules.wall_clock import DAY, SECOND, stretches

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MICROSECONDS = 1_000_000

Opening = tuple[int, int]
"""From a moment until before another, in microseconds."""

_EPOCH = date(1970, 1, 1).toordinal()


def local(now: int, zone: ZoneInfo) -> datetime:
    """UTC microseconds as the wall clock of `zone`."""
    return datetime.fromtimestamp(now / MICROSECONDS, zone)


@dataclass(frozen=True, slots=True)
class Hours:
    """One line of a schedule. `days` are 0 (Monday) to 6; `until` not after `since` ends on the next day."""

    days: frozenset[int]
    since: time
    until: time

    def covers(self, day: date, clock: time, closed: frozenset[date]) -> bool:
        """Whether the wall clock `clock` on `day` lies in these hours; a closed day opens nothing."""
        yesterday = day - timedelta(days=1)
        opens_today = day.weekday() in self.days and day not in closed
        if self.since < self.until:
            return opens_today and self.since <= clock < self.until
        opened_yesterday = yesterday.weekday() in self.days and yesterday not in closed
        return (opens_today and clock >= self.since) or (opened_yesterday and clock < self.until)

    def opening(self, day: int) -> Opening:
        """These hours on a day, both as days or microseconds of the wall clock since 1970-01-01."""
        since, until = _of_day(self.since), _of_day(self.until)
        return day * DAY + since, day * DAY + until + (DAY if until <= since else 0)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When something is open."""

    name: str
    zone: ZoneInfo
    hours: tuple[Hours, ...]
    closed: frozenset[date] = frozenset()

    def is_open(self, now: int) -> bool:
        """Whether it is open at `now`, in UTC microseconds."""
        moment = local(now, self.zone)
        return any(hours.covers(moment.date(), moment.time(), self.closed) for hours in self.hours)

    def openings(self, since: int, until: int) -> Iterator[Opening]:
        """When it is open between two moments, in order, in UTC microseconds; two openings may touch."""
        for start, end, offset in stretches(since, until, self.zone):
            shown = self._shown(start + offset, end + offset)
            yield from ((opens - offset, closes - offset) for opens, closes in joined(sorted(shown)))

    def _shown(self, since: int, until: int) -> Iterator[Opening]:
        """The hours between two times of the wall clock, one line of the schedule after another."""
        for day in range(since // DAY - 1, (until - 1) // DAY + 1):
            calendar = date.fromordinal(_EPOCH + day)
            if calendar in self.closed:
                continue
            weekday = calendar.weekday()
            for opens, closes in (hours.opening(day) for hours in self.hours if weekday in hours.days):
                if opens < until and closes > since:
                    yield max(opens, since), min(closes, until)


def joined(openings: Iterable[Opening]) -> Iterator[Opening]:
    """Ordered openings, with those that touch or overlap made one."""
    whole: Opening | None = None
    for since, until in openings:
        if whole is not None and since <= whole[1]:
            whole = whole[0], max(whole[1], until)
            continue
        if whole is not None:
            yield whole
        whole = since, until
    if whole is not None:
        yield whole


@lru_cache(1440)
def _of_day(clock: time) -> int:
    return ((clock.hour * 60 + clock.minute) * 60 + clock.second) * SECOND + clock.microsecond
