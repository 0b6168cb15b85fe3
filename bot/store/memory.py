"""SQLite in memory, for tests of rules and for trying things out: the real schema and the real SQL, and no file.

Nothing in it waits for a disk or for anybody else, so its statements run where they are called, without a thread.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

from bot.criteria import searchable
from bot.store.contract import Row, StoreError, Topic
from bot.store.migrate import migrate
from bot.store.queries import Queries
from bot.store.sqlite import CACHED_STATEMENTS, LocalTransaction, statements


class MemoryTransaction(LocalTransaction):
    """See contract.Transaction."""

    def __init__(self, connection: sqlite3.Connection, queries: Queries) -> None:
        super().__init__(queries)
        self._connection = connection

    async def rows(self, query: str, **parameters: Any) -> Sequence[Row]:
        """See contract."""
        text, _ = self._queries.asked(query, parameters)
        return cast("Sequence[Row]", self._connection.execute(text, parameters).fetchall())

    async def _many(self, text: str, rows: Sequence[Mapping[str, Any]]) -> None:
        self._connection.executemany(text, rows)


class MemoryStore:
    """See contract.Store."""

    shared = False

    def __init__(self, *, spills: bool = False) -> None:
        self._queries = Queries("sqlite")
        self._callbacks: dict[Topic, list[Callable[[], None]]] = defaultdict(list)
        self._connection = sqlite3.connect(
            "" if spills else ":memory:", isolation_level=None, cached_statements=CACHED_STATEMENTS
        )
        self._connection.row_factory = sqlite3.Row
        self._connection.create_function("SEARCHABLE", 1, searchable, deterministic=True)
        self._connection.execute("PRAGMA foreign_keys = ON")

    @classmethod
    async def opened(cls, *, spills: bool = False) -> MemoryStore:
        """An empty one with the schema in place. One that `spills` keeps what is too much for the memory in a nameless
        file, which is gone with the process."""
        store = cls(spills=spills)
        await migrate(store)
        return store

    async def close(self) -> None:
        """See contract."""
        self._connection.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[MemoryTransaction]:
        """See contract."""
        transaction = MemoryTransaction(self._connection, self._queries)
        self._connection.execute("BEGIN")
        try:
            yield transaction
            self._connection.execute("COMMIT")
        except BaseException as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise StoreError(str(error)) from error
            raise
        for topic in transaction.woken:
            for callback in self._callbacks[topic]:
                callback()

    snapshot = transaction

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[MemoryTransaction]:
        """See migrate."""
        async with self.transaction() as transaction:
            yield transaction

    def on_wake(self, topic: Topic, callback: Callable[[], None]) -> None:
        """See contract."""
        self._callbacks[topic].append(callback)

    def on_change(self, callback: Callable[[frozenset[str]], None]) -> None:
        """See contract. Nobody looks at a store that is only for trying things out."""

    async def script(self, text: str) -> None:
        """Run the statements of a migration, in the transaction that is open."""
        for statement in statements(text):
            self._connection.execute(statement)

    def forget_everything(self, *, but: Sequence[str] = ()) -> None:
        """Empty every table, those named in `but` aside."""
        self._connection.execute("PRAGMA foreign_keys = OFF")
        names = self._connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
        )
        for (name,) in names.fetchall():
            if name not in (*but, "schema_migrations", "settings"):
                self._connection.execute(f"DELETE FROM {name}")
        self._connection.execute("PRAGMA foreign_keys = ON")
