"""What the table of area codes says, checked against what is well known and against libphonenumber's own tables."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st
from phonenumbers import PhoneNumberType

from bot import area_codes
from bot.area_codes import (
    alternatives,
    area_code,
    country_of,
    in_state,
    is_toll_free,
    nearby,
    overlays,
    state_of,
)

CODES = sorted(area_codes._codes())
TERRITORIES = {"PR", "VI", "GU", "MP", "AS"}
GEOGRAPHIC = {PhoneNumberType.FIXED_LINE, PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


def _libphonenumbers_regions() -> dict[str, str]:
    """The region of each area code that libphonenumber knows: from any exchange that it takes for one."""
    found = {}
    for code in map(str, range(200, 1000)):
        for exchange in range(2, 10):
            number = phonenumbers.parse(f"+1{code}{exchange}345678")
            region = phonenumbers.region_code_for_number(number)
            if region and phonenumbers.number_type(number) in GEOGRAPHIC:
                found[code] = region
                break
    return found


def test_each_code_that_libphonenumber_knows_is_here_and_in_the_same_country() -> None:
    regions = _libphonenumbers_regions()
    assert len(regions) > 430
    # 600 serves no place: it is Canada's for services.
    regions.pop("600", None)
    for code, region in regions.items():
        assert (state_of(code) if region in TERRITORIES else country_of(code)) == region, code


def test_each_toll_free_code_that_libphonenumber_knows_is_here() -> None:
    for code in map(str, range(200, 1000)):
        kind = phonenumbers.number_type(phonenumbers.parse(f"+1{code}2345678"))
        assert is_toll_free(f"+1{code}2345678") == (kind is PhoneNumberType.TOLL_FREE), code


@pytest.mark.parametrize(
    ("code", "others"),
    [
        ("212", ("332", "646", "917")),
        ("718", ("347", "465", "917", "929")),
        ("415", ("628",)),
        ("305", ("645", "786")),
        ("416", ("437", "647", "942")),
        ("404", ("470", "678", "943")),
        ("773", ("872",)),
        ("213", ("323", "738")),
        ("602", ("480", "623")),
        ("809", ("829", "849")),
        ("650", ()),
        ("800", ("833", "844", "855", "866", "877", "888")),
        ("555", ()),
        ("", ()),
    ],
)
def test_overlays(code: str, others: tuple[str, ...]) -> None:
    assert overlays(code) == others


def test_a_code_of_two_areas_has_the_overlays_of_both_and_does_not_join_them() -> None:
    assert {"212", "718"} <= set(overlays("917"))
    assert "718" not in overlays("212")
    assert "718" in nearby("212")


@pytest.mark.parametrize("code", CODES)
def test_every_line_is_whole(code: str) -> None:
    known = area_codes._codes()[code]
    assert known.areas
    if area_codes.TOLL_FREE in known.areas:
        assert (known.country, known.states, known.place) == ("", (), None)
        return
    assert len(known.country) == 2
    assert bool(known.states) == (known.country in ("US", "CA"))
    assert known.place is not None
    latitude, longitude = known.place
    assert -15 < latitude < 72
    assert -172 < longitude < -52 or code in ("670", "671")
    for area in known.areas:
        # The code that names an area serves it.
        assert area in area_codes._codes()[area].areas
    for other in overlays(code):
        assert code in overlays(other)
        assert (country_of(other), state_of(other)) == (known.country, state_of(code))


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("+14155550123", "415"),
        ("+12000550123", ""),
        ("+442071838750", ""),
        ("4155550123", ""),
        ("+1415555012", ""),
        ("+141555501234", ""),
        ("+14155550123\n", ""),
        ("+1\u0664155550123", ""),
        ("12345", ""),
        ("", ""),
    ],
)
def test_area_code_of_a_number(number: str, code: str) -> None:
    assert area_code(number) == code


@pytest.mark.parametrize(
    ("code", "country", "state"),
    [
        ("415", "US", "CA"),
        ("202", "US", "DC"),
        ("787", "US", "PR"),
        ("416", "CA", "ON"),
        ("902", "CA", "NS"),
        ("876", "JM", ""),
        ("800", "", ""),
        ("111", "", ""),
    ],
)
def test_where_a_code_is(code: str, country: str, state: str) -> None:
    assert (country_of(code), state_of(code)) == (country, state)


def test_toll_free() -> None:
    assert is_toll_free("+18885550123")
    assert not is_toll_free("+14155550123")
    assert not is_toll_free("888")


def test_nearby_is_nearest_first_and_no_longer_than_asked() -> None:
    assert nearby("415")[:2] == ("341", "510")
    assert {"510", "650"} <= set(nearby("415", 5))
    assert "628" not in nearby("415")
    assert len(nearby("415")) == 12
    assert nearby("415", 0) == nearby("415", -1) == ()
    assert len(nearby("415", 10_000)) > 300
    assert nearby("800") == nearby("876") == ()


def test_in_state() -> None:
    assert in_state("307") == ()
    assert in_state("401") == ()
    assert set(in_state("702")) == {"725", "775"}
    assert set(in_state("902")) == {"782"}
    assert "510" in in_state("415")
    assert in_state("415")[0] == "628"


def test_alternatives_come_in_order() -> None:
    found = list(alternatives("415"))
    assert found[:2] == [("415", "area code"), ("628", "overlay")]
    whys = [why for _, why in found]
    order = ["area code", "overlay", "nearby", "same state"]
    assert whys == sorted(whys, key=order.index)
    assert dict(found)["510"] == dict(found)["916"] == "nearby"
    assert dict(found)["619"] == "same state"


@pytest.mark.parametrize("code", CODES)
def test_alternatives_name_each_code_once_and_never_leave_the_country(code: str) -> None:
    found = [other for other, _ in alternatives(code)]
    assert found[0] == code
    assert len(set(found)) == len(found)
    assert {country_of(other) for other in found} == {country_of(code)}
    assert set(found) >= {code, *overlays(code), *in_state(code)}


def test_detroit_does_not_offer_its_neighbour_across_the_river() -> None:
    assert "519" not in dict(alternatives("313"))
    assert dict(alternatives("313"))["734"] == "nearby"


def test_a_code_that_is_not_known_yet_is_its_own_only_alternative() -> None:
    assert list(alternatives("565")) == [("565", "area code")]


@given(st.one_of(st.text(), st.from_regex(r"\+?1?[0-9]{0,10}", fullmatch=True)))
def test_any_text_is_answered(text: str) -> None:
    assert area_code(text) in ("", text[2:5])
    assert state_of(text) == "" or text in CODES
    assert country_of(text) == "" or text in CODES
    assert is_toll_free(text) in (True, False)
    for others in (overlays(text), nearby(text), in_state(text)):
        assert text not in others
    assert all(why for _, why in alternatives(text))
