"""A browser that is signed in, as the API sees it: a session's cookie, and the token that only our own pages know."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import orjson
from yarl import URL

from bot.clock import system_clock
from bot.store.contract import Store
from bot.store.open import open_store
from bot.tokens import Role
from bot.users import add_user, begin_session, hash_password
from bot.web.auth import COOKIE, CSRF_HEADER
from bot.web.endpoints import PREFIX
from tests.server import Api
from tests.web.site import Site

PASSWORD = "quiet-otter-42"
_HASHES: dict[str, str] = {}
_WAITING: dict[tuple[str, str], list[Caller]] = {}
_AT_ONCE = 30
_NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Answered:
    """The whole of an answer."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> Any:
        """What was answered."""
        return orjson.loads(self.text) if self.text else None


@dataclass(frozen=True)
class Caller:
    """Somebody who calls the API with headers of their own. `name` is what a user signs in with."""

    site: Site
    client: aiohttp.ClientSession
    headers: Mapping[str, str] = field(default_factory=dict)
    name: str = ""

    async def ask(
        self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None, **headers: str
    ) -> Answered:
        """Call below /api/v1; a header is written as `If_Match="*"`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else None
        async with self.client.request(
            method,
            URL(f"{self.site.server.url}{PREFIX}{path}").with_query(dict(query or {})),
            data=data,
            headers={**self.headers, **more},
            allow_redirects=False,
        ) as response:
            return Answered(response.status, response.headers, await response.text())

    async def etag(self, path: str) -> str:
        """The ETag of what is there now."""
        answer = await self.ask("GET", path)
        assert answer.status == 200, answer.text
        return answer.headers["ETag"]

    def without(self, name: str) -> Caller:
        """The same without a header."""
        return replace(self, headers={key: value for key, value in self.headers.items() if key != name})


def by_token(api: Api, site: Site) -> Caller:
    """The same caller, whose answers are seen whole."""
    return Caller(site, api.client, api.headers)


@asynccontextmanager
async def store_of(site: Site) -> AsyncIterator[Store]:
    """The store of a running server."""
    url = tomllib.loads(site.server.config.read_text(encoding="utf-8"))["store"]["url"]
    async with open_store(url, site.server.folder, exclusive=False) as store:
        yield store


async def new_user(store: Store, role: Role, name: str) -> None:
    """A user whose password is PASSWORD."""
    if PASSWORD not in _HASHES:
        _HASHES[PASSWORD] = await hash_password(PASSWORD)
    async with store.transaction() as transaction:
        made = await add_user(transaction, name, name.title(), role, _HASHES[PASSWORD], system_clock())
    assert made is not None, f"{name} is there already"


async def session_of(store: Store, name: str) -> Mapping[str, str]:
    """What a browser of a user sends along once it is signed in."""
    async with store.transaction() as transaction:
        user = await transaction.row("user_named", name=name)
        assert user is not None
        cookie, session = await begin_session(transaction, user, system_clock())
    return {"Cookie": f"{COOKIE}={cookie}", CSRF_HEADER: session.csrf}


async def signed_in(site: Site, client: aiohttp.ClientSession, role: Role) -> Caller:
    """A browser of a new user. They are made many at a time: to open a store takes a while."""
    waiting = _WAITING.setdefault((site.server.url, role), [])
    if not waiting:
        async with store_of(site) as store:
            for _ in range(_AT_ONCE):
                name = f"{role}.{next(_NUMBERS)}"
                await new_user(store, role, name)
                waiting.append(Caller(site, client, await session_of(store, name), name))
    return replace(waiting.pop(), client=client)
