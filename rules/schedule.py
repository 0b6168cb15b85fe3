"""Opening hours on the wall clock of a time zone."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MICROSECONDS = 1_000_000


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
