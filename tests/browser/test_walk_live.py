"""What happens on a page while one looks at it: texts that come in, a STOP, a colleague, a session that ends."""

from __future__ import annotations

from playwright.async_api import Route, expect

from tests.browser.samples import conversation_of, made
from tests.browser.walk import Walk, Walks
from tests.server import Api, Customer

TEXTS = 45


async def long_talk(admin: Api, texter: Customer) -> str:
    """The path of a conversation that is longer than the screen."""
    for number in range(TEXTS):
        await texter.text(f"line {number}")
    return f"/inbox/{(await conversation_of(admin, texter.phone))['id']}"


async def scrolled(desk: Walk) -> tuple[int, int]:
    """How far the log is scrolled, and how far it could be."""
    top, most = await desk.page.evaluate(
        "() => { const log = document.querySelector('.log'); "
        "return [log.scrollTop, log.scrollHeight - log.clientHeight] }"
    )
    return round(top), round(most)


async def test_who_reads_further_up_stays_there(desk: Walk, admin: Api, texter: Customer):
    await desk.open(await long_talk(admin, texter))
    await desk.page.evaluate("() => { document.querySelector('.log').scrollTop = 300 }")
    for number in range(3):
        await texter.text(f"more {number}")
        await expect(desk.page.locator(".log")).to_contain_text(f"more {number}")
        assert abs((await scrolled(desk))[0] - 300) < 3


async def test_who_is_at_the_end_sees_what_comes(desk: Walk, admin: Api, texter: Customer):
    await desk.open(await long_talk(admin, texter))
    for number in range(4):
        await texter.text(f"more {number}")
        await expect(desk.page.locator(".log")).to_contain_text(f"more {number}")
        top, most = await scrolled(desk)
        assert most - top < 3


async def test_earlier_messages_stay_when_something_comes(desk: Walk, admin: Api, texter: Customer):
    for number in range(55):
        await texter.text(f"line {number}")
    await desk.open(f"/inbox/{(await conversation_of(admin, texter.phone))['id']}?show=all")
    await desk.click("Earlier messages")
    await desk.sees("line 0", inside=desk.page.locator(".log"))
    await texter.text("the newest")
    await desk.sees("the newest", inside=desk.page.locator(".threads"))
    await desk.sees("line 0", inside=desk.page.locator(".log"))
    await desk.click("Newest messages")
    await desk.sees("the newest", inside=desk.page.locator(".log"))


async def test_a_stop_while_one_writes_keeps_the_words_and_holds_them_back(desk: Walk, admin: Api, texter: Customer):
    await texter.text("HOURS")
    await desk.open(f"/inbox/{(await conversation_of(admin, texter.phone))['id']}")
    await desk.fill("Message", "See you at nine")
    await texter.text("STOP")
    await desk.sees("You cannot text here: the phone is opted out.")
    await expect(desk.page.get_by_role("button", name="Send", exact=True)).to_be_disabled()
    await expect(desk.page.get_by_label("Message", exact=True)).to_have_value("See you at nine")
    await texter.text("START")
    await desk.lacks("You cannot text here: the phone is opted out.")
    await desk.click("Send")
    assert "See you at nine" in await texter.wait_for(4)


async def test_who_takes_over_is_seen_by_the_other_who_may_take_over_in_turn(walk: Walks, admin: Api, texter: Customer):
    await texter.text("PERSON")
    path = f"/inbox/{(await conversation_of(admin, texter.phone))['id']}"
    one, other = await walk("staff"), await walk("admin")
    for person in (one, other):
        await person.open(path)
    await other.page.locator("#body").fill("a draft")
    await one.page.locator("#body").fill("Hello")
    await one.click("Send")
    await one.sees("Hello", inside=one.page.locator(".log"))
    await other.sees("Hello", inside=other.page.locator(".log"))
    await other.click("Take over")
    await other.sees("It is yours")
    assert (await conversation_of(admin, texter.phone))["assigned_to"]
    await one.click("Close")
    await other.sees("Automation answers")
    await expect(other.page.locator(".chat-head").get_by_role("button", name="Close", exact=True)).to_have_count(0)


