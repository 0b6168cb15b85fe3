"""The time zones that a number may be in."""

from __future__ import annotations

import subprocess
import sys
from zoneinfo import ZoneInfo

import pytest
import yaml
from phonenumbers.tzdata import TIMEZONE_DATA

from bot.phones import zones_of
from rules.quiet_hours import window
from tests.rules.build import NOON
from tests.server import ROOT

HOME = "Europe/Rome"
EASTERN, CENTRAL = "America/New_York", "America/Chicago"


@pytest.mark.parametrize(
    ("phone", "zones"),
    [
        ("+12025550123", (EASTERN,)),
        ("+14155550123", ("America/Los_Angeles",)),
        ("+18085550123", ("Pacific/Honolulu",)),
        ("+14165550123", ("America/Toronto",)),
        ("+442079460000", ("Europe/London",)),
        ("+61291234567", ("Australia/Sydney",)),
        ("+81312345678", ("Asia/Tokyo",)),
        ("+33612345678", ("Europe/Paris",)),
    ],
)
def test_a_number_tells_where_it_is(phone: str, zones: tuple[str, ...]) -> None:
    assert zones_of(phone, HOME) == zones


@pytest.mark.parametrize(
    ("phone", "zones"),
    [
        ("+18505550123", {EASTERN, CENTRAL}),
        ("+18504323456", {EASTERN, CENTRAL}),  # the exchange is Pensacola's, but phones move
        ("+12705550123", {EASTERN, CENTRAL}),
        ("+19285550123", {"America/Phoenix", "America/Denver"}),
    ],
)
def test_a_north_american_number_may_be_anywhere_in_its_area_code(phone: str, zones: set[str]) -> None:
    assert set(zones_of(phone, HOME)) == zones


@pytest.mark.parametrize(
    ("overlay", "older"),
    [("448", "850"), ("364", "270"), ("930", "812"), ("689", "407"), ("457", "318"), ("471", "662"), ("621", "713")],
)
def test_an_overlay_is_where_the_area_code_is_that_it_lies_over(overlay: str, older: str) -> None:
    assert zones_of(f"+1{overlay}5550123", HOME) == zones_of(f"+1{older}5550123", HOME) != (HOME,)


def test_a_mobile_number_may_be_anywhere_in_some_countries() -> None:
    assert {"Australia/Sydney", "Australia/Perth"} < set(zones_of("+61412345678", HOME))


@pytest.mark.parametrize(
    ("phone", "home", "first"),
    [
        ("+18505550123", CENTRAL, CENTRAL),
        ("+18505550123", EASTERN, EASTERN),
        ("+61412345678", "Australia/Perth", "Australia/Perth"),
    ],
)
def test_the_zone_of_the_business_comes_first_where_it_is_one_of_them(phone: str, home: str, first: str) -> None:
    zones = zones_of(phone, home)
    assert zones[0] == first
    assert len(set(zones)) == len(zones) > 1


@pytest.mark.parametrize(
    "phone",
    [
        "+18005550123", "+18885550123", "+15005550006", "+19005550123", "+448001234567", "+80012345678",
        "+883510012345", "+999123456", "+12", "55512", "Harbor", "",
    ],
)  # fmt: skip
def test_a_number_that_tells_nothing_is_where_the_business_is(phone: str) -> None:
    assert zones_of(phone, HOME) == (HOME,)


def test_every_area_code_leaves_time_to_send() -> None:
    for area_code in range(200, 1000):
        zones = [ZoneInfo(name) for name in zones_of(f"+1{area_code}5550123", HOME)]
        assert window(NOON, zones) is not None, area_code


def test_every_state_with_hours_of_its_own_is_known_by_all_its_area_codes() -> None:
    states = yaml.safe_load((ROOT / "rules" / "quiet_hours.yaml").read_text(encoding="utf-8"))["states"]
    for state in states.values():
        for area_code in state["area_codes"]:
            zones = zones_of(f"+1{area_code}5550123", HOME)
            assert zones != (HOME,), area_code
            assert all(zone.startswith("America/") for zone in zones), area_code


def test_every_zone_that_a_number_may_be_in_is_known_here() -> None:
    for zone in {zone for zones in TIMEZONE_DATA.values() for zone in zones}:
        ZoneInfo(zone)


def test_who_does_not_ask_does_not_pay() -> None:
    code = "import sys, bot.phones; sys.exit('phonenumbers.tzdata' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
