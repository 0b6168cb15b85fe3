"""Contacts, as staff work with them: finding people, changing them, and seeing everything that happened."""

from __future__ import annotations

import re

from playwright.async_api import expect

from tests.browser.samples import contact, conversation_of
from tests.browser.walk import Walk
from tests.server import Api, Customer
from tests.web.site import Phones


async def found(desk: Walk, *names: str) -> None:
    """The grid has these people, whatever their order."""
    people = desk.page.locator("table.people tbody th")
    await expect(people).to_have_count(len(names))
    for name in names:
        # The grid before had as many people, maybe.
        await expect(people.filter(has_text=name)).to_have_count(1)


async def test_people_are_found_by_a_name_without_its_accents_and_by_part_of_a_number(
    desk: Walk, admin: Api, new_phone: Phones
):
    number = new_phone()
    await contact(admin, number, "Zoë Quaißer-Brontë")
    await desk.open("/contacts")
    for words in ("zoe quaisser", "BRONTE", number[-7:]):
        await desk.fill("Search", words)
        await desk.press("Enter")
        if words == "BRONTE":
            await desk.sees("Zoë Quaißer-Brontë")
        else:
            await found(desk, "Zoë Quaißer-Brontë")
    await desk.fill("Search", "nobody of that name")
    await desk.press("Enter")
    await desk.sees("Nobody matches")


async def test_people_are_found_by_tag_list_and_consent(desk: Walk, admin: Api, new_phone: Phones):
    await contact(admin, new_phone(), "Finch", tags=["birds"], lists=["club"])
    await contact(admin, new_phone(), "Heron", tags=["birds"], opted_in=False)
    await desk.open("/contacts")
    await desk.page.get_by_text("More to ask").click()
    asked = desk.page.locator(".search details")
    await desk.fill("Tag", "birds")
    await desk.click("Search", inside=asked)
    await found(desk, "Finch", "Heron")
    await desk.choose("Consent", "Opted out")
    await desk.click("Search", inside=asked)
    await found(desk, "Heron")
    await desk.choose("Consent", "Any")
    await desk.choose("List", "club")
    await desk.click("Search", inside=asked)
    await found(desk, "Finch")
    await desk.click("#birds")
    await found(desk, "Finch", "Heron")


async def test_a_name_and_fields_are_changed_and_an_emptied_field_goes(desk: Walk, admin: Api, new_phone: Phones):
    id_ = await contact(admin, new_phone(), "Mira", fields={"colour": "green", "size": "L"})
    await desk.open(f"/contacts/{id_}")
    await desk.fill("Name", "Mira Kovač")
    await desk.fill("colour", "")
    await desk.fill("size", "XL")
    await desk.fill("New field", "shoe")
    await desk.fill("Value", "38")
    await desk.click("Save")
    await desk.sees("Saved.")
    await expect(desk.page.get_by_role("heading", level=1)).to_have_text("Mira Kovač")
    changed = await admin.get(f"/contacts/{id_}")
    assert (changed["name"], changed["fields"]) == ("Mira Kovač", {"size": "XL", "shoe": "38"})


async def test_whoever_changes_what_somebody_else_changed_meanwhile_is_told_and_keeps_their_words(
    desk: Walk, admin: Api, new_phone: Phones
):
    id_ = await contact(admin, new_phone(), "Ines")
    await desk.open(f"/contacts/{id_}")
    await admin.call("PATCH", f"/contacts/{id_}", {"name": "Inés"})
    await desk.fill("Name", "Agnes")
    await desk.click("Save")
    await desk.sees("Somebody changed it meanwhile.")
    assert await desk.page.get_by_label("Name", exact=True).input_value() == "Agnes"
    assert (await admin.get(f"/contacts/{id_}"))["name"] == "Inés"


