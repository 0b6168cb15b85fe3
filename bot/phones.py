"""Phone numbers: E.164 where there is one, and what kind of sender it is where there is none."""

from __future__ import annotations

import re
from typing import Literal

import phonenumbers

SenderKind = Literal["phone", "short_code", "name"]

_SHORT_CODE = re.compile(r"\d{3,8}")
_INTERNATIONAL = re.compile(r"\+\d{7,15}")
_NANP = re.compile(r"\+1[2-9]\d{9}", re.ASCII)
_MAX_SENDER = 64


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


def masked(phone: str) -> str:
    """A number as logs may show it."""
    return f"{phone[:5]}***{phone[-2:]}" if len(phone) > 8 else "***"
