"""Messages and conversations over the API: filters, texting one and many, staff's answers, closing, decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.server import NUMBER
from tests.web.conftest import OTHER_NUMBER
from tests.web.site import eventually, make_contact
from tests.web.uploads import imported, people

CLUB = "version: 1\nlists: {club: marketing}\nrules: [{id: hours, when: {keyword: hours}, do: [{reply: '9 to 5'}]}]\n"


async def _send(admin, status=202, **body):
    got, answer = await admin.call("POST", "/messages", {"body": "Hello"} | body)
    assert got == status, answer
    return answer


async def _ended(admin, id_, state="sent"):
    async def there():
        message = await admin.get(f"/messages/{id_}")
        return message if message["state"] == state else None

    return await eventually(there, f"the message is {state}")


async def test_messages_are_found_by_phone_state_and_direction(admin, texter):
    await texter.text("HOURS")
    await texter.wait_for(1)
    outbound = await eventually(
        lambda: _items(admin, phone=texter.phone, direction="outbound", state="sent"), "the reply is sent"
    )
    inbound = await _items(admin, phone=texter.phone, direction="inbound", state="received")
    assert [message["body"] for message in inbound + outbound] == ["HOURS", "9 to 5"]
    both = await _items(admin, phone=texter.phone)
    assert both == [outbound[0], inbound[0]]
    assert await _items(admin, phone=texter.phone, state="failed") == []
    assert outbound[0] == await admin.get(f"/messages/{outbound[0]['id']}")
    assert outbound[0]["in_reply_to"] == inbound[0]["id"]
    assert outbound[0]["sent_by"] == {"kind": "rule", "name": "rules.hours"}
    contact = await admin.contact_of(texter.phone)
    assert inbound[0]["sent_by"] == {"kind": "contact", "name": contact["id"]}
    assert (inbound[0]["number"], inbound[0]["channel"], inbound[0]["phone"]) == (NUMBER, "sim", texter.phone)


async def _items(admin, **filters):
    return (await admin.get("/messages", **filters))["items"]


async def test_a_phone_is_found_in_every_way_of_writing_it(admin, texter):
    await texter.text("HOURS")
    phone = texter.phone
    for written in (phone, phone[1:], phone[2:], f" {phone[1:]}", f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"):
        found = await _items(admin, phone=written, direction="inbound")
        assert [message["body"] for message in found] == ["HOURS"], written
        conversations = (await admin.get("/conversations", phone=written))["items"]
        assert [item["phone"] for item in conversations] == [phone]
    assert await _items(admin, phone="nobody") == []


@pytest.mark.parametrize("query", [{"state": "lost"}, {"direction": "up"}, {"phone": "1" * 33}, {"colour": "red"}])
async def test_a_filter_that_there_is_not_is_refused(any_site, client, query):
    assert (await any_site.api(client).call("GET", "/messages", **query))[0] == 422


async def test_pages_of_messages_are_complete_and_without_repeats(admin, texter):
    for number in range(5):
        await texter.text(f"note {number}")
    conversation = (await admin.get("/conversations", phone=texter.phone))["items"][0]
    for path, query in (("/messages", {"phone": texter.phone}), (f"/conversations/{conversation['id']}/messages", {})):
        bodies, cursor = [], {}
        while True:
            page = await admin.get(path, limit="2", **query, **cursor)
            bodies += [message["body"] for message in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert bodies == [f"note {number}" for number in (4, 3, 2, 1, 0)]


async def test_pages_of_conversations_are_complete_and_without_repeats(admin, site, client, new_phone):
    phones = [new_phone() for _ in range(3)]
    for phone in phones:
        await site.customer(client, phone).text("note")
    seen, cursor = [], {}
    while True:
        page = await admin.get("/conversations", limit="2", **cursor)
        seen += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert [item["phone"] for item in seen[:3]] == phones[::-1]
    assert len({item["id"] for item in seen}) == len(seen)


class TestTexting:
    async def test_a_phone(self, admin, new_phone, site, client):
        phone = new_phone()
        await make_contact(admin, phone)
        accepted = await _send(admin, to={"phone": phone[2:]})
        (recipient,) = accepted["recipients"]
        assert (accepted["queued"], accepted["refused"]) == (1, 0)
        assert (recipient["phone"], recipient["state"], recipient["reason"]) == (phone, "queued", None)
        assert await site.customer(client, phone).wait_for(1) == ["Hello"]
        message = await _ended(admin, recipient["id"])
        assert message["sent_by"] == {"kind": "staff", "name": "the admin"}
        assert (message["number"], message["channel"], message["parts"]) == (NUMBER, "sim", 1)
        assert message["send_at"] is None

    async def test_a_stranger_is_refused(self, admin, new_phone):
        phone = new_phone()
        (recipient,) = (await _send(admin, to={"phone": phone}))["recipients"]
        assert (recipient["state"], recipient["id"]) == ("refused", None)
        assert recipient["reason"] == "the phone belongs to no contact"
        assert await _items(admin, phone=phone) == []

    async def test_a_contact_is_texted_on_its_first_phone_that_may_be_texted(self, admin, new_phone):
        home, cell = new_phone(), new_phone()
        contact = await make_contact(admin, home, phones=[{"number": home, "label": "home"}, {"number": cell}])
        (recipient,) = (await _send(admin, to={"contact": contact["id"]}))["recipients"]
        assert (recipient["phone"], recipient["contact"], recipient["state"]) == (cell, contact["id"], "queued")

    async def test_contacts_get_a_result_each(self, admin, new_phone):
        ana, bo, out = new_phone(), new_phone(), new_phone()
        a, b = await make_contact(admin, ana), await make_contact(admin, bo)
        c = await make_contact(admin, out, opted_in=False)
        accepted = await _send(admin, to={"contacts": [a["id"], c["id"], "nobody", b["id"], a["id"]]})
        assert (accepted["queued"], accepted["refused"]) == (2, 2)
        results = {item["contact"]: (item["phone"], item["state"], item["reason"]) for item in accepted["recipients"]}
        assert results == {
            a["id"]: (ana, "queued", None),
            b["id"]: (bo, "queued", None),
            c["id"]: (out, "refused", "the phone is opted out"),
            "nobody": (None, "refused", "there is no such contact"),
        }

    async def test_a_list_reaches_everybody_on_it_once(self, admin, new_phone):
        name = f"list of {new_phone()}"
        await admin.call("POST", "/lists", {"name": name})
        on = [await make_contact(admin, new_phone(), lists=[name]) for _ in range(3)]
        await make_contact(admin, new_phone())
        accepted = await _send(admin, to={"list": name})
        assert sorted(item["contact"] for item in accepted["recipients"]) == sorted(item["id"] for item in on)
        assert accepted["queued"] == 3
        status, problem = await admin.call("POST", "/messages", {"to": {"list": "nope"}, "body": "x"})
        assert (status, problem["detail"]) == (422, "There is no list 'nope'.")

    async def test_an_empty_list_is_nobody(self, admin, new_phone):
        name = f"list of {new_phone()}"
        await admin.call("POST", "/lists", {"name": name})
        assert await _send(admin, to={"list": name}) == {"queued": 0, "refused": 0, "recipients": []}

    @pytest.mark.parametrize(
        "body",
        [
            {"to": {}, "body": "x"},
            {"to": {"phone": "+12025550142", "contact": "x"}, "body": "x"},
            {"to": {"contacts": []}, "body": "x"},
            {"to": {"phone": "abc"}, "body": "x"},
            {"to": {"phone": "+12025550142"}},
            {"to": {"phone": "+12025550142"}, "body": " \n"},
            {"to": {"phone": "+12025550142"}, "body": "x" * 1601},
            {"to": {"phone": "+12025550142"}, "body": "x", "media": ["ftp://a/b"]},
            {"to": {"phone": "+12025550142"}, "body": "x", "media": ["https://a/b"] * 11},
            {"to": {"phone": "+12025550142"}, "body": "x", "from": "+12025550177"},
            {"to": {"phone": "+12025550142"}, "body": "x", "from": "nonsense"},
            {"to": {"phone": "+12025550142"}, "body": "x", "send_at": "tomorrow"},
            {"to": {"phone": "+12025550142"}, "body": "x", "send_at": "9999-12-31T23:59:59.9999999Z"},
            {"body": "x"},
            {},
            None,
        ],
    )
    async def test_what_is_not_as_described_is_refused(self, any_site, client, body):
        status, problem = await any_site.api(client).call("POST", "/messages", body)
        assert status == (400 if body is None else 422), problem

    async def test_media_go_out_with_or_without_words(self, admin, new_phone, site, client):
        phone = new_phone()
        await make_contact(admin, phone)
        picture = "https://pictures.example/cat.jpg"
        accepted = await _send(admin, to={"phone": phone}, body="", media=[picture])
        message = await admin.get(f"/messages/{accepted['recipients'][0]['id']}")
        assert [item["url"] for item in message["media"]] == [picture]
        await site.customer(client, phone).wait_for(1)
        async with client.get(f"{site.server.url}/simulator/sim/sent", params={"phone": phone}) as response:
            assert [item["media"] for item in (await response.json())["items"]] == [[picture]]

    async def test_a_later_text_is_held_until_then(self, admin, new_phone):
        phone = new_phone()
        await make_contact(admin, phone)
        when = (datetime.now(UTC) + timedelta(days=3)).replace(microsecond=0)
        local = when.astimezone().isoformat()
        accepted = await _send(admin, to={"phone": phone}, send_at=local)
        message = await admin.get(f"/messages/{accepted['recipients'][0]['id']}")
        assert (message["state"], message["attempts"]) == ("held", 0)
        assert datetime.fromisoformat(message["send_at"]) == when
        too_late = (when + timedelta(days=366)).isoformat()
        assert (await admin.call("POST", "/messages", {"to": {"phone": phone}, "body": "x", "send_at": too_late}))[
            0
        ] == 422

    async def test_a_time_that_has_passed_is_now(self, admin, new_phone, site, client):
        phone = new_phone()
        await make_contact(admin, phone)
        for moment in ("2020-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"):
            await _send(admin, to={"phone": phone}, send_at=moment)
        await site.customer(client, phone).wait_for(2)

    async def test_a_text_soon_to_be_sent_leaves_by_itself(self, admin, new_phone, site, client):
        phone = new_phone()
        await make_contact(admin, phone)
        soon = (datetime.now(UTC) + timedelta(seconds=0.4)).isoformat()
        accepted = await _send(admin, to={"phone": phone}, send_at=soon)
        message = await _ended(admin, accepted["recipients"][0]["id"])
        assert message["updated_at"] >= datetime.fromisoformat(soon).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]

    async def test_a_chosen_number_of_ours_is_used(self, admin, new_phone):
        phone = new_phone()
        await make_contact(admin, phone)
        accepted = await _send(admin, to={"phone": phone}, **{"from": f"({OTHER_NUMBER[2:5]}) {OTHER_NUMBER[5:]}"})
        message = await _ended(admin, accepted["recipients"][0]["id"])
        assert (message["number"], message["channel"]) == (OTHER_NUMBER, "spare")

    async def test_a_phone_hears_from_the_number_that_it_last_spoke_with(self, admin, new_phone, client, site):
        phone = new_phone()
        spare = site.customer(client, phone)
        spare.channel = "spare"
        await spare.text("HOURS", to=OTHER_NUMBER)
        await spare.wait_for(1)
        accepted = await _send(admin, to={"phone": phone})
        message = await _ended(admin, accepted["recipients"][0]["id"])
        assert (message["number"], message["channel"]) == (OTHER_NUMBER, "spare")


async def test_more_than_a_thousand_at_once_are_refused_before_anybody_is_texted(serve, api):
    """They are one transaction, which all who text meanwhile wait for."""
    server = await serve(rules=CLUB)
    admin = api(server)
    done = await imported(admin, "".join(line.replace(",,gold", ",club,gold") for line in people(1001)))
    assert done["added"] == 1001
    ids = [f"nobody {number}" for number in range(1001)]
    for to in ({"list": "club"}, {"contacts": ids}):
        problem = await _send(admin, 422, to=to)
        assert problem["detail"] == "to: 1001 people are more than 1000. POST /broadcasts texts them in the background."
    assert await _items(admin, direction="outbound") == []
    (one,) = (await admin.get("/contacts", list="club", limit="1"))["items"]
    await admin.call("DELETE", f"/lists/club/contacts/{one['id']}")
    assert (await _send(admin, to={"list": "club"}))["queued"] == 1000
    assert (await _send(admin, to={"contacts": ids[:1000]}))["refused"] == 1000


class TestConversations:
    async def _conversation(self, admin, texter):
        (conversation,) = (await admin.get("/conversations", phone=texter.phone))["items"]
        return conversation

    async def test_a_conversation_shows_who_and_what(self, admin, texter):
        await texter.text("HOURS")
        await texter.wait_for(1)

        async def sent() -> bool:
            return (await self._conversation(admin, texter))["last_message"]["state"] == "sent"

        await eventually(sent, "the answer is sent")
        conversation = await self._conversation(admin, texter)
        contact = await admin.contact_of(texter.phone)
        assert conversation == await admin.get(f"/conversations/{conversation['id']}")
        assert (conversation["contact"], conversation["mode"], conversation["unread"]) == (contact["id"], "auto", 1)
        assert (conversation["number"], conversation["channel"]) == (NUMBER, "sim")
        messages = (await admin.get(f"/conversations/{conversation['id']}/messages"))["items"]
        assert [message["body"] for message in messages] == ["9 to 5", "HOURS"]

    async def test_staff_answer_and_the_customer_has_it(self, admin, texter, site, client):
        await texter.text("PERSON")
        conversation = await self._conversation(admin, texter)
        assert (conversation["mode"], conversation["route"]) == ("staff", "desk")
        assert conversation["staff_until"] > conversation["last_message_at"]
        staff = site.api(client, "staff")
        path = f"/conversations/{conversation['id']}/messages"
        status, message = await staff.call("POST", path, {"body": "I'm here."})
        assert (status, message["sent_by"]) == (202, {"kind": "staff", "name": "the staff"})
        assert await texter.wait_for(2) == ["One moment.", "I'm here."]

    async def test_automation_is_silent_until_staff_close(self, admin, texter):
        await texter.text("PERSON")
        await texter.wait_for(1)
        await texter.text("HOURS")
        conversation = await self._conversation(admin, texter)
        assert (conversation["mode"], conversation["unread"]) == ("staff", 2)
        inside = (await admin.get("/conversations", mode="staff", limit="500"))["items"]
        assert conversation["id"] in [item["id"] for item in inside]
        for _ in range(2):
            status, closed = await admin.call("POST", f"/conversations/{conversation['id']}/close")
            assert (status, closed["mode"], closed["route"], closed["unread"]) == (200, "auto", "", 0)
            assert closed["staff_until"] is None
        outside = (await admin.get("/conversations", mode="auto", limit="500"))["items"]
        assert conversation["id"] in [item["id"] for item in outside]
        await texter.text("HOURS")
        assert await texter.wait_for(2) == ["One moment.", "9 to 5"]

    async def test_an_answer_to_a_phone_that_may_not_be_texted_is_refused_with_the_reason(self, admin, texter):
        await texter.text("STOP")
        conversation = await self._conversation(admin, texter)
        path = f"/conversations/{conversation['id']}/messages"
        status, problem = await admin.call("POST", path, {"body": "Please come back"})
        assert (status, problem["detail"]) == (409, "Not sent: the phone is opted out.")
        assert len(await texter.wait_for(1)) == 1

    @pytest.mark.parametrize("body", [{}, {"body": ""}, {"body": "  "}, {"body": 5}, {"text": "x"}])
    async def test_an_empty_answer_is_refused(self, admin, texter, body):
        await texter.text("HOURS")
        conversation = await self._conversation(admin, texter)
        assert (await admin.call("POST", f"/conversations/{conversation['id']}/messages", body))[0] == 422


async def test_a_decision_says_which_rules_were_tried_and_why_one_answered(admin, texter):
    result = await texter.text("HOURS")
    decision = await admin.get(f"/messages/{result['id']}/decision")
    assert (decision["rule"], decision["fired"]) == ("rules.hours", ["rules.hours"])
    fired = [tried for tried in decision["tried"] if tried["fired"]]
    assert [tried["rule"] for tried in fired] == ["rules.hours"]
    assert fired[0]["reasons"][0]["held"] is True
    assert (fired[0]["file"], fired[0]["line"]) == ("rules.yaml", 6)
    reply = (await _items(admin, phone=texter.phone, direction="outbound"))[0]
    assert await admin.get(f"/messages/{reply['id']}/decision") == decision, "an answer was decided by what it answers"


async def test_what_staff_sent_was_decided_by_no_rule(admin, texter):
    await texter.text("HOURS")
    _, accepted = await admin.call("POST", "/messages", {"to": {"phone": texter.phone}, "body": "By hand"})
    status, problem = await admin.call("GET", f"/messages/{accepted['recipients'][0]['id']}/decision")
    assert (status, problem["detail"]) == (404, "No decision is kept for this message.")
