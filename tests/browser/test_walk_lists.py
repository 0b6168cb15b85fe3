"""Lists: how many are on them, who, adding and removing; and lists by query, which are always up to date."""

from __future__ import annotations

import asyncio

from playwright.async_api import expect

from tests.browser.samples import contact, made
from tests.browser.walk import Walk
from tests.server import Api, Customer
from tests.web.site import Phones


async def test_the_summary_counts_all_textable_opted_out_and_blocked(desk: Walk, admin: Api, new_phone: Phones):
    await made(admin, "/lists", {"name": "counted"})
    blocked = new_phone()
    await contact(admin, new_phone(), "One", lists=["counted"])
    await contact(admin, new_phone(), "Two", lists=["counted"], opted_in=False)
    id_ = await contact(admin, blocked, "Three", lists=["counted"])
    await admin.call("PATCH", f"/contacts/{id_}/phones/{blocked}", {"blocked": True})
    await desk.open("/lists")
    row = desk.page.locator("tr", has_text="counted")
    counts = await row.locator(".number").all_inner_texts()
    assert counts[:2] == ["3", "1"]
    assert counts[3] == "1"
    await desk.click("counted")
    await desk.sees(f"3 people, 1 can be texted, {counts[2]} opted out, 1 blocked")


async def test_people_of_a_list_are_searched_and_paged(desk: Walk, admin: Api, new_phone: Phones):
    await made(admin, "/lists", {"name": "crowd"})
    numbers = [new_phone() for _ in range(52)]
    await asyncio.gather(
        *(contact(admin, number, f"Guest {place:02}", lists=["crowd"]) for place, number in enumerate(numbers))
    )
    await desk.open("/lists/crowd")
    people = desk.page.locator("table.people tbody tr")
    await expect(people).to_have_count(50)
    await desk.click("Show more")
    await expect(people).to_have_count(2)
    await desk.fill("Search", "guest 07")
    await desk.press("Enter")
    await expect(people).to_have_count(1)
    await desk.is_at("/lists/crowd")


async def test_a_contact_is_added_from_the_lists_and_from_one_list(desk: Walk, admin: Api, new_phone: Phones):
    await made(admin, "/lists", {"name": "newcomers"})
    await desk.open("/lists")
    await desk.click("Add New Contact")
    await desk.is_at("/contacts/new")
    assert not await desk.page.get_by_label("newcomers").is_checked()
    await desk.open("/lists/newcomers")
    await desk.click("Add New Contact")
    await desk.fill("Name", "Kim")
    await desk.fill("Number 1", new_phone())
    await expect(desk.page.get_by_label("newcomers")).to_be_checked()
    await desk.click("Add")
    await desk.sees("The contact is made.")
    await desk.open("/lists/newcomers")
    await desk.sees("Kim")


async def test_who_is_removed_from_a_list_stays_in_all_contacts(desk: Walk, admin: Api, new_phone: Phones):
    await made(admin, "/lists", {"name": "left behind"})
    id_ = await contact(admin, new_phone(), "Lou Leaves", lists=["left behind"])
    await desk.open("/lists/left%20behind")
    await desk.click("Remove")
    await desk.sees("Removed from the list. The contact stays in All Contacts.")
    await desk.lacks("Lou Leaves")
    await desk.open("/contacts?q=Lou+Leaves")
    await desk.sees("Lou Leaves")
    assert (await admin.get(f"/contacts/{id_}"))["lists"] == ["All Contacts"]


async def test_deleting_a_contact_is_asked_first_and_then_it_is_gone_from_everywhere(
    desk: Walk, admin: Api, new_phone: Phones
):
    id_ = await contact(admin, new_phone(), "Gone Soon", lists=["club"])
    await desk.open(f"/contacts/{id_}")
    await desk.click("Delete")
    await desk.sees("Delete Gone Soon for good?")
    await desk.click("Keep")
    await desk.lacks("Delete Gone Soon for good?")
    assert (await admin.get(f"/contacts/{id_}"))["name"] == "Gone Soon"
    await desk.click("Delete")
    await desk.click("Delete for good")
    await desk.sees("The contact is deleted.")
    await desk.is_at("/contacts")
    await desk.open("/contacts?q=Gone+Soon")
    await desk.sees("Nobody matches")
    await desk.open("/lists/club?q=Gone+Soon")
    await desk.sees("Nobody matches")


async def test_a_list_by_query_has_whoever_matches_now(desk: Walk, admin: Api, texter: Customer, new_phone: Phones):
    await desk.open("/lists/new")
    await desk.fill("Name", "all who tested")
    await desk.page.get_by_text("By query: always whoever matches").click()
    await desk.fill("Tag", "tested")
    await desk.click("Make")
    await desk.sees("The list is made.")
    await desk.click("all who tested")
    await desk.sees("0 people")
    id_ = await contact(admin, new_phone(), "Tess Tested")
    await admin.call("PUT", f"/contacts/{id_}/tags/tested")
    await desk.page.reload()
    await desk.sees("1 people")
    await desk.sees("Tess Tested")
    await desk.sees("tag: tested")
    assert not await desk.named("Remove", "button").count(), "nobody is taken off by hand"
    await admin.call("DELETE", f"/contacts/{id_}/tags/tested")
    await desk.page.reload()
    await desk.sees("0 people")


async def test_a_search_becomes_a_list_by_query(desk: Walk, admin: Api, new_phone: Phones):
    await contact(admin, new_phone(), "Bea", tags=["beekeeper"])
    await desk.open("/contacts?tag=beekeeper")
    await desk.click("Make this a list by query")
    await desk.fill("Name", "beekeepers")
    await desk.click("Make")
    await desk.click("beekeepers")
    await desk.sees("Bea")


async def test_a_list_is_deleted_and_its_people_stay(desk: Walk, admin: Api, new_phone: Phones):
    await made(admin, "/lists", {"name": "short-lived"})
    id_ = await contact(admin, new_phone(), "Stays", lists=["short-lived"])
    await desk.open("/lists/short-lived")
    await desk.click("Delete the list")
    await desk.click("Delete the list", inside=desk.page.locator("#delete"))
    await desk.sees("The list is deleted.")
    assert (await admin.get(f"/contacts/{id_}"))["lists"] == ["All Contacts"]


async def test_a_list_is_changed_in_what_it_is_for_and_in_what_it_asks(desk: Walk, admin: Api):
    await made(admin, "/lists", {"name": "to change", "query": {"tag": "gold", "opted_in": True}})
    await desk.open("/lists/to%20change")
    await desk.click("Change", "button")
    box = desk.page.locator("#change")
    await expect(box.get_by_label("Tag", exact=True)).to_have_value("gold")
    await desk.fill("Tag", "silver", inside=box)
    await desk.choose("For", "marketing", inside=box)
    await desk.click("Change", "button", inside=box)
    await desk.sees("The list is changed.")
    changed = await admin.get("/lists/to%20change")
    assert (changed["purpose"], changed["query"]) == ("marketing", {"tag": "silver", "opted_in": True})
