"""Consent over HTTP: the whole table of states and events, one test for each of its cells."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bot.conftest import NOBODY, Shop
from tests.server import Api, Customer

CASES = Path(__file__).resolve().parent.parent / "cases" / "consent"
TABLE = yaml.safe_load((CASES / "table.yaml").read_text(encoding="utf-8"))
WORDS = yaml.safe_load((CASES / "words.yaml").read_text(encoding="utf-8"))
RULES = """
version: 1
name: shop
lists: {club: marketing}
rules:
  - id: hours
    when: {keyword: hours}
    do: [{reply: "We are open 9 to 6."}]
  - id: call
    when: {exact: call me}
    do: [{notify: desk}]
  - id: join
    when: {exact: join}
    do: [{add_to_list: club}]
"""
FLAGS = {
    "opted_in": (True, False),
    "opted_out": (False, False),
    "blocked": (False, True),
}


@pytest.fixture(scope="module")
def shop(open_shop) -> Shop:
    return open_shop(rules=RULES, routes__desk=NOBODY)


@pytest.fixture(scope="module")
def older_shop(open_shop) -> Shop:
    return open_shop(rules=RULES, routes__desk=NOBODY, consent={"any_message_opts_in": True})


@dataclass
class Moment:
    """All that may change, read over the API."""

    messages: list[dict[str, Any]]
    history: list[dict[str, Any]]
    unread: int
    told: int


class Scene:
    """One phone of one shop."""

    def __init__(self, staff: Api, customer: Customer) -> None:
        self.staff = staff
        self.customer = customer
        self.number = customer.phone

    async def contacts(self) -> list[dict[str, Any]]:
        return list((await self.staff.get("/contacts", q=self.number))["items"])

    async def patch(self, body: dict[str, Any]) -> int:
        contact = await self.staff.contact_of(self.number)
        status, _ = await self.staff.call("PATCH", f"/contacts/{contact['id']}/phones/{self.number}", body)
        return status

    async def delete(self) -> None:
        contact = await self.staff.contact_of(self.number)
        status, _ = await self.staff.call("DELETE", f"/contacts/{contact['id']}", confirm="true")
        assert status == 204

    async def arrange(self, given: str) -> None:
        """Bring the phone into the state that a case begins with."""
        state = given.removeprefix("forgotten ")
        if state != "unknown":
            await self.customer.text("HOURS")
            await self.customer.wait_for(1)
        if state == "opted_out":
            await self.customer.text("STOP")
            await self.customer.wait_for(2)
        if state in ("blocked", "unblocked"):
            assert await self.patch({"blocked": True, "reason": "spam"}) == 200
        if state == "unblocked":
            assert await self.patch({"blocked": False}) == 200
        if given.startswith("forgotten"):
            await self.delete()
            assert await self.contacts() == []

    async def moment(self) -> Moment:
        contacts = await self.contacts()
        history = await self.staff.get(f"/contacts/{contacts[0]['id']}/consent") if contacts else {"items": []}
        talks = (await self.staff.get("/conversations", phone=self.number))["items"]
        told = (await self.staff.get("/notifications", limit="500"))["items"]
        ours = {talk["id"] for talk in talks}
        return Moment(
            messages=(await self.staff.get("/messages", phone=self.number))["items"][::-1],
            history=history["items"][::-1],
            unread=sum(talk["unread"] for talk in talks),
            told=sum(1 for notification in told if notification["conversation"] in ours),
        )

    async def act(self, event: dict[str, Any]) -> int:
        """Let the case's event happen; returns what it was answered."""
        ((kind, value),) = event.items()
        if kind == "text":
            await self.customer.text(value)
            return 200
        if kind == "staff":
            return await self.patch(value)
        if kind == "create":
            body = {"phones": [{"number": self.number}], **value}
            status, _ = await self.staff.call("POST", "/contacts", body)
            return status
        sent = (await self.staff.get("/messages", phone=self.number, direction="outbound"))["items"]
        receipt = {"receipt_for": sent[-1]["provider_id"], "state": "failed", "error": "21610", "opted_out": True}
        async with self.customer.client.post(f"{self.customer.server.url}/webhooks/sim", json=receipt) as response:
            return response.status


