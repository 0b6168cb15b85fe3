"""Numbered migrations, applied once, in order, under a lock, each with its checksum."""

from __future__ import annotations

import hashlib
import re
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from importlib import resources
from typing import Protocol

from bot.store.contract import SchemaError, Transaction

_TABLE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    checksum TEXT NOT NULL,
    applied_at INTEGER NOT NULL
) STRICT;
"""
# As nearly as PostgreSQL can what bot.criteria.searchable does; that itself is SQLite's function of this name.
_SEARCHABLE = r"LOWER(REGEXP_REPLACE(NORMALIZE(name, NFKD), '[\u0300-\u036f]', '', 'g'))"


class Migrating(Protocol):
    """A store that can be migrated."""

    @property
    def shared(self) -> bool:
        """Whether it is PostgreSQL."""

    def migrating(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that no other server migrates beside."""

    async def script(self, text: str) -> None:
        """Run statements in that transaction."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One migration file: NNNN_name.sql."""

    version: int
    name: str
    text: str

    @property
    def checksum(self) -> str:
        """Of the file's text: an applied migration must never change."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]


def migrations() -> list[Migration]:
    """All migrations of this server, in order."""
    found = []
    for file in resources.files("bot.store").joinpath("migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", file.name)
        if match:
            found.append(Migration(int(match[1]), match[2], file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda migration: migration.version)


async def migrate(store: Migrating) -> list[Migration]:
    """Bring the schema up to date and return what was applied.

    Raises SchemaError when the schema is newer than this server, or an applied migration differs from ours.
    """
    known = {migration.version: migration for migration in migrations()}
    async with store.migrating() as transaction:
        await store.script(for_engine(_TABLE, store))
        applied = {row["version"]: row for row in await transaction.rows("applied_migrations")}
        for version, row in applied.items():
            if version not in known:
                raise SchemaError(f"the store has migration {version} ({row['name']}): it is newer than this server")
            if row["checksum"] != known[version].checksum:
                raise SchemaError(f"migration {version} ({row['name']}) was changed after it had been applied")
        pending = [migration for version, migration in sorted(known.items()) if version not in applied]
        for migration in pending:
            await store.script(for_engine(migration.text, store))
            await transaction.rows(
                "record_migration",
                version=migration.version,
                name=migration.name,
                checksum=migration.checksum,
                now=time.time_ns() // 1000,
            )
    return pending


def for_engine(text: str, store: Migrating) -> str:
    """The migration's text as the engine writes its types."""
    if not store.shared:
        return text.replace("SERIAL_KEY", "INTEGER PRIMARY KEY AUTOINCREMENT")
    text = text.replace("SEARCHABLE(name)", _SEARCHABLE)
    text = text.replace("SERIAL_KEY", "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY")
    return re.sub(r"\bINTEGER\b", "BIGINT", text).replace(") STRICT;", ");")
