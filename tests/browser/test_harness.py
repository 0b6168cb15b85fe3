"""The harness itself: it works on the pages that are always there, and it sees what goes wrong."""

from __future__ import annotations

import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page

from tests.browser import chromium, shots
from tests.browser.chromium import LOOKS, PHONE
from tests.browser.conftest import shared_loop
from tests.browser.console import User, sign_in
from tests.browser.crooked import Crooked, crooked_pages
from tests.browser.pages import Pages, watched_pages
from tests.browser.walk import Walks
from tests.server import Customer

PUBLIC = {"front": "/", "api-docs": "/api/docs"}
Axe = Callable[[Page], Awaitable[None]]


@shared_loop(scope="module")
async def crooked() -> AsyncIterator[Crooked]:
    async with crooked_pages() as place:
        yield place


@pytest.fixture
def strolls(crooked: Crooked, pages: Pages) -> Walks:
    crooked.sessions.clear()
    return Walks(crooked, pages)


# The pages that are always there


@pytest.mark.parametrize("page", LOOKS, indirect=True, ids=str)
@pytest.mark.parametrize("path", PUBLIC.values(), ids=PUBLIC)
async def test_a_public_page_has_no_barrier_in_any_look(page: Page, path: str, axe: Axe):
    answer = await page.goto(path)
    assert answer is not None
    assert answer.ok
    await axe(page)


async def test_pages_come_in_the_look_that_was_asked_for(
    page: Page, dark_page: Page, phone_page: Page, dark_phone_page: Page
):
    seen = []
    for one in (page, dark_page, phone_page, dark_phone_page):
        await one.goto("/")
        seen.append(await one.evaluate("() => [matchMedia('(prefers-color-scheme: dark)').matches, innerWidth]"))
    assert seen == [[False, 1280], [True, 1280], [False, 390], [True, 390]]


@pytest.mark.parametrize("name", PUBLIC)
async def test_a_shot_is_four_pictures(page: Page, shot: Callable[..., Awaitable[list[Path]]], name: str):
    await page.goto("/")
    taken = await shot(page, name, PUBLIC[name])
    assert [path.name for path in taken] == [
        f"{name}-{look}.png" for look in ("light-1280", "dark-1280", "light-390", "dark-390")
    ]
    widths = [struct.unpack(">I", path.read_bytes()[16:20])[0] for path in taken]
    assert widths == [1280, 1280, 390, 390]


async def test_a_customer_texts_the_server(texter: Customer):
    await texter.text("HOURS")
    assert await texter.wait_for(1) == ["We are open 9 to 5."]


# What goes wrong in a page fails its test


async def complaint(browser: Browser, use: Callable[[Pages], Awaitable[None]]) -> str:
    """What a test is told at its end that used pages in some way."""
    try:
        async with watched_pages(browser) as pages:
            await use(pages)
    except AssertionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/logs", r"console error: something is wrong \(.*/logs\.js:1\)"),
        ("/throws", r"page error: .*a bug"),
        ("/inline-script", "csp: .*inline script"),
        ("/inline-style", "csp: .*inline style"),
        ("/evaluates", r"(csp|page error): .*(unsafe-eval|Content Security Policy)"),
        ("/conflicts", r"console error: .*status of 409"),
        ("/lost-picture", r"console error: .*status of 404.*/nowhere\.png"),
        ("/hangs-up", r"request failed: net::ERR_\w+ \(GET .*/hang-up\)"),
        ("/fails-late", "console error: .*status of 500"),
        ("/outside", r"outside: .*elsewhere\.example"),
    ],
    ids=lambda value: value if value.startswith("/") else "",
)
async def test_it_is_seen(browser: Browser, crooked: Crooked, path: str, told: str):
    async def look(pages: Pages) -> None:
        await (await pages.open(crooked.url)).goto(path)

    assert re.search(told, await complaint(browser, look))


async def test_a_page_that_was_closed_still_counts(browser: Browser, crooked: Crooked):
    async def close(pages: Pages) -> None:
        page = await pages.open(crooked.url)
        await page.goto("/logs")
        await pages.close(page)

    assert "something is wrong" in await complaint(browser, close)


async def test_a_page_that_a_page_opened_counts(browser: Browser, crooked: Crooked):
    async def pop_up(pages: Pages) -> None:
        page = await pages.open(crooked.url)
        async with page.expect_popup() as popup:
            await page.evaluate("url => { open(url) }", crooked.url + "/logs")
        await (await popup.value).wait_for_load_state()

    assert "something is wrong" in await complaint(browser, pop_up)


