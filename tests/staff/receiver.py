"""Where staff are told: an HTTP server on loopback that keeps what came and answers as each test says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import orjson
from aiohttp import web

from tests.web.site import eventually

Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(frozen=True)
class Told:
    """One delivery."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """The webhook-id."""
        return self.headers["webhook-id"]

    @property
    def json(self) -> dict[str, Any]:
        """The body."""
        value: dict[str, Any] = orjson.loads(self.body)
        return value

    @property
    def phone(self) -> str:
        """Whose conversation it is about."""
        phone: str = self.json["data"]["conversation"]["phone"]
        return phone


class Receiver:
    """Listens while its block lasts. `answer` gives the response to a delivery; by default an empty 204."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.told: list[Told] = []
        self.answer: Callable[[Told], Answer] = lambda told: (204, {}, b"")

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        told = Told(request.path, request.headers.copy(), await request.read())
        self.told.append(told)
        status, headers, body = self.answer(told)
        return web.Response(status=status, headers=headers, body=body)

    def about(self, phone: str) -> list[Told]:
        """What came about one customer."""
        return [told for told in self.told if told.body and told.phone == phone]

    async def wait_for(self, phone: str, count: int = 1) -> list[Told]:
        """The deliveries about a customer, once there are `count`."""

        async def there() -> list[Told]:
            found = self.about(phone)
            return found if len(found) >= count else []

        return await eventually(there, f"{count} deliveries about {phone}")
