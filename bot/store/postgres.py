"""PostgreSQL through asyncpg: any number of nodes share it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import orjson

from bot.store.contract import EVERYTHING, Conflict, Row, StoreError, Topic, Unavailable, Work
from bot.store.queries import Queries

_POOL_SIZE = 8
_COMMAND_SECONDS = 30.0
_CHANNEL = "textwright"
_MIGRATION_LOCK = 7382954120
_RELISTEN_SECONDS = 2.0
# PostgreSQL has room for some 6,000 locks of all nodes together (max_locks_per_transaction). A transaction about
# very many phones takes the one lock of all phones, which a transaction about few of them holds shared.
_ALL_NAMES_LOCK = 7382954130
_MANY_NAMES = 500
# Sorted, so that two nodes which lock the same names wait for each other instead of for ever.
_LOCK_NAMES = """
    SELECT pg_advisory_xact_lock(hashtextextended(name, $2))
    FROM (SELECT DISTINCT unnest($1::text[]) AS name ORDER BY 1) AS sorted
"""
_PHONES, _NAMES, _CONTACTS = 0, 1, 2
_CONTACTS_OF_PHONES = "SELECT DISTINCT contact_id FROM phones WHERE number = ANY($1::text[])"
_WORK_LOCKS: dict[Work, int] = {"due": 7382954140, "broadcasts": 7382954141}
_NOTIFY = "SELECT pg_notify($1, notice) FROM unnest($2::text[]) AS notice"
_CHANGED = "changed:"
# A notice has room for 8,000 bytes.
_MOST_IN_NOTICE = 200


class PostgresTransaction:
    """See contract.Transaction."""

    def __init__(self, connection: asyncpg.Connection, queries: Queries) -> None:
        self._connection = connection
        self._queries = queries
        self._notices: list[str] = []
        self._changed: set[str] = set()

    async def rows(self, query: str, **parameters: Any) -> Sequence[Row]:
        """See contract."""
        text, values = self._queries.asked(query, parameters)
        return cast("Sequence[Row]", await self._connection.fetch(text, *values))

    async def row(self, query: str, **parameters: Any) -> Row | None:
        """See contract."""
        return next(iter(await self.rows(query, **parameters)), None)

    async def each(self, query: str, rows: Sequence[Mapping[str, Any]], **parameters: Any) -> Sequence[Row]:
        """See contract."""
        if not rows:
            return []
        return await self.rows(query, rows=orjson.dumps(rows).decode(), **parameters)

    async def lock_phones(self, phones: Sequence[str]) -> None:
        """See contract."""
        await self._lock(phones, _PHONES)
        rows = await self._connection.fetch(_CONTACTS_OF_PHONES, list(phones))
        await self._lock([row["contact_id"] for row in rows], _CONTACTS)

    async def lock_contacts(self, contacts: Sequence[str]) -> None:
        """See contract."""
        await self._lock(contacts, _CONTACTS)

    async def try_lock(self, work: Work) -> bool:
        """See contract."""
        return bool(await self._connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", _WORK_LOCKS[work]))

    async def lock_names(self, names: Sequence[str]) -> None:
        """See contract."""
        await self._lock(names, _NAMES)

    async def _lock(self, names: Sequence[str], kind: int) -> None:
        if len(names) > _MANY_NAMES:
            await self._connection.fetch("SELECT pg_advisory_xact_lock($1)", _ALL_NAMES_LOCK + kind)
        else:
            await self._connection.fetch("SELECT pg_advisory_xact_lock_shared($1)", _ALL_NAMES_LOCK + kind)
            await self._connection.fetch(_LOCK_NAMES, list(names), kind)

    async def wake(self, topic: Topic) -> None:
        """See contract. PostgreSQL delivers the notices when the transaction commits."""
        self._notices.append(topic)

    def conversations_changed(self, conversations: Iterable[str]) -> None:
        """See contract."""
        self._changed.update(conversations)

    async def send_notices(self) -> None:
        """Before the commit, all notices in one statement."""
        if self._changed:
            some = len(self._changed) <= _MOST_IN_NOTICE
            self._notices.append(_CHANGED + ",".join(self._changed if some else [EVERYTHING]))
        if self._notices:
            await self._connection.fetch(_NOTIFY, _CHANNEL, list(dict.fromkeys(self._notices)))


class PostgresStore:
    """See contract.Store."""

    shared = True

    def __init__(self, url: str) -> None:
        self._url = url
        self._queries = Queries("postgres")
        self._callbacks: dict[Topic, list[Callable[[], None]]] = defaultdict(list)
        self._watchers: list[Callable[[frozenset[str]], None]] = []
        self._pool: asyncpg.Pool | None = None
        self._listener: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Connect. Raises Unavailable when that is not possible."""
        try:
            self._pool = await asyncpg.create_pool(
                self._url, min_size=1, max_size=_POOL_SIZE, command_timeout=_COMMAND_SECONDS
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise Unavailable(f"cannot connect to PostgreSQL: {type(error).__name__}") from error
        self._listener = asyncio.create_task(self._listen(), name="postgres-listen")

    async def close(self) -> None:
        """See contract."""
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        if self._pool is not None:
            await self._pool.close()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[PostgresTransaction]:
        """See contract."""
        async with self._begun(readonly=False) as transaction:
            yield transaction

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[PostgresTransaction]:
        """See contract."""
        async with self._begun(readonly=True) as transaction:
            yield transaction

    @asynccontextmanager
    async def _begun(self, *, readonly: bool) -> AsyncIterator[PostgresTransaction]:
        assert self._pool is not None
        try:
            async with self._pool.acquire() as connection:
                isolation = "repeatable_read" if readonly else "read_committed"
                async with connection.transaction(isolation=isolation, readonly=readonly):
                    transaction = PostgresTransaction(connection, self._queries)
                    yield transaction
                    await transaction.send_notices()
        except (asyncpg.DeadlockDetectedError, asyncpg.SerializationError, asyncpg.LockNotAvailableError) as error:
            raise Conflict(str(error)) from error
        except (OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as error:
            raise Unavailable(type(error).__name__) from error
        except asyncpg.PostgresError as error:
            # Its own words may quote the row, and so a text or a number; they must not reach a log.
            raise StoreError(f"{type(error).__name__} ({error.sqlstate})") from None

    def on_wake(self, topic: Topic, callback: Callable[[], None]) -> None:
        """See contract."""
        self._callbacks[topic].append(callback)

    def on_change(self, callback: Callable[[frozenset[str]], None]) -> None:
        """See contract."""
        self._watchers.append(callback)

    async def script(self, text: str) -> None:
        """Run the statements of a migration, in the transaction that is open."""
        await self._migrating.execute(text)

    @asynccontextmanager
    async def migrating(self) -> AsyncIterator[PostgresTransaction]:
        """A transaction that no other server migrates beside."""
        assert self._pool is not None
        async with self._pool.acquire() as connection, connection.transaction():
            await connection.execute(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            self._migrating = connection
            yield PostgresTransaction(connection, self._queries)

    async def _listen(self) -> None:
        """Hear the other nodes; after a lost connection, wake everybody once and listen anew."""
        while True:
            try:
                connection = await asyncpg.connect(self._url)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(_RELISTEN_SECONDS)
                continue
            lost = asyncio.Event()
            try:
                connection.add_termination_listener(lambda _connection, lost=lost: lost.set())
                await connection.add_listener(_CHANNEL, self._heard)
                for notice in (*self._callbacks, _CHANGED + EVERYTHING):
                    self._heard(None, 0, _CHANNEL, notice)
                await lost.wait()
            finally:
                await connection.close(timeout=1)

    def _heard(self, _connection: object, _pid: int, _channel: str, notice: str) -> None:
        if notice.startswith(_CHANGED):
            changed = frozenset(notice.removeprefix(_CHANGED).split(","))
            for watcher in self._watchers:
                watcher(changed)
        for callback in self._callbacks.get(cast("Topic", notice), ()):
            callback()
