"""What went wrong in a browser while a test looked elsewhere: errors, refusals by the CSP, failed requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from playwright.async_api import BrowserContext, ConsoleMessage, Error, Page, Request, WebError

Kind = Literal["console error", "csp", "page error", "request failed", "outside", "crash"]
# A page that goes away gives up what it had asked for; so does a download. Neither is a fault.
GIVEN_UP = "net::ERR_ABORTED"
# Open for as long as the page is: not waited for.
ENDLESS = ("eventsource", "websocket")
SETTLE_SECONDS = 1.0


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong; a test names it by any part of its line."""

    kind: Kind
    text: str
    where: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" + (f" ({self.where})" if self.where else "")


class Watch:
    """Sees all pages of a browser context, from before the first one opens."""

    def __init__(self, context: BrowserContext) -> None:
        self._context = context
        self._problems: list[Problem] = []
        self._allowed: list[re.Pattern[str]] = []
        self._expected: list[re.Pattern[str]] = []
        self._under_way: set[Request] = set()
        context.on("console", self._console)
        context.on("weberror", self._web_error)
        context.on("request", self._request)
        context.on("requestfinished", self._finished)
        context.on("requestfailed", self._failed)
        context.on("page", lambda page: page.on("crash", self._crash))

    def expect(self, pattern: str) -> None:
        """Problems that match are part of the test; there must be one. Chromium logs a fetch's 409 as
        `console error: Failed to load resource: the server responded with a status of 409 (Conflict) (URL)`."""
        self._expected.append(re.compile(pattern))

    def allow(self, pattern: str) -> None:
        """Problems that match may be there, or not: for what depends on timing, as when a server goes away."""
        self._allowed.append(re.compile(pattern))

    def problems(self) -> list[Problem]:
        """What nobody expected or allowed."""
        known = self._allowed + self._expected
        return [problem for problem in self._problems if not any(one.search(str(problem)) for one in known)]

    def complaints(self) -> list[str]:
        """A line for each problem, and for each expected one that did not come."""
        never = [one for one in self._expected if not any(one.search(str(problem)) for problem in self._problems)]
        return [str(problem) for problem in self.problems()] + [
            f"expected, and never seen: {one.pattern}" for one in never
        ]

    async def settle(self) -> None:
        """Give what is under way a moment to fail: a test may end with a click."""
        deadline = asyncio.get_running_loop().time() + SETTLE_SECONDS
        while True:
            # A turn of each page: what it did is reported before the answer to this.
            await asyncio.gather(*map(_turn, self._context.pages))
            if not self._under_way or asyncio.get_running_loop().time() > deadline:
                return
            await asyncio.sleep(0.02)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "assert"):
            place = message.location
            where = f"{place['url']}:{place['lineNumber'] + 1}" if place.get("url") else ""
            self._add("csp" if "Content Security Policy" in message.text else "console error", message.text, where)

    def _web_error(self, error: WebError) -> None:
        self._add("page error", str(error.error), error.page.url if error.page else "")

    def _request(self, request: Request) -> None:
        url = urlsplit(request.url)
        if url.scheme in ("http", "https", "ws", "wss") and url.hostname not in ("127.0.0.1", "localhost"):
            self._add("outside", "a page of ours may not ask another host", request.url)
        if request.resource_type not in ENDLESS:
            self._under_way.add(request)

    def _finished(self, request: Request) -> None:
        self._under_way.discard(request)

    def _failed(self, request: Request) -> None:
        self._under_way.discard(request)
        reason = request.failure or "no reason given"
        if reason != GIVEN_UP:
            self._add("csp" if reason == "csp" else "request failed", reason, f"{request.method} {request.url}")

    def _crash(self, page: Page) -> None:
        self._add("crash", "the page crashed", page.url)

    def _add(self, kind: Kind, text: str, where: str) -> None:
        self._problems.append(Problem(kind, text, where))


def all_well(watches: Iterable[Watch]) -> None:
    """Fail with everything that went wrong."""
    complaints = [line for watch in watches for line in watch.complaints()]
    assert not complaints, "in the browser:\n" + "\n".join(f"  - {line}" for line in complaints)


async def _turn(page: Page) -> None:
    try:
        async with asyncio.timeout(SETTLE_SECONDS):
            await page.evaluate("() => new Promise(done => setTimeout(done))")
    except (Error, TimeoutError):
        pass  # it closed, crashed, or is on its way elsewhere
