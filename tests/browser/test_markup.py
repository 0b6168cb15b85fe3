"""What strangers and staff write stays text: no markup, no script, no template, nothing turned round beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from tests.browser.chromium import LIGHT
from tests.browser.conftest import shared_loop
from tests.browser.console import PASSWORD, Console
from tests.browser.samples import contact, conversation_of, made, upload
from tests.browser.walk import Walks
from tests.server import Customer
from tests.web.site import Phones

MARKUP = "<img src=x onerror=alert(1)>"
BREAKOUT = "'\"><script>alert(2)</script>"
# A product that no time, count or phone number on a page happens to be.
PRODUCT = "7919*7907"
FILLED_IN = str(7919 * 7907)
TEMPLATE = f"{{{{{PRODUCT}}}}}${{{PRODUCT}}}<%={PRODUCT}%>"
# Overrides, embeddings and isolates that are opened and never closed.
BIDI = "\u202eabc\u2067\u202b"
BAD = MARKUP + BREAKOUT + TEMPLATE + BIDI
# A list or a tag has no slash in its name.
NAME = "<img src=x onerror=alert(3)>'\">" + "{{" + PRODUCT + "}}" + BIDI
CONTROLS = "[\\u200e\\u200f\\u061c\\u202a-\\u202e\\u2066-\\u2069]"

# What would be there if anything of it were more than text.
INJECTED = """() => [...document.querySelectorAll(
    'img[src="x"], [onerror], script:not([src]), iframe, a[href^="javascript:" i], a[href^="data:" i]')]
    .map(one => one.outerHTML.slice(0, 200))"""
# Attributes that people are told, or hear: there is no bdi for these. What is typed again (value) must stay as it is.
TOLD = f"""() => [...document.querySelectorAll('[title], [aria-label], [alt], [placeholder], [hx-confirm]')]
    .flatMap(one => ['title', 'aria-label', 'alt', 'placeholder', 'hx-confirm'].map(name => one.getAttribute(name)))
    .concat(document.title).filter(text => /{CONTROLS}/.test(text || ''))"""
# Each text that turns the direction must stand alone in its line, or in an element of which nothing leaks.
LEAKS = f"""() => {{
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    const leaks = []
    while (walker.nextNode()) {{
        const node = walker.currentNode
        if (!/{CONTROLS}/.test(node.data) || !node.parentElement.checkVisibility()) continue
        let one = node.parentElement
        while (getComputedStyle(one).display === 'inline' && !getComputedStyle(one).unicodeBidi.startsWith('isolate'))
            one = one.parentElement
        // In a browser's eyes the end of a bdi is the end of the last isolate that is open within it.
        const count = signs => node.data.split(signs).length - 1
        const unclosed = count(/[\\u2066-\\u2068]/) - count(/\\u2069/)
        if (one.matches('bdi') && unclosed) leaks.push(one.outerHTML.slice(0, 300))
        const own = [...one.childNodes].map(child => child.textContent.trim()).filter(Boolean)
        if (own.length > 1 || /{CONTROLS}[^]*[.!?”]\\s*$/.test(one.textContent) && !one.matches('bdi'))
            leaks.push(one.outerHTML.slice(0, 300))
    }}
    return leaks
}}"""

_quoted = partial(quote, safe="")


@dataclass(frozen=True)
class Written:
    """Where it all is."""

    paths: tuple[str, ...]


@shared_loop(scope="module")
async def written(console: Console, _phones: Phones) -> Written:
    async with aiohttp.ClientSession() as client:
        return await _written(console, client, _phones)


async def _written(console: Console, client: aiohttp.ClientSession, new_phone: Phones) -> Written:
    admin = await console.api(client)
    await made(admin, "/lists", {"name": NAME})
    await made(admin, "/lists", {"name": "q" + NAME, "query": {"tag": NAME}})
    fields = {"colour": BAD, "constructor": BAD}
    number = new_phone()
    id_ = await contact(admin, number, BAD, lists=[NAME], tags=[NAME], fields=fields, evidence=BAD, opted_in=True)
    texter = Customer(console.server, client, number)
    hostile = ["javascript:alert(4)", "data:text/html,<script>alert(5)</script>", "https://p.example/\"onerror='x"]
    await texter.text(BAD, media=hostile)
    await texter.text("HOURS " + BAD)
    await texter.text("PERSON")
    talk = (await conversation_of(admin, number))["id"]
    await made(admin, f"/conversations/{talk}/messages", {"body": BAD, "media": ["https://p.example/'\"><script>"]})
    await made(admin, f"/contacts/{id_}/notes", {"body": BAD})
    status, _ = await admin.call("PATCH", f"/conversations/{talk}", {"route": "night", "note": BAD})
    assert status == 200
    body = "{% raw %}" + BAD + "{% endraw %}"
    status, _ = await admin.call("POST", "/answers", {"name": NAME, "body": body})
    if status != 201:
        await made(admin, "/answers", {"name": NAME, "body": MARKUP + BREAKOUT + BIDI})
    user = {"name": "mallory", "full_name": BAD, "role": "read", "password": PASSWORD}
    await made(admin, "/users", user)
    await made(admin, "/tokens", {"name": NAME, "role": "read"})
    text = await made(admin, "/broadcasts", {"to": {"contacts": [id_]}, "body": BAD, "template": False})
    name, item = (text.replace('"', '""') for text in (BAD, NAME))
    csv = f'name,cell,lists\n"{name}",12,\n,{new_phone()},"{item}x"\n'
    file = await upload(console.server, admin, csv, NAME + ".csv")
    asked = (await admin.get("/messages", phone=number, direction="inbound"))["items"]
    inbound = [message["id"] for message in asked]
    return Written(
        (
            f"/inbox/{talk}",
            f"/contacts/{id_}",
            f"/texts/{text['id']}",
            f"/imports/{file['id']}",
            f"/phone?from=%2B{number[1:]}",
            *(f"/messages/{message}/why" for message in inbound),
            *("/inbox?show=all", "/contacts", "/lists", "/texts", "/answers", "/imports"),
            *(f"/settings/{name}" for name in ("users", "numbers", "tokens", "audit", "notifications", "routes")),
        )
    )


async def test_what_is_written_stays_text_on_every_page(walk: Walks, written: Written):
    boss = await walk("admin", LIGHT)
    dialogs: list[Any] = []
    boss.page.on("dialog", lambda dialog: dialogs.append(dialog))
    links = [f"/lists/{_quoted(NAME)}", f"/lists/{_quoted('q' + NAME)}", f"/contacts?tag={_quoted(NAME)}"]
    links += [f"/contacts?q={_quoted(MARKUP)}", f"/lists/new?tag={_quoted(NAME)}"]
    wrong: list[str] = []
    for path in (*written.paths, *links):
        await boss.open(path)
        for what in (INJECTED, TOLD, LEAKS):
            wrong += [f"{path}: {found}" for found in await boss.page.evaluate(what)]
        if FILLED_IN in await boss.page.locator("main").inner_text():
            wrong.append(f"{path}: a template was filled in")
    assert not wrong, "\n".join(wrong)
    assert not dialogs


@pytest.mark.parametrize("chosen", [NAME], ids=["list"])
async def test_it_stays_text_when_it_is_put_into_a_field_or_said_again(walk: Walks, written: Written, chosen: str):
    boss = await walk("admin")
    dialogs: list[Any] = []
    boss.page.on("dialog", lambda dialog: dialogs.append(dialog))
    talk = next(path for path in written.paths if path.startswith("/inbox/"))
    await boss.open(talk)
    await boss.click("Answers", "button")
    await boss.page.locator("#canned .choice", has_text="onerror").first.click()
    assert "<" in await boss.page.get_by_label("Message", exact=True).input_value()
    await boss.open(next(path for path in written.paths if path.startswith("/contacts/")))
    await boss.page.locator(".chip", has_text=chosen[:10]).first.get_by_role("button").click()
    await boss.sees("Removed from")
    assert not await boss.page.evaluate(INJECTED)
    assert not await boss.page.evaluate(LEAKS)
    await boss.choose("Put on", chosen)
    await boss.click("Add", inside=boss.page.locator("form", has_text="Put on"))
    await boss.sees("On the list.")
    assert not dialogs


async def test_a_search_and_a_sign_in_name_come_back_as_text(walk: Walks):
    person = await walk()
    person.expects("status of 401")
    await person.open("/login?next=" + _quoted("/lists" + BREAKOUT))
    await person.fill("Name", BREAKOUT)
    await person.fill("Password", "whatever it is")
    await person.click("Sign in")
    await person.sees("That is not a user's name and password.")
    assert await person.page.get_by_label("Name", exact=True).input_value() == BREAKOUT
    assert not await person.page.evaluate(INJECTED)