async def test_a_fault_in_any_look_of_a_shot_is_seen(
    browser: Browser, crooked: Crooked, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.setattr(shots, "FOLDER", tmp_path)

    async def shoot(pages: Pages) -> None:
        page = await pages.open(crooked.url)
        await page.goto("/sound")
        assert len(await shots.take_all(pages, page, "logs", "/logs")) == 4

    assert (await complaint(browser, shoot)).count("something is wrong") == 4


async def test_a_failure_of_the_test_itself_is_not_hidden(browser: Browser, crooked: Crooked):
    async def fail(pages: Pages) -> None:
        await (await pages.open(crooked.url)).goto("/logs")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await complaint(browser, fail)


@pytest.mark.parametrize("path", ["/sound", "/warns", "/listens", "/gives-up"])
async def test_what_is_no_fault_passes(pages: Pages, crooked: Crooked, path: str):
    page = await pages.open(crooked.url)
    await page.goto(path)
    await page.wait_for_timeout(200)


async def test_a_problem_can_be_part_of_the_test(pages: Pages, crooked: Crooked):
    page = await pages.open(crooked.url)
    pages.watch(page).expect("status of 409")
    pages.watch(page).allow("something is wrong")
    await page.goto("/conflicts")


async def test_an_expected_problem_must_come_and_excuses_no_other(browser: Browser, crooked: Crooked):
    async def expect(pages: Pages) -> None:
        page = await pages.open(crooked.url)
        pages.watch(page).expect("status of 409")
        await page.goto("/logs")

    told = await complaint(browser, expect)
    assert "something is wrong" in told
    assert "never seen: status of 409" in told


async def test_axe_names_the_rule_the_element_and_the_mend(pages: Pages, crooked: Crooked, axe: Axe):
    page = await pages.open(crooked.url)
    await page.goto("/sound")
    await axe(page)
    await page.goto("/no-alt")
    with pytest.raises(AssertionError, match=r'(?s)image-alt \(critical\).*<img src="/dot\.svg".*alt attribute'):
        await axe(page)


# Walks


async def test_people_of_a_role_share_a_session_and_a_user_has_one_of_their_own(strolls: Walks, crooked: Crooked):
    crooked.sign_ins.clear()
    one, two, reader = await strolls("staff"), await strolls("staff", PHONE), await strolls("read")
    other = await strolls.as_user(User("ben", "open sesame"))
    for walk, name in ((one, "anna-staff"), (two, "anna-staff"), (reader, "anna-read"), (other, "ben")):
        await walk.open("/inbox")
        await walk.sees(f"Signed in as {name}")
    assert crooked.sign_ins == ["anna-staff", "anna-read", "ben"]


async def test_a_stranger_is_sent_to_the_form_and_a_wrong_password_is_told(strolls: Walks):
    stranger = await strolls()
    await stranger.open("/inbox")
    await stranger.is_at("/login")
    with pytest.raises(AssertionError, match=r"(?s)ben could not sign in.*Wrong name or password"):
        await sign_in(stranger.page, User("ben", "abracadabra"), within=500)


async def test_a_text_that_comes_later_is_seen_in_time_or_not(strolls: Walks):
    walk = await strolls()
    await walk.open("/adds-later")
    assert await walk.sees("Here I am.", within=1500) < 1500
    with pytest.raises(AssertionError, match=r"(?s)no 'Not me' within 50 ms.*Here I am"):
        await walk.sees("Not me", within=50)
    with pytest.raises(AssertionError, match=r"'Here I am\.' is still there after 50 ms"):
        await walk.lacks("Here I am.", within=50)
    await walk.lacks("Not me")


async def test_a_click_takes_the_whole_name_and_a_question_is_answered(strolls: Walks):
    walk = await strolls()
    await walk.open("/questions")
    await walk.click("Delete")
    await walk.sees("Kept.")
    walk.says_yes()
    await walk.click("Delete", role="button")
    await walk.sees("Deleted.")


async def test_fields_are_found_by_their_labels(strolls: Walks):
    walk = await strolls("staff")
    await walk.open("/inbox")
    await walk.fill("Message", "Hello")
    await walk.press("End")
    await walk.press("!")
    assert await walk.page.get_by_label("Message").input_value() == "Hello!"


async def test_a_page_wider_than_the_phone_is_told(strolls: Walks):
    walk = await strolls(look=PHONE)
    await walk.open("/sound")
    await walk.fits()
    await walk.open("/wide")
    with pytest.raises(AssertionError, match="wide"):
        await walk.fits()


async def test_a_page_that_is_not_there_is_told(strolls: Walks):
    walk = await strolls()
    walk.expects("status of 404")
    with pytest.raises(AssertionError, match="/nowhere: 404"):
        await walk.open("/nowhere")


# Without what the tests need


def test_without_chromium_a_run_says_so_and_ci_fails(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chromium, "NAMES", ("no-such-browser",))
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="need Chromium on the PATH"):
        chromium.find_chromium()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="need Chromium on the PATH"):
        chromium.find_chromium()
