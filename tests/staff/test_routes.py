"""Telling staff: signed, tried again by the schedule, dead-lettered, replayed; and what staff answer in return."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.staff.conftest import OTHER_SECRET, SECRET
from tests.web.site import eventually


async def _notifications(admin, customer):
    """The notifications about a customer, the newest first."""
    (conversation,) = (await admin.get("/conversations", phone=customer.phone))["items"]
    items = (await admin.get("/notifications", limit="500"))["items"]
    return [item for item in items if item["conversation"] == conversation["id"]]


async def _settled(admin, customer, state):
    """The one notification about a customer, once it is tried and in that state."""

    async def there():
        (item,) = await _notifications(admin, customer)
        return item if item["state"] == state and item["attempts"] else None

    return await eventually(there, f"the notification is {state}")


def _seconds_until(item):
    """How long after it was made it is tried next."""
    made, due = (datetime.fromisoformat(item[key]) for key in ("created_at", "next_try_at"))
    return (due - made).total_seconds()


async def _make_due(site, admin, ana, attempts=None):
    """Make the waiting notification about Ana due now, as if its time had passed, and wake the notifier."""
    (item,) = await _notifications(admin, ana)
    with sqlite3.connect(site.server.folder / "test.db", timeout=10) as store:
        if attempts is not None:
            store.execute("UPDATE notifications SET attempts = ? WHERE id = ?", (attempts, item["id"]))
        store.execute("UPDATE notifications SET due_at = 0 WHERE id = ? AND state = 'queued'", (item["id"],))
    store.close()


class TestDelivery:
    async def test_it_is_signed_as_standard_webhooks_say_and_tells_who_said_what(self, receiver, ana, admin):
        result = await ana.text("desk please")
        (told,) = await receiver.wait_for(ana.phone)
        event = Webhook(SECRET).verify(told.body, dict(told.headers))
        with pytest.raises(WebhookVerificationError):
            Webhook(OTHER_SECRET).verify(told.body, dict(told.headers))
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(told.body.replace(b"desk", b"dosk"), dict(told.headers))
        assert told.path == "/desk"
        assert told.headers["Content-Type"] == "application/json"
        contact = await admin.contact_of(ana.phone)
        assert event["type"] == "conversation.notified"
        data = event["data"]
        assert data["message"] == {"id": result["id"], "body": "desk please", "media": []}
        assert data["contact"] == {"id": contact["id"], "name": ""}
        assert (data["route"], data["rule"], data["note"]) == ("desk", "rules.desk", "For the desk.")
        assert data["conversation"]["phone"] == ana.phone
        delivered = await _settled(admin, ana, "delivered")
        assert (delivered["id"], delivered["attempts"], delivered["error"]) == (told.id, 1, None)

    async def test_each_route_has_its_own_secret_and_place(self, receiver, ana):
        await ana.text("sales")
        (told,) = await receiver.wait_for(ana.phone)
        assert told.path == "/sales"
        Webhook(OTHER_SECRET).verify(told.body, dict(told.headers))

    async def test_what_no_rule_routed_goes_to_the_default_route(self, receiver, ana):
        """The cap on automatic replies names no route; [routes.desk] is marked default, though not the first."""
        for _ in range(5):
            await ana.text("HOURS")
        (told,) = await receiver.wait_for(ana.phone)
        assert (told.path, told.json["type"]) == ("/desk", "conversation.capped")
        assert len(await ana.inbox()) <= 3

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    async def test_a_redirect_is_a_failure_and_is_not_followed(self, receiver, ana, admin, status):
        receiver.answer = lambda told: (status, {"Location": "/elsewhere"}, b"")
        await ana.text("desk")
        waiting = await _settled(admin, ana, "queued")
        assert waiting["error"] == f"HTTP {status}"
        assert [told.path for told in receiver.told if told.path == "/elsewhere"] == []

    async def test_410_is_dead_at_once(self, receiver, ana, admin):
        receiver.answer = lambda told: (410, {}, b"")
        await ana.text("desk")
        dead = await _settled(admin, ana, "dead")
        assert (dead["attempts"], dead["error"], dead["next_try_at"]) == (1, "HTTP 410", None)

    @pytest.mark.parametrize("status", [400, 401, 404, 429, 500, 503])
    async def test_another_failure_is_tried_again_after_five_seconds(self, receiver, ana, admin, status):
        receiver.answer = lambda told: (status, {}, b"")
        await ana.text("desk")
        waiting = await _settled(admin, ana, "queued")
        assert (waiting["attempts"], waiting["error"]) == (1, f"HTTP {status}")
        assert 4.4 <= _seconds_until(waiting) < 10

    async def test_the_id_stays_and_the_signature_is_fresh_over_all_tries(
        self, receiver, ana, new_customer, site, admin
    ):
        receiver.answer = lambda told: (500, {}, b"")
        await ana.text("desk")
        await _settled(admin, ana, "queued")
        receiver.answer = lambda told: (200, {}, b"")
        await _make_due(site, admin, ana)
        await new_customer().text("desk")  # wakes the notifier
        first, second = await receiver.wait_for(ana.phone, 2)
        assert first.id == second.id
        assert first.body == second.body
        for told in (first, second):
            Webhook(SECRET).verify(told.body, dict(told.headers))
        delivered = await _settled(admin, ana, "delivered")
        assert (delivered["id"], delivered["attempts"], delivered["error"]) == (first.id, 2, None)

    async def test_the_tries_follow_the_schedule_and_end_as_a_dead_letter(self, receiver, site, new_customer, admin):
        """Every gap is that of the schedule, give or take a tenth; after the last try there is none."""
        schedule = [0, 5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
        receiver.answer = lambda told: (500, {}, b"")
        customers = [new_customer() for _ in schedule]
        for customer in customers:
            await customer.text("desk")
        for tries, customer in enumerate(customers):
            await _settled(admin, customer, "queued")
            await _make_due(site, admin, customer, attempts=tries)
        await new_customer().text("desk")  # wakes the notifier
        for tries, customer in enumerate(customers):
            await receiver.wait_for(customer.phone, 2)

            async def tried(customer=customer, tries=tries):
                (item,) = await _notifications(admin, customer)
                return item if item["attempts"] == tries + 1 and item["state"] in ("queued", "dead") else None

            item = await eventually(tried, f"try {tries + 1} has failed")
            if tries + 1 == len(schedule):
                assert (item["state"], item["next_try_at"]) == ("dead", None)
                continue
            assert item["state"] == "queued"
            gap = schedule[tries + 1] - schedule[tries]
            wait = _seconds_until(item)
            assert gap * 0.9 <= wait <= gap * 1.1 + 20, (tries, wait)

    @pytest.mark.parametrize(
        ("retry_after", "low", "high"),
        [
            ("120", 119, 125),
            ("0", 4.4, 10),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 4.4, 10),
            ("nonsense", 4.4, 10),
            ("9" * 400, 86_000, 86_420),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 86_000, 86_420),
        ],
    )
    async def test_retry_after_is_obeyed_a_day_at_the_most(self, receiver, ana, admin, retry_after, low, high):
        receiver.answer = lambda told: (503, {"Retry-After": retry_after}, b"")
        await ana.text("desk")
        assert low <= _seconds_until(await _settled(admin, ana, "queued")) <= high

    async def test_a_receiver_that_is_not_there_is_tried_again(self, ana, admin):
        await ana.text("desk")
        waiting = await _settled(admin, ana, "queued")
        assert waiting["error"].startswith("no connection")

    async def test_a_dead_letter_is_listed_and_replayed_under_the_same_id(self, receiver, ana, admin):
        receiver.answer = lambda told: (410, {}, b"")
        await ana.text("desk")
        dead = await _settled(admin, ana, "dead")
        listed = (await admin.get("/notifications", state="dead"))["items"]
        assert dead["id"] in [item["id"] for item in listed]
        receiver.answer = lambda told: (204, {}, b"")
        assert (await admin.call("POST", f"/notifications/{dead['id']}/replay"))[0] == 200
        first, second = await receiver.wait_for(ana.phone, 2)
        assert first.id == second.id == dead["id"]
        await _settled(admin, ana, "delivered")

    async def test_one_that_waits_is_not_replayed(self, receiver, ana, admin):
        receiver.answer = lambda told: (500, {}, b"")
        await ana.text("desk")
        waiting = await _settled(admin, ana, "queued")
        status, problem = await admin.call("POST", f"/notifications/{waiting['id']}/replay")
        assert (status, problem["detail"]) == (409, "It is under way.")

    @pytest.mark.parametrize(("word", "path"), [("guarded", "/guarded"), ("named", "/named")])
    async def test_without_allow_private_loopback_is_never_reached(self, receiver, ana, admin, word, path):
        """Given as an address, and as a name that resolves to it."""
        await ana.text(word)
        dead = await _settled(admin, ana, "dead")
        assert dead["error"] == "the address is not public; the route needs allow_private = true"
        assert path not in [told.path for told in receiver.told]


class TestAnswers:
    async def test_a_reply_in_the_answer_is_texted_to_the_customer(self, receiver, ana, admin):
        receiver.answer = lambda told: (200, {"Content-Type": "application/json"}, b'{"reply": " On my way! "}')
        await ana.text("desk")
        assert await ana.wait_for(1) == ["On my way!"]
        (message,) = (await admin.get("/messages", phone=ana.phone, direction="outbound"))["items"]
        assert message["sent_by"] == {"kind": "staff", "name": "route desk"}

    @pytest.mark.parametrize(
        "answer",
        [
            b"",
            b"ok",
            b"[]",
            b"5",
            b"null",
            b"{}",
            b'{"reply": ""}',
            b'{"reply": "  "}',
            b'{"reply": 5}',
            b'{"reply',
            b"\xff",
        ],
    )
    async def test_any_other_answer_texts_nothing(self, receiver, ana, admin, answer):
        receiver.answer = lambda told: (200, {}, answer)
        await ana.text("desk")
        assert (await _settled(admin, ana, "delivered"))["error"] is None
        assert (await admin.get("/messages", phone=ana.phone, direction="outbound"))["items"] == []

    async def test_a_reply_in_a_refusal_is_not_texted(self, receiver, ana, admin):
        receiver.answer = lambda told: (500, {}, b'{"reply": "no"}')
        await ana.text("desk")
        await _settled(admin, ana, "queued")
        assert (await admin.get("/messages", phone=ana.phone, direction="outbound"))["items"] == []

    async def test_a_reply_that_is_too_long_or_has_what_no_store_takes_harms_nobody(self, receiver, ana, admin):
        receiver.answer = lambda told: (200, {}, b'{"reply": "a\\u0000' + b"b" * 5000 + b'"}')
        await ana.text("desk")
        await _settled(admin, ana, "delivered")
        (text,) = await ana.wait_for(1)
        assert text == "a" + "b" * 1599

    async def test_an_endless_answer_is_not_read_to_its_end(self, receiver, ana, admin):
        receiver.answer = lambda told: (200, {}, b'{"reply": "x", "more": "' + b"y" * 200_000 + b'"}')
        await ana.text("desk")
        await _settled(admin, ana, "delivered")
        assert (await admin.get("/messages", phone=ana.phone, direction="outbound"))["items"] == []

    async def test_a_reply_to_whoever_has_opted_out_meanwhile_is_not_texted(self, receiver, ana, admin):
        receiver.answer = lambda told: (410, {}, b"")
        await ana.text("desk")
        dead = await _settled(admin, ana, "dead")
        await ana.text("STOP")
        await ana.wait_for(1)
        receiver.answer = lambda told: (200, {}, b'{"reply": "Still there?"}')
        await admin.call("POST", f"/notifications/{dead['id']}/replay")
        await _settled(admin, ana, "delivered")
        texts = [message["body"] for message in (await admin.get("/messages", phone=ana.phone))["items"]]
        assert "Still there?" not in texts
        contact = await admin.contact_of(ana.phone)
        (note,) = (await admin.get(f"/contacts/{contact['id']}/notes"))["items"]
        assert (note["author"], note["body"]) == ("route desk", "An answer was not texted: the phone is opted out.")
        (item,) = [i for i in (await admin.get(f"/contacts/{contact['id']}/history"))["items"] if i["kind"] == "note"]
        assert "not texted" in str(item)


class TestHandoff:
    async def test_staff_are_told_and_the_rules_fall_silent_but_not_compliance(self, receiver, ana, admin):
        await ana.text("person please")
        (told,) = await receiver.wait_for(ana.phone)
        assert told.json["type"] == "conversation.routed"
        assert told.json["data"]["note"] == "Wants a person: person please"
        assert told.json["data"]["conversation"]["mode"] == "staff"
        await ana.text("HOURS")
        further = (await receiver.wait_for(ana.phone, 2))[1].json
        assert (further["type"], further["data"]["message"]["body"]) == ("message.received", "HOURS")
        assert (await admin.get("/messages", phone=ana.phone, direction="outbound"))["items"] == []
        await ana.text("HELP")
        await ana.text("STOP")
        texts = await ana.wait_for(2)
        assert len(texts) == 2
        assert "HELP" in texts[0] or "STOP" in texts[0]
        assert (await admin.phone(ana.phone))["opted_in"] is False

    async def test_an_interrupt_rule_fires_also_then(self, receiver, ana):
        await ana.text("person")
        await ana.text("URGENT")
        assert await ana.wait_for(1) == ["Help is on its way."]
        types = [told.json["type"] for told in await receiver.wait_for(ana.phone, 2)]
        assert types == ["conversation.routed", "message.received"]

    async def test_an_answer_keeps_the_conversation_with_staff_and_closing_returns_automation(
        self, receiver, ana, admin
    ):
        receiver.answer = lambda told: (200, {}, b'{"reply": "Hi, Bo here."}')
        await ana.text("person")
        assert await ana.wait_for(1) == ["Hi, Bo here."]
        (conversation,) = (await admin.get("/conversations", phone=ana.phone))["items"]
        assert conversation["mode"] == "staff"
        receiver.answer = lambda told: (204, {}, b"")
        await admin.call("POST", f"/conversations/{conversation['id']}/close")
        await ana.text("HOURS")
        assert await ana.wait_for(2) == ["Hi, Bo here.", "9 to 5"]
        assert len(receiver.about(ana.phone)) == 1

    async def test_its_time_passes_and_automation_is_back(self, receiver, ana, admin, site):
        await ana.text("briefly")
        (conversation,) = (await admin.get("/conversations", phone=ana.phone))["items"]
        until, since = (datetime.fromisoformat(conversation[key]) for key in ("staff_until", "last_message_at"))
        assert (until - since).total_seconds() == pytest.approx(60, abs=1)
        with sqlite3.connect(site.server.folder / "test.db", timeout=10) as store:
            # As if the minute had passed.
            store.execute("UPDATE conversations SET staff_until = 1 WHERE id = ?", (conversation["id"],))
        store.close()
        after = await admin.get(f"/conversations/{conversation['id']}")
        assert (after["mode"], after["route"], after["staff_until"]) == ("auto", "", None)
        await ana.text("HOURS")
        assert await ana.wait_for(1) == ["9 to 5"]


async def test_no_text_no_number_no_token_and_no_secret_is_ever_in_the_log(receiver, ana, new_customer, admin, site):
    """After everything that this module does, failures included."""
    other = new_customer()
    body = "a very private sentence"
    receiver.answer = lambda told: (500, {}, b'{"reply": "a private answer"}')
    await ana.text(f"desk {body}")
    await _settled(admin, ana, "queued")
    receiver.answer = lambda told: (200, {}, b'{"reply": "a private answer"}')
    await other.text(f"person {body}")
    await other.wait_for(1)
    await other.text("STOP")
    await admin.call("POST", "/messages", {"to": {"phone": other.phone}, "body": body})
    await admin.call("GET", f"/contacts/{other.phone}")
    async with ana.client.get(
        f"{site.server.url}/api/v1/contacts", headers={"Authorization": "Bearer tw_wrong"}
    ) as got:
        assert got.status == 401
    async with ana.client.post(f"{site.server.url}/webhooks/sim", data=f'{{"from": "{ana.phone}", {body}') as got:
        assert got.status == 400
    log = site.server.log.read_text()
    assert log.count("message.decided") >= 2
    assert log.count("notification.tried") >= 2
    forbidden = [body, "private answer", "9 to 5", ana.phone, other.phone, ana.phone[2:], SECRET, SECRET[6:]]
    forbidden += [OTHER_SECRET[6:], *site.tokens.values(), "tw_"]
    assert [word for word in forbidden if word in log] == []
    lines = [line for line in log.splitlines() if '"event"' not in line]
    assert lines == [], "every line is one of ours, as JSON"
