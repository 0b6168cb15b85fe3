"""The names of tags. Three of them act on consent, so whoever writes one of those in another way means it too."""

from __future__ import annotations

import re

WRONG_NUMBER, DO_NOT_CONTACT, OPT_IN = "wrong-number", "do-not-contact", "opt-in"
_ACTING = frozenset({WRONG_NUMBER, DO_NOT_CONTACT, OPT_IN})
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


def tag_name(text: str) -> str:
    """The tag that a text names: without blanks around it, and "Do Not Contact" is do-not-contact."""
    name = text.strip()
    plain = _BETWEEN_WORDS.sub("-", name).casefold()
    return plain if plain in _ACTING else name
