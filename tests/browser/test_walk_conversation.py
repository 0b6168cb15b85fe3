"""A conversation: reading it, answering, and deciding whose it is."""

from __future__ import annotations

import re

from playwright.async_api import expect

from bot.clock import MICROSECONDS, iso, system_clock
from tests.browser.console import Console
from tests.browser.samples import conversation_of, made
from tests.browser.walk import Walk
from tests.server import Api, Customer
from tests.web.site import eventually

NEXT_MONTH = system_clock() + 30 * 86_400 * MICROSECONDS


async def opened(desk: Walk, admin: Api, texter: Customer, *texts: str) -> str:
    """The conversation of a customer, on the screen; its id."""
    for text in texts:
        await texter.text(text)
    talk = str((await conversation_of(admin, texter.phone))["id"])
    await desk.open(f"/inbox/{talk}")
    return talk


async def test_a_message_says_who_sent_it_how_far_it_is_and_why(desk: Walk, admin: Api, texter: Customer):
    talk = await opened(desk, admin, texter, "HOURS")
    answer = desk.page.locator(".bubble.outbound")
    await desk.sees("We are open 9 to 5.", inside=answer)
    await expect(answer.locator(".state")).to_have_text("sent")
    await desk.click("rule shop.hours")
    await desk.sees("Why this answer?")
    await desk.sees("shop.hours")
    await desk.click("‹ The conversation")
    await desk.is_at(f"/inbox/{talk}")


async def test_states_are_said_in_words(desk: Walk, admin: Api, texter: Customer):
    await texter.text("HOURS")
    talk = (await conversation_of(admin, texter.phone))["id"]
    contact = (await admin.contact_of(texter.phone))["id"]
    await made(admin, "/messages", {"to": {"contact": contact}, "body": "Later", "send_at": iso(NEXT_MONTH)})
    await desk.open(f"/inbox/{talk}")
    later = desk.page.locator(".bubble", has_text="Later")
    await desk.sees("waits for its time", inside=later)
    await texter.text("STOP")
    await desk.sees("called back", inside=later)


async def test_an_answer_is_counted_while_it_is_written_and_sent_with_the_keys(
    desk: Walk, admin: Api, texter: Customer, console: Console
):
    await opened(desk, admin, texter, "HOURS")
    await desk.fill("Message", "Yes")
    await desk.sees("GSM-7 · 1 segment · 157 left")
    await desk.fill("Message", "x" * 161)
    await desk.sees(re.compile("GSM-7 · 2 segments"))
    await desk.fill("Message", "Да! 📚")
    await desk.sees(re.compile("UCS-2 · 1 segment · "))
    await desk.page.get_by_label("Message", exact=True).focus()
    await desk.press("Control+Enter")
    sent = desk.page.locator(".bubble.outbound", has_text="Да! 📚")
    await desk.sees((await console.user("staff")).name, inside=sent)
    await desk.sees("Staff answer")
    assert (await texter.wait_for(2))[-1] == "Да! 📚"
    await expect(desk.page.get_by_label("Message", exact=True)).to_have_value("")


async def test_a_canned_answer_is_put_in_with_the_persons_own_name(desk: Walk, admin: Api, texter: Customer):
    await desk.open("/answers")
    await desk.fill("Name", "Greeting")
    await desk.fill("Text", "Hi {{ contact.first_nam }}!")
    await desk.click("Keep")
    await desk.sees("first_nam")
    await desk.fill("Text", 'Hi {{ contact.first_name | default("there") }}, how can we help?')
    await desk.click("Keep")
    await desk.sees("Kept.")
    await texter.text("HOURS")
    id_ = (await admin.contact_of(texter.phone))["id"]
    await admin.call("PATCH", f"/contacts/{id_}", {"name": "Rosa Nowak"})
    await opened(desk, admin, texter)
    await desk.click("Answers", "button")
    await desk.page.get_by_role("dialog", name="Canned answers").get_by_text("Greeting").click()
    await expect(desk.page.get_by_label("Message", exact=True)).to_have_value("Hi Rosa, how can we help?")
    await desk.click("Send")
    assert (await texter.wait_for(2))[-1] == "Hi Rosa, how can we help?"