async def test_a_session_that_ends_keeps_the_page_and_what_was_typed(desk: Walk, admin: Api, texter: Customer):
    await texter.text("HOURS")
    await desk.open(f"/inbox/{(await conversation_of(admin, texter.phone))['id']}")
    await desk.fill("Message", "A long answer")
    await desk.page.context.clear_cookies()
    await texter.text("hello?")
    await desk.sees("You were signed out.")
    await desk.sees("HOURS", inside=desk.page.locator(".log"))
    await desk.click("Send")
    await desk.sees("You were signed out.")
    await expect(desk.page.get_by_label("Message", exact=True)).to_have_value("A long answer")


async def test_a_place_in_the_inbox_is_kept_when_something_comes(desk: Walk, new_texter, admin: Api):
    first, second = new_texter(), new_texter()
    for texter in (first, second):
        await texter.text("HOURS")
    await desk.open("/inbox?show=all")
    thread = desk.page.locator(f"a.thread[href*='{(await conversation_of(admin, first.phone))['id']}']")
    await thread.focus()
    await second.text("hello again")
    await desk.sees("hello again")
    await expect(thread).to_be_focused()


async def test_a_contact_is_texted_from_their_own_page(desk: Walk, admin: Api, texter: Customer):
    await texter.text("HOURS")
    await desk.open(f"/contacts/{(await admin.contact_of(texter.phone))['id']}")
    await desk.click("Text")
    await desk.fill("Message", "Your order is here")
    await desk.click("Send")
    await desk.sees("It is on its way.")
    assert "Your order is here" in await texter.wait_for(2)


async def test_a_canned_answer_is_filled_in_for_each(desk: Walk, admin: Api, texter: Customer):
    await texter.text("HOURS")
    body = "Hi {{ contact.first_name | default('there') }}, thank you."
    await made(admin, "/answers", {"name": f"Thanks {texter.phone[-4:]}", "body": body})
    person = await admin.contact_of(texter.phone)
    await admin.call("PUT", f"/contacts/{person['id']}/tags/t{texter.phone[1:]}")
    await desk.open(f"/contacts?q={texter.phone[1:]}")
    await desk.page.locator("input[name='contacts[]']").first.check()
    await desk.click("Text those ticked")
    await desk.page.get_by_text("Canned answers", exact=True).click()
    await desk.page.locator("button.choice", has_text=f"Thanks {texter.phone[-4:]}").click()
    await desk.page.locator("form.card button.primary").click()
    await desk.sees("It is on its way.")
    assert "Hi there, thank you." in await texter.wait_for(2)


async def test_an_answer_whose_confirmation_was_lost_is_told_of_and_leaves_once(
    desk: Walk, admin: Api, texter: Customer
):
    await texter.text("HOURS")
    await desk.open(f"/inbox/{(await conversation_of(admin, texter.phone))['id']}?show=all")

    async def loses(route: Route) -> None:
        await route.fetch(max_redirects=0)
        await route.abort()

    desk.expects("ERR_FAILED")
    desk.expects("htmx:afterRequest")
    desk.expects("htmx:sendError")
    await desk.page.route("**/do/answer_conversation", loses, times=1)
    await desk.fill("Message", "At nine")
    await desk.click("Send")
    await desk.sees("The server did not answer. Try again.")
    await desk.fill("Message", "At nine, then")
    await desk.click("Send")
    await desk.sees("An earlier try was carried out after all.")
    await desk.sees("At nine", inside=desk.page.locator(".log"))
    await desk.click("Send")
    await desk.sees("At nine, then", inside=desk.page.locator(".log"))
    assert await texter.wait_for(3) == ["We are open 9 to 5.", "At nine", "At nine, then"]
