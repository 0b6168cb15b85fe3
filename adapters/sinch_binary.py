"""Binary messages of Sinch (`mo_binary`): their text, and which part of a longer message they are."""

import binascii
import logging
from base64 import b64decode
from collections.abc import Mapping

from adapters.contract import Part
from adapters.errors import BadPayload
from adapters.text import clean_text

log = logging.getLogger(__name__)

# Information elements of a user data header (3GPP TS 23.040, 9.2.3.24) -> octets of the reference number.
CONCATENATED: Mapping[int, int] = {0x00: 1, 0x08: 2}


def binary_text(body: str) -> str:
    """Base64 of the message. Sinch does not tell how its text is coded, so it is read as UTF-8, and said where it is
    none; the NUL that ASCII letters have in UCS-2 falls away."""
    try:
        octets = b64decode(body, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPayload("body is not base64") from error
    try:
        return clean_text(octets.decode("utf-8"))
    except UnicodeDecodeError:
        log.warning("sinch: a binary message is not UTF-8; what cannot be read is replaced")
        return clean_text(octets.decode("utf-8", "replace"))


def part_of(udh: str) -> Part | None:
    """The part that the header names, in hexadecimal; None for a whole message. Parts share their reference number."""
    try:
        header = bytes.fromhex(udh)
    except ValueError:
        # Sinch does not send again what it is told is wrong: better a part that stands alone than none.
        log.warning("sinch: a udh is not hexadecimal; the part is taken for a whole message")
        return None
    elements = header[1 : 1 + header[0]] if header else b""
    while len(elements) >= 2:
        kind, length = elements[0], elements[1]
        value, elements = elements[2 : 2 + length], elements[2 + length :]
        size = CONCATENATED.get(kind)
        if size is not None and length == len(value) == size + 2:
            total, number = value[size], value[size + 1]
            return Part(value[:size].hex(), number, total) if 1 <= number <= total and total > 1 else None
    return None