async def test_a_picture_is_sent_by_its_address(desk: Walk, admin: Api, texter: Customer):
    talk = await opened(desk, admin, texter, "HOURS")
    await desk.page.get_by_text("Picture", exact=True).click()
    await desk.fill("Address (https://…)", "javascript:alert(1)")
    await desk.fill("Message", "Look")
    await desk.click("Send")
    await desk.sees(re.compile("^media"))
    await desk.fill("Address (https://…)", "https://pictures.example/shelf.png")
    await desk.click("Send")
    link = desk.page.get_by_role("link", name="Picture or file 1")
    await expect(link).to_have_attribute("href", "https://pictures.example/shelf.png")
    messages = (await admin.get(f"/conversations/{talk}/messages"))["items"]
    assert [media["url"] for media in messages[0]["media"]] == ["https://pictures.example/shelf.png"]


async def test_a_person_is_renamed_and_put_on_a_list_from_the_chat(desk: Walk, admin: Api, texter: Customer):
    await opened(desk, admin, texter, "HOURS")
    await desk.click("Details")
    await desk.fill("Name", "Nora From The Chat")
    await desk.click("Save")
    await desk.sees("Saved.")
    await desk.click("Details")
    await desk.choose("Put on", "vip")
    await desk.click("Add", inside=desk.page.locator("#about"))
    await desk.sees("On the list.")
    contact = await admin.contact_of(texter.phone)
    assert (contact["name"], contact["lists"]) == ("Nora From The Chat", ["All Contacts", "vip"])


async def test_whose_a_conversation_is_taken_over_closed_and_handed_back(desk: Walk, admin: Api, texter: Customer):
    await opened(desk, admin, texter, "HOURS")
    await texter.wait_for(1)
    await desk.sees("Automation answers")
    await desk.click("Take over")
    await desk.sees("It is yours: automation is silent here.")
    await texter.text("HOURS")
    assert len(await texter.quiet()) == 1
    await desk.click("Close")
    await desk.sees("Closed: automation answers again.")
    await texter.text("HOURS")
    await texter.wait_for(2)
    await desk.click("Take over")
    await desk.sees("It is yours: automation is silent here.")
    await desk.click("Details")
    await desk.click("Hand back to automation")
    await desk.sees("Automation answers again.")
    assert (await conversation_of(admin, texter.phone))["mode"] == "auto"


async def test_a_conversation_is_handed_to_a_person_and_to_a_route(
    desk: Walk, admin: Api, texter: Customer, console: Console
):
    other = (await console.user("admin")).name
    talk = await opened(desk, admin, texter, "HOURS")
    await desk.click("Details")
    about = desk.page.locator("#about")
    await desk.choose("To a person", other)
    await desk.click("Hand over", inside=about.locator("form", has_text="To a person"))
    await desk.sees(f"Staff answer ({other})")
    await desk.click("Details")
    await desk.choose("To a route", "night")
    await desk.fill("Note", "The one about the atlas")
    await desk.click("Hand over", inside=about.locator("form", has_text="To a route"))
    await desk.sees("The route is told.")
    await desk.sees(re.compile("route night"))

    async def told() -> list[str]:
        items = (await admin.get("/notifications", limit="200"))["items"]
        return [item["route"] for item in items if item["conversation"] == talk]

    assert await eventually(told, "the route is told") == ["night"]


async def test_what_comes_while_one_looks_appears_and_what_one_writes_stays(desk: Walk, admin: Api, texter: Customer):
    await opened(desk, admin, texter, "HOURS")
    await desk.fill("Message", "I am just writ")
    await texter.text("One more thing")
    await desk.sees("One more thing", inside=desk.page.locator(".log"))
    await expect(desk.page.get_by_label("Message", exact=True)).to_have_value("I am just writ")

    async def read() -> bool:
        return bool((await conversation_of(admin, texter.phone))["unread"] == 0)

    await eventually(read, "what is looked at is read")


async def test_earlier_messages_are_one_click_away(desk: Walk, admin: Api, texter: Customer):
    for number in range(52):
        await texter.text(f"Line {number:02}.")
    await opened(desk, admin, texter)
    log = desk.page.locator(".log")
    await desk.sees("Line 51.", inside=log)
    assert not await log.get_by_text("Line 00.").count()
    await desk.click("Earlier messages")
    await desk.sees("Line 00.", inside=desk.page.locator(".log"))
