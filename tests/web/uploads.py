"""Files of contacts for tests of imports over HTTP, and how they are handed in and out."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable
from typing import Any

from tests.server import Api
from tests.web.site import eventually

OPEN = ("waiting", "running")
HEADER = "name,phone,lists,tags,opted in,evidence\n"


def people(count: int, *, first: int = 0, area: int = 415) -> Iterable[str]:
    """The lines of a CSV file of so many people, each once."""
    yield HEADER
    for n in range(first, first + count):
        yield f"Ana Lee {n},+1{area + n // 10_000}555{n % 10_000:04d},,gold,yes,form {n}\n"


async def chunked(lines: Iterable[str], size: int = 500) -> AsyncIterator[bytes]:
    """Lines as the chunks of a request."""
    some: list[str] = []
    for line in lines:
        some.append(line)
        if len(some) == size:
            yield "".join(some).encode()
            some.clear()
    yield "".join(some).encode()


async def upload(api: Api, file: str | bytes | AsyncIterator[bytes], **query: str) -> tuple[int, Any]:
    """(status, JSON) of an upload."""
    url = f"{api.server.url}/api/v1/imports"
    data = file.encode() if isinstance(file, str) else file
    headers = api.headers | {"Content-Type": "text/csv"}
    async with api.client.post(url, data=data, params=query, headers=headers) as response:
        return response.status, await response.json(content_type=None)


async def ended(api: Api, id_: str, seconds: float = 60) -> dict[str, Any]:
    """The import, once it is over."""

    async def over() -> Any:
        found = await api.get(f"/imports/{id_}")
        return found if found["state"] not in OPEN else None

    found: dict[str, Any] = await eventually(over, f"the end of the import {id_}", seconds)
    return found


async def imported(api: Api, file: str | bytes | AsyncIterator[bytes], **query: str) -> dict[str, Any]:
    """Upload a file that is taken; how its import ended."""
    status, made = await upload(api, file, **query)
    assert status == 202, made
    return await ended(api, made["id"])


async def exported(api: Api, what: str, **query: str) -> list[dict[str, str]]:
    """The rows of an export."""
    url = f"{api.server.url}/api/v1/exports/{what}.csv"
    async with api.client.get(url, params=query, headers=api.headers) as response:
        text = (await response.read()).decode()
        assert response.status == 200, text
        assert (response.content_type, response.charset) == ("text/csv", "utf-8")
        assert response.headers["Content-Disposition"] == f'attachment; filename="{what}.csv"'
    return list(csv.DictReader(io.StringIO(text, newline="")))
