"""Every page of the console, in every look: it is there for its role, sound, free of barriers, and fits.

Generated from the routes: a page that is new is tested as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from playwright.async_api import Page

from bot.tokens import Role
from bot.web.console.routes import ALL_PAGES
from tests.browser.chromium import LOOKS
from tests.browser.conftest import shared_loop
from tests.browser.console import Console
from tests.browser.samples import Samples, make_samples
from tests.browser.shots import take
from tests.browser.walk import Walk, Walks
from tests.web.site import Phones

STANDING: dict[str, Role | None] = {"/login": None, "/api/docs": None, "/phone": "staff"}
PAGES: dict[str, Role | None] = {page.path: page.role for page in ALL_PAGES} | STANDING


@shared_loop(scope="module")
async def samples(console: Console, _phones: Phones) -> Samples:
    async with aiohttp.ClientSession() as client:
        return await make_samples(console.server, await console.api(client), client, _phones)


def _name(path: str) -> str:
    return path.strip("/").replace("/", "-").replace("{", "").replace("}", "")


@pytest.mark.parametrize("path", PAGES, ids=_name)
async def test_a_page_is_sound_and_free_of_barriers_in_every_look(
    path: str, samples: Samples, walk: Walks, axe: Callable[[Page], Awaitable[None]]
):
    role = PAGES[path]
    if role not in (None, "admin"):
        person = await walk(role)
        await person.open(samples.path(path))
        await judge(person, axe)
    # In pictures with everything that a page offers.
    for look in LOOKS:
        person = await walk("admin" if role else None, look)
        await person.open(samples.path(path))
        await judge(person, axe)
        await take(person.page, f"{_name(path)}-{look}")


async def judge(person: Walk, axe: Callable[[Page], Awaitable[None]]) -> None:
    """A page has one first heading and a title of its own, no barrier, and no width beyond its screen's."""
    assert await person.page.locator("h1").count() == 1
    assert len((await person.page.title()).partition(" · ")[0]) > 1
    await person.fits()
    await axe(person.page)


def test_a_page_that_nobody_made_something_for_is_told():
    with pytest.raises(AssertionError, match=r"/shelves/\{id\}: make something for it"):
        Samples({}).path("/shelves/{id}")


def test_nothing_is_made_for_a_page_that_is_gone(samples: Samples):
    assert samples.of.keys() <= PAGES.keys()
