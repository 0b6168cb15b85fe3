"""An HTTP answer that takes a message: its id and its count of parts, where they can be kept."""

from typing import Any

from adapters.text import clean_text

# Receipts with longer ids are refused.
MAX_ID = 255
# An SMS has as many parts at most.
MAX_PARTS = 255


def given_id(value: Any) -> str:
    """The id that receipts will carry; "" for what is none."""
    return value if isinstance(value, str) and len(value) <= MAX_ID and clean_text(value) == value else ""


def given_parts(value: Any) -> int | None:
    """The provider's own count; None where it gives none, or one that no message has."""
    return value if type(value) is int and 1 <= value <= MAX_PARTS else None
