"""Walks through the console, told shortly: open, click, fill, see.

    desk = await walk("staff")                        # signed in; a browser of its own
    await texter.text("PERSON")                       # a customer, by the simulator's webhook
    await desk.open("/inbox")
    await desk.click("Reply")
    await desk.fill("Message", "Hello!")
    await desk.sees("Hello!", within=500)             # milliseconds
    desk.expects("status of 409")                     # an error in the browser that is part of the test

What a walk does not offer, its `page` (Playwright's) does.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import reduce
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Locator, Page
from playwright.async_api import TimeoutError as TookTooLong

from bot.tokens import Role
from tests.browser.chromium import LIGHT, Look
from tests.browser.console import Place, User, sign_in
from tests.browser.pages import Pages
from tests.browser.watch import Watch

# What one clicks on, when a test does not say.
CLICKABLE = ("button", "link", "tab", "menuitem", "option", "checkbox", "radio", "switch")
Name = str | re.Pattern[str]


@dataclass(frozen=True)
class Walk:
    """One person at one browser."""

    page: Page
    watch: Watch

    async def open(self, path: str) -> None:
        """Go to a path, which must be there."""
        answer = await self.page.goto(path)
        assert answer is not None
        assert answer.ok, f"{path}: {answer.status}"

    async def click(self, name: Name, role: str | None = None, *, inside: Locator | None = None) -> None:
        """Click on what is called so: a button, a link, a tab ... The whole name, or a regular expression."""
        await self.named(name, *((role,) if role else CLICKABLE), inside=inside).click()

    async def fill(self, label: Name, text: str, *, inside: Locator | None = None) -> None:
        """Write into the field with a label."""
        await (inside or self.page).get_by_label(label, exact=True).fill(text)

    async def choose(self, label: Name, option: str, *, inside: Locator | None = None) -> None:
        """Choose from the select with a label."""
        # By its role: the text of a label around a select has the options in it.
        await self.named(label, "combobox", inside=inside).select_option(option)

    async def press(self, keys: str) -> None:
        """Press keys, as in "Control+Enter"."""
        await self.page.keyboard.press(keys)

    async def sees(self, text: Name, within: float = 5000, *, inside: Locator | None = None) -> float:
        """Wait until a text can be seen (what stands in a field is none); returns after how many milliseconds."""
        began = time.monotonic()
        try:
            await self._text(text, inside).wait_for(state="visible", timeout=within)
        except TookTooLong:
            raise AssertionError(f"no {text!r} within {within:.0f} ms; {await self._says()}") from None
        return (time.monotonic() - began) * 1000

    async def lacks(self, text: Name, within: float = 5000, *, inside: Locator | None = None) -> None:
        """Wait until a text can no longer be seen."""
        try:
            await self._text(text, inside).wait_for(state="hidden", timeout=within)
        except TookTooLong:
            raise AssertionError(f"{text!r} is still there after {within:.0f} ms; {await self._says()}") from None

    async def is_at(self, path: str, within: float = 5000) -> None:
        """Wait until the browser is at a path, whatever the query."""
        try:
            await self.page.wait_for_url(lambda url: urlsplit(url).path == path, timeout=within)
        except TookTooLong:
            raise AssertionError(f"not at {path}; {await self._says()}") from None

    async def fits(self) -> None:
        """Nothing makes the page wider than its screen, nor is anything on it to be scrolled sideways."""
        wide: list[str] = await self.page.evaluate(
            """() => {
                const width = document.documentElement.clientWidth
                const elements = [...document.body.querySelectorAll('*')]
                const told = one => one.outerHTML.slice(0, 120)
                const scrolled = elements.filter(one => one.scrollWidth > one.clientWidth + 1
                    && ['auto', 'scroll'].includes(getComputedStyle(one).overflowX))
                if (document.documentElement.scrollWidth <= width) return scrolled.map(told)
                return elements.filter(one => one.getBoundingClientRect().right > width + 1).map(told)
                    .concat('(and so the page)')
            }"""
        )
        assert not wide, f"{self.page.url} is wider than its screen:\n" + "\n".join(wide[:10])

    def named(self, name: Name, *roles: str, inside: Locator | None = None) -> Locator:
        """The visible element of one of some roles with a name, as a screen reader says it."""
        root = inside or self.page
        # Roles are a closed set in Playwright's types.
        found: list[Locator] = [root.get_by_role(role, name=name, exact=True) for role in roles]  # type: ignore[arg-type]
        return reduce(lambda one, other: one.or_(other), found).filter(visible=True)

    def expects(self, pattern: str) -> None:
        """A problem in the browser that is part of the test, as "status of 409"; it must come."""
        self.watch.expect(pattern)

    def says_yes(self) -> None:
        """Answer the page's "Are you sure?" with yes from now on; unasked, Playwright says no."""
        self.page.on("dialog", lambda dialog: dialog.accept())

    def _text(self, text: Name, inside: Locator | None) -> Locator:
        return (inside or self.page).get_by_text(text).filter(visible=True).first

    async def _says(self) -> str:
        return f"{self.page.url} says:\n{(await self.page.locator('body').inner_text())[:2000]}"


class Walks:
    """Starts walks in one place. Each has a browser context of its own: two are two people."""

    def __init__(self, place: Place, pages: Pages) -> None:
        self._place = place
        self._pages = pages

    async def __call__(self, role: Role | None = None, look: Look = LIGHT, **options: Any) -> Walk:
        """A walk, signed in as a role, or not at all. People of a role share one session, made through the form when
        first needed; a test that signs out, or wants a session of its own, calls `as_user`."""
        if role is not None:
            options["storage_state"] = await self._session(role)
        page = await self._pages.open(self._place.url, look, **options)
        return Walk(page, self._pages.watch(page))

    async def as_user(self, user: User, look: Look = LIGHT, **options: Any) -> Walk:
        """A walk that begins at the sign-in form."""
        page = await self._pages.open(self._place.url, look, **options)
        await sign_in(page, user)
        return Walk(page, self._pages.watch(page))

    async def _session(self, role: Role) -> Any:
        if role not in self._place.sessions:
            walk = await self.as_user(await self._place.user(role))
            self._place.sessions[role] = await walk.page.context.storage_state()
            await self._pages.close(walk.page)
        return self._place.sessions[role]
