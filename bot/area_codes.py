"""The area codes of North America: where each is, which others serve the same land, and which are near.

area_codes.csv has a line for each code in service: from the NANP administrator's report of 2026-01-05 (codes,
countries, states, overlays, and those due in 2026) and libphonenumber's tables, which were checked against each
other. `areas` are the areas that a code serves, each named by its oldest code: two codes with an area in common are
overlays, and one code may serve two areas (917 both Manhattan and the rest of New York City). `latitude` and
`longitude` are those of the area's main city, to a tenth of a degree. US territories are states of the US here; a code
of several provinces names them all. Toll-free codes have no place, and one area: they can stand in for each other.
"""

import csv
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

NEAR_KM = 150.0
TOLL_FREE = "toll-free"

_EARTH_KM = 6371.0
_NANP_NUMBER = re.compile(r"\+1([2-9][0-9]{2})[2-9][0-9]{6}")
_CODE = re.compile(r"[2-9][0-9]{2}")


@dataclass(frozen=True, slots=True)
class _Code:
    code: str
    country: str
    states: tuple[str, ...]
    areas: frozenset[str]
    place: tuple[float, float] | None


@cache
def _codes() -> dict[str, _Code]:
    with Path(__file__).with_name("area_codes.csv").open(encoding="utf-8", newline="") as lines:
        return {line["code"]: _read(line) for line in csv.DictReader(lines)}


def _read(line: dict[str, str]) -> _Code:
    place = (float(line["latitude"]), float(line["longitude"])) if line["latitude"] else None
    states = tuple(line["state"].split())
    return _Code(line["code"], line["country"], states, frozenset(line["areas"].split()), place)


def area_code(number: str) -> str:
    """The area code of a number in E.164, "" for one that is not of the North American plan.

    Known or not: the plan grows by some codes a year.
    """
    match = _NANP_NUMBER.fullmatch(number)
    return match[1] if match else ""


def state_of(code: str) -> str:
    """The state, territory or province (two letters); the first of several; "" for a code without."""
    known = _codes().get(code)
    return known.states[0] if known and known.states else ""


def country_of(code: str) -> str:
    """The country (two letters), "" for a code that is not known or of no country (toll-free)."""
    known = _codes().get(code)
    return known.country if known else ""


def is_toll_free(number: str) -> bool:
    """Whether a number (E.164) is a North American toll-free one."""
    known = _codes().get(area_code(number))
    return known is not None and TOLL_FREE in known.areas


@lru_cache(maxsize=1024)
def overlays(code: str) -> tuple[str, ...]:
    """The other codes of the same area, in ascending order."""
    known = _codes().get(code)
    if known is None:
        return ()
    return tuple(sorted(other.code for other in _codes().values() if other != known and other.areas & known.areas))


def nearby(code: str, limit: int = 12) -> tuple[str, ...]:
    """Codes of other areas of the same country, nearest first."""
    return tuple([other for _, other in _by_distance(code)][: max(0, limit)])


@lru_cache(maxsize=1024)
def in_state(code: str) -> tuple[str, ...]:
    """The other codes of the same state or province, overlays and nearest first."""
    known = _codes().get(code)
    if known is None:
        return ()
    others = (*overlays(code), *[other for _, other in _by_distance(code)])
    return tuple(other for other in others if set(_codes()[other].states) & set(known.states))


def alternatives(code: str) -> Iterator[tuple[str, str]]:
    """Where to look for a number when one with this area code is wanted: each code once, and why.

    The code itself ("area code"), its overlays ("overlay"), those within NEAR_KM ("nearby"), then the rest of the
    state ("same state"). Never leaves the country. Of a code that is not known, only itself; nothing for what is none.
    """
    if not _CODE.fullmatch(code):
        return
    given = {code}
    yield code, "area code"
    near = [other for distance, other in _by_distance(code) if distance <= NEAR_KM]
    for why, others in (("overlay", overlays(code)), ("nearby", near), ("same state", in_state(code))):
        for other in others:
            if other not in given:
                given.add(other)
                yield other, why


@lru_cache(maxsize=64)
def _by_distance(code: str) -> tuple[tuple[float, str], ...]:
    """(kilometres, code) of every code of another area in the same country, nearest first.

    The newest only are kept: all of them together would be 20 MB.
    """
    known = _codes().get(code)
    if known is None or known.place is None:
        return ()
    return tuple(
        sorted(
            (_kilometres(known.place, other.place), other.code)
            for other in _codes().values()
            if other.place is not None and other.country == known.country and not other.areas & known.areas
        )
    )


def _kilometres(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Along the great circle (haversine)."""
    (latitude, longitude), (other_latitude, other_longitude) = map(_radians, (one, other))
    rise = math.sin((other_latitude - latitude) / 2) ** 2
    turn = math.sin((other_longitude - longitude) / 2) ** 2
    return 2 * _EARTH_KM * math.asin(math.sqrt(rise + math.cos(latitude) * math.cos(other_latitude) * turn))


def _radians(place: tuple[float, float]) -> tuple[float, float]:
    return math.radians(place[0]), math.radians(place[1])
