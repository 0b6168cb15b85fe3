"""What a store is, whichever engine stands behind it.

StoreError
├── Conflict        another transaction was in the way; the same work may be tried again
├── Unavailable     the database cannot be reached or written to
└── SchemaError     the schema is newer than this server, or a migration was changed
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

Row = Mapping[str, Any]
Topic = Literal["outbox", "notifications", "due"]


class StoreError(Exception):
    """Anything that the store reports."""


class Conflict(StoreError):
    """Another transaction was in the way; the same work may be tried again."""


class Unavailable(StoreError):
    """The database cannot be reached or written to."""


class SchemaError(StoreError):
    """The schema is newer than this server, or an applied migration was changed since."""


class Transaction(Protocol):
    """An open transaction. It ends with its `async with`: commit, or rollback on any exception."""

    async def rows(self, query: str, **parameters: Any) -> Sequence[Row]:
        """Run a named query (store/sql/) and return its rows."""

    async def row(self, query: str, **parameters: Any) -> Row | None:
        """Run a named query and return its first row."""

    async def each(self, query: str, rows: Sequence[Mapping[str, Any]], **parameters: Any) -> Sequence[Row]:
        """Run a named query once for all `rows` (its parameter `rows`, as JSON); nothing runs for no rows."""

    async def lock_phones(self, phones: Sequence[str]) -> None:
        """Until the end of the transaction, nobody else decides about these phones or whose they are, on any node."""

    async def lock_contacts(self, contacts: Sequence[str]) -> None:
        """The same for contacts, after their phones: a person may have two that text at the same time."""

    async def try_lock_due(self) -> bool:
        """Whether this node, and no other at the same time, may deal with what is due."""

    async def lock_receipts(self, messages: Sequence[str]) -> None:
        """Until the end of the transaction, nobody else settles these messages or keeps receipts for them.

        A receipt may overtake the answer to its own send: without the lock neither would see the other.
        """

    async def wake(self, topic: Topic) -> None:
        """When the transaction has committed, wake the workers of that topic, on every node."""


class Store(Protocol):
    """An open store."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that writes."""

    def snapshot(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that only reads, and sees one moment."""

    def on_wake(self, topic: Topic, callback: Callable[[], None]) -> None:
        """Call back when somebody wakes the topic."""

    async def close(self) -> None:
        """Close all connections."""

    @property
    def shared(self) -> bool:
        """Whether other nodes may use this store at the same time."""
