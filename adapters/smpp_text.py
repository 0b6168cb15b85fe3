"""The text of an SMS: alphabets, user data headers, and long messages in parts. 3GPP TS 23.038 and 23.040."""

from collections.abc import Mapping
from dataclasses import dataclass

from adapters.contract import Part
from adapters.gsm7 import BASIC, ESCAPE, EXTENSION

UCS2 = 8

_SEPTETS: Mapping[str, bytes] = {
    **{letter: bytes((septet,)) for septet, letter in enumerate(BASIC) if septet != ESCAPE},
    **{letter: bytes((ESCAPE, septet)) for septet, letter in EXTENSION.items()},
}

# What data_coding 0 is depends on the SMSC; the others are the same everywhere.
ALPHABETS: Mapping[str, str] = {"gsm": "", "latin1": "latin-1", "ascii": "ascii", "utf8": "utf-8"}
# 2 and 4 are bytes, not text.
_CODINGS: Mapping[int, str] = {
    1: "ascii",
    3: "latin-1",
    5: "shift_jis",
    6: "iso8859_5",
    7: "iso8859_8",
    8: "utf-16-be",
    10: "iso2022_jp",
    14: "euc_kr",
}

# Septets (in SMPP one an octet) or octets of UCS-2, alone and beside the header of a part.
_ALONE_GSM, _PART_GSM = 160, 153
_ALONE_UCS2, _PART_UCS2 = 140, 134
MAX_PARTS = 255


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as it is submitted: one part, or several that each begin with a header."""

    data_coding: int
    parts: tuple[bytes, ...]


def encode(text: str, alphabet: str, reference: int) -> Encoded:
    """In the SMSC's alphabet where the phone's takes every letter too, else in UCS-2.

    An escape, a surrogate pair or a letter of several bytes is never cut in two. Raises ValueError for more than
    MAX_PARTS parts.
    """
    letters = _in_alphabet(text, alphabet)
    if letters is not None:
        return Encoded(0, _parts(letters, _ALONE_GSM, _PART_GSM, reference))
    letters = [letter.encode("utf-16-be") for letter in text]
    return Encoded(UCS2, _parts(letters, _ALONE_UCS2, _PART_UCS2, reference))


def _in_alphabet(text: str, alphabet: str) -> list[tuple[bytes, int] | bytes] | None:
    """Each letter in the SMSC's alphabet, with its cost where that is not its length; None if it lacks one."""
    letters: list[tuple[bytes, int] | bytes] = []
    for letter in text:
        septets = _SEPTETS.get(letter)
        if septets is None:
            return None
        if alphabet == "gsm":
            letters.append(septets)
            continue
        try:
            octets = letter.encode(ALPHABETS[alphabet])
        except UnicodeEncodeError:
            return None
        # On its way to the phone the SMSC makes septets of it: whichever is more must fit.
        letters.append((octets, max(len(septets), len(octets))))
    return letters


def _parts(
    letters: "list[tuple[bytes, int] | bytes] | list[bytes]", alone: int, beside_header: int, reference: int
) -> tuple[bytes, ...]:
    sized = [letter if isinstance(letter, tuple) else (letter, len(letter)) for letter in letters]
    if sum(cost for _, cost in sized) <= alone:
        return (b"".join(octets for octets, _ in sized),)
    parts: list[bytearray] = []
    room = 0
    for octets, cost in sized:
        if cost > room:
            parts.append(bytearray())
            room = beside_header
        parts[-1] += octets
        room -= cost
    if len(parts) > MAX_PARTS:
        raise ValueError(f"the text needs more than {MAX_PARTS} parts")
    return tuple(
        bytes((5, 0, 3, reference % 256, len(parts), number)) + part for number, part in enumerate(parts, start=1)
    )


def decode(octets: bytes, data_coding: int, alphabet: str) -> str:
    """The text; what its coding does not know becomes U+FFFD. Octets of no coding at all may be letters all the same:
    they are read as UTF-8, for an SMSC does not send again what it is told is wrong, be it STOP."""
    coding = _coding(data_coding)
    if coding is None:
        return octets.decode("utf-8", "replace")
    coding = coding or ALPHABETS[alphabet]
    return octets.decode(coding, "replace") if coding else _from_septets(octets)


def _coding(data_coding: int) -> str | None:
    """The codec's name, "" for the SMSC's own alphabet, None for bytes.

    From 0xC0 on it is the phone's own data coding scheme (waiting indicators and message classes); 0x10 to 0x1F
    are such schemes too, which SMSCs pass on although SMPP reserves them.
    """
    if data_coding & 0xF0 == 0xF0:
        return None if data_coding & 0x04 else ""
    if data_coding & 0xF0 == 0x10:
        return {0x00: "", 0x08: "utf-16-be"}.get(data_coding & 0x0C)
    if data_coding >= 0xC0:
        return "utf-16-be" if data_coding & 0xF0 == 0xE0 else ""
    return "" if data_coding == 0 else _CODINGS.get(data_coding)


def _from_septets(octets: bytes) -> str:
    """An unknown extension is shown as the letter it would be without its escape, as phones do."""
    letters = []
    escaped = False
    for octet in octets:
        if octet == ESCAPE and not escaped:
            escaped = True
            continue
        basic = BASIC[octet] if octet < len(BASIC) and octet != ESCAPE else "\ufffd"
        letters.append(EXTENSION.get(octet, basic) if escaped else basic)
        escaped = False
    return "".join(letters)


def split_header(octets: bytes) -> tuple[Part | None, bytes]:
    """What a user data header says about parts, and the text after it. Raises ValueError for a broken header."""
    length = octets[0] if octets else 0
    header, text = octets[1 : 1 + length], octets[1 + length :]
    if not octets or len(header) < length:
        raise ValueError("the user data header breaks off")
    part = None
    while len(header) >= 2:
        kind, size = header[0], header[1]
        value, header = header[2 : 2 + size], header[2 + size :]
        if (kind, len(value)) in ((0x00, 3), (0x08, 4)):
            part = one_part(int.from_bytes(value[:-2], "big"), value[-2], value[-1]) or part
    return part, text


def one_part(reference: int, total: int, number: int) -> Part | None:
    """None where the numbers make no sense, or the part is all there is: the text then stands for itself."""
    return Part(str(reference), number, total) if total > 1 and 1 <= number <= total else None
