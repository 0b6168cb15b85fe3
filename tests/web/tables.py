"""What really stands in the tables of a running server."""

from __future__ import annotations

import sqlite3
import tomllib
from contextlib import closing
from typing import Any

from tests.web.site import Site


async def rows_of(site: Site, table: str) -> list[dict[str, Any]]:
    """All rows of a table."""
    return await execute(site, f"SELECT * FROM {table}")


async def execute(site: Site, statement: str) -> list[dict[str, Any]]:
    """The rows of a statement; for what no clock of ours can bring about in a process of its own."""
    url: str = tomllib.loads(site.server.config.read_text(encoding="utf-8"))["store"]["url"]
    if url.startswith("sqlite:///"):
        path = site.server.folder / url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=10)) as database, database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute(statement)]
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        return [dict(row) for row in await connection.fetch(statement)]
    finally:
        await connection.close()
