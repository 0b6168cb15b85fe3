"""One import in a process of its own: the server's memory and its event loop know nothing of the file's size.

The server starts it as `python -m bot.import_child` and hands it a Job as JSON on standard input, so that nobody
reads the options in a list of processes. It answers with lines of JSON: counts every now and then, and at the end
`done`, or the `problem` in words. Where nobody reads them any more it stops, for then the server is gone.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from bot.clock import system_clock
from bot.import_files import NoContacts, look_at
from bot.import_rows import Plan
from bot.importing import Outcome, import_contacts
from bot.store.contract import StoreError
from bot.store.open import open_store
from bot.suppression import Suppressions
from bot.vcards import VCards
from rules.reader import FieldType

MOST_ERRORS = 100
BATCH_ROWS = 100
"""Fewer than a command takes at once: on SQLite everybody's messages wait for a batch."""
_MOST_IGNORED = 50
_MAX_WORDS = 300
_PROGRESS_SECONDS = 0.5
_MAX_REST_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Job:
    """An import, as the server hands it over: the store, the file, and what holds for all rows (import_rows.Plan).

    `heard` are the (event, detail) that rules and workflows wait for, "" being any detail."""

    store: str
    base: str
    file: str
    mapping: Mapping[str, str]
    kinds: Mapping[str, FieldType]
    heard: Sequence[tuple[str, str]]
    country: str
    zone: str
    by: str
    lists: Sequence[str]
    opted_in: bool
    evidence: str
    dry_run: bool

    @property
    def plan(self) -> Plan:
        """What holds for all rows."""
        return Plan(
            country=self.country,
            by=self.by,
            lists=frozenset(self.lists),
            kinds=self.kinds,
            zone=ZoneInfo(self.zone),
            opted_in=self.opted_in,
            evidence=self.evidence,
            dry_run=self.dry_run,
            most_errors=MOST_ERRORS,
            batch_rows=BATCH_ROWS,
        )


def main() -> int:
    """Import what standard input says; 0 when it came to its end."""
    job = Job(**orjson.loads(sys.stdin.buffer.read()))
    try:
        _say(asyncio.run(_imported(job)))
    except (NoContacts, StoreError) as error:
        _say({"problem": str(error)[:_MAX_WORDS]})
        return 1
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    return 0


async def _imported(job: Job) -> dict[str, Any]:
    """Import; the last line."""
    file = look_at(Path(job.file), job.mapping, job.kinds)
    heard = {(event, detail) for event, detail in job.heard}

    def concerns(event: str, detail: str) -> bool:
        return (event, "") in heard or (event, detail) in heard

    async with open_store(job.store, Path(job.base), exclusive=False) as store:
        suppressions = await Suppressions.of(store)
        with file.records() as records:
            outcome = await import_contacts(
                store, suppressions, concerns, records, job.plan, system_clock, _Progress().told
            )
            ignored = sorted(records.ignored) if isinstance(records, VCards) else file.columns and file.columns.ignored
    return _counts(outcome) | {
        "done": True,
        "errors": [{"line": error.line, "message": error.message[:_MAX_WORDS]} for error in outcome.errors],
        "ignored": [name[:_MAX_WORDS] for name in (ignored or ())[:_MOST_IGNORED]],
    }


class _Progress:
    """Says every now and then how far it is, and rests after every batch for as long as that took."""

    def __init__(self) -> None:
        self._said = self._rested = time.monotonic()

    def told(self, outcome: Outcome) -> None:
        """A batch is in."""
        now = time.monotonic()
        if now - self._said >= _PROGRESS_SECONDS:
            self._said = now
            _say(_counts(outcome))
        # Nothing else runs in this process, and everybody else comes first.
        time.sleep(min(_MAX_REST_SECONDS, now - self._rested))
        self._rested = time.monotonic()


def _counts(outcome: Outcome) -> dict[str, Any]:
    return {
        "rows": outcome.rows,
        "added": outcome.new,
        "changed": outcome.changed,
        "unchanged": outcome.unchanged,
        "wrong": outcome.error_count,
        "kept_out": outcome.kept_out,
    }


def _say(what: dict[str, Any]) -> None:
    sys.stdout.buffer.write(orjson.dumps(what) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main())
