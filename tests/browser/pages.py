"""Opening pages: each in a browser context of its own, watched from the first moment, and judged at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Error, Page

from tests.browser.chromium import LIGHT, Look
from tests.browser.watch import Watch, all_well

TIMEOUT_MS = 15_000


class Pages:
    """The open pages of a test."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._opened: list[tuple[Page, Watch]] = []

    async def open(self, base_url: str, look: Look = LIGHT, **options: Any) -> Page:
        """An empty page of a new context (its own cookies); `goto` takes paths. Options are those of `new_context`:
        `storage_state=...`, `java_script_enabled=False`, ..."""
        context = await self._browser.new_context(base_url=base_url, **look.options() | options)
        context.set_default_timeout(TIMEOUT_MS)
        watch = Watch(context)
        page = await context.new_page()
        self._opened.append((page, watch))
        return page

    async def close(self, page: Page) -> None:
        """Close a page that is no longer needed; its problems still count."""
        await self.watch(page).settle()
        await page.context.close()

    def watch(self, page: Page) -> Watch:
        """Who watches a page, to be told what to expect."""
        return next(watch for opened, watch in self._opened if opened.context == page.context)

    async def settle(self) -> None:
        """Wait for what is under way in all of them."""
        await asyncio.gather(*(watch.settle() for _, watch in self._opened))

    def judge(self) -> None:
        """Fail if anything went wrong in any of them."""
        all_well(watch for _, watch in self._opened)

    async def keep(self, folder: Path, name: str) -> None:
        """A picture of each page that is open, for whoever looks into a failure."""
        open_ones = [page for page, _ in self._opened if not page.is_closed()]
        for number, page in enumerate(open_ones, start=1):
            with suppress(Error):  # a page that crashed has no picture
                await page.screenshot(path=folder / f"{name}-{number}.png", animations="disabled")

    async def close_all(self) -> None:
        """Close everything."""
        await asyncio.gather(*(page.context.close() for page, _ in self._opened))


@asynccontextmanager
async def watched_pages(browser: Browser) -> AsyncIterator[Pages]:
    """Pages that are closed at the end, and fail the test if anything went wrong in them."""
    pages = Pages(browser)
    try:
        yield pages
        await pages.settle()
    finally:
        await pages.close_all()
    pages.judge()
