"""In which encoding a file of text is: as its first bytes say, else UTF-8, else what spreadsheets write on Windows."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

ERRORS = "surrogateescape"
"""How a file is to be decoded in the encoding that was found; what cannot be read in it is then UNREADABLE."""
UNREADABLE = re.compile(r"[\ud800-\udfff]")
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_CHUNK_BYTES = 1 << 20


def encoding_of(path: Path) -> str:
    """The encoding, after reading the file piece by piece. Raises OSError, and UnicodeDecodeError for damaged UTF-16.

    Letters that are UTF-8 are so by no chance: where any come before the first fault, the file is damaged UTF-8."""
    with path.open("rb") as file:
        head = file.read(3)
        encoding = next((encoding for mark, encoding in _MARKS if head.startswith(mark)), "utf-8")
        is_sure = encoding != "utf-8"
        decoder = codecs.getincrementaldecoder(encoding)()
        chunk = head
        while True:
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                if encoding == "utf-16":
                    raise
                return encoding if is_sure or not error.object[: error.start].isascii() else "cp1252"
            if not chunk:
                return encoding
            is_sure = is_sure or not text.isascii()
            chunk = file.read(_CHUNK_BYTES)
