"""An office: a server whose Twilio rents out numbers, its users with their cells, and people to text."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.store.open import open_store
from bot.tokens import ROLES, create_token
from tests.bot.conftest import NOBODY
from tests.bot.load import table
from tests.numbers.renting import PUBLIC, SETTINGS, Rental, webhook
from tests.server import Api, Server
from tests.web.browser import PASSWORD, Caller, session_of
from tests.web.site import Site, eventually, make_contact

_CELLS = itertools.count(100)
_PHONES = itertools.count(1000)


def cell(code: str = "415") -> str:
    """A cell that nobody else has."""
    return f"+1{code}5550{next(_CELLS)}"


@dataclass(frozen=True)
class Office:
    """A running server. `twilio` keeps its numbers when the server dies."""

    server: Server
    twilio: Rental
    client: aiohttp.ClientSession
    site: Site
    store_url: str

    @property
    def admin(self) -> Api:
        """Who may everything."""
        return self.site.api(self.client)

    async def user(self, name: str = "ana", code: str = "415", **more: Any) -> Caller:
        """A user of the console with a cell, signed in."""
        given = {"name": name, "password": PASSWORD, "role": "staff"} | ({"cell": cell(code)} if code else {})
        status, made = await self.admin.call("POST", "/users", given | more)
        assert status == 201, made
        async with self.store() as store:
            return Caller(self.site, self.client, await session_of(store, name), name)

    def store(self) -> Any:
        """Its store."""
        return open_store(self.store_url, self.server.folder, exclusive=False)

    async def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of its store."""
        async with self.store() as store:
            return await table(store, sql)

    async def of(self, name: str) -> dict[str, Any]:
        """A user, as the API shows them."""
        users = (await self.admin.get("/users"))["items"]
        return next(user for user in users if user["name"] == name)

    async def change(self, path: str, method: str = "PATCH", body: Any = None) -> int:
        """Change a thing that has an ETag; the status."""
        url = f"{self.server.url}/api/v1{path}"
        async with self.client.get(url, headers=self.admin.headers) as response:
            headers = {**self.admin.headers, "If-Match": response.headers["ETag"]}
        async with self.client.request(method, url, json=body, headers=headers) as response:
            return response.status

    async def somebody(self) -> str:
        """The phone of somebody who opted in."""
        phone = f"+1303555{next(_PHONES)}"
        await make_contact(self.admin, phone)
        return phone

    async def text(self, user: Caller, body: str = "Hello", phone: str | None = None) -> str:
        """A user texts somebody; the message's id."""
        to = phone or await self.somebody()
        answer = await user.ask("POST", "/messages", {"to": {"phone": to}, "body": body})
        assert answer.status == 202, answer.text
        assert answer.json["queued"] == 1, answer.text
        return str(answer.json["recipients"][0]["id"])

    async def message(self, id_: str) -> dict[str, Any]:
        """A message."""
        found: dict[str, Any] = await self.admin.get(f"/messages/{id_}")
        return found

    async def is_sent(self, id_: str, seconds: float = 15.0) -> dict[str, Any]:
        """A message, once the provider has it."""

        async def sent() -> dict[str, Any] | None:
            message = await self.message(id_)
            return message if message["state"] == "sent" else None

        return await eventually(sent, f"{id_} is sent", seconds)

    async def purchases(self) -> list[dict[str, Any]]:
        """All purchases, the newest first."""
        items: list[dict[str, Any]] = (await self.admin.get("/purchases"))["items"]
        return items

    async def purchase(self, *states: str, seconds: float = 15.0, error: str = "") -> dict[str, Any]:
        """The newest purchase, once it is in one of these states and its error has these words."""

        async def found() -> dict[str, Any] | None:
            items = await self.purchases()
            is_it = bool(items) and items[0]["state"] in states and error in (items[0]["error"] or "")
            return items[0] if is_it else None

        try:
            return await eventually(found, f"a purchase is {states}: {error}", seconds)
        except AssertionError as failure:
            raise AssertionError(f"{failure}: {await self.purchases()}") from failure

    async def told(self, event: str) -> list[dict[str, Any]]:
        """What staff were told of an event, the oldest first."""
        items = (await self.admin.get("/notifications", limit="500"))["items"]
        return [item for item in items if item["type"] == event][::-1]

    async def call_webhook(
        self, fields: Mapping[str, str], path: str = "/webhooks/twilio", **headers: str
    ) -> tuple[int, str]:
        """A signed request of Twilio's: (status, body)."""
        signed, body = webhook(fields, path)
        async with self.client.post(f"{self.server.url}{path}", data=body, headers=signed | headers) as response:
            return response.status, await response.text()


OpenOffice = Callable[..., Awaitable[Office]]


@pytest.fixture
async def rental() -> AsyncIterator[Rental]:
    """The provider."""
    async with Rental() as twilio:
        yield twilio


@pytest.fixture
async def open_office(tmp_path: Path, client: aiohttp.ClientSession, rental: Rental) -> AsyncIterator[OpenOffice]:
    """Start servers: `await open_office(numbers={"meanwhile": "wait"})`; several on one `store_url` are its nodes."""
    count = itertools.count(1)
    async with AsyncExitStack() as stack:

        async def start(store_url: str = "sqlite:///test.db", **sections: Any) -> Office:
            folder = tmp_path / f"office{next(count)}"
            folder.mkdir()
            numbers = {"automatic": True, **sections.pop("numbers", {})}
            base: dict[str, Any] = {
                "server": {"public_url": PUBLIC, **sections.pop("server", {})},
                "channels__twilio": {**SETTINGS, "api_base": rental.url, **sections.pop("twilio", {})},
                "pools__main": {"channels": ["twilio"]},
                "routes__desk": NOBODY,
                "outbox": {"retry_base_seconds": 0.1, "answer_seconds": 1.0, **sections.pop("outbox", {})},
                "numbers": numbers,
            }
            server = Server(folder, store_url, **base, **sections)
            await stack.enter_async_context(server)
            tokens = {}
            async with open_store(store_url, folder, exclusive=False) as store:
                for role in ROLES:
                    tokens[role] = await create_token(store, f"{role} {folder.name}", role)
            return Office(server, rental, client, Site(server, tokens), store_url)  # type: ignore[arg-type]

        yield start


async def nothing_more(seconds: float = 0.5) -> None:
    """A while in which more could happen."""
    await asyncio.sleep(seconds)
