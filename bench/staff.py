"""`python -m bench --staff`: what staff wait for, over HTTP, with 100,000 contacts and up to 1,000,000 messages.

The store is filled through SQL, in steps. After each step the real server is started on it, and every question that
the console and the API ask is asked some times over, one at a time. A step holds more messages and conversations than
the one before, and the same contacts: what takes longer then, takes longer for the messages.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import orjson

from bench.crowd import BIG_LIST, RARE_NAME, RARE_TAG, SMALL_LIST, STEPS, Crowd, Insert, Staged
from bench.servers import ROOT, Process, textwright

LIMIT_MS = 100.0
_ASKED, _WARM = 25, 8
"""PostgreSQL plans a prepared statement anew for five times before it may settle for one plan: the warm ones."""
_FEWER, _LONG_MS = 5, 5_000.0
"""So many are enough of a question whose answers have taken that long together."""
_USER, _PASSWORD = "bench", "a-long-walk-by-the-sea-91"
_MAY_TAKE_LONGER = ("GET /lists", "page /lists")
"""What counts everybody: it is told, and held to no limit."""
Progress = Callable[[str], None]


@dataclass(slots=True)
class Taken:
    """How long the answers to one question took, in ms, by the number of messages in the store."""

    name: str
    times: dict[int, list[float]] = field(default_factory=dict)

    def median_ms(self, messages: int) -> float:
        """Half of the answers took no longer."""
        return median(self.times[messages])

    def p95_ms(self, messages: int) -> float:
        """All but every twentieth took no longer."""
        ordered = sorted(self.times[messages])
        return ordered[min(len(ordered) - 1, int(len(ordered) * 0.95))]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: with one path after the other, as the API's or as a page of the console's."""

    name: str
    paths: Sequence[str]
    is_page: bool = False


async def measure(folder: Path, store: str, progress: Progress, steps: Sequence[int] = STEPS) -> list[Taken]:
    """Fill and ask, step by step. `store` is a URL; a SQLite file has its whole path in it."""
    textwright(folder / "schema", set(), store=store).stop()
    opened = await _opened(store)
    found: dict[str, Taken] = {}
    try:
        crowd = Crowd()
        progress("contacts")
        await crowd.add_contacts(opened.insert)
        for step in steps:
            progress(f"{step:,} messages")
            staged = await crowd.add_messages(opened.insert, step)
            await opened.settle()
            progress(f"{step:,} messages: asking")
            server = textwright(folder / f"staff-{step}", set(), store=store)
            try:
                for name, times in (await _ask_all(folder / f"staff-{step}", server, staged, step)).items():
                    found.setdefault(name, Taken(name)).times[step] = times
            finally:
                server.stop()
    finally:
        await opened.close()
    return list(found.values())


def questions(staged: Staged) -> list[Question]:
    """Everything that is asked."""
    people, api = "/api/v1/contacts", "/api/v1"
    digits = [number[-4:] for number in staged.numbers]
    asked = {
        "GET /healthz": ["/healthz"],
        "GET /contacts": [people],
        "GET /contacts?q=<common>": [f"{people}?q={name}" for name in ("mar", "ann", "son")],
        "GET /contacts?q=<rare>": [f"{people}?q={RARE_NAME}"],
        "GET /contacts?q=<nobody>": [f"{people}?q=qxzzy"],
        "GET /contacts?q=<4 digits>": [f"{people}?q={text}" for text in digits],
        "GET /contacts?list=<big>": [f"{people}?list={BIG_LIST}"],
        "GET /contacts?list=<small>": [f"{people}?list={SMALL_LIST}"],
        "GET /contacts?list=<by query>": [f"{people}?list=idle"],
        "GET /contacts?tag=<rare>": [f"{people}?tag={RARE_TAG}"],
        "GET /contacts?tag=<rare>&q=": [f"{people}?tag={RARE_TAG}&q=a"],
        "GET /contacts?without_tag=": [f"{people}?without_tag=regular"],
        "GET /contacts?textable=false": [f"{people}?textable=false"],
        "GET /contacts?blocked=true": [f"{people}?blocked=true"],
        "GET /contacts?field=&value=": [f"{people}?field=shoe_size&value=49"],
        "GET /contacts?texted_within_days=": [f"{people}?texted_within_days=1"],
        "GET /conversations": [f"{api}/conversations"],
        "GET /conversations?unanswered": [f"{api}/conversations?unanswered=true"],
        "GET /conversations?unread": [f"{api}/conversations?unread=true"],
        "GET /conversations?list=<small>": [f"{api}/conversations?list={SMALL_LIST}"],
        "GET /conversations?route=": [f"{api}/conversations?route=desk"],
        "GET /conversations?mode=paused": [f"{api}/conversations?mode=paused"],
        "GET /conversations?assigned_to=": [f"{api}/conversations?assigned_to=ana"],
        "GET /conversations?phone=": [f"{api}/conversations?phone=%2B{number[1:]}" for number in staged.numbers],
        "messages of a short one": [f"{api}/conversations/{id_}/messages" for id_ in staged.short],
        "messages of one of 200": [f"{api}/conversations/{id_}/messages" for id_ in staged.long],
        "GET /messages?phone=": [f"{api}/messages?phone=%2B{number[1:]}" for number in staged.numbers],
        "GET /contacts/{id}/history": [f"{people}/{id_}/history" for id_ in staged.contacts],
        "GET /lists": [f"{api}/lists"],
    }
    pages = {
        "page /inbox": ["/inbox"],
        "page /inbox?show=all": ["/inbox?show=all"],
        "page /inbox/{id}": [f"/inbox/{id_}" for id_ in (*staged.short, *staged.long)],
        "page /contacts": ["/contacts"],
        "page /contacts?q=": [f"/contacts?q={name}" for name in ("mar", RARE_NAME, "ann")],
        "page /contacts/{id}": [f"/contacts/{id_}" for id_ in staged.contacts],
        "page /lists": ["/lists"],
    }
    return [
        *(Question(name, paths) for name, paths in asked.items()),
        *(Question(name, paths, is_page=True) for name, paths in pages.items()),
    ]


