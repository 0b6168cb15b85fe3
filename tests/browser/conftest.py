"""Fixtures of the browser tests.

All of them share one event loop for each worker process, because the browser does: Playwright's connection belongs to
the loop that made it, and starting Chromium for each test would cost a second. So no test here uses the function-scoped
async fixtures of tests/conftest.py: those that it needs are made again below.

    console        a server with lists, routes and a workflow, one for each worker; its users are made when needed
    walk           `await walk("staff")`, `await walk("read", PHONE)`: a person at a browser (tests/browser/walk.py)
    page           Playwright's page, light, 1280 wide, not signed in; dark_page, phone_page, dark_phone_page likewise;
                   `@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=str)` runs a test in every look
    pages          opens more of them: `await pages.open(url, look)`, and `pages.watch(page).expect("status of 409")`
    axe            `await axe(page)`: no serious or critical barrier
    shot           `await shot(page, "inbox")`: four pictures below build/screenshots
    texter         a customer's phone; new_texter() makes more
    desk           `await walk("staff")`
    new_phone      numbers that no other test uses
    admin          a caller of the API who may everything

A page in which something goes wrong - an error, a refusal by the CSP, a failed request - fails its test at the end.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from tests.browser.axe import assert_accessible, axe_source
from tests.browser.chromium import DARK, DARK_PHONE, LIGHT, PHONE, running_chromium
from tests.browser.console import DESK_SECRET, RULES, SECTIONS, Console
from tests.browser.pages import Pages, watched_pages
from tests.browser.shots import FAILURES, take_all
from tests.browser.walk import Walk, Walks
from tests.server import Api, Customer, Server
from tests.web.site import Phones, in_own_loop

HERE = Path(__file__).parent
FAILED = pytest.StashKey[bool]()
expect.set_options(timeout=10_000)
shared_loop = partial(pytest_asyncio.fixture, loop_scope="session")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Browser tests are slow ones, and share a loop."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.slow)
            if inspect.iscoroutinefunction(getattr(item, "obj", None)):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember that a test failed: its pages are kept in pictures."""
    report = yield
    if report.when == "call" and report.failed:
        item.stash[FAILED] = True
    return report


@shared_loop(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for a worker process, started when first needed."""
    async with running_chromium() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def console(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """The server."""
    folder = tmp_path_factory.mktemp("console")
    server = Server(folder, "sqlite:///test.db", rules=RULES, env={"DESK_SECRET": DESK_SECRET}, **SECTIONS)
    in_own_loop(server.start)
    try:
        yield Console(server)
    finally:
        if server.process is not None:
            in_own_loop(server.stop)


@shared_loop
async def pages(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Pages]:
    """The test's pages; whatever went wrong in one of them fails the test."""
    async with watched_pages(browser) as opened:
        yield opened
        if request.node.stash.get(FAILED, False):
            await opened.keep(FAILURES, re.sub(r"[^\w.-]+", "-", request.node.name))


@shared_loop
async def page(console: Console, pages: Pages, request: pytest.FixtureRequest) -> Page:
    """A page on a light desktop screen, or in the look that a test gives as its parameter."""
    return await pages.open(console.url, getattr(request, "param", LIGHT))


@shared_loop
async def dark_page(console: Console, pages: Pages) -> Page:
    """A page on a dark desktop screen."""
    return await pages.open(console.url, DARK)


@shared_loop
async def phone_page(console: Console, pages: Pages) -> Page:
    """A page on a light phone."""
    return await pages.open(console.url, PHONE)


@shared_loop
async def dark_phone_page(console: Console, pages: Pages) -> Page:
    """A page on a dark phone."""
    return await pages.open(console.url, DARK_PHONE)


@pytest.fixture
def walk(console: Console, pages: Pages) -> Walks:
    """People at browsers."""
    return Walks(console, pages)


@shared_loop
async def desk(walk: Walks) -> Walk:
    """Somebody of the staff."""
    return await walk("staff")


@pytest.fixture(scope="session")
def _axe_source() -> str:
    return axe_source()


@pytest.fixture
def axe(_axe_source: str) -> Callable[[Page], Awaitable[None]]:
    """Fails for a page with a serious or critical barrier."""
    return partial(assert_accessible, source=_axe_source)


@pytest.fixture
def shot(pages: Pages) -> Callable[..., Awaitable[list[Path]]]:
    """Pictures of a page's path, or another one, in every look: `await shot(page, "inbox")`."""
    return partial(take_all, pages)


@shared_loop
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client of the shared loop."""
    async with aiohttp.ClientSession() as session:
        yield session


@shared_loop
async def admin(console: Console, client: aiohttp.ClientSession) -> Api:
    """A caller of the console's API."""
    return await console.api(client)


@pytest.fixture(scope="session")
def _phones() -> Phones:
    return Phones()


@pytest.fixture
def new_phone(_phones: Phones) -> Phones:
    """Numbers."""
    return _phones


@pytest.fixture
def new_texter(console: Console, client: aiohttp.ClientSession, _phones: Phones) -> Callable[[], Customer]:
    """Customers with phones that no other test uses."""
    return lambda: Customer(console.server, client, _phones())


@pytest.fixture
def texter(new_texter: Callable[[], Customer]) -> Customer:
    """A customer."""
    return new_texter()
