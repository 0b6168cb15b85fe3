"""A browser that opens pages of the console and sends its forms, without scripts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp

from bot.tokens import Role
from bot.web.auth import CSRF_FIELD, CSRF_HEADER
from tests.web.browser import Answered, Caller, signed_in
from tests.web.site import Site

Fields = Sequence[tuple[str, str]]


@dataclass
class Visitor:
    """Somebody at a browser. Signed in, `csrf` is what our pages' forms carry."""

    url: str
    client: aiohttp.ClientSession
    headers: Mapping[str, str] = field(default_factory=dict)
    csrf: str = ""

    async def open(self, path: str, **headers: str) -> Answered:
        """GET, following nothing."""
        return await self._ask("GET", path, None, headers)

    async def post(self, path: str, fields: Mapping[str, str] | Fields = (), **headers: str) -> Answered:
        """Send a form as it is. A header is written as `Sec_Fetch_Site="cross-site"`."""
        return await self._ask("POST", path, urlencode(list(_pairs(fields))).encode(), headers)

    async def do(self, operation: str, fields: Mapping[str, str] | Fields = (), **headers: str) -> Answered:
        """Send a form of an operation, as one of our pages has it."""
        return await self.post(f"/do/{operation}", [(CSRF_FIELD, self.csrf), *_pairs(fields)], **headers)

    async def _ask(self, method: str, path: str, data: bytes | None, headers: Mapping[str, str]) -> Answered:
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        if data is not None:
            more.setdefault("Content-Type", "application/x-www-form-urlencoded")
        async with self.client.request(
            method, self.url + path, data=data, headers={**self.headers, **more}, allow_redirects=False
        ) as response:
            return Answered(response.status, response.headers, await response.text())


def _pairs(fields: Mapping[str, str] | Fields) -> Fields:
    return list(fields.items()) if isinstance(fields, Mapping) else fields


async def visitor(site: Site, client: aiohttp.ClientSession, role: Role | None = None) -> Visitor:
    """Somebody of a role, signed in; or nobody in particular."""
    if role is None:
        return Visitor(site.server.url, client)
    return as_visitor(await signed_in(site, client, role))


def as_visitor(caller: Caller) -> Visitor:
    """The browser of a caller who is signed in."""
    cookie = {"Cookie": caller.headers["Cookie"]}
    return Visitor(caller.site.server.url, caller.client, cookie, caller.headers[CSRF_HEADER])


def as_fields(path: Mapping[str, str], body: Any, query: Mapping[str, str]) -> Fields:
    """A request of the API as a form says it."""
    places = [(f"path.{name}", value) for name, value in path.items()]
    places += [(f"query.{name}", value) for name, value in query.items()]
    return [*places, *_flat("", body or {})]


def _flat(place: str, value: Any) -> Fields:
    if isinstance(value, dict):
        return [pair for name, item in value.items() for pair in _flat(f"{place}.{name}" if place else name, item)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [pair for row, item in enumerate(value) for pair in _flat(f"{place}.{row}", item)]
    if isinstance(value, list):
        return [(f"{place}[]", str(item)) for item in value]
    return [(place, str(value).lower() if isinstance(value, bool) else str(value))]
