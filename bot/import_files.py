"""A file of contacts: CSV or vCards, by how it begins; its encoding; and its people, read one by one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bot.csv_columns import DELIMITERS, Columns, UnknownColumn, columns_of, read_csv
from bot.encodings import ERRORS, UNREADABLE, encoding_of
from bot.import_rows import Record, RowError
from bot.vcards import FIRST_LINE, VCards

_HEAD_CHARACTERS = 1_000_000
"""The header is looked for in so much of a file: a file without line ends is not read whole to find none."""


class NoContacts(Exception):
    """A file that cannot be imported as it is; the message says why."""


@dataclass(frozen=True, slots=True)
class ImportFile:
    """A file to import: CSV with these columns, or vCards where there are none."""

    path: Path
    encoding: str
    columns: Columns | None
    fields: tuple[str, ...]

    @contextmanager
    def records(self) -> Iterator[Iterable[Record | RowError]]:
        """Its people, read one by one. Properties of vCards that were not imported are in `VCards.ignored`."""
        with self.path.open(newline="" if self.columns else None, encoding=self.encoding, errors=ERRORS) as lines:
            yield read_csv(lines, self.columns) if self.columns else VCards(lines, self.fields)


def look_at(path: Path, mapping: Mapping[str, str], fields: Iterable[str]) -> ImportFile:
    """What kind of file it is, by how it begins. `mapping` and `fields` are those of columns_of. Raises NoContacts."""
    try:
        encoding = encoding_of(path)
        with path.open(newline="", encoding=encoding, errors=ERRORS) as source:
            head = io.StringIO(source.read(_HEAD_CHARACTERS), newline="")
    except OSError as error:
        raise NoContacts(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise NoContacts("the file begins as UTF-16, and is not readable as that.") from error
    first = next((line for line in head if line.strip()), "")
    if FIRST_LINE.fullmatch(first):
        if mapping:
            raise NoContacts("--map is for CSV: vCards have no columns.")
        # A card says the encoding of each text that is not UTF-8.
        return ImportFile(path, encoding if encoding == "utf-16" else "utf-8-sig", None, tuple(fields))
    return ImportFile(path, encoding, _columns(head, mapping, tuple(fields)), ())


def _columns(head: io.StringIO, mapping: Mapping[str, str], fields: Sequence[str]) -> Columns:
    """The columns, by the delimiter under which most of them are known. Where none gives a column of phones, it raises
    what is wrong under the one that gives most columns."""
    headers: dict[str, list[str]] = {}
    found: list[Columns] = []
    problems: list[str] = []
    for delimiter in DELIMITERS:
        head.seek(0)
        with suppress(csv.Error):
            headers[delimiter] = next(csv.reader(head, delimiter=delimiter), [])
    if any(UNREADABLE.search("".join(header)) for header in headers.values()):
        raise NoContacts("its first line is not readable: save the file as UTF-8.")
    for delimiter in sorted(headers, key=lambda delimiter: -len(headers[delimiter])):
        try:
            columns = columns_of(headers[delimiter], fields, mapping, delimiter)
        except UnknownColumn as error:
            problems.append(str(error))
            continue
        if columns.has_phone:
            found.append(columns)
        problems.append("no column holds phone numbers: name one with --map COLUMN=phone.")
    if not found:
        raise NoContacts(problems[0] if problems else "its first line is not readable as CSV.")
    return max(found, key=lambda columns: len(columns.targets) + len(columns.fields))


def mapping_of(items: Iterable[str]) -> dict[str, str]:
    """COLUMN=TARGET, each. Raises NoContacts."""
    mapped = {}
    for item in items:
        column, sign, target = item.partition("=")
        if not sign:
            raise NoContacts(f"--map is COLUMN=TARGET, not '{item}'.")
        mapped[column] = target
    return mapped