@pytest.fixture
def scene(shop, client, customer_of) -> Scene:
    return Scene(shop.staff(client), customer_of(shop))


@pytest.mark.parametrize("case", [pytest.param(case, id=case["name"].replace(" ", "-")) for case in TABLE])
async def test_the_table(case, request, client, customer_of, shop):
    place = request.getfixturevalue("older_shop") if "config" in case else shop
    scene = Scene(place.staff(client), customer_of(place))
    await scene.arrange(case["given"])
    before = await scene.moment()
    status = await scene.act(case["event"])
    after = await scene.moment()
    then = case["then"]
    assert status == then.get("status", 201 if "create" in case["event"] else 200)
    if then["phone"] == "none":
        assert await scene.contacts() == []
    else:
        phone = await scene.staff.phone(scene.number)
        assert (phone["opted_in"], phone["blocked"]) == FLAGS[then["phone"]]
    added = after.messages[len(before.messages) :]
    replies = [message["body"] for message in added if message["direction"] == "outbound"]
    assert len(replies) == len(then["replies"]), replies
    for reply, pattern in zip(replies, then["replies"], strict=True):
        assert re.search(pattern, reply)
    inbound = [message for message in added if message["direction"] == "inbound"]
    assert len(inbound) == ("text" in case["event"])
    assert after.unread - before.unread == then["unread"]
    assert after.told - before.told == then.get("told", 0)
    assert after.history[: len(before.history)] == before.history, "the history only grows"
    events = after.history[len(before.history) :]
    assert [[e["event"], e["actor"].split()[0], e["message_id"] is not None] for e in events] == then.get("history", [])
    for event in events:
        assert event["reason"] or event["actor"] != "contact"
        assert event["message_id"] in (None, *(message["id"] for message in inbound))
        assert event["after"] != event["before"]
    if events and then["phone"] in FLAGS:
        assert (events[-1]["after"]["opted_in"], events[-1]["after"]["blocked"]) == FLAGS[then["phone"]]
    if replies:
        await scene.customer.wait_for(len([m for m in after.messages if m["direction"] == "outbound"]))


@pytest.mark.parametrize("text", WORDS["stops"])
async def test_a_text_that_asks_to_stop_opts_out_with_one_confirmation_and_then_silence(text, scene):
    await scene.customer.text("HOURS")
    await scene.customer.text(text)
    assert (await scene.staff.phone(scene.number))["opted_in"] is False
    await scene.customer.text(text)
    await scene.customer.text("HOURS")
    sent = (await scene.staff.get("/messages", phone=scene.number, direction="outbound"))["items"]
    assert len(sent) == 2
    assert "START" in (await scene.customer.wait_for(2))[1]


@pytest.mark.parametrize("text", WORDS["ordinary"])
async def test_a_text_that_only_has_the_word_in_it_changes_nothing(text, scene):
    await scene.customer.text(text)
    assert (await scene.staff.phone(scene.number))["opted_in"] is True


