"""A provider that is not there: an HTTP server on loopback that records requests and answers as told."""

import asyncio
import inspect
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from tests.providers import conformance


@dataclass(frozen=True)
class Request:
    """What the provider was asked. `headers` compares names without regard to case."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    @cached_property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @cached_property
    def query(self) -> dict[str, str]:
        """The fields of the URL's query by name; of a repeated one the last."""
        return dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))

    @cached_property
    def form(self) -> list[tuple[str, str]]:
        """All fields of a form, in order."""
        return parse_qsl(self.body.decode(), keep_blank_values=True)

    @cached_property
    def fields(self) -> dict[str, str]:
        """The fields of a form by name; of a repeated one the last."""
        return dict(self.form)


# HTTP status, headers, and what is answered: JSON, or text as it is.
Reply = tuple[int, Mapping[str, str], Any]
Answer = Reply | Callable[[Request], Reply | Awaitable[Reply]]


class StandIn:
    """Use as an async context manager, or start() and stop().

    A provider of its own kind overrides `refusal` (what it checks before all else) and `usual` (its answer
    to a good request). A request that it does not refuse is held to the provider's published description, where there
    is one for the name of its module; what it disallows fails the test when the stand-in stops.
    """

    def __init__(self, port: int = 0) -> None:
        """`port` 0 takes a free one; `url` tells which."""
        self.requests: list[Request] = []
        self.answered: list[Any] = []
        """The content of each answer, in the order in which they were given."""
        self.judged = 0
        """How many requests were held to the provider's description."""
        self.problems: list[str] = []
        """What that found wrong."""
        self.delay = 0.0
        """Seconds before each answer."""
        self._port = port
        self._answers: deque[Answer] = deque()
        self._stopping = asyncio.Event()
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def answer_with(self, *answers: Answer) -> None:
        """Give these to the next requests, one each; after them come the usual answers again."""
        self._answers.extend(answers)

    def hang(self, times: int = 1) -> None:
        """Take the next requests and never answer them."""
        self._answers.extend([self._never] * times)

    def hang_up(self, times: int = 1) -> None:
        """Take the next requests and close their connections without an answer."""
        self._answers.extend([_closed] * times)

    async def wait_for(self, count: int, seconds: float = 5.0) -> list[Request]:
        """All requests, once there are `count` of them; raises TimeoutError."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests

    def refusal(self, request: Request) -> Reply | None:
        """The answer to a request that this provider would not even look at."""
        return None

    def usual(self, request: Request) -> Reply:
        """The answer to a good request."""
        return 200, {}, {}

    async def start(self) -> None:
        self._stopping.clear()
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        self._stopping.set()
        if self._runner is not None:
            await self._runner.cleanup()
        assert not self.problems, f"not as the provider describes it: {self.problems}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def _handle(self, received: web.Request) -> web.Response:
        request = Request(received.method, received.path_qs, received.headers, await received.read())
        async with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        self._judge(request)
        await asyncio.sleep(self.delay)
        answer = self._answers.popleft() if self._answers else self._checked
        if answer is _closed and received.transport is not None:
            received.transport.abort()
        if callable(answer):
            given = answer(request)
            answer = await given if inspect.isawaitable(given) else given
        status, headers, content = answer
        self.answered.append(content)
        if isinstance(content, str):
            return web.Response(status=status, headers=headers, text=content)
        return web.json_response(content, status=status, headers=headers)

    def _checked(self, request: Request) -> Reply:
        return self.refusal(request) or self.usual(request)

    def _judge(self, request: Request) -> None:
        """What the provider refuses is no news: that a test may do on purpose."""
        name = type(self).__module__.rpartition(".")[2]
        if conformance.descriptions(name) and self.refusal(request) is None:
            problems = conformance.problems(name, request)
            if problems is not None:
                self.judged += 1
                self.problems += problems

    async def _never(self, request: Request) -> Reply:
        await self._stopping.wait()
        return 503, {}, {}


def _closed(request: Request) -> Reply:
    return 503, {}, {}
