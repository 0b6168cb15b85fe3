"""Pictures of a page in every look, for people to look at: build/screenshots/NAME-light-1280.png and so on."""

from __future__ import annotations

import os
from pathlib import Path

from playwright.async_api import Page

from tests.browser.chromium import LOOKS
from tests.browser.pages import Pages
from tests.server import ROOT

FOLDER = ROOT / "build" / "screenshots"
FAILURES = ROOT / "build" / "failures"


async def take_all(pages: Pages, page: Page, name: str, path: str | None = None) -> list[Path]:
    """A path (the page's own, unless given) in four new browsers with the page's cookies: what a state was built up by
    clicking only is not in the pictures."""
    state = await page.context.storage_state()
    taken = []
    for look in LOOKS:
        fresh = await pages.open(page.url, look, storage_state=state)
        await fresh.goto(path or page.url)
        await fresh.wait_for_load_state("load")
        taken.append(await take(fresh, f"{name}-{look}"))
        await pages.close(fresh)
    return taken


async def take(page: Page, name: str) -> Path:
    """The page as it stands, from top to bottom."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    target = FOLDER / f"{name}.png"
    part = target.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(await page.screenshot(full_page=True, animations="disabled"))
    return part.replace(target)
