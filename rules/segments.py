"""How many SMS segments a text takes: GSM-7 160/153 septets, UCS-2 70/67 UTF-16 units (3GPP TS 23.038, 23.040)."""

from dataclasses import dataclass
from typing import Literal

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENSION = frozenset("\f^{}\\[~]|€")


@dataclass(frozen=True, slots=True)
class Segments:
    """A text's encoding, its length in that encoding's units, and the number of segments."""

    encoding: Literal["GSM-7", "UCS-2"]
    units: int
    count: int


def segments(text: str) -> Segments:
    """Count; an escape pair or a surrogate pair is never split over two segments."""
    if _BASIC.issuperset(text) and len(text) <= 160:
        return Segments("GSM-7", len(text), 1)
    if all(character in _BASIC or character in _EXTENSION for character in text):
        return _count("GSM-7", [2 if character in _EXTENSION else 1 for character in text], 160, 153)
    return _count("UCS-2", [2 if ord(character) > 0xFFFF else 1 for character in text], 70, 67)


def cut(text: str, most: int) -> str:
    """The beginning of the text that fits into so many segments."""
    if len(text) * 2 <= most * 67 or segments(text).count <= most:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if segments(text[:middle]).count <= most else (low, middle - 1)
    return text[:low]


def _count(encoding: Literal["GSM-7", "UCS-2"], sizes: list[int], single: int, joined: int) -> Segments:
    units = sum(sizes)
    if units <= single:
        return Segments(encoding, units, 1)
    count, used = 1, 0
    for size in sizes:
        if used + size > joined:
            count += 1
            used = 0
        used += size
    return Segments(encoding, units, count)
