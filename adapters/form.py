"""Webhook bodies that are HTML forms (application/x-www-form-urlencoded), as several providers send them."""

from functools import lru_cache
from urllib.parse import unquote_to_bytes

# An MMS with ten pictures has about 50 fields.
MAX_FIELDS = 256


@lru_cache(maxsize=16)
def form_fields(body: bytes) -> tuple[tuple[str, str], ...]:
    """Each name and value, in order, blank values too. Raises ValueError for more than MAX_FIELDS.

    Bytes that are not UTF-8 become lone surrogates: a signature can be checked over what really came, and
    `clean_text` replaces them afterwards. The newest answers are kept, because `verify` and `parse` of one
    request both ask, and reading the form is most of their cost.
    """
    fields = body.decode("utf-8", "surrogateescape").split("&")
    if len(fields) > MAX_FIELDS:
        raise ValueError(f"more than {MAX_FIELDS} fields")
    return tuple([_pair(field) for field in fields if field])


def _pair(field: str) -> tuple[str, str]:
    name, _, value = field.partition("=")
    # Most have nothing to decode, and the general way costs ten times as much.
    return (_decoded(name), _decoded(value)) if "%" in field or "+" in field else (name, value)


def _decoded(text: str) -> str:
    raw = unquote_to_bytes(text.replace("+", " ").encode("utf-8", "surrogateescape"))
    return raw.decode("utf-8", "surrogateescape")
