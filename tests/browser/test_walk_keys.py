"""By the keyboard alone, without JavaScript, and on a phone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest
from playwright.async_api import expect

from tests.browser.chromium import DARK_PHONE, PHONE, Look
from tests.browser.console import Console
from tests.browser.samples import conversation_of, made
from tests.browser.walk import Walk, Walks
from tests.server import Api, Customer


async def test_keys_lead_everywhere_and_are_listed(desk: Walk):
    await desk.open("/lists")
    for key, path in (("i", "/inbox"), ("c", "/contacts"), ("l", "/lists"), ("t", "/texts"), ("p", "/phone"),
                      ("s", "/settings")):  # fmt: skip
        await desk.press("g")
        await desk.press(key)
        await desk.is_at(path)
        await desk.page.locator("body").focus()
        if path == "/phone":
            await desk.page.locator("h1").click()
    await desk.press("/")
    await desk.is_at("/contacts")
    await desk.page.locator("h1").click()
    await desk.press("/")
    await expect(desk.page.get_by_label("Search", exact=True)).to_be_focused()
    await desk.press("?")
    await expect(desk.page.get_by_label("Search", exact=True)).to_have_value("?")
    await desk.page.locator("h1").click()
    await desk.press("?")
    await desk.sees("next, previous conversation")
    await desk.press("Escape")
    await desk.lacks("next, previous conversation")


async def test_conversations_are_gone_through_and_answered_by_keys(
    desk: Walk, admin: Api, new_texter: Callable[[], Customer]
):
    await made(admin, "/lists", {"name": "by keys"})
    first, second = new_texter(), new_texter()
    talks = []
    for texter in (second, first):
        await texter.text("HOURS")
        await admin.call("PUT", f"/lists/by%20keys/contacts/{(await admin.contact_of(texter.phone))['id']}")
        talks.insert(0, f"/inbox/{(await conversation_of(admin, texter.phone))['id']}")
    await desk.open("/inbox?show=all&list=by+keys")
    for key, place in (("j", 0), ("j", 1), ("j", 1), ("k", 0)):
        await desk.press(key)
        await desk.is_at(talks[place])
        await expect(desk.page.locator(".thread").nth(place)).to_have_attribute("aria-current", "true")
    await desk.press("r")
    await expect(desk.page.get_by_label("Message", exact=True)).to_be_focused()
    await desk.page.keyboard.type("jk?/ by keys")
    await desk.press("Control+Enter")
    await desk.sees("jk?/ by keys", inside=desk.page.locator(".log"))
    assert (await first.wait_for(2))[-1] == "jk?/ by keys"


async def test_a_key_pressed_in_the_moment_a_page_appears_is_not_undone(desk: Walk, admin: Api, texter: Customer):
    await texter.text("HOURS")
    talk = f"/inbox/{(await conversation_of(admin, texter.phone))['id']}"
    await desk.open("/inbox?show=all")
    await desk.page.evaluate(
        """() => document.addEventListener("htmx:afterSwap", (event) => {
            if (event.detail.target === document.body)
                document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "r", bubbles: true }))
        })"""
    )
    settles = desk.page.evaluate(
        "() => new Promise(done => document.addEventListener('htmx:afterSettle', (event) => "
        "event.detail.target === document.body && setTimeout(done, 50)))"
    )
    await asyncio.gather(settles, desk.page.locator(f".thread[href^='{talk}']").click())
    await expect(desk.page.get_by_label("Message", exact=True)).to_be_focused(timeout=500)


async def test_without_javascript_one_signs_in_answers_and_tags(
    walk: Walks, console: Console, admin: Api, texter: Customer
):
    await texter.text("HOURS")
    id_ = (await admin.contact_of(texter.phone))["id"]
    person = await walk.as_user(await console.user("staff"), java_script_enabled=False)
    await person.is_at("/inbox")
    await person.open(f"/inbox/{(await conversation_of(admin, texter.phone))['id']}")
    await person.fill("Message", "Without a script")
    await person.click("Send")
    await person.sees("Without a script")
    assert (await texter.wait_for(2))[-1] == "Without a script"
    await person.open(f"/contacts/{id_}")
    await person.fill("Tag", "plain-html", inside=person.page.locator("form:has(input[name='path.tag']:visible)"))
    await person.click("Add", inside=person.page.locator("form:has(input[name='path.tag']:visible)"))
    await person.sees("Tagged.")
    await person.click("Wrong Number")
    await person.sees("Tagged Wrong Number: no phone of theirs is texted.")
    tags = (await admin.get(f"/contacts/{id_}"))["tags"]
    assert {"plain-html", "wrong-number"} <= set(tags)
    person.expects("status of 422")
    await person.open("/contacts/new")
    await person.fill("Number 1", "12345")
    await person.click("Add")
    await person.sees("That did not work")


@pytest.mark.parametrize("look", [PHONE, DARK_PHONE], ids=str)
async def test_on_a_phone_one_goes_from_the_inbox_into_a_conversation_and_back(
    walk: Walks, admin: Api, texter: Customer, look: Look
):
    await texter.text("HOURS")
    person = await walk("staff", look)
    await person.open("/inbox?show=all")
    await person.fits()
    assert not await person.page.locator(".chat").is_visible()
    await person.page.locator(".thread").first.tap()
    await person.is_at(f"/inbox/{(await conversation_of(admin, texter.phone))['id']}")
    await person.fits()
    await person.fill("Message", "From my pocket")
    await person.click("Send")
    await person.sees("From my pocket", inside=person.page.locator(".log"))
    await person.page.get_by_role("link", name=re.compile("Inbox")).filter(visible=True).first.tap()
    await person.is_at("/inbox")
    for name in ("Contacts", "Lists", "Texts", "Answers", "Rules", "Phone", "Settings"):
        await person.page.get_by_role("navigation").get_by_role("link", name=name).tap()
        await person.is_at(f"/{name.lower()}")
    await person.page.get_by_role("button", name="Sign out").filter(visible=True).wait_for()
