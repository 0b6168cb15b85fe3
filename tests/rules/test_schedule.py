"""Opening hours on the wall clock."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from rules.book import RuleBook
from rules.schedule import Schedule, local
from rules.when import leaves
from tests.rules import build


def schedule(text: str, zone: str = "America/New_York") -> Schedule:
    book: RuleBook = build.book(
        f"version: 1\ntimezone: {zone}\nschedules: {{it: {{{text}}}}}\n"
        "rules: [{id: it, when: {during: it}, do: [{reply: open}]}]\n"
    )
    rule = next(rule for rule in book.rules if rule.id == "a.it")
    assert rule.when is not None
    found = next(leaves(rule.when)).schedule  # type: ignore[attr-defined]
    assert isinstance(found, Schedule)
    return found


def at(text: str, zone: str = "America/New_York", fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return round(moment.timestamp() * 1_000_000)


OFFICE = 'hours: [{days: mon-fri, from: "09:00", to: "18:00"}, {days: sat, from: "10:00", to: "16:00"}]'


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-03 09:00", True),
        ("2026-03-03 08:59:59.999999", False),
        ("2026-03-03 17:59:59", True),
        ("2026-03-03 18:00", False),
        ("2026-03-07 09:30", False),
        ("2026-03-07 10:30", True),
        ("2026-03-08 12:00", False),
    ],
)
def test_it_is_open_from_its_first_minute_until_before_its_last(moment: str, is_open: bool) -> None:
    assert schedule(OFFICE).is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-06 21:59", False),
        ("2026-03-06 22:00", True),
        ("2026-03-07 03:59", True),
        ("2026-03-07 04:00", False),
        ("2026-03-08 03:00", True),
        ("2026-03-09 03:00", False),
        ("2026-03-05 23:00", False),
    ],
)
def test_hours_past_midnight_belong_to_the_day_on_which_they_began(moment: str, is_open: bool) -> None:
    assert schedule('hours: [{days: [fri, sat], from: "22:00", to: "04:00"}]').is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [("2026-12-25 12:00", False), ("2026-12-24 12:00", True), ("2026-12-24 23:00", True), ("2026-12-25 03:00", True),
     ("2026-12-25 23:00", False), ("2026-12-26 03:00", False)],
)  # fmt: skip
def test_a_closed_day_opens_nothing_but_ends_what_began_before(moment: str, is_open: bool) -> None:
    day = '{days: mon-sun, from: "09:00", to: "18:00"}'
    night = '{days: mon-sun, from: "22:00", to: "04:00"}'
    text = f"hours: [{day}, {night}], closed: [2026-12-25]"
    assert schedule(text).is_open(at(moment)) is is_open


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-03-08 06:59+00:00", False),  # 01:59 EST
        ("2026-03-08 07:00+00:00", True),  # 03:00 EDT, the clock jumped over 02:00
        ("2026-03-08 07:59+00:00", True),
        ("2026-03-08 08:00+00:00", False),
        ("2026-11-01 05:30+00:00", False),  # 01:30 EDT
        ("2026-11-01 06:30+00:00", False),  # 01:30 EST, once more
        ("2026-11-01 07:00+00:00", True),  # 02:00 EST
        ("2026-11-01 09:00+00:00", False),
    ],
)
def test_the_wall_clock_counts_on_days_when_it_is_changed(moment: str, is_open: bool) -> None:
    now = round(datetime.fromisoformat(moment).timestamp() * 1_000_000)
    assert schedule('hours: [{days: sun, from: "02:00", to: "04:00"}]').is_open(now) is is_open


def test_an_hour_that_comes_twice_is_open_twice() -> None:
    night = schedule('hours: [{days: sun, from: "01:00", to: "02:00"}]')
    assert night.is_open(at("2026-11-01 01:30"))
    assert night.is_open(at("2026-11-01 01:30", fold=1))


def test_midnight_is_written_24_00_and_the_whole_day_from_0_to_24() -> None:
    day = schedule('hours: [{days: tue, from: "00:00", to: "24:00"}]')
    assert day.is_open(at("2026-03-03 00:00"))
    assert day.is_open(at("2026-03-03 23:59"))
    assert not day.is_open(at("2026-03-04 00:00"))
    assert not day.is_open(at("2026-03-02 23:59"))


def test_days_may_go_over_the_weekend() -> None:
    weekend = schedule('hours: [{days: sat-mon, from: "09:00", to: "10:00"}]')
    open_days = [day for day in range(1, 8) if weekend.is_open(at(f"2026-03-{day:02} 09:30"))]
    assert open_days == [1, 2, 7]


def test_a_schedule_has_a_zone_of_its_own_where_it_says_so() -> None:
    london = schedule('timezone: Europe/London, hours: [{days: mon-fri, from: "09:00", to: "10:00"}]')
    assert london.is_open(at("2026-03-03 09:30", "Europe/London"))
    assert not london.is_open(at("2026-03-03 09:30"))


def test_a_moment_is_shown_on_the_wall_clock() -> None:
    assert local(at("2026-03-03 09:30"), ZoneInfo("UTC")).hour == 14
