"""Files of contacts for tests: how they are imported, and what the store holds then."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

RULES = """version: 1
name: shop
lists: {club: marketing, vip: service}
fields: {favourite: text, visits: integer}
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}
"""
MESSAGE = (
    "INSERT INTO messages (id, direction, state, channel, number, phone, conversation_id, body, media, parts, sent_by,"
    " sent_by_name, exempt_until, priority, due_at, lease_until, attempts, error, created_at, updated_at)"
    " VALUES (?, ?, ?, 'sim', '+12025550100', ?, 'c', ?, '[]', 1, ?, ?, 0, 0, 0, 0, 0, ?, ?, 0)"
)


def texted(shop: Path, *messages: tuple[str, str, str], body: str = "Hello") -> None:
    """Put messages into the store: (direction, phone, error), or "queued" for the error of one that waits."""
    with sqlite3.connect(shop / "textwright.db") as store:
        store.executemany(
            MESSAGE,
            [
                (
                    f"m{n}", way, "queued" if error == "queued" else "failed" if error else "sent", phone, body,
                    "rule", "hours", error if error != "queued" and error else None, n * 10**6,
                )
                for n, (way, phone, error) in enumerate(messages)
            ],
        )  # fmt: skip


def importer(shop: Path, textwright: Callable[..., Any], name: str = "people.csv") -> Callable[..., Any]:
    """`importer(...)(text, "--dry-run")` writes the text (or bytes) into a file of that name and imports it."""
    (shop / "rules.yaml").write_text(RULES)

    def run(text: str | bytes, *arguments: str) -> Any:
        (shop / name).write_bytes(text.encode() if isinstance(text, str) else text)
        return textwright("contacts", "import", name, *arguments)

    return run


def stored(shop: Path, sql: str) -> list[Any]:
    """What the store answers."""
    with sqlite3.connect(shop / "textwright.db") as store:
        return store.execute(sql).fetchall()


def everything(shop: Path) -> dict[str, list[Any]]:
    """Every row of every table, but for the audit log: that has each run."""
    tables = stored(shop, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    return {table: stored(shop, f"SELECT * FROM {table} ORDER BY 1, 2") for (table,) in tables if table != "audit"}


def digest(shop: Path) -> str:
    """A hash of the same, of a store that is too large to be compared in memory."""
    found = hashlib.sha256()
    with sqlite3.connect(shop / "textwright.db") as store:
        for statement in store.iterdump():
            if not statement.startswith(('INSERT INTO "audit"', 'INSERT INTO "sqlite_sequence"')):
                found.update(statement.encode())
    return found.hexdigest()
