"""A conversation that a person hands to a route or to somebody: who has no answer yet waits for one from then on."""

from __future__ import annotations

import pytest

from tests.web.site import eventually

UNKNOWN = "something that no rule knows"


async def conversation_of(admin, texter):
    (conversation,) = (await admin.get("/conversations", phone=texter.phone))["items"]
    return conversation


async def handed(admin, conversation, **to):
    status, answer = await admin.call("PATCH", f"/conversations/{conversation['id']}", to)
    assert status == 200, answer
    return answer


async def test_who_has_no_answer_yet_waits_from_then_on(admin, texter):
    await texter.text(UNKNOWN)
    conversation = await conversation_of(admin, texter)
    assert conversation["waiting_since"] is None
    waits = await handed(admin, conversation, route="desk")
    assert waits["waiting_since"] is not None
    waiting = (await admin.get("/conversations", phone=texter.phone, unanswered="true"))["items"]
    assert [item["id"] for item in waiting] == [conversation["id"]]
    # Handed on, they have waited since then all the same.
    assert (await handed(admin, conversation, route=None))["waiting_since"] == waits["waiting_since"]


async def test_who_has_an_answer_does_not(admin, texter):
    await texter.text(UNKNOWN)
    conversation = await conversation_of(admin, texter)
    status, _ = await admin.call("POST", f"/conversations/{conversation['id']}/messages", {"body": "Yes?"})
    assert status == 202
    await eventually(texter.inbox, "the answer is there")
    assert (await handed(admin, conversation, route="desk"))["waiting_since"] is None


@pytest.mark.parametrize(
    "change",
    [{"blocked": True}, {"opted_in": False}, {"do_not_contact": True}, {"wrong_number": True}, {"label": "home"}],
    ids=lambda change: next(iter(change)),
)
async def test_who_cannot_be_answered_any_more_waits_no_longer(admin, texter, change):
    await texter.text(UNKNOWN)
    conversation = await conversation_of(admin, texter)
    assert (await handed(admin, conversation, route="desk"))["waiting_since"]
    contact = await admin.contact_of(texter.phone)
    status, _ = await admin.call("PATCH", f"/contacts/{contact['id']}/phones/{texter.phone}", change)
    assert status == 200
    assert (await conversation_of(admin, texter))["waiting_since"] is None
    assert not (await admin.get("/conversations", phone=texter.phone, unanswered="true"))["items"]
