"""Wall-clock time that survives daylight saving."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rules.schedule import local
from rules.wall_clock import later, offset_at, on_day, stretches
from tests.rules.build import DAY, HOUR, MINUTE, NOON

NEW_YORK = "America/New_York"
ZONES = (NEW_YORK, "Europe/London", "Australia/Sydney", "Australia/Lord_Howe", "Africa/Casablanca", "UTC")

zones = st.sampled_from(ZONES).map(ZoneInfo)
moments = st.integers(NOON - 1000 * DAY, NOON + 1000 * DAY)
days = st.integers(-400, 400)


def utc(text: str) -> int:
    """UTC microseconds of a time that says its distance from UTC."""
    return (datetime.fromisoformat(text) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("zone", "now", "days", "then"),
    [
        (NEW_YORK, "2026-03-07 09:00-05:00", 1, "2026-03-08 09:00-04:00"),
        (NEW_YORK, "2026-03-08 09:00-04:00", -1, "2026-03-07 09:00-05:00"),
        (NEW_YORK, "2026-10-31 09:00-04:00", 1, "2026-11-01 09:00-05:00"),
        (NEW_YORK, "2026-03-01 09:00-05:00", 365, "2027-03-01 09:00-05:00"),
        ("Europe/London", "2026-03-28 09:00+00:00", 1, "2026-03-29 09:00+01:00"),
        ("Europe/London", "2026-10-24 09:00+01:00", 1, "2026-10-25 09:00+00:00"),
        ("Europe/London", "2026-10-25 09:00+00:00", -1, "2026-10-24 09:00+01:00"),
        ("Australia/Sydney", "2026-10-03 09:00+10:00", 1, "2026-10-04 09:00+11:00"),
        ("Australia/Sydney", "2026-04-04 09:00+11:00", 1, "2026-04-05 09:00+10:00"),
        ("Australia/Lord_Howe", "2026-10-03 09:00+10:30", 1, "2026-10-04 09:00+11:00"),
    ],
)
def test_a_day_later_the_clock_shows_the_same_when_it_is_changed(zone: str, now: str, days: int, then: str) -> None:
    assert later(utc(now), days, 0, ZoneInfo(zone)) == utc(then)


@pytest.mark.parametrize(
    ("now", "days", "then"),
    [
        ("2026-03-07 02:30-05:00", 1, "2026-03-08 03:30-04:00"),
        ("2026-03-09 02:30-04:00", -1, "2026-03-08 03:30-04:00"),
        ("2026-03-07 02:00-05:00", 1, "2026-03-08 03:00-04:00"),
        ("2026-03-07 03:00-05:00", 1, "2026-03-08 03:00-04:00"),
    ],
)
def test_a_time_that_the_clock_skips_comes_as_much_later(now: str, days: int, then: str) -> None:
    assert later(utc(now), days, 0, ZoneInfo(NEW_YORK)) == utc(then)


@pytest.mark.parametrize(
    ("now", "days", "then"),
    [
        ("2026-10-31 01:30-04:00", 1, "2026-11-01 01:30-04:00"),
        ("2026-11-02 01:30-05:00", -1, "2026-11-01 01:30-04:00"),
        ("2026-11-01 01:30-05:00", 1, "2026-11-02 01:30-05:00"),
    ],
)
def test_of_a_time_that_comes_twice_it_is_the_first(now: str, days: int, then: str) -> None:
    assert later(utc(now), days, 0, ZoneInfo(NEW_YORK)) == utc(then)


@pytest.mark.parametrize("now", ["2026-11-01 01:30-05:00", "2026-11-01 01:30-04:00", "2026-03-08 03:30-04:00"])
def test_no_days_at_all_keep_the_moment(now: str) -> None:
    assert later(utc(now), 0, 0, ZoneInfo(NEW_YORK)) == utc(now)


@pytest.mark.parametrize(
    ("now", "days", "seconds", "then"),
    [
        ("2026-03-08 01:30-05:00", 0, 3600, "2026-03-08 03:30-04:00"),
        ("2026-11-01 01:30-04:00", 0, 3600, "2026-11-01 01:30-05:00"),
        ("2026-11-01 01:30-05:00", 0, -3600, "2026-11-01 01:30-04:00"),
        ("2026-03-07 01:30-05:00", 1, 3600, "2026-03-08 03:30-04:00"),
        ("2026-03-09 09:00-04:00", -1, -86_400, "2026-03-07 08:00-05:00"),
    ],
)
def test_seconds_are_real_time_after_the_days(now: str, days: int, seconds: int, then: str) -> None:
    assert later(utc(now), days, seconds, ZoneInfo(NEW_YORK)) == utc(then)


@given(moments, days, zones)
def test_the_clock_shows_the_same_unless_it_skips_that_time(now: int, days: int, zone: ZoneInfo) -> None:
    then = later(now, days, 0, zone)
    wanted = local(now, zone).replace(tzinfo=None) + timedelta(days)
    shown = local(then, zone).replace(tzinfo=None)
    assert shown == wanted or timedelta(0) < shown - wanted <= timedelta(hours=1)


@given(moments, days, zones)
def test_the_days_back_lead_to_where_they_began(now: int, days: int, zone: ZoneInfo) -> None:
    there = later(now, days, 0, zone)
    assume(local(there, zone).time() == local(now, zone).time() and local(now, zone).fold == 0)
    assert later(there, -days, 0, zone) == now


@given(moments, st.integers(-10_000_000, 10_000_000), zones)
def test_seconds_do_not_ask_the_clock(now: int, seconds: int, zone: ZoneInfo) -> None:
    assert later(now, 0, seconds, zone) == now + seconds * 1_000_000


@pytest.mark.parametrize(
    ("day", "clock", "then"),
    [
        ("2026-03-03", "09:00", "2026-03-03 09:00-05:00"),
        ("2026-07-03", "09:00:00.000001", "2026-07-03 09:00:00.000001-04:00"),
        ("2026-03-08", "02:30", "2026-03-08 03:30-04:00"),
        ("2026-11-01", "01:30", "2026-11-01 01:30-04:00"),
    ],
)
def test_a_wall_clock_on_a_day_is_one_moment(day: str, clock: str, then: str) -> None:
    assert on_day(date.fromisoformat(day), time.fromisoformat(clock), ZoneInfo(NEW_YORK)) == utc(then)


def test_the_second_of_two_times_cannot_be_meant() -> None:
    assert on_day(date(2026, 11, 1), time(1, 30, fold=1), ZoneInfo(NEW_YORK)) == utc("2026-11-01 01:30-04:00")


@pytest.mark.parametrize("zone", ZONES)
def test_any_date_that_can_be_written_down_is_a_moment(zone: str) -> None:
    there = ZoneInfo(zone)
    assert on_day(date.min, time.min, there) < 0 < on_day(date.max, time.max, there)


def test_days_beyond_the_calendar_are_refused() -> None:
    with pytest.raises(OverflowError):
        later(NOON, 3_000_000, 0, ZoneInfo(NEW_YORK))


@settings(deadline=None)
@given(moments, st.integers(1, 20 * DAY), zones)
def test_between_its_changes_a_clock_keeps_its_distance(since: int, length: int, zone: ZoneInfo) -> None:
    found = list(stretches(since, since + length, zone))
    assert (found[0][0], found[-1][1]) == (since, since + length)
    assert all(first[1] == second[0] for first, second in pairwise(found))
    for start, end, offset in found:
        assert 0 < end - start <= DAY
        assert offset == offset_at(start, zone) == offset_at(end - 1, zone)


def test_a_stretch_ends_at_the_moment_of_the_change() -> None:
    change = utc("2026-03-08 07:00+00:00")
    found = list(stretches(change - HOUR, change + MINUTE, ZoneInfo(NEW_YORK)))
    assert found == [(change - HOUR, change, -5 * HOUR), (change, change + MINUTE, -4 * HOUR)]
