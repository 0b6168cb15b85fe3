"""How many SMS segments a text takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.segments import cut, segments


@pytest.mark.parametrize(
    ("text", "encoding", "units", "count"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        ("a" * 152 + "€" * 10, "GSM-7", 172, 2),
        ("é{}", "GSM-7", 5, 1),
        ("á" * 70, "UCS-2", 70, 1),
        ("á" * 71, "UCS-2", 71, 2),
        ("á" * 134, "UCS-2", 134, 2),
        ("á" * 135, "UCS-2", 135, 3),
        ("😀" * 35, "UCS-2", 70, 1),
        ("😀" * 36, "UCS-2", 72, 2),
        ("á" * 66 + "😀" * 10, "UCS-2", 86, 2),
        ("’", "UCS-2", 1, 1),
    ],
)
def test_a_text_takes_so_many_segments(text: str, encoding: str, units: int, count: int) -> None:
    counted = segments(text)
    assert (counted.encoding, counted.units, counted.count) == (encoding, units, count)


def test_an_escape_pair_is_not_split_over_two_segments() -> None:
    assert segments(("a" * 152 + "€") * 2 + "a").count == 3


@given(st.text(alphabet="aé€á😀", max_size=900), st.integers(1, 10))
def test_a_text_is_cut_to_the_longest_beginning_that_fits(text: str, most: int) -> None:
    kept = cut(text, most)
    assert text.startswith(kept)
    assert segments(kept).count <= most
    assert kept == text or segments(text[: len(kept) + 1]).count > most
