"""SQLite through aiosqlite: WAL, synchronous=FULL, one writer, readers beside it."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiosqlite
import orjson

from bot.criteria import searchable
from bot.store.contract import Conflict, Row, StoreError, Topic, Unavailable, Work
from bot.store.queries import Queries

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 10000",
    "PRAGMA temp_store = MEMORY",
)
_READERS = 2
# Pages that a connection keeps in memory. All of it fills up under load: the operating system caches the file too.
_WRITER_CACHE_KIB, _READER_CACHE_KIB = 16_000, 4_000
CACHED_STATEMENTS = 256


class LocalTransaction:
    """What a transaction of SQLite is, wherever its statements run: its one writer is every lock."""

    def __init__(self, queries: Queries) -> None:
        self._queries = queries
        self.woken: set[Topic] = set()
        self.changed: set[str] = set()

    async def rows(self, query: str, **parameters: Any) -> Sequence[Row]:
        """See contract."""
        raise NotImplementedError

    async def _many(self, text: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Run a statement for each row, its values bound."""
        raise NotImplementedError

    async def row(self, query: str, **parameters: Any) -> Row | None:
        """See contract."""
        return next(iter(await self.rows(query, **parameters)), None)

    async def each(self, query: str, rows: Sequence[Mapping[str, Any]], **parameters: Any) -> Sequence[Row]:
        """See contract."""
        if not rows:
            return []
        text = self._queries.for_each_row(query)
        if text is not None:
            await self._many(text, [{**row, **parameters} for row in rows] if parameters else rows)
            return []
        return await self.rows(query, rows=orjson.dumps(rows).decode(), **parameters)

    async def lock_phones(self, phones: Sequence[str]) -> None:
        """See contract. The one writer is the lock."""

    async def lock_contacts(self, contacts: Sequence[str]) -> None:
        """See contract. The one writer is the lock."""

    async def try_lock(self, work: Work) -> bool:
        """See contract. The one writer is the lock."""
        return True

    async def lock_names(self, names: Sequence[str]) -> None:
        """See contract. The one writer is the lock."""

    async def wake(self, topic: Topic) -> None:
        """See contract."""
        self.woken.add(topic)

    def conversations_changed(self, conversations: Iterable[str]) -> None:
        """See contract."""
        self.changed.update(conversations)


class SQLiteTransaction(LocalTransaction):
    """See contract.Transaction. Every statement is one hop to the connection's thread."""

    def __init__(self, connection: aiosqlite.Connection, queries: Queries) -> None:
        super().__init__(queries)
        self._connection = connection

    async def rows(self, query: str, **parameters: Any) -> Sequence[Row]:
        """See contract."""
        text, _ = self._queries.asked(query, parameters)
        found = await self._connection.execute_fetchall(text, parameters)
        return cast("Sequence[Row]", found)

    async def _many(self, text: str, rows: Sequence[Mapping[str, Any]]) -> None:
        cursor = await self._connection.executemany(text, rows)
        await cursor.close()


class SQLiteStore:
    """See contract.Store. One server per file, says a lock file; `exclusive=False` is for commands beside it."""

    shared = False

    def __init__(self, path: Path, *, exclusive: bool = True) -> None:
        self.path = path
        self._exclusive = exclusive
        self._queries = Queries("sqlite")
        self._write_lock = asyncio.Lock()
        self._free_readers: asyncio.Queue[aiosqlite.Connection] = asyncio.Queue()
        self._connections: list[aiosqlite.Connection] = []
        self._callbacks: dict[Topic, list[Callable[[], None]]] = defaultdict(list)
        self._watchers: list[Callable[[frozenset[str]], None]] = []
        self._lock_file: int | None = None

    async def open(self) -> None:
        """Open the file, made if missing. Raises Unavailable when it cannot be, or when another server has it."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._exclusive:
                self._lock()
        except BlockingIOError as error:
            raise Unavailable(f"another textwright server has {self.path.name} open") from error
        except OSError as error:
            raise Unavailable(f"cannot open {self.path}: {error.strerror}") from error
        try:
            self._writer = await self._connect(_WRITER_CACHE_KIB)
            for _ in range(_READERS):
                self._free_readers.put_nowait(await self._connect(_READER_CACHE_KIB))
        except sqlite3.Error as error:
            await self.close()
            raise Unavailable(f"cannot open {self.path}: {error}") from error

    def _lock(self) -> None:
        self._lock_file = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    async def _connect(self, cache_kib: int) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(self.path, isolation_level=None, cached_statements=CACHED_STATEMENTS)
        self._connections.append(connection)
        connection.row_factory = sqlite3.Row
        await connection.create_function("SEARCHABLE", 1, searchable, deterministic=True)
        for pragma in (*_PRAGMAS, f"PRAGMA cache_size = -{cache_kib}"):
            await connection.execute_fetchall(pragma)
        return connection

    async def close(self) -> None:
        """See contract."""
        for connection in self._connections:
            await connection.close()
        self._connections.clear()
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SQLiteTransaction]:
        """See contract."""
        async with self._write_lock:
            transaction = SQLiteTransaction(self._writer, self._queries)
            async with _ended(self._writer, "BEGIN IMMEDIATE"):
                yield transaction
        for topic in transaction.woken:
            for callback in self._callbacks[topic]:
                callback()
        if transaction.changed:
            for watcher in self._watchers:
                watcher(frozenset(transaction.changed))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[SQLiteTransaction]:
        """See contract."""
        connection = await self._free_readers.get()
        try:
            async with _ended(connection, "BEGIN"):
                yield SQLiteTransaction(connection, self._queries)
        finally:
            self._free_readers.put_nowait(connection)

    def on_wake(self, topic: Topic, callback: Callable[[], None]) -> None:
        """See contract."""
        self._callbacks[topic].append(callback)

    def on_change(self, callback: Callable[[frozenset[str]], None]) -> None:
        """See contract."""
        self._watchers.append(callback)

    async def script(self, text: str) -> None:
        """Run the statements of a migration, in the transaction that is open."""
        for statement in statements(text):
            await self._writer.execute_fetchall(statement)

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[SQLiteTransaction]:
        """A transaction that no other server migrates beside."""
        async with self.transaction() as transaction:
            yield transaction


@asynccontextmanager
async def _ended(connection: aiosqlite.Connection, begin: str) -> AsyncIterator[None]:
    """BEGIN, and COMMIT or, on any exception, ROLLBACK; a cancellation waits until each of them has ended."""
    try:
        await _to_the_end(connection.execute_fetchall(begin))
        yield
        await _to_the_end(connection.execute_fetchall("COMMIT"))
    except BaseException as error:
        if connection.in_transaction:
            await _to_the_end(connection.execute_fetchall("ROLLBACK"))
        if isinstance(error, sqlite3.Error):
            raise _translated(error) from error
        raise


async def _to_the_end(statement: Coroutine[Any, Any, object]) -> None:
    """Run a statement. A cancellation is raised after its end, when it is known whether a transaction is open."""
    task = asyncio.ensure_future(statement)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None and task.exception() is None:
        raise cancelled
    task.result()


def _translated(error: sqlite3.Error) -> StoreError:
    if isinstance(error, sqlite3.OperationalError):
        busy = error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
        return Conflict(str(error)) if busy else Unavailable(str(error))
    return StoreError(str(error))


def statements(script: str) -> list[str]:
    """The statements of a script: SQLite itself says where one is complete."""
    found: list[str] = []
    current = ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            found.append(current)
            current = ""
    return found
