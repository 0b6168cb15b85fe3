"""Text as it comes from outside, made fit to store and to read."""

import codecs
import re
from base64 import b64decode

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
# 60 characters or more: base64 of anything shorter could be a word or a code that a customer typed.
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4}){15,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


# What carriers and providers confirm by themselves, as they match it: the whole message, in any case
# (CTIA; Twilio's defaults since 2025-05-14).
CARRIER_STOP_WORDS = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT", "REVOKE", "OPTOUT"})


def is_carrier_stop(body: str) -> bool:
    """Whether a carrier that confirms opt-outs would take the message for one."""
    return body.isascii() and body.strip().upper() in CARRIER_STOP_WORDS


def clean_text(text: str) -> str:
    """Drop NUL characters and put U+FFFD for lone surrogates.

    PostgreSQL refuses NUL in text, and a lone surrogate (half an emoji, or a byte that was no UTF-8) cannot
    be encoded at all; neither may cost us the rest of a customer's message.
    """
    text = text.replace("\x00", "")
    return text if text.isascii() else _LONE_SURROGATE.sub("\ufffd", text)


def decode_base64_text(text: str) -> str:
    """A whole message that is clearly base64 of UTF-8 text, decoded; any other comes back unchanged.

    Some providers now and then deliver a concatenated SMS that way, cut at a part's end: a last character
    that is incomplete is dropped. Chance text of this length practically never decodes to UTF-8 without
    control characters; a customer who really sends base64 of a text is shown that text.
    """
    if len(text) < 60 or " " in text:
        return text
    compact = text.replace("\r", "").replace("\n", "")
    if not _BASE64.fullmatch(compact):
        return text
    try:
        decoded = codecs.getincrementaldecoder("utf-8")().decode(b64decode(compact))
    except UnicodeDecodeError:
        return text
    return text if _CONTROL.search(decoded) else decoded


BARE_NUMBERS = ("international", "national")
"""What the numbers of a gateway are that have no plus, as a setting says it."""


def international(number: str) -> str:
    """A number as E.164 where the provider leaves out the plus; short codes and names stay as they are.

    The shortest numbers with their country code have seven digits, the longest short codes eight: only from nine
    digits on is it sure which of the two it is.
    """
    return f"+{number}" if len(number) >= 9 and number.isascii() and number.isdigit() else number


def bare_digits(number: str) -> str:
    """A number as providers want it that refuse the plus."""
    return number.removeprefix("+")
