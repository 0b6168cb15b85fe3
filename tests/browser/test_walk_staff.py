"""Users and their roles, tokens, the audit log, routes and their notifications, and signing in and out."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from tests.browser.console import PASSWORD, Console, User
from tests.browser.samples import contact, conversation_of
from tests.browser.walk import Walks
from tests.server import Api, Customer
from tests.web.site import Phones, eventually

CHANGING = "main form[action^='/do/'] button:visible, main button.danger:visible, main button.primary:visible"


async def test_who_reads_sees_no_button_that_changes_anything(walk: Walks, admin: Api, texter: Customer):
    reader = await walk("read")
    await texter.text("HOURS")
    id_ = (await admin.contact_of(texter.phone))["id"]
    talk = (await conversation_of(admin, texter.phone))["id"]
    for path in (f"/inbox/{talk}", f"/contacts/{id_}", "/lists/club", "/answers", "/rules", "/texts",
                 "/settings/routes", "/settings/notifications"):  # fmt: skip
        await reader.open(path)
        texts = await reader.page.locator(CHANGING).all_inner_texts()
        assert [text for text in texts if text != "Search"] == [], path
    await reader.open("/settings")
    for name in ("Users", "API tokens", "Audit log", "Import and export"):
        assert not await reader.page.get_by_role("link", name=re.compile(name)).count()


@pytest.mark.parametrize("path", ["/settings/tokens", "/settings/audit"])
async def test_staff_are_told_that_a_page_is_not_for_them(walk: Walks, path: str):
    person = await walk("staff")
    person.expects("status of 403")
    answer = await person.page.goto(path)
    assert answer is not None
    assert answer.status == 403
    await person.sees("This page needs the role admin; yours is staff.")
    await person.open("/settings")
    assert not await person.page.get_by_role("link", name=re.compile("API tokens|Audit log")).count()


async def test_a_user_is_added_changed_stopped_and_deleted(walk: Walks):
    boss = await walk("admin")
    await boss.open("/settings/users")
    await boss.fill("Name to sign in with", "new.hand")
    await boss.fill("Password, 10 characters or more", "new.hand.new.hand")
    await boss.click("Add")
    await boss.sees(re.compile("soon guessed"))
    await boss.fill("Password, 10 characters or more", PASSWORD)
    await boss.click("Add")
    await boss.sees("They can sign in now.")
    hand = await walk.as_user(User("new.hand", PASSWORD))
    await hand.open("/settings/users")
    assert not await hand.page.get_by_text("Change", exact=True).count(), "staff see who there is"
    card = boss.page.locator("article.card", has_text="new.hand")
    await card.get_by_text("Change", exact=True).click()
    await boss.choose("Role", "read", inside=card)
    await boss.click("Save", inside=card)
    await boss.sees("Saved.")
    await hand.open("/inbox")
    await hand.sees("Inbox")
    assert not await hand.page.get_by_label("Message", exact=True).count()
    await card.get_by_text("Change", exact=True).click()
    await boss.click("Stop signing in", inside=card)
    await boss.sees("may not sign in", inside=card)
    await hand.open("/inbox")
    await hand.is_at("/login")
    boss.says_yes()
    await card.get_by_text("Change", exact=True).click()
    await boss.click("Delete", inside=card)
    await boss.sees("The user is deleted")
    await expect(card).to_have_count(0)


async def test_ones_own_password_is_changed_and_one_signs_in_again(walk: Walks, console: Console):
    user = await console.new_user("changes.hers", "read")
    person = await walk.as_user(user)
    await person.open("/settings/account")
    await person.fill("Present password", "not the one, surely")
    await person.fill("New password, 10 characters or more", "another quiet otter")
    await person.click("Change")
    await person.sees(re.compile("present|password", re.IGNORECASE), inside=person.page.locator("#notice"))
    await person.fill("Present password", PASSWORD)
    await person.click("Change")
    await person.is_at("/login")
    again = await walk.as_user(User(user.name, "another quiet otter"))
    await again.click("Sign out")
    await again.is_at("/login")
    await again.open("/inbox")
    await again.is_at("/login")


async def test_signing_in_is_slowed_down_after_wrong_passwords(walk: Walks, console: Console):
    person = await walk()
    user = await console.new_user("forgets.his", "read")
    person.expects("status of 401")
    person.expects("status of 429")
    await person.open("/login?next=/lists")
    for _ in range(6):
        await person.fill("Name", user.name)
        await person.fill("Password", "wrong and wrong again")
        await person.click("Sign in")
        await person.sees(re.compile("^That is not|^Too many"))
    await person.sees(re.compile(r"Too many wrong passwords\. Try again in \d+ seconds?\."))


async def test_a_token_is_shown_once_and_revoked(walk: Walks, console: Console, admin: Api):
    boss = await walk("admin")
    await boss.open("/settings/tokens")
    await boss.fill("Who or what uses it", "the robot")
    await boss.click("Make")
    await boss.sees("It is shown once.")
    secret = await boss.page.locator("code.secret").inner_text()
    assert secret.startswith("tw_")
    await boss.is_at("/settings/tokens")
    robot = Api(console.server, admin.client, secret)
    assert (await robot.get("/me"))["name"] == "the robot"
    await boss.click("I have copied it")
    await boss.sees("the robot")
    await expect(boss.page.locator("code.secret")).to_have_count(0)
    assert secret not in await boss.page.content()
    await boss.page.go_back()
    await boss.sees("API tokens")
    assert secret not in await boss.page.content()
    boss.says_yes()
    await boss.click("Revoke", inside=boss.page.locator("article.card", has_text="the robot"))
    await boss.sees("Revoked.")
    assert (await robot.call("GET", "/me"))[0] == 401


async def test_the_audit_log_names_who_did_what(walk: Walks, admin: Api, new_phone: Phones, console: Console):
    boss, person = await walk("admin"), await walk("staff")
    name = (await console.user("staff")).name
    id_ = await contact(admin, new_phone(), "Audited")
    await person.open(f"/contacts/{id_}")
    await person.fill("Note", "Not a word of this in the log")
    await person.click("Add note")
    await person.sees("Noted.")
    await boss.open("/settings/audit")
    await boss.fill("Who", f"user {name}")
    await boss.fill("What", "add_note")
    await boss.click("Show")
    row = boss.page.locator("tbody tr", has_text=id_)
    await boss.sees(f"user {name}", inside=row)
    await boss.sees("add note", inside=row)
    assert "Not a word" not in await boss.page.content()
    await row.get_by_role("link").click()
    await boss.sees("Audited")


async def test_people_of_a_route_are_away_and_back(walk: Walks, admin: Api):
    person = await walk("staff")
    await person.open("/settings/routes")
    card = person.page.locator("article.card:has(h2:has-text('night'))")
    await card.get_by_text("Be away", exact=True).first.click()
    until = card.get_by_label(re.compile("Until"))
    await until.fill("2020-01-27T08:00")
    await card.get_by_role("button", name="Be away").click()
    await person.sees(re.compile("^until"))
    await until.fill("2027-01-27T08:00")
    await person.choose("Tell instead", "desk", inside=card)
    await card.get_by_role("button", name="Be away").click()
    await person.sees("Noted.")
    await person.sees(re.compile("desk stands in"), inside=card)
    assert (await admin.get("/routes/night"))["away_until"].startswith("2027-01-27T13:00")  # New York's clock
    await person.click("We are back")
    await person.sees("Welcome back.")
    assert not (await admin.get("/routes/night"))["is_away"]


async def test_a_notification_that_failed_is_tried_again(walk: Walks, admin: Api, texter: Customer):
    await texter.text("TELL")
    talk = (await conversation_of(admin, texter.phone))["id"]

    async def dead() -> list[str]:
        items = (await admin.get("/notifications", state="dead", limit="200"))["items"]
        return [item["id"] for item in items if item["conversation"] == talk]

    (id_,) = await eventually(dead, "a dead notification")
    person = await walk("staff")
    await person.open("/settings/notifications")
    await person.click("Failed for good")
    row = person.page.locator("tbody tr", has=person.page.locator(f"input[value='{id_}']"))
    await person.sees("dead", inside=row)
    await person.click("Again", inside=row)
    await person.sees("It is tried again.")

    async def tried() -> bool:
        items = (await admin.get("/notifications", limit="200"))["items"]
        return any(item["id"] == id_ and item["attempts"] >= 1 and item["state"] == "dead" for item in items)

    await eventually(tried, "it is tried again")
