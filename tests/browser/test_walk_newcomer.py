"""A server that was just started: the phone is open to try, and every page says what it is for while it is empty.

The order of the first tests matters: the server has no user until one of them makes one.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.browser.chromium import DARK_PHONE, LIGHT, Look
from tests.browser.console import SECTIONS, Console
from tests.browser.pages import Pages
from tests.browser.shots import take
from tests.browser.walk import Walks
from tests.server import Server
from tests.web.site import in_own_loop

EMPTY = {
    "/inbox": "No conversations yet",
    "/inbox?show=unanswered": "Nobody waits for you",
    "/inbox?show=mine": "Nothing is yours",
    "/contacts": "No contacts yet",
    "/lists": "All Contacts",
    "/texts": "Nothing was sent to many yet",
    "/answers": "No answers yet",
    "/imports": "No file yet",
    "/phone": "Say something",
    "/settings/notifications": "Nothing here",
    "/settings/routes": "No routes yet",
    "/settings/tokens": "No tokens yet",
}


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Console]:
    """A server as somebody has it after the first start."""
    server = Server(tmp_path_factory.mktemp("fresh"), business=SECTIONS["business"])
    in_own_loop(server.start)
    try:
        yield Console(server)
    finally:
        if server.process is not None:
            in_own_loop(server.stop)


@pytest.fixture
def visit(fresh: Console, pages: Pages) -> Walks:
    return Walks(fresh, pages)


@pytest.mark.parametrize("look", [LIGHT, DARK_PHONE], ids=str)
async def test_an_empty_page_says_what_it_is_for(visit: Walks, fresh: Console, look: Look):
    if look == LIGHT:
        newcomer = await visit(None, look)
        await newcomer.open("/")
        await newcomer.is_at("/phone")
        await newcomer.sees("This page is open because nobody but this machine can reach it yet.")
        await newcomer.sees("textwright user create you --role admin")
        await newcomer.open("/login")
        await newcomer.sees("Nobody can sign in yet.")
        await newcomer.open("/inbox")
        await newcomer.is_at("/login")
    person = await visit("admin", look)
    for path, words in EMPTY.items():
        await person.open(path)
        await person.sees(words)
        await person.fits()
        await take(person.page, f"empty{path.replace('/', '-').partition('?')[0]}-{look}")


async def test_the_first_minutes_text_explain_and_stop(fresh: Console, pages: Pages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("first")
    async with Server(folder) as server:
        newcomer = await Walks(Console(server), pages)()
        await newcomer.open("/")
        await newcomer.sees("Say something")
        await newcomer.click("HOURS", "button")
        await newcomer.press("Control+Enter")
        log = newcomer.page.get_by_role("log")
        await newcomer.sees("HOURS", inside=log)
        await newcomer.page.wait_for_function("() => document.querySelectorAll('.log .bubble').length >= 2")
        await newcomer.sees("Decided by")
        await newcomer.page.get_by_text("rules were tried").first.click()
        await newcomer.sees("All Contacts")
        await newcomer.click("STOP", "button")
        await newcomer.click("Text", "button")
        await newcomer.sees("Opted out")
        await newcomer.fill("From", "12")
        await newcomer.fill("Text", "Hello")
        newcomer.watch.allow("status of 422")
        await newcomer.click("Text", "button")
        await newcomer.page.wait_for_timeout(300)
        await newcomer.fits()
        await newcomer.page.close()  # before the server goes, which it would ask what is new