async def test_a_phone_is_added_labelled_and_removed(desk: Walk, admin: Api, new_phone: Phones):
    number, second = new_phone(), new_phone()
    id_ = await contact(admin, number, "Paul")
    await desk.open(f"/contacts/{id_}")
    await desk.page.get_by_text("Add a phone").click()
    adding = desk.page.locator("details", has_text="Add a phone")
    await desk.fill("Number", "12345", inside=adding)
    await desk.click("Add", inside=adding)
    await desk.sees(re.compile("12345"))
    await desk.fill("Number", second, inside=adding)
    await desk.click("Add", inside=adding)
    await desk.sees("The phone is added, not opted in.")
    added = desk.page.locator("article.phone").nth(1)
    await desk.choose("Label", "home", inside=added)
    await desk.sees("Labelled.")
    phones = {phone["number"]: phone for phone in (await admin.get(f"/contacts/{id_}"))["phones"]}
    assert (phones[second]["label"], phones[second]["opted_in"]) == ("home", False)
    await desk.click("Remove", inside=added)
    assert len((await admin.get(f"/contacts/{id_}"))["phones"]) == 2, "unasked, nothing goes"
    desk.says_yes()
    await desk.click("Remove", inside=added)
    await desk.sees("The phone is removed.")
    assert [phone["number"] for phone in (await admin.get(f"/contacts/{id_}"))["phones"]] == [number]


async def test_the_history_has_messages_consent_lists_tags_runs_notes_and_changes(
    desk: Walk, admin: Api, texter: Customer
):
    await texter.text("HOURS")
    await texter.text("BEGIN")
    id_ = (await admin.contact_of(texter.phone))["id"]
    await desk.open(f"/contacts/{id_}")
    await desk.fill("Name", "Hanna")
    await desk.click("Save")
    await desk.sees("Saved.")
    await desk.fill("Note", "Prefers mornings.")
    await desk.click("Add note")
    await desk.sees("Noted.")
    await desk.choose("Put on", "club")
    await desk.click("Add", inside=desk.page.locator("form", has_text="Put on"))
    await desk.sees("On the list.")
    tagging = desk.page.locator("form[action='/do/tag_contact']:has([name='path.tag']:not([type=hidden]))")
    await desk.fill("Tag", "early-bird", inside=tagging)
    await desk.click("Add", inside=tagging)
    await desk.sees("Tagged.")
    history = desk.page.locator("ol.history")
    for words in ("HOURS", "We are open 9 to 5.", "Prefers mornings.", "club", "early-bird", "shop.drip"):
        await desk.sees(words, inside=history)
    kinds = set(await history.locator(".kind").all_inner_texts())
    assert kinds == {"in", "out", "consent", "list", "tag", "run", "note", "change"}
    await history.get_by_role("link", name="why?").last.click()
    await desk.sees("Why this answer?")
    await desk.sees("Decided by")


async def test_a_long_history_is_paged(desk: Walk, admin: Api, new_phone: Phones):
    id_ = await contact(admin, new_phone(), "Old friend")
    for number in range(45):
        await admin.call("POST", f"/contacts/{id_}/notes", {"body": f"Note {number:02}"})
    await desk.open(f"/contacts/{id_}")
    await desk.sees("Note 44")
    await desk.click("Earlier")
    await desk.sees("Note 00")
    await desk.lacks("Note 44")


async def test_what_is_wrong_with_a_new_contact_is_said_above_the_form_which_stays(desk: Walk, new_phone: Phones):
    number = new_phone()
    await desk.open("/contacts/new")
    await desk.fill("Name", "Lena")
    await desk.fill("Number 1", number)
    await desk.page.get_by_label("Opted in: they agreed").check()
    await desk.click("Add")
    await desk.sees("Opting in needs evidence")
    assert await desk.page.get_by_label("Name", exact=True).input_value() == "Lena"
    await desk.fill("Evidence: where and when did they agree?", "at the counter")
    await desk.click("Add")
    await desk.sees("The contact is made.")
    await desk.sees("Opted in")


async def test_the_conversation_of_a_contact_is_one_click_away(desk: Walk, admin: Api, texter: Customer):
    await texter.text("HOURS")
    id_ = (await admin.contact_of(texter.phone))["id"]
    await desk.open(f"/contacts/{id_}")
    await desk.click("Conversation")
    await desk.is_at(f"/inbox/{(await conversation_of(admin, texter.phone))['id']}")
