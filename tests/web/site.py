"""Servers that a whole module shares: started and stopped outside of any test's event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp

from bot.store.open import open_store
from bot.tokens import ROLES, Role, create_token
from tests.bot.conftest import in_a_loop_of_its_own
from tests.server import Api, Customer, Server

Value = TypeVar("Value")


def in_own_loop(make: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
    """Run a coroutine in a thread of its own: a fixture may not touch the loop of the tests."""
    value: Value = in_a_loop_of_its_own(make())
    return value


@dataclass(frozen=True)
class Site:
    """A running server with a token of each role."""

    server: Server
    tokens: dict[Role, str]

    def api(self, client: aiohttp.ClientSession, role: Role = "admin") -> Api:
        """A caller of the API."""
        return Api(self.server, client, self.tokens[role])

    def customer(self, client: aiohttp.ClientSession, phone: str) -> Customer:
        """A customer's phone."""
        return Customer(self.server, client, phone)


@contextmanager
def running_site(folder: Path, store_url: str, **options: Any) -> Iterator[Site]:
    """A server, started, with tokens named after their roles."""
    server = Server(folder, store_url, **options)

    async def tokens() -> dict[Role, str]:
        made = {}
        async with open_store(store_url, folder, exclusive=False) as store:
            for role in ROLES:
                made[role] = await create_token(store, f"the {role}", role)
        assert all(made.values())
        return made  # type: ignore[return-value]

    in_own_loop(server.start)
    try:
        yield Site(server, in_own_loop(tokens))
    finally:
        if server.process is not None:
            in_own_loop(server.stop)


class Phones:
    """Numbers that no other test uses, of the ranges kept for examples."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self) -> str:
        self._next += 1
        return f"+1{301 + self._next // 100}55501{self._next % 100:02d}"


async def eventually(condition: Callable[[], Awaitable[Value]], what: str, seconds: float = 10.0) -> Value:
    """The first true value of an async function; fails when there is none in the end."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not (value := await condition()):
        assert asyncio.get_running_loop().time() < deadline, f"never: {what}"
        await asyncio.sleep(0.03)
    return value


async def make_contact(api: Api, phone: str, **more: Any) -> dict[str, Any]:
    """A contact who opted in, unless `more` says otherwise."""
    body = {"name": "Ana", "phones": [{"number": phone}], "opted_in": True, "evidence": "paper form, 1 May"} | more
    status, contact = await api.call("POST", "/contacts", body)
    assert status == 201, contact
    made: dict[str, Any] = contact
    return made
