"""Contacts from vCards: versions 2.1, 3.0 (RFC 2426) and 4.0 (RFC 6350), many in a file, read line by line.

A parser of our own, because vobject 0.9.9 does not do: one line of 24 commas keeps its patterns busy for 8 seconds
and each two more for four times as long; ENCODING=8BIT and quoted-printable in small letters are taken for base64;
a value that ends in a backslash gets "eof" for it; and it brings three packages along.

    BEGIN:VCARD
    VERSION:3.0
    N:Lee;Ana;;;                                     name (where FN is missing), and the field first_name
    FN:Ana Lee                                       name
    item1.TEL;TYPE=CELL,VOICE:+1 (202) 555-0177      phone, labelled by its TYPE
    CATEGORIES:vip,reader                            tags
    ORG:Acme;Sales                                   a field, where the rule files declare one named org
    END:VCARD
"""

from __future__ import annotations

import quopri
import re
from collections.abc import Iterable, Iterator

from bot.import_rows import Record, RowError, RowRefused, several, tidy

FIRST_LINE = re.compile(r"\s*BEGIN:VCARD\s*", re.IGNORECASE)
MAX_LINE = 10_000
"""What is kept of a line, in characters. Nothing that is imported is longer; a photo is."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_LINE = re.compile(
    r"(?:[\w-]+\.)?(?P<name>[\w-]+)(?P<parameters>(?:;(?:[^\":;]|\"[^\"]*\")*+)*+):(?P<value>.*)", re.DOTALL | re.ASCII
)
_PARAMETER = re.compile(r";((?:[^\";]|\"[^\"]*\")*+)")
_QUOTED_PRINTABLE = re.compile(r"[^:]*;(?:ENCODING=)?QUOTED-PRINTABLE[;:]", re.IGNORECASE)
_EDGE = re.compile(r"\s*(BEGIN|END):VCARD\s*", re.IGNORECASE)
_ESCAPED = re.compile(r"\\(.)|([;,])", re.DOTALL)
_TYPES = (
    ("other", frozenset({"fax", "pager", "modem", "textphone"})),
    ("cell", frozenset({"cell", "mobile", "iphone", "pcs", "text"})),
    ("home", frozenset({"home"})),
    ("work", frozenset({"work"})),
)
"""What the TYPE of a phone makes of it, the first that holds; a phone of no such type is a cell, as in a CSV file."""
_OWN = frozenset({"N", "FN", "TEL", "CATEGORIES"})
_SILENT = frozenset({"VERSION", "PRODID", "UID", "REV", "BEGIN", "END", "PROFILE", "CLASS", "KIND", "SORT-STRING"})
_MAX_IGNORED = 30
MAX_PHONES = 20
_MAX_TAGS = 100
_BINARY = frozenset({"b", "base64"})


class VCards:
    """The cards of a file: iterate over it once. `lines` are its lines, `fields` those that the rule files declare.

    A text that is not UTF-8 is taken by its CHARSET, if `lines` were decoded with errors="surrogateescape"."""

    def __init__(self, lines: Iterable[str], fields: Iterable[str]) -> None:
        self._lines = lines
        self._fields = {name.upper().replace("_", "-"): name for name in fields}
        self.ignored: set[str] = set()
        """Properties that were met and not imported (not more than a few dozen are kept)."""

    def __iter__(self) -> Iterator[Record | RowError]:
        card: _Card | None = None
        is_stray = False
        for number, text in _logical_lines(self._lines):
            edge = _EDGE.fullmatch(text)
            if edge and edge[1].upper() == "BEGIN":
                if card is not None and card.is_agent:
                    card.is_agent, card.is_inside = False, True
                    continue
                if card is not None:
                    yield card.unended()
                card, is_stray = _Card(number), False
            elif edge and card is not None and card.is_inside:
                card.is_inside = False
            elif edge and card is not None:
                yield card.record()
                card = None
            elif card is not None:
                self._take(card, number, text)
            elif not is_stray:
                is_stray = True
                yield RowError(number, f"'{_printable(text[:40])}' stands outside of a card.")
        if card is not None:
            yield card.unended()

    def _take(self, card: _Card, number: int, text: str) -> None:
        if card.is_inside or card.error is not None:
            return
        match = _LINE.fullmatch(text)
        if match is None:
            card.error = RowError(number, f"'{_printable(text[:40])}' is no line of a vCard.")
            return
        name = match["name"].upper()
        card.is_agent = name == "AGENT" and not match["value"].strip()
        if name == "VERSION":
            card.is_old = match["value"].strip() == "2.1"
        elif name in _OWN or name in self._fields:
            try:
                self._property(card, name, match["parameters"], match["value"])
            except RowRefused as error:
                card.error = RowError(number, str(error))
        elif name not in _SILENT and len(self.ignored) < _MAX_IGNORED:
            self.ignored.add(name[:40])

    def _property(self, card: _Card, name: str, parameters: str, text: str) -> None:
        if name not in _OWN and (self._fields[name] in card.fields or not text.strip()):
            return
        said = _parameters(parameters)
        if said.get("ENCODING", frozenset()) & _BINARY:
            self.ignored.add(name)
            return
        value = _decoded(text, said)
        match name:
            case "FN":
                card.full_name = card.full_name or _one_line(_unescaped(value, card.is_old))
            case "N":
                card.parts = card.parts or [
                    _one_line(" ".join(_split(part, ",", card.is_old) if not card.is_old else [part]))
                    for part in _split(value, ";", card.is_old, keep=True)
                ]
            case "TEL":
                card.phones.append((_number(_unescaped(value, card.is_old)), _label(said.get("TYPE", frozenset()))))
                if len(card.phones) > MAX_PHONES:
                    raise RowRefused(f"it has more than {MAX_PHONES} phones.")
            case "CATEGORIES":
                card.tags |= several(tidy(tag) for tag in _split(value, ",", card.is_old))
                if len(card.tags) > _MAX_TAGS:
                    raise RowRefused(f"it has more than {_MAX_TAGS} categories.")
            case "ORG":
                parts = (_one_line(part) for part in _split(value, ";", card.is_old))
                card.fields[self._fields[name]] = tidy(", ".join(part for part in parts if part))
            case _:
                card.fields[self._fields[name]] = tidy(_unescaped(value, card.is_old))


class _Card:
    """One card while it is read. 2.1 writes the card of an AGENT inside of it, and that is another person's."""

    def __init__(self, line: int) -> None:
        self._line = line
        self.is_old = self.is_agent = self.is_inside = False
        self.full_name = ""
        self.parts: list[str] = []
        self.phones: list[tuple[str, str]] = []
        self.tags: frozenset[str] = frozenset()
        self.fields: dict[str, str] = {}
        self.error: RowError | None = None

    def unended(self) -> RowError:
        """What is wrong with a card that another one follows, or nothing."""
        return self.error or RowError(self._line, "the card that begins here has no END:VCARD.")

    def record(self) -> Record | RowError:
        """The card, as it was read; its line is where it begins."""
        if self.error is not None:
            return self.error
        family, given, middle, prefix, suffix = (*self.parts, "", "", "", "", "")[:5]
        name = self.full_name or tidy(" ".join(filter(None, (prefix, given, middle, family, suffix))))
        if given:
            self.fields.setdefault("first_name", given)
        phones = tuple((text, label) for text, label in self.phones if text)
        return Record(self._line, name, phones, tags=self.tags, fields=self.fields)


