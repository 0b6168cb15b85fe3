"""One text to many: choosing people, seeing beforehand who gets it, and what became of each."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.browser.samples import contact
from tests.browser.walk import Walk, Walks
from tests.server import Api
from tests.web.site import Phones, eventually


async def test_ticked_people_are_texted_and_the_progress_says_what_became_of_each(
    desk: Walk, admin: Api, new_phone: Phones
):
    await contact(admin, new_phone(), "Tick One", tags=["ticked"])
    await contact(admin, new_phone(), "Tick Two", tags=["ticked"], opted_in=False)
    await contact(admin, new_phone(), "Tick Three", tags=["ticked"])
    await desk.open("/contacts?tag=ticked")
    await desk.click("Text those ticked")
    await desk.sees("Nobody is ticked.")
    await desk.open("/contacts?tag=ticked")
    await desk.page.get_by_label("Tick Tick One").check()
    await desk.sees("1 ticked")
    await desk.page.get_by_label("Tick Tick Two").check()
    await desk.sees("2 ticked")
    await desk.click("Text those ticked")
    await desk.sees(re.compile("1 of 2 will get it"))
    await desk.sees(re.compile("1 will not: .*opted out"))
    await desk.fill("Text", "Привет")
    await desk.sees(re.compile(r"1 segment each \(UCS-2\)"))
    await desk.fill("Text", "The reading is on Friday.")
    await desk.click("Send to 1")
    await desk.sees("It is on its way.")
    await desk.sees("Text to 2 people")
    await desk.sees(re.compile("^1 not sent"))
    await desk.sees(re.compile("^1 sent"), within=10_000)
    row = desk.page.locator("tr", has_text="Tick Two")
    await desk.sees(re.compile("opted out"), inside=row)
    await desk.click(re.compile("^1 not sent"), "link")
    await expect(desk.page.locator("tbody tr")).to_have_count(1)
    await desk.click("Tick Two")
    await desk.sees("Tick Two")


async def test_all_that_match_are_more_than_those_on_the_page(desk: Walk, admin: Api, new_phone: Phones):
    for place in range(51):
        await contact(admin, new_phone(), f"Many {place}", tags=["many"])
    await desk.open("/contacts?tag=many")
    await desk.page.get_by_label("Tick all on this page").check()
    await desk.sees("50 ticked")
    await desk.click("Text all that match")
    await desk.sees(re.compile("51 of 51 will get it"))
    await desk.fill("Text", "Hi {{ contact.first_name }}")
    await desk.page.get_by_label(re.compile("Fill in variables")).check()
    await desk.click("Send to 51")
    await desk.sees(re.compile("'contact.first_name' can be missing"))
    await desk.fill("Text", 'Hi {{ contact.first_name | default("there") }}')
    await desk.click("Send to 51")
    await desk.sees("Text to 51 people")

    async def filled_in() -> bool:
        return any(item["body"] == "Hi Many" for item in (await admin.get("/messages", limit="100"))["items"])

    await eventually(filled_in, "a text with the person's name")


async def test_what_nobody_got_yet_is_called_back(desk: Walk, admin: Api, new_phone: Phones):
    await contact(admin, new_phone(), "Called Back", tags=["call-back"])
    await desk.open("/contacts?tag=call-back")
    await desk.click("Text all that match")
    await desk.fill("Text", "Too early")
    await desk.page.get_by_text("Picture, time and number").click()
    await desk.fill(re.compile("Not before"), "2027-03-05T15:00")
    await desk.click("Send to 1")
    await desk.sees(re.compile("waits for its time|not yet queued"))
    desk.says_yes()
    await desk.click("Call back")
    await desk.sees("Called back: whoever has not got it yet, does not.")
    await desk.sees(re.compile("^1 called back"), within=10_000)


async def test_who_may_only_look_ticks_nobody_and_sees_what_was_sent(walk: Walks):
    reader = await walk("read")
    await reader.open("/contacts")
    assert not await reader.page.locator("input[type=checkbox]:visible").count()
    await reader.open("/texts")
    assert not await reader.named("Choose people", "link").count()
