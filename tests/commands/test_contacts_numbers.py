"""Numbers in a file of contacts: what is known at once is what the library makes of it."""

from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.import_rows import imported_phone


def by_the_library(text: str, country: str) -> str | None:
    try:
        number = phonenumbers.parse(text, country)
    except phonenumbers.NumberParseException:
        return None
    is_possible = phonenumbers.is_possible_number(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if is_possible else None


_COUNTRIES = st.sampled_from(["US", "CA", "PR", "JM", "BB", "GB", "DE", "MX", "AU", "IT"])
_SIGN = st.sampled_from(["", " ", "-", ".", "  ", "/"])
_WRITTEN = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["", "+1", "1", "+", "001", "011 1", "0"]), _SIGN, st.sampled_from(["", "("]),
        st.from_regex(r"[0-9]{3}", fullmatch=True), st.sampled_from(["", ")"]), _SIGN,
        st.from_regex(r"[0-9]{3}", fullmatch=True), _SIGN, st.from_regex(r"[0-9]{3,5}", fullmatch=True),
        st.sampled_from(["", "", " x5", "\n"]),
    ),
)  # fmt: skip


@settings(max_examples=1000, deadline=None)
@given(_WRITTEN | st.text("+1() .-0234x٣", max_size=16), _COUNTRIES)
def test_a_number_that_is_known_at_once_is_what_the_library_makes_of_it(text: str, country: str):
    assert imported_phone(text, country) == by_the_library(text, country)


@pytest.mark.parametrize("country", ["US", "CA", "GB"])
def test_every_area_code_is_known_at_once_as_the_library_knows_it(country: str):
    for area in range(200, 1000):
        for text in (f"+1{area}5550123", f"+1 ({area}) 011-0123", f"{area}-911-0123", f"1 {area} 555 0123"):
            assert imported_phone(text, country) == by_the_library(text, country), text
