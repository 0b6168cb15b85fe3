"""A server for browser tests, with people who may sign in to its console."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

import aiohttp
from playwright.async_api import Page, StorageState
from playwright.async_api import TimeoutError as TookTooLong

from bot.tokens import Role
from tests.server import Api, Server

PASSWORD = "correct horse battery staple"
BUSINESS = "Corner Books <b>& Sons</b>"
SPARE_NUMBER = "+12025550199"
DESK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RULES = """
version: 1
name: shop
lists: {club: marketing, vip: service}
fields: {visit: date}
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: "We are open 9 to 5."}]}
  - {id: person, when: {keyword: person}, do: [{reply: "One moment."}, {handoff: {route: desk}}]}
  - {id: tell, when: {keyword: tell}, do: [{notify: {route: desk, note: "Look."}}]}
  - {id: join, when: {keyword: join}, do: [{add_to_list: club}, {reply: "Welcome to the club!"}]}
  - {id: begin, when: {keyword: begin}, do: [{start: drip}]}
workflows:
  drip: {list: club, enroll: {again: after_end}, steps: [{wait: 1d}, {id: hello, send: "Hello!"}, {end: done}]}
"""
# Loopback without allow_private: every notification is a dead letter at once.
SECTIONS: dict[str, dict[str, Any]] = {
    "business": {"name": BUSINESS},
    "routes__desk": {"url": "http://127.0.0.1:9/desk", "secret": {"env": "DESK_SECRET"}, "default": True},
    "routes__night": {"url": "http://127.0.0.1:9/night", "secret": {"env": "DESK_SECRET"}},
    "channels__spare": {"adapter": "simulator", "numbers": [SPARE_NUMBER]},
    # A provider that is not there, whose numbers carriers block.
    "channels__rented": {
        "adapter": "twilio",
        "numbers": ["+14155550100"],
        "account_sid": "AC" + "0" * 32,
        "auth_token": {"env": "DESK_SECRET"},
        "api_base": "http://127.0.0.1:9",
    },
}


@dataclass(frozen=True)
class User:
    """Somebody who may sign in."""

    name: str
    password: str


class Place(Protocol):
    """Where one can sign in; `sessions` keeps the cookies of each role."""

    @property
    def url(self) -> str: ...

    @property
    def sessions(self) -> dict[str, StorageState]: ...

    async def user(self, role: Role) -> User:
        """The user of a role."""
        ...


@dataclass
class Console:
    """A running server. Its users are made when first asked for."""

    server: Server
    sessions: dict[str, StorageState] = field(default_factory=dict)
    _users: dict[str, User] = field(default_factory=dict)
    _token: str = ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.server.url

    async def user(self, role: Role) -> User:
        """The user of a role: `anna-admin`, `anna-staff`, `anna-read`."""
        if role not in self._users:
            self._users[role] = await self.new_user(f"anna-{role}", role)
        return self._users[role]

    async def api(self, client: aiohttp.ClientSession) -> Api:
        """A caller of its API who may everything."""
        self._token = self._token or await asyncio.to_thread(self.server.token)
        return Api(self.server, client, self._token)

    async def new_user(self, name: str, role: Role, password: str = PASSWORD) -> User:
        """One more, by the command that people use."""
        command = ("user", "create", name, "--role", role, "--password-stdin")
        made = await asyncio.to_thread(self.server.command, *command, stdin=password + "\n")
        assert made.returncode == 0, f"textwright {' '.join(command)}: {made.stderr or made.stdout}"
        return User(name, password)


async def sign_in(page: Page, user: User, within: float = 5000) -> None:
    """Through the form, as people do. `within` is in milliseconds."""
    await page.goto("/login")
    await page.locator("input[name=name]").fill(user.name)
    await page.locator("input[name=password]").fill(user.password)
    form = page.locator("form:has(input[name=password])")
    await form.locator("button:not([type=button]), input[type=submit]").first.click()
    try:
        await page.wait_for_url(lambda url: urlsplit(url).path != "/login", timeout=within)
    except TookTooLong:
        text = await page.locator("body").inner_text()
        raise AssertionError(f"{user.name} could not sign in; the page says:\n{text}") from None
