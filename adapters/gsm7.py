"""The letters that an SMS holds at seven bits each: 3GPP TS 23.038, basic and extension table."""

from collections.abc import Mapping

ESCAPE = 0x1B
# In the place of each letter stands its septet; an extension letter is an escape and a septet.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Mapping[int, str] = {0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~",
                                0x3E: "]", 0x40: "|", 0x65: "€"}  # fmt: skip
_LETTERS = frozenset(BASIC.replace(chr(ESCAPE), "")).union(EXTENSION.values())


def is_gsm7(text: str) -> bool:
    """Whether no letter of the text needs Unicode (UCS-2)."""
    return _LETTERS.issuperset(text)
