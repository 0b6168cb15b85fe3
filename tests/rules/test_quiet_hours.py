"""When a message that the business begins may leave."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from importlib import resources
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.quiet_hours import Window, state_of, window
from rules.schedule import DAYS, Hours, Schedule, local
from tests.rules.build import DAY, HOUR, MINUTE, NOON, case_file

NEW_YORK = ZoneInfo("America/New_York")
CASES = case_file("quiet_hours")
TABLE = yaml.safe_load(resources.files("rules").joinpath("quiet_hours.yaml").read_text(encoding="utf-8"))
YEAR = 366 * DAY


def hours(lines: list[dict[str, str]]) -> tuple[Hours, ...]:
    found = []
    for line in lines:
        first, _, last = line["days"].partition("-")
        days = range(DAYS.index(first), DAYS.index(last or first) + 1)
        found.append(Hours(frozenset(days), time.fromisoformat(line["from"]), time.fromisoformat(line["to"])))
    return tuple(found)


def moment(text: str, zone: ZoneInfo) -> int:
    """A case's time in UTC microseconds."""
    found = datetime.fromisoformat(text)
    return round((found if found.tzinfo else found.replace(tzinfo=zone)).timestamp() * 1_000_000)


def group_options(group: dict[str, Any]) -> dict[str, Any]:
    """What a group of cases says beside its zones, as `window` takes it."""
    options = {key: group[key] for key in ("region", "marketing") if key in group}
    if "schedule" in group:
        it = group["schedule"]
        closed = frozenset(it.get("closed", ()))
        options["schedule"] = Schedule("it", ZoneInfo(it["zone"]), hours(it["hours"]), closed)
    if "narrowed" in group:
        options["narrowed"] = tuple(time.fromisoformat(text) for text in group["narrowed"])
    return options


@pytest.mark.parametrize(
    ("group", "case"),
    [
        pytest.param(group, case, id=f"{group['name']}-{case['now']}")
        for group in CASES["windows"]
        for case in group["cases"]
    ],
)
def test_a_message_may_leave_when_everything_allows_it(group: dict[str, Any], case: dict[str, Any]) -> None:
    zones = [ZoneInfo(name) for name in group["zones"]]
    now = moment(case["now"], zones[0])
    found = window(now, zones, **group_options(group))
    if case.get("never"):
        assert found is None
        return
    opens_at = now if case["opens"] == "now" else moment(case["opens"], zones[0])
    assert found == Window(opens_at, moment(case["closes"], zones[0]), moment(case["reopens"], zones[0]))


@pytest.mark.parametrize(("zone", "changes"), [
    ("America/New_York", ["2026-03-08", "2026-11-01"]),
    ("Europe/London", ["2026-03-29", "2026-10-25"]),
    ("Australia/Sydney", ["2026-10-04", "2026-04-05"]),
])  # fmt: skip
def test_nine_in_the_morning_stays_nine_when_the_clock_is_changed(zone: str, changes: list[str]) -> None:
    there = ZoneInfo(zone)
    for change in map(date.fromisoformat, changes):
        for day in (change - timedelta(1), change, change + timedelta(1)):
            nine, evening = (
                round(datetime.combine(day, time(hour), there).timestamp()) * 1_000_000 for hour in (9, 21)
            )
            found = window(nine - 4 * HOUR, [there], narrowed=(time(9), time(23)))
            assert found is not None
            assert (found.opens_at, found.closes_at) == (nine, evening)


def test_a_reopening_that_cannot_be_foreseen_is_looked_for_after_400_days() -> None:
    closed = frozenset(date(2026, 3, 4) + timedelta(days) for days in range(500))
    found = window(NOON, [ZoneInfo("UTC")], schedule=Schedule("it", ZoneInfo("UTC"), hours([EVERY_DAY]), closed))
    assert found == Window(NOON, NOON + 9 * HOUR, NOON + 9 * HOUR + 400 * DAY)


@pytest.mark.parametrize(("days", "is_found"), [(399, True), (400, False)])
def test_it_looks_400_days_ahead(days: int, is_found: bool) -> None:
    closed = frozenset(date(2026, 3, 3) + timedelta(day) for day in range(days))
    schedule = Schedule("it", ZoneInfo("UTC"), hours([EVERY_DAY]), closed)
    found = window(NOON - 4 * HOUR, [ZoneInfo("UTC")], schedule=schedule)
    assert (found == Window(*(NOON + days * DAY + at * HOUR for at in (-4, 9, 20)))) is is_found
    assert (found is None) is not is_found


def test_a_window_needs_a_time_zone() -> None:
    with pytest.raises(ValueError, match="time zone"):
        window(NOON, [])


@pytest.mark.parametrize("case", CASES["states"], ids=lambda case: case["phone"])
def test_a_number_tells_its_state_where_that_has_hours_of_its_own(case: dict[str, str]) -> None:
    assert state_of(case["phone"]) == case["state"]


def test_no_area_code_is_in_two_states() -> None:
    codes = Counter(code for state in TABLE["states"].values() for code in state["area_codes"])
    assert set(codes.values()) == {1}
    assert all(len(code) == 3 and code.isdigit() for code in codes)


@pytest.mark.parametrize("state", TABLE["states"])
def test_a_state_only_narrows_the_default(state: str) -> None:
    (default,) = hours(TABLE["default"])
    for line in hours(TABLE["states"][state]["hours"]):
        assert default.since <= line.since < line.until <= default.until


# What holds for all of them. The hours of the facts are written down a second time here, as they are read aloud.