async def _ask_all(folder: Path, server: Process, staged: Staged, step: int) -> dict[str, list[float]]:
    """The times of every question in ms."""
    token = _command(folder, "token", "create", f"bench{step}", "--role", "read").strip()
    _command(folder, "user", "create", f"{_USER}{step}", "--role", "staff", "--password-stdin", typed=_PASSWORD)
    base = f"http://127.0.0.1:{server.port}"
    jar = aiohttp.CookieJar(unsafe=True)  # of an address, which has no name
    async with aiohttp.ClientSession(base, cookie_jar=jar) as pages, aiohttp.ClientSession(
        base, headers={"Authorization": f"Bearer {token}"}, cookie_jar=aiohttp.DummyCookieJar()
    ) as api:  # fmt: skip
        async with pages.post("/login", data={"name": f"{_USER}{step}", "password": _PASSWORD}) as response:
            if response.status != 200 or response.url.path == "/login":
                raise SystemExit(f"signing in: {response.status}")
        found = {}
        for question in questions(staged):
            found[question.name] = await _ask(pages if question.is_page else api, question.paths)
        return found


async def _ask(client: aiohttp.ClientSession, paths: Sequence[str]) -> list[float]:
    times = []
    following = cycle(paths)
    for _ in range(_WARM + _ASKED):
        path = next(following)
        started = perf_counter()
        async with client.get(path, allow_redirects=False) as response:
            await response.read()
        times.append((perf_counter() - started) * 1e3)
        if response.status != 200:
            raise SystemExit(f"{path}: {response.status}")
        if len(times) >= _WARM + _FEWER and sum(times) > _LONG_MS:
            break
    return times[_WARM:]


def _command(folder: Path, *words: str, typed: str = "") -> str:
    """What a command prints."""
    done = subprocess.run(
        [sys.executable, "-m", "bot", *words, "--config", "config.toml"],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, input=typed, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{' '.join(words[:2])}: {done.stderr}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class _Opened:
    """A store that is filled: `settle` does what the engine does by itself in time."""

    insert: Insert
    settle: Callable[[], Any]
    close: Callable[[], Any]


async def _opened(store: str) -> _Opened:
    return await (_sqlite(store) if store.startswith("sqlite") else _postgres(store))


async def _sqlite(store: str) -> _Opened:
    import sqlite3

    connection = sqlite3.connect(urlsplit(store).path.removeprefix("/"))
    connection.execute("PRAGMA synchronous = OFF")

    async def insert(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        places = ", ".join("?" * len(columns))
        connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})", rows)

    async def settle() -> None:
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    async def close() -> None:
        connection.close()

    return _Opened(insert, settle, close)


async def _postgres(store: str) -> _Opened:
    import asyncpg

    connection = await asyncpg.connect(store, timeout=60, command_timeout=600)

    async def insert(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        await connection.copy_records_to_table(table, columns=columns, records=rows)

    async def settle() -> None:
        await connection.execute("VACUUM ANALYZE")

    return _Opened(insert, settle, connection.close)


def report(found: Sequence[Taken], *, as_json: bool) -> int:
    """Print; 0 when every question is answered within the limit. The last columns are ratios: to GET /healthz, and
    to the same question at the first step."""
    steps = list(found[0].times)
    first, last = steps[0], steps[-1]
    floor = found[0].median_ms(last)
    late = [item.name for item in found if item.median_ms(last) > LIMIT_MS and item.name not in _MAY_TAKE_LONGER]
    if as_json:
        print(orjson.dumps([_as_json(item) for item in found], option=orjson.OPT_INDENT_2).decode())
        return 1 if late else 0
    print("\nmedian and p95 in ms, by messages in the store")
    print(f"{'':<36}" + "".join(f"{step:>18,}" for step in steps) + f"{'x healthz':>11}{'growth':>8}")
    for item in found:
        cells = "".join(f"{item.median_ms(step):>10.1f}{item.p95_ms(step):>8.1f}" for step in steps)
        growth = item.median_ms(last) / item.median_ms(first)
        mark = "  LATE" if item.name in late else ""
        print(f"{item.name:<36}{cells}{item.median_ms(last) / floor:>11.0f}{growth:>8.2f}{mark}")
    print(f"limit {LIMIT_MS:.0f} ms: {'SHORT' if late else 'pass'}; without {' and '.join(_MAY_TAKE_LONGER)}")
    return 1 if late else 0


def _as_json(item: Taken) -> Mapping[str, Any]:
    by_step = {
        str(step): {"p50_ms": round(item.median_ms(step), 2), "p95_ms": round(item.p95_ms(step), 2)}
        for step in item.times
    }
    return {"name": item.name, "messages": by_step}
