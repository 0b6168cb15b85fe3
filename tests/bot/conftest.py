"""What the tests of the service share: servers that a whole module uses, each test with phones of its own."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.config import Config, load_config
from bot.store.open import open_store
from bot.tokens import create_token
from bot.versions import load_rules
from rules.book import RuleBook
from rules.problems import Problems
from tests.server import Api, Customer, Server

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMhIQ=="
NOBODY = {"url": "http://127.0.0.1:9/", "secret": SECRET, "allow_private": True}
"""A route whose receiver is not there: what staff are told stays queued, to be counted."""


@dataclass(frozen=True)
class Shop:
    """A running server and an admin's token for it."""

    server: Server
    token: str

    def staff(self, client: aiohttp.ClientSession) -> Api:
        return Api(self.server, client, self.token)


def in_a_loop_of_its_own(work: Coroutine[Any, Any, Any]) -> Any:
    """Run `work` where no test's event loop notices."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


@pytest.fixture(scope="module")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Shop]]:
    """Start servers for a whole module: `open_shop(rules=..., section={...})`."""
    with ExitStack() as stack:

        def start(store_url: str = "sqlite:///test.db", **options: Any) -> Shop:
            server = Server(tmp_path_factory.mktemp("shop"), store_url, **options)
            in_a_loop_of_its_own(server.start())
            stack.callback(lambda: in_a_loop_of_its_own(server.__aexit__()))
            return Shop(server, in_a_loop_of_its_own(new_token(server, store_url)))

        yield start


async def new_token(server: Server, store_url: str) -> str:
    """An admin's token, without the second that a command takes to start."""
    async with open_store(store_url, server.folder, exclusive=False) as store:
        token = await create_token(store, "tests", "admin")
    assert token is not None
    return token


@pytest.fixture(scope="session")
def numbers() -> Iterator[str]:
    """Phone numbers that nobody else has."""
    return (f"+1202666{number:04d}" for number in itertools.count(1000))


@pytest.fixture
def customer_of(client: aiohttp.ClientSession, numbers: Iterator[str]) -> Callable[..., Customer]:
    """A new customer of a shop: `customer_of(shop)`."""
    return lambda shop, channel="sim": Customer(shop.server, client, next(numbers), channel)


def configured(folder: Path, store_url: str = "sqlite:///test.db", **options: Any) -> tuple[Config, RuleBook]:
    """The configuration and rules of a server that a test runs in its own process."""
    problems = Problems()
    config = load_config(Server(folder, store_url, **options).config, problems)
    book = load_rules(config, problems)
    assert book is not None, problems.sorted()
    return config, book


async def until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """Wait until a condition, which may be a coroutine's, is true."""
    async with asyncio.timeout(seconds):
        while True:
            found = condition()
            if await found if inspect.isawaitable(found) else found:
                return
            await asyncio.sleep(0.02)


async def settled(staff: Api, seconds: float = 20.0, **query: str) -> list[dict[str, Any]]:
    """All outbound messages of a query, oldest first, once none is on its way any more."""
    async with asyncio.timeout(seconds):
        while True:
            found = await everything(staff, "/messages", direction="outbound", **query)
            if not any(message["state"] in ("queued", "sending") for message in found):
                return found[::-1]
            await asyncio.sleep(0.05)


async def ids(staff: Api, **query: str) -> set[str]:
    """The ids of all messages of a query."""
    return {message["id"] for message in await everything(staff, "/messages", **query)}


async def everything(staff: Api, path: str, **query: str) -> list[dict[str, Any]]:
    """All items of all pages."""
    items: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        page = await staff.get(path, limit="500", **query, **cursor)
        items += page["items"]
        if page["next"] is None:
            return items
        cursor = {"cursor": page["next"]}
