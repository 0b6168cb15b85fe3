"""Webhook bodies that are HTML forms (application/x-www-form-urlencoded), as several providers send them."""

from functools import lru_cache
from urllib.parse import parse_qsl

# An MMS with ten pictures has about 50 fields.
MAX_FIELDS = 256


@lru_cache(maxsize=16)
def form_fields(body: bytes) -> tuple[tuple[str, str], ...]:
    """Each name and value, in order, blank values too. Raises ValueError for more than MAX_FIELDS.

    Bytes that are not UTF-8 become lone surrogates: a signature can be checked over what really came, and
    `clean_text` replaces them afterwards. The newest answers are kept, because `verify` and `parse` of one
    request both ask, and reading the form is most of their cost.
    """
    text = body.decode("utf-8", "surrogateescape")
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="surrogateescape")
    return tuple(pairs)
