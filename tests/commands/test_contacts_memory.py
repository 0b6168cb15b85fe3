"""A large import: how much memory it takes, and that a second run of the same file changes nothing.

A million rows are the measure; a fifth of them is imported here, and its memory must not grow in its second half.
TEXTWRIGHT_IMPORT_ROWS=1000000 imports them all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.commands.contact_files import RULES, digest

pytestmark = pytest.mark.slow
ROWS = int(os.environ.get("TEXTWRIGHT_IMPORT_ROWS", "200000"))
LIMIT_BYTES = 300 * 1000 * 1000
GROWTH_BYTES = 20 * 1000 * 1000
ROOT = Path(__file__).resolve().parents[2]


def csv_lines() -> Iterator[str]:
    yield "name,phone,lists,tags,opted in,evidence,favourite\n"
    for n in range(ROWS):
        number = f"{202 + n // 10_000 % 700}555{n % 10_000:04d}"
        phone = f"+1{number}" if n % 2 else f"({number[:3]}) {number[3:6]}-{number[6:]}"
        yield f"Ana Lee {n},{phone},{'vip' if n % 3 else ''},{'gold' if n % 5 else ''},yes,form {n},crime\n"


def vcard_lines() -> Iterator[str]:
    for n in range(ROWS // 8):
        number, photo = f"+1 202 {n // 10_000 + 555} {n % 10_000:04d}", "A" * 70
        yield f"BEGIN:VCARD\r\nVERSION:3.0\r\nN:Lee;Ana;;;\r\nFN:Ana Lee {n}\r\nTEL;TYPE=CELL:{number}\r\n"
        yield f"CATEGORIES:gold,new\r\nPHOTO;ENCODING=b:{photo}\r\n {photo}\r\nEND:VCARD\r\n"


def imported(shop: Path, file: Path) -> tuple[str, list[int]]:
    """Import a file by the real command: what it says at the end, and its memory in bytes, twenty times a second."""
    command = [sys.executable, "-m", "bot", "contacts", "import", str(file), "--config", str(shop / "config.toml")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        marks, watched = [], psutil.Process(process.pid)
        while process.poll() is None:
            marks.append(watched.memory_info().rss)
            time.sleep(0.05)
        assert process.stdout is not None
        return process.stdout.read(), [mark for mark in marks if mark]


@pytest.mark.parametrize(
    ("name", "lines", "rows"), [("people.csv", csv_lines, ROWS), ("people.vcf", vcard_lines, ROWS // 8)]
)
def test_a_large_file_takes_little_memory_and_a_second_run_changes_nothing(shop, name, lines, rows, record_property):
    (shop / "rules.yaml").write_text(RULES)
    with (shop / name).open("w", newline="") as file:
        file.writelines(lines())
    began = time.perf_counter()
    said, marks = imported(shop, shop / name)
    assert said == f"{rows} rows: {rows} new, 0 changed, 0 as they were, 0 left out.\n"
    before = digest(shop)
    again, more = imported(shop, shop / name)
    assert again == f"{rows} rows: 0 new, 0 changed, {rows} as they were, 0 left out.\n"
    assert digest(shop) == before
    peak = max(*marks, *more)
    told = {"peak_mb": round(peak / 1e6, 1), "rows": rows, "seconds": round(time.perf_counter() - began, 1)}
    record_property("import", told)
    print(told)
    assert peak < LIMIT_BYTES
    for run in (marks, more):
        assert run[-1] - run[len(run) // 2] < GROWTH_BYTES
