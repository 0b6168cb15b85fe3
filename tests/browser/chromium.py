"""Chromium, as the system has it, and the looks in which pages are seen."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import pytest
from playwright.async_api import Browser, Error, async_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
# Nothing that a page asks for leaves this machine, whatever the environment says of proxies.
SEALED = ("--no-proxy-server", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost")


@dataclass(frozen=True)
class Look:
    """A screen: `phone` also has touch and obeys the page's viewport tag."""

    scheme: Literal["light", "dark"]
    width: int
    height: int
    phone: bool = False

    def __str__(self) -> str:
        return f"{self.scheme}-{self.width}"

    def options(self) -> dict[str, Any]:
        """As a browser context takes it. Motion is reduced: no test waits for an animation."""
        return {
            "color_scheme": self.scheme,
            "viewport": {"width": self.width, "height": self.height},
            "is_mobile": self.phone,
            "has_touch": self.phone,
            "reduced_motion": "reduce",
            "locale": "en-US",
            "timezone_id": "America/New_York",
        }


LIGHT = Look("light", 1280, 800)
DARK = Look("dark", 1280, 800)
PHONE = Look("light", 390, 844, phone=True)
DARK_PHONE = Look("dark", 390, 844, phone=True)
LOOKS = (LIGHT, DARK, PHONE, DARK_PHONE)


def missing(what: str) -> NoReturn:
    """Something that browser tests need is not on this machine: CI fails, a developer's run says so and goes on."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def find_chromium() -> str:
    """The browser's path."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    return found or missing(f"browser tests need Chromium on the PATH: one of {', '.join(NAMES)}")


@asynccontextmanager
async def running_chromium() -> AsyncIterator[Browser]:
    """A browser, started. Its sandbox is on wherever it can be: never as root, nor in most containers."""
    path = find_chromium()
    async with async_playwright() as playwright:

        async def launch(sandbox: bool) -> Browser:
            return await playwright.chromium.launch(executable_path=path, chromium_sandbox=sandbox, args=[*SEALED])

        if os.geteuid() == 0:
            browser = await launch(sandbox=False)
        else:
            try:
                browser = await launch(sandbox=True)
            except Error:
                browser = await launch(sandbox=False)
        try:
            yield browser
        finally:
            await browser.close()