def _logical_lines(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """(number of its first line, line), with what was folded put together, and MAX_LINE of it at most."""
    start, parts, size, is_soft = 0, [""], 0, False
    for number, line in enumerate(lines, 1):
        text = line.rstrip("\r\n")
        if is_soft and not _EDGE.fullmatch(text):
            parts[-1] = parts[-1].removesuffix("=")
        elif text[:1] in (" ", "\t") and size:
            text = text[1:]
        else:
            if size:
                yield start, "".join(parts)
            start, parts, size = number, [], 0
            if not text.strip():
                is_soft = False
                continue
        parts.append(text[: MAX_LINE - size])
        size += len(parts[-1])
        is_soft = text.endswith("=") and _QUOTED_PRINTABLE.match("".join(parts)) is not None
    if size:
        yield start, "".join(parts)


def _parameters(text: str) -> dict[str, frozenset[str]]:
    """The parameters in small letters by their names. 2.1 leaves out the names of TYPE and ENCODING."""
    found: dict[str, frozenset[str]] = {}
    for parameter in _PARAMETER.findall(text.lower()):
        name, sign, values = parameter.partition("=")
        if not sign:
            values, name = name, "encoding" if name in ("quoted-printable", *_BINARY) else "type"
        found[name.upper()] = found.get(name.upper(), frozenset()) | several(values.replace('"', "").split(","))
    return found


def _decoded(text: str, parameters: dict[str, frozenset[str]]) -> str:
    """The value as text. Raises RowRefused for a CHARSET that nobody knows."""
    is_quoted = "quoted-printable" in parameters.get("ENCODING", ())
    if text.isascii() and not is_quoted:
        return text
    charset = next(iter(parameters.get("CHARSET", ())), "utf-8")
    raw = text.encode("utf-8", "surrogateescape")
    try:
        value = (quopri.decodestring(raw) if is_quoted else raw).decode(charset, "replace")
    except (LookupError, ValueError) as error:
        raise RowRefused(f"'{charset[:40]}' is no character set.") from error
    # Some of Python's own character sets make halves of characters, which no store takes.
    return value.encode("utf-8", "replace").decode()


def _split(text: str, sign: str, is_old: bool, *, keep: bool = False) -> list[str]:
    """The values between unescaped signs; `keep` leaves the escapes of a `,` for a split by that."""
    if "\\" not in text:
        return text.split(sign)
    parts, place = [], 0
    for match in _ESCAPED.finditer(text):
        if match[2] == sign:
            parts.append(text[place : match.start()])
            place = match.end()
    parts.append(text[place:])
    return parts if keep and not is_old else [_unescaped(part, is_old) for part in parts]


def _unescaped(text: str, is_old: bool) -> str:
    """Without escapes. 2.1 has none for a new line."""
    if "\\" not in text:
        return text

    def plain(match: re.Match[str]) -> str:
        sign = match[1]
        if sign is None:
            return match[2]
        if sign in "nN" and not is_old:
            return "\n"
        return sign if sign in ";,:\\" else match[0]

    return _ESCAPED.sub(plain, text)


def _one_line(text: str) -> str:
    return tidy(" ".join(text.split()))


def _number(text: str) -> str:
    """A number, or the URI of one (RFC 3966)."""
    text = tidy(text)
    if text[:4].lower() != "tel:":
        return text
    return f"tel:{text[4:]}" if ";" in text else text[4:].strip()


def _label(types: frozenset[str]) -> str:
    return next((label for label, words in _TYPES if types & words), "cell")


def _printable(text: str) -> str:
    return _CONTROL.sub("\ufffd", text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