EVERY_DAY = {"days": "mon-sun", "from": "00:00", "to": "00:00"}
ZONES = [ZoneInfo(name) for name in (
    "America/New_York", "America/Chicago", "America/Los_Angeles", "America/St_Johns", "Europe/London",
    "Australia/Sydney", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca", "UTC",
)]  # fmt: skip
CHANGES = [
    datetime(2026, *day, tzinfo=UTC) for day in ((3, 8), (3, 29), (4, 4), (4, 5), (10, 3), (10, 4), (10, 25), (11, 1))
]

moments = st.one_of(
    st.integers(NOON - 2 * YEAR, NOON + 4 * YEAR),
    st.builds(
        lambda change, after: round(change.timestamp()) * 1_000_000 + after,
        st.sampled_from(CHANGES),
        st.integers(-2 * DAY, 2 * DAY),
    ),
)
clocks = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
lines = st.builds(Hours, st.frozensets(st.integers(0, 6), min_size=2), clocks, clocks)
schedules = st.builds(
    Schedule,
    st.just("it"),
    st.sampled_from(ZONES),
    st.lists(lines, min_size=1, max_size=3).map(tuple),
    st.frozensets(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=30),
)
neighbours = st.one_of(
    st.lists(st.sampled_from(ZONES[:4]), min_size=1, max_size=3),
    st.lists(st.sampled_from(ZONES), min_size=1, max_size=2),
)
options = st.fixed_dictionaries({
    "region": st.sampled_from(["", "AL", "CA", "CT", "FL", "RI", "TX"]),
    "marketing": st.booleans(),
    "schedule": st.one_of(st.none(), schedules),
    "narrowed": st.one_of(st.none(), st.tuples(clocks, clocks)),
})  # fmt: skip
shares = st.lists(st.floats(0, 1, exclude_max=True), min_size=3, max_size=3)


def quiet(day: int, clock: time, region: str) -> bool:
    """Whether marketing has to wait at a wall clock, on a day from 0, Monday."""
    sunday = day == 6
    since, until = {
        "AL": (24 if sunday else 8, 20),
        "CT": (9, 20),
        "FL": (8, 20),
        "RI": (10, 17) if day > 4 else (9, 18),
        "TX": (12 if sunday else 9, 21),
    }.get(region, (8, 21))
    return not since <= clock.hour < until


def allowed(now: int, zones: list[ZoneInfo], options: dict[str, Any]) -> bool:
    """Whether a message may leave at `now`, by looking at the clocks."""
    region = options["region"] if options["marketing"] else ""
    for zone in zones:
        there = local(now, zone)
        if quiet(there.weekday(), there.time(), region):
            return False
        narrowed = options["narrowed"]
        if narrowed and not Hours(frozenset(range(7)), *narrowed).covers(there.date(), there.time(), frozenset()):
            return False
    return options["schedule"] is None or options["schedule"].is_open(now)


@settings(max_examples=200, deadline=None)
@given(moments, neighbours, options, shares)
def test_a_window_is_as_long_as_the_clocks_say(
    now: int, zones: list[ZoneInfo], options: dict[str, Any], shares: list[float]
) -> None:
    found = window(now, zones, **options)
    if found is None:
        assert not any(allowed(now + int(share * 400 * DAY), zones, options) for share in shares)
        return
    assert now <= found.opens_at < found.closes_at < found.reopens_at
    assert allowed(found.opens_at, zones, options)
    assert allowed(found.closes_at - 1, zones, options)
    assert not allowed(found.closes_at, zones, options)
    assert not allowed(found.reopens_at - 1, zones, options)
    assert allowed(found.reopens_at, zones, options) or found.reopens_at == found.closes_at + 400 * DAY
    assert found.opens_at == now or not allowed(found.opens_at - 1, zones, options)
    for share in shares:
        assert found.opens_at == now or not allowed(within(now, found.opens_at, share), zones, options)
        assert allowed(within(found.opens_at, found.closes_at, share), zones, options)
        assert not allowed(within(found.closes_at, found.reopens_at, share), zones, options)


def within(since: int, until: int, share: float) -> int:
    return min(since + int((until - since) * share), until - 1)


@settings(max_examples=100, deadline=None)
@given(moments, neighbours, options, shares)
def test_a_message_that_waits_for_the_opening_finds_the_same_window(
    now: int, zones: list[ZoneInfo], options: dict[str, Any], shares: list[float]
) -> None:
    found = window(now, zones, **options)
    if found is None:
        return
    assert window(found.opens_at, zones, **options) == found
    later = within(found.opens_at, found.closes_at, shares[0])
    assert window(later, zones, **options) == Window(later, found.closes_at, found.reopens_at)


@settings(max_examples=100, deadline=None)
@given(moments, neighbours, options, clocks, clocks)
def test_narrowing_never_opens_earlier_or_closes_later(
    now: int, zones: list[ZoneInfo], options: dict[str, Any], since: time, until: time
) -> None:
    options = options | {"narrowed": None}
    wide = window(now, zones, **options)
    narrow = window(now, zones, **options | {"narrowed": (since, until)})
    if narrow is None:
        return
    assert wide is not None
    assert narrow.opens_at >= wide.opens_at
    assert narrow.opens_at >= wide.closes_at or narrow.closes_at <= wide.closes_at


@settings(deadline=None)
@given(moments, schedules)
def test_a_schedule_opens_and_closes_as_it_says_whether_it_is_open(now: int, schedule: Schedule) -> None:
    found = list(schedule.openings(now, now + 9 * DAY))
    for at in range(now, now + 9 * DAY, 13 * HOUR // 7 + 7 * MINUTE):
        assert any(opens <= at < closes for opens, closes in found) == schedule.is_open(at)
    assert all(first[1] <= second[0] for first, second in pairwise(found))
