"""Consent and the shortcuts for it: evidence is asked for, a block stands above it, and everything can be undone."""

from __future__ import annotations

import pytest

from tests.browser.samples import contact, conversation_of
from tests.browser.walk import Walk
from tests.server import Api, Customer
from tests.web.site import Phones

EVIDENCE = "Where and when did they agree?"


async def test_opting_in_asks_for_evidence(desk: Walk, admin: Api, new_phone: Phones):
    number = new_phone()
    id_ = await contact(admin, number, "Ada", opted_in=False)
    await desk.open(f"/contacts/{id_}")
    await desk.sees("Not texted:")
    await desk.click("Opt in")
    box = desk.page.get_by_role("dialog", name=f"Opt in {number}")
    await desk.click("Opt in", inside=box)
    assert not (await admin.phone(number))["opted_in"], "the browser asks for the evidence"
    await desk.fill(EVIDENCE, "at the counter, today", inside=box)
    await desk.click("Opt in", inside=box)
    await desk.sees("Opted in.")
    await desk.sees("at the counter, today", inside=desk.page.locator("ol.history"))
    await desk.click("Opt out")
    await desk.sees("Opted out: nothing is sent to it.")
    assert not (await admin.phone(number))["opted_in"]


async def test_who_is_blocked_cannot_be_opted_in_until_unblocked(desk: Walk, admin: Api, new_phone: Phones):
    number = new_phone()
    id_ = await contact(admin, number, "Ben")
    await desk.open(f"/contacts/{id_}")
    await desk.click("Block")
    await desk.sees("Unblock it before it can be opted in.")
    assert not await desk.named("Opt in", "button").count()
    await desk.click("Unblock")
    await desk.click("Opt in")
    box = desk.page.get_by_role("dialog", name=f"Opt in {number}")
    await desk.fill(EVIDENCE, "by letter", inside=box)
    await desk.click("Opt in", inside=box)
    await desk.sees("Opted in.")
    phone = await admin.phone(number)
    assert (phone["opted_in"], phone["blocked"]) == (True, False)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"opted_in": False}, "the phone is opted out"),
        ({"blocked": True}, "the phone is blocked"),
        ({"label": "home"}, "not labelled cell|labelled home"),
    ],
    ids=["opted-out", "blocked", "home"],
)
async def test_who_may_not_be_texted_has_no_composer_but_the_reason_in_words(
    desk: Walk, admin: Api, texter: Customer, change: dict[str, object], why: str
):
    await texter.text("HOURS")
    id_ = (await admin.contact_of(texter.phone))["id"]
    talk = await conversation_of(admin, texter.phone)
    await desk.open(f"/inbox/{talk['id']}")
    assert await desk.page.get_by_label("Message", exact=True).count() == 1
    await admin.call("PATCH", f"/contacts/{id_}/phones/{texter.phone}", change)
    await desk.page.reload()
    await desk.sees("You cannot text here:")
    text = await desk.page.locator(".composer.off").inner_text()
    assert any(words in text for words in why.split("|")), text
    assert await desk.page.get_by_label("Message", exact=True).count() == 0
    await desk.click("See their consent")
    await desk.is_at(f"/contacts/{id_}")


@pytest.mark.parametrize(
    ("words", "tag", "flag"),
    [("Wrong Number", "wrong-number", "wrong_number"), ("Do Not Contact", "do-not-contact", "do_not_contact")],
    ids=["wrong-number", "do-not-contact"],
)
@pytest.mark.parametrize("place", ["contact", "chat"])
async def test_a_shortcut_stops_texting_and_is_undone(
    desk: Walk, admin: Api, texter: Customer, words: str, tag: str, flag: str, place: str
):
    await texter.text("HOURS")
    id_ = (await admin.contact_of(texter.phone))["id"]
    talk = (await conversation_of(admin, texter.phone))["id"]

    async def click(label: str) -> None:
        await desk.open(f"/contacts/{id_}" if place == "contact" else f"/inbox/{talk}")
        if place == "chat":
            await desk.click("Details")
        await desk.click(label)
        await desk.sees(f"{words} is undone." if label.startswith("Undo") else f"Tagged {words}")

    await click(words)
    phone = await admin.phone(texter.phone)
    assert phone[flag]
    assert not phone["textable"]
    assert tag in (await admin.get(f"/contacts/{id_}"))["tags"]
    await click(f"Undo {words}")
    assert not (await admin.phone(texter.phone))[flag]
    assert tag not in (await admin.get(f"/contacts/{id_}"))["tags"]


async def test_the_opt_in_shortcut_asks_for_evidence_and_is_undone(desk: Walk, admin: Api, new_phone: Phones):
    number = new_phone()
    id_ = await contact(admin, number, "Cleo", opted_in=False)
    await desk.open(f"/contacts/{id_}")
    await desk.click("Opt-In")
    box = desk.page.get_by_role("dialog", name="Opt in", exact=True)
    await desk.fill(EVIDENCE, "web form, 3 March", inside=box)
    await desk.click("Opt in", inside=box)
    await desk.sees("Opted in.")
    assert (await admin.phone(number))["opted_in"]
    await desk.click("Undo Opt-In")
    await desk.sees("Opt-In is undone.")
    assert not (await admin.phone(number))["opted_in"]
