"""What a store is, whichever engine stands behind it.

StoreError
├── Conflict        another transaction was in the way; the same work may be tried again
├── Unavailable     the database cannot be reached or written to
└── SchemaError     the schema is newer than this server, or a migration was changed
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Protocol

Row = Mapping[str, Any]
Topic = Literal["outbox", "notifications", "due", "routes", "broadcasts", "imports", "outages", "numbers"]


EVERYTHING = "*"
"""In the place of a conversation: any may have changed."""


Work = Literal["due", "broadcasts"]


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

    async def try_lock(self, work: Work) -> bool:
        """Whether this node, and no other at the same time, may do that work."""

    async def lock_names(self, names: Sequence[str]) -> None:
        """Until the end of the transaction, nobody else works on what goes by these names.

        A receipt may overtake the answer to its own send, and two parts of one text may come to two nodes at once:
        without the lock neither would see the other.
        """

    async def wake(self, topic: Topic) -> None:
        """When the transaction has committed, wake the workers of that topic, on every node."""

    def conversations_changed(self, conversations: Iterable[str]) -> None:
        """When it has committed, tell whoever looks at these conversations (ids), on every node."""


class Store(Protocol):
    """An open store."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that writes."""

    def snapshot(self) -> AbstractAsyncContextManager[Transaction]:
        """A transaction that only reads, and sees one moment."""

    def on_wake(self, topic: Topic, callback: Callable[[], None]) -> None:
        """Call back when somebody wakes the topic."""

    def on_change(self, callback: Callable[[frozenset[str]], None]) -> None:
        """Call back with the conversations that have changed; EVERYTHING is among them where it is not known which."""

    async def close(self) -> None:
        """Close all connections."""

    @property
    def shared(self) -> bool:
        """Whether other nodes may use this store at the same time."""
