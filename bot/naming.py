"""What people call things, and what they give as evidence: it can be seen, and a name can stand in an address."""

from __future__ import annotations

import re
import unicodedata

_UNADDRESSABLE = re.compile(r"[/\x00-\x1f]|^\.{1,2}$")
""""." and ".." in an address are ways up to whoever asks."""
_LOOK_EMPTY = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""Letters by their category, and blank in every font: the fillers of Hangul, the Braille cell without a dot."""


def said(text: str) -> str:
    """A text without blanks around it; "" where nothing in it can be seen."""
    return text.strip() if any(_can_be_seen(letter) for letter in text) else ""


def is_name(text: str) -> bool:
    """Whether something can be called so: seen, without / and control characters."""
    return bool(said(text)) and not _UNADDRESSABLE.search(text)


def _can_be_seen(letter: str) -> bool:
    return unicodedata.category(letter)[0] not in "CZ" and letter not in _LOOK_EMPTY
