"""An HTTP answer that refuses a request, made one SendError: by the provider's code, or else by the HTTP status."""

import re
from collections.abc import Mapping
from typing import Any

from adapters.errors import Misconfigured, Rejected, Retry, SendError, Throttled, Unknown
from adapters.http import Answer
from adapters.text import clean_text

MAX_DETAIL = 200
# Longer than a day nobody waits; a number without bounds fits into no column.
MAX_WAIT = 86_400.0
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,60}", re.ASCII)
# Our account, our credentials, or an address that is none: each further request would fail as well.
OUR_FAULT = frozenset({401, 402, 403, 404, 405})


def refusal(
    answer: Answer, code: str, text: Any, codes: Mapping[str, type[SendError]], private: tuple[str, ...] = ()
) -> SendError:
    """What to raise. `text` is the provider's own words, `private` what must not be among them (the message's body)."""
    kind = kind_of(answer, code, codes)
    said, code = detail(answer, text, private), code_of(code, private)
    return Throttled(said, code, wait_of(answer)) if kind is Throttled else kind(said, code)


def kind_of(answer: Answer, code: str, codes: Mapping[str, type[SendError]]) -> type[SendError]:
    """Its class. What is between the provider and us may have answered 408, 502 or 504: then nobody can tell."""
    status = answer.status
    if status == 429 or (status == 503 and answer.retry_after is not None):
        return Throttled
    if status == 408 or (status > 500 and status != 503):
        return Unknown
    if code in codes:
        return codes[code]
    if status >= 500:
        return Retry
    return Misconfigured if status < 400 or status in OUR_FAULT else Rejected


def code_of(value: str | int, private: tuple[str, ...] = ()) -> str:
    """A code as it can be shown; "" for what is none, or quotes what is private."""
    code = str(value)
    return code if _CODE.fullmatch(code) and code not in private else ""


def wait_of(answer: Answer) -> float | None:
    """The seconds of Retry-After."""
    return None if answer.retry_after is None else min(answer.retry_after, MAX_WAIT)


def detail(answer: Answer, text: Any, private: tuple[str, ...] = ()) -> str:
    """The provider's words, cut; the HTTP status alone where it has none, or where they quote what is private."""
    said = clean_text(text) if isinstance(text, str) else ""
    if not said or any(secret and secret in said for secret in private):
        said = f"HTTP {answer.status}"
    return said[:MAX_DETAIL]
