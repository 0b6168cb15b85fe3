"""Phone numbers: E.164 where there is one, and what kind of sender it is where there is none."""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

import phonenumbers

SenderKind = Literal["phone", "short_code", "name"]

_SHORT_CODE = re.compile(r"\d{3,8}")
_INTERNATIONAL = re.compile(r"\+\d{7,15}")
_NANP = re.compile(r"\+1[2-9]\d{9}", re.ASCII)
_MAX_SENDER = 64

# Area codes whose zones the library has not, or not all, or wrong (689), and an older one of the same land.
_OVERLAYS = {
    "364": "270", "436": "440", "448": "850", "457": "318", "458": "541", "471": "662", "483": "334",
    "565": "912", "621": "713", "624": "716", "679": "313", "689": "407", "729": "423", "837": "530",
    "861": "309", "924": "507", "930": "812",
}  # fmt: skip


def parse_phone(text: str, country: str) -> str | None:
    """The number in E.164; None when the text cannot be one.

    Possible, not valid, numbers are taken: which ranges are in use changes faster than any table of them.
    """
    # The one plan whose canonical form is plain to see; parsing costs 60 times as much.
    if _NANP.fullmatch(text):
        return text
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def identify_sender(text: str, country: str) -> tuple[str, SenderKind]:
    """Who a provider says a message is from, and what kind of sender that is."""
    text = text.strip()[:_MAX_SENDER]
    if _NANP.fullmatch(text):
        return text, "phone"
    if _SHORT_CODE.fullmatch(text):
        return text, "short_code"
    if any(character.isalpha() for character in text):
        return text, "name"
    phone = parse_phone(text, country)
    if phone is not None:
        return phone, "phone"
    # Plans change (+521... in Mexico): a sender in international form is a phone, whatever the tables say.
    return (text, "phone") if _INTERNATIONAL.fullmatch(text) else (text, "name")


def queried_phone(text: str, country: str) -> str:
    """A number as a query asks for it, as it is stored. A short code or a name stays as it is."""
    # In a query + means a space: " 12025550123" is what arrives of an unescaped number.
    return identify_sender(f"+{text.strip()}" if text.startswith(" ") else text, country)[0]


def country_of(phone: str) -> str:
    """ISO 3166-1 alpha-2 of a number in E.164; "" where it cannot be told."""
    try:
        return phonenumbers.region_code_for_number(phonenumbers.parse(phone)) or ""
    except phonenumbers.NumberParseException:
        return ""


def zones_of(phone: str, home: str) -> tuple[str, ...]:
    """The time zones that a number in E.164 may be in, by their IANA names.

    `home` is the business's: it comes first when it is one of them, and alone when the number tells nothing. A
    North American number may be anywhere in its area code; a mobile one of some countries anywhere in these.
    """
    zones = _area_zones(phone[2:5]) if _NANP.fullmatch(phone) else _zones_abroad(phone)
    if not zones or home in zones:
        return (home, *(zone for zone in zones if zone != home))
    return zones


@cache
def _area_zones(area_code: str) -> tuple[str, ...]:
    # Its table of prefixes is 3,000 entries long: only who sends by the clock pays for it (here and below).
    from phonenumbers.tzdata import TIMEZONE_DATA

    prefix = f"1{_OVERLAYS.get(area_code, area_code)}"
    # The library looks at the exchange too, and where it does not know that, names only the larger part's zone.
    return tuple(sorted({zone for key, zones in TIMEZONE_DATA.items() if key.startswith(prefix) for zone in zones}))


def _zones_abroad(phone: str) -> tuple[str, ...]:
    from phonenumbers.timezone import UNKNOWN_TIMEZONE, time_zones_for_number

    try:
        number = phonenumbers.parse(phone)
    except phonenumbers.NumberParseException:
        return ()
    if phonenumbers.number_type(number) == phonenumbers.PhoneNumberType.TOLL_FREE:
        return ()
    found: tuple[str, ...] = time_zones_for_number(number)
    return tuple(zone for zone in found if zone != UNKNOWN_TIMEZONE)


def masked(phone: str) -> str:
    """A number as logs may show it."""
    return f"{phone[:5]}***{phone[-2:]}" if len(phone) > 8 else "***"
