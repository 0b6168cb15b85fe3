"""Wall-clock time that survives daylight saving. Moments are UTC integers in microseconds."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

SECOND = 1_000_000
DAY = 86_400 * SECOND

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def later(now: int, days: int, seconds: int, zone: ZoneInfo) -> int:
    """`now` moved by calendar days, to the same wall clock of `zone`, and then by seconds of real time.

    Both may be negative. Where the clock skips that time the moment is as long after the gap as the time is
    after the gap's beginning (02:30 becomes 03:30); of a time that comes twice it is the first. No days at
    all keep the moment. OverflowError beyond the years 1 to 9999.
    """
    if days:
        shown = _shown(now, zone) + timedelta(days=days)
        now = on_day(shown.date(), shown.time(), zone)
    return now + seconds * SECOND


def on_day(day: date, clock: time, zone: ZoneInfo) -> int:
    """The moment, in UTC microseconds, of a wall clock; what is skipped or comes twice is treated as in `later`."""
    shown = datetime.combine(day, clock.replace(fold=0), zone)
    # Not by astimezone, which fails at both ends of the calendar.
    return (shown.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND - _offset(shown)


def stretches(since: int, until: int, zone: ZoneInfo) -> Iterator[tuple[int, int, int]]:
    """The time between two moments, in pieces of a day at most in which the clock of `zone` is not changed.

    Each is (since, until, offset), in microseconds; a moment plus the offset is what the clock shows, counted
    from 1970-01-01 00:00 on that clock.
    """
    offset = offset_at(since, zone)
    while since < until:
        end = min(since + DAY, until)
        following = offset_at(end, zone)
        if following != offset:
            end = _change(since, end, zone)
            following = offset_at(end, zone)
        yield since, end, offset
        since, offset = end, following


def offset_at(moment: int, zone: ZoneInfo) -> int:
    """How far the clock of `zone` is ahead of UTC at a moment, in microseconds."""
    return _offset(_shown(moment, zone))


def _change(since: int, until: int, zone: ZoneInfo) -> int:
    """The first moment after `since` with another offset than it; at `until` the offset is another one."""
    offset = offset_at(since, zone)
    while until - since > 1:
        middle = (since + until) // 2
        since, until = (middle, until) if offset_at(middle, zone) == offset else (since, middle)
    return until


def _shown(moment: int, zone: ZoneInfo) -> datetime:
    return (_EPOCH + timedelta(microseconds=moment)).astimezone(zone)


def _offset(shown: datetime) -> int:
    offset = shown.utcoffset()
    assert offset is not None
    return offset // _MICROSECOND