def later(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


async def test_stop_cancels_what_was_scheduled_and_nothing_of_it_leaves(scene):
    await scene.arrange("opted_in")
    status, accepted = await scene.staff.call(
        "POST", "/messages", {"to": {"phone": scene.number}, "body": "Tomorrow!", "send_at": later(3600)}
    )
    assert (status, accepted["queued"]) == (202, 1)
    [scheduled] = (await scene.staff.get("/messages", phone=scene.number, state="held"))["items"]
    await scene.customer.text("STOP")
    message = await scene.staff.get(f"/messages/{scheduled['id']}")
    assert (message["state"], message["error"]) == ("cancelled", "the phone opted out")


async def test_a_message_to_a_phone_that_is_opted_out_is_refused_with_the_reason(scene):
    await scene.arrange("opted_out")
    _, accepted = await scene.staff.call("POST", "/messages", {"to": {"phone": scene.number}, "body": "Hello"})
    assert accepted["queued"] == 0
    assert accepted["recipients"][0]["reason"] == "the phone is opted out"


@pytest.mark.parametrize("change", [{"do_not_contact": True}, {"wrong_number": True}, {"label": "work"}])
async def test_a_message_whose_phone_is_flagged_before_it_is_due_is_cancelled_by_the_second_gate(change, scene):
    await scene.arrange("opted_in")
    body = {"to": {"phone": scene.number}, "body": "Soon", "send_at": later(0.4)}
    _, accepted = await scene.staff.call("POST", "/messages", body)
    id_ = accepted["recipients"][0]["id"]
    assert await scene.patch(change) == 200
    assert (await scene.staff.get(f"/messages/{id_}"))["state"] == "held", "the first gate has let it through"
    message = await until_settled(scene, id_)
    assert (message["state"], message["error"]) == ("cancelled", "the phone may not be texted any more")
    assert await scene.customer.inbox() == ["We are open 9 to 6."]


async def until_settled(scene: Scene, id_: str) -> dict[str, Any]:
    async with asyncio.timeout(10):
        while True:
            message: dict[str, Any] = await scene.staff.get(f"/messages/{id_}")
            if message["state"] not in ("held", "queued", "sending"):
                return message
            await asyncio.sleep(0.05)


async def test_stop_stands_for_one_phone_and_not_for_the_other_of_the_same_contact(scene, shop, customer_of):
    other = customer_of(shop)
    phones = [{"number": scene.number}, {"number": other.phone}]
    body = {"name": "Ana", "phones": phones, "opted_in": True, "evidence": "the counter, 3 March"}
    assert (await scene.staff.call("POST", "/contacts", body))[0] == 201
    await scene.customer.text("STOP")
    assert (await scene.staff.phone(scene.number))["opted_in"] is False
    assert (await scene.staff.phone(other.phone))["opted_in"] is True
    await other.text("HOURS")
    assert await other.wait_for(1) == ["We are open 9 to 6."]


async def test_stop_keeps_the_contact_on_its_lists(scene):
    await scene.customer.text("JOIN")
    await scene.customer.text("STOP")
    assert (await scene.staff.contact_of(scene.number))["lists"] == ["All Contacts", "club"]


async def test_deletion_asks_for_confirmation_and_then_removes_from_everywhere(scene):
    await scene.arrange("opted_out")
    contact = await scene.staff.contact_of(scene.number)
    assert (await scene.staff.call("DELETE", f"/contacts/{contact['id']}"))[0] == 422
    assert await scene.contacts() == [contact]
    await scene.delete()
    assert await scene.contacts() == []
    assert (await scene.staff.get("/messages", phone=scene.number))["items"] == []
    assert (await scene.staff.get("/conversations", phone=scene.number))["items"] == []
    assert (await scene.staff.call("GET", f"/contacts/{contact['id']}/consent"))[0] == 404


async def test_after_start_following_a_deletion_the_opt_out_is_forgotten(scene):
    await scene.arrange("forgotten opted_out")
    await scene.customer.text("START")
    await scene.delete()
    await scene.customer.text("HOURS")
    assert (await scene.staff.phone(scene.number))["opted_in"] is True


async def test_what_is_sent_once_more_after_a_deletion_opts_nobody_in(scene):
    """Not every provider signs a time: a request that was seen once can be posted again at any time."""
    await scene.arrange("new")
    await scene.customer.text("START", id=f"start {scene.number}")
    await scene.customer.text("STOP")
    await scene.delete()
    assert (await scene.customer.text("START", id=f"start {scene.number}"))["status"] == "duplicate"
    assert await scene.contacts() == []
    await scene.customer.text("HOURS")
    assert (await scene.staff.phone(scene.number))["opted_in"] is False
