"""Open the store that a URL names."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from bot.store.contract import Unavailable
from bot.store.migrate import migrate
from bot.store.sqlite import SQLiteStore

if TYPE_CHECKING:
    from bot.store.postgres import PostgresStore


@asynccontextmanager
async def open_store(url: str, base: Path, *, exclusive: bool = True) -> AsyncIterator[SQLiteStore | PostgresStore]:
    """Open the store and bring its schema up to date.

    `url` is sqlite:///relative.db (to `base`), sqlite:////absolute.db or postgresql://... `exclusive=False` opens a
    SQLite file beside a server that has it. Raises StoreError.
    """
    store = _made(url, base, exclusive)
    await store.open()
    try:
        await migrate(store)
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def look_into(url: str, base: Path) -> AsyncIterator[SQLiteStore | PostgresStore | None]:
    """The store as it is, made no newer than it is; None where there is none yet. Raises StoreError."""
    store = _made(url, base, exclusive=False)
    if isinstance(store, SQLiteStore) and not store.path.exists():
        yield None
        return
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def _made(url: str, base: Path, exclusive: bool) -> SQLiteStore | PostgresStore:
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite":
        return SQLiteStore(base / rest.removeprefix("/"), exclusive=exclusive)
    # An extra: whoever stays with SQLite need not install the driver.
    try:
        from bot.store.postgres import PostgresStore
    except ImportError as error:
        raise Unavailable("PostgreSQL needs the driver: pip install 'textwright[postgres]'") from error
    return PostgresStore(url)
