"""A user who texts for the first time gets a number of their own: where it is found, and what leaves from where."""

from __future__ import annotations

import asyncio

import pytest

from tests.numbers.conftest import nothing_more
from tests.numbers.renting import POOL, PUBLIC, refused
from tests.providers.smtp import SmtpServer

OWN = "+14155550111"
FAR = "+12145550111"


async def test_a_first_text_waits_for_a_number_of_their_own_and_leaves_from_it(open_office, rental):
    rental.offer(FAR, OWN, "+14155550112")
    async with SmtpServer() as smtp:
        office = await open_office(
            numbers={"meanwhile": "wait", "forward_calls_to": "+1 415 555 0199"},
            email={"host": "127.0.0.1", "port": smtp.port, "sender": "office@books.example", "security": "none"},
        )
        ana = await office.user(email="ana@books.example", full_name="Ana Lee")
        first = await office.text(ana, "the first")
        await office.is_sent(first)
        done = await office.purchase("done")
        assert (done["found_by"], done["number"], done["user"], done["error"]) == ("area code", OWN, "ana", None)
        second = await office.text(ana, "the second")
        await office.is_sent(second)
        assert [(number, body) for number, _, body in rental.sent] == [(OWN, "the first"), (OWN, "the second")]
        assert set(rental.owned) == {OWN}
        owned = rental.owned[OWN]
        assert owned["sms_url"] == f"{PUBLIC}/webhooks/twilio"
        assert owned["voice_url"] == f"{PUBLIC}/webhooks/twilio/voice"
        assert (await office.of("ana"))["number"] == OWN
        assert [item["route"] for item in await office.told("number.bought")] == ["desk"]
        assert await office.told("number.trouble") == []
        (email,) = smtp.emails
        assert (smtp.recipients, email["From"]) == (["ana@books.example"], "office@books.example")
        assert OWN in email["Subject"]
        text = email.get_content()
        assert all(part in text for part in ("Ana Lee", "Corner Books", OWN, "area code", "+14155550199")), text
        assert len(await office.purchases()) == 1


async def test_meanwhile_texts_leave_from_the_pool_at_once(open_office, rental):
    rental.offer(OWN)
    rental.before.add("order")
    office = await open_office(outbox={"answer_seconds": 5.0})
    ana = await office.user()
    await office.is_sent(await office.text(ana, "the first"))
    await rental.hangs("order")
    await office.is_sent(await office.text(ana, "the second"))
    rental.go_on()
    await office.purchase("done")
    await office.is_sent(await office.text(ana, "the third"))
    assert [(number, body) for number, _, body in rental.sent] == [
        (POOL, "the first"), (POOL, "the second"), (OWN, "the third"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "there", "why"),
    [
        ("415", "+16285550111", "overlay"),
        ("415", "+15105550111", "nearby"),
        ("415", "+16195550111", "same state"),
    ],
)
async def test_where_an_area_code_has_none_the_nearest_is_bought_and_it_says_which(
    open_office, rental, code, there, why
):
    rental.offer(FAR, there)
    office = await open_office(numbers={"meanwhile": "wait"})
    ana = await office.user(code=code)
    await office.is_sent(await office.text(ana))
    done = await office.purchase("done")
    assert (done["found_by"], done["number"]) == (why, there)
    assert (rental.sent[0][0], set(rental.owned)) == (there, {there})


async def test_an_overlay_is_better_than_a_neighbour(open_office, rental):
    rental.offer("+15105550111", "+16285550111")
    office = await open_office(numbers={"meanwhile": "wait"})
    await office.is_sent(await office.text(await office.user()))
    assert set(rental.owned) == {"+16285550111"}


@pytest.mark.parametrize("meanwhile", ["wait", "pool"])
async def test_where_there_is_none_at_all_the_text_leaves_from_the_pool_and_it_is_said(open_office, rental, meanwhile):
    rental.offer(FAR)
    office = await open_office(numbers={"meanwhile": meanwhile})
    ana = await office.user()
    await office.is_sent(await office.text(ana))
    pool = await office.purchase("pool")
    assert (pool["found_by"], pool["number"], pool["user"]) == ("pool", None, "ana")
    assert "no number in area code 415" in pool["error"]
    assert (rental.sent[0][0], rental.owned) == (POOL, {})
    assert len(await office.told("number.trouble")) == 1
    listed = await asyncio.to_thread(office.server.command, "numbers", "list")
    assert "no number in area code 415" in listed.stdout
    # Nothing is looked for again with every text of the day; whoever asks for it is heard.
    searches = rental.asked["search"]
    await office.is_sent(await office.text(ana))
    assert rental.asked["search"] == searches
    assert len(await office.purchases()) == 1
    rental.offer(OWN)
    user = await office.of("ana")
    status, made = await office.admin.call("POST", f"/users/{user['id']}/line")
    assert (status, made["state"]) == (202, "open")
    assert (await office.purchase("done"))["number"] == OWN


async def test_a_number_that_somebody_else_takes_in_between_is_passed_over(open_office, rental):
    rental.offer(OWN, "+14155550112")
    taken = [OWN]

    def snatch(step):
        if step == "search" and taken:
            del rental.available[taken.pop()]

    rental.then = snatch
    office = await open_office(numbers={"meanwhile": "wait"})
    await office.is_sent(await office.text(await office.user()))
    assert set(rental.owned) == {"+14155550112"}
    assert rental.asked["order"] == 2
    assert len(await office.rows("SELECT 1 FROM purchases WHERE ordered_at > 0")) == 1


async def test_an_order_that_times_out_and_was_carried_out_is_not_made_twice(open_office, rental):
    rental.offer(OWN, "+14155550112")
    rental.after.add("order")
    office = await open_office(numbers={"meanwhile": "wait"})
    id_ = await office.text(await office.user())
    await rental.hangs("order")
    rental.go_on()
    await office.is_sent(id_)
    assert (set(rental.owned), rental.asked["order"]) == ({OWN}, 1)


async def test_an_order_that_times_out_and_was_not_carried_out_is_made_again(open_office, rental):
    rental.offer(OWN, "+14155550112")
    rental.before.add("order")
    office = await open_office(numbers={"meanwhile": "wait"})
    id_ = await office.text(await office.user())
    await rental.hangs("order")
    waiting = await office.message(id_)
    rental.go_on()
    await office.is_sent(id_)
    assert waiting["state"] == "held"
    assert set(rental.owned) == {OWN}


async def test_nothing_leaves_from_a_number_that_is_not_set_up(open_office, rental):
    rental.offer(OWN)
    rental.before.add("set_up")
    office = await open_office(numbers={"meanwhile": "wait"})
    ana = await office.user()
    first = await office.text(ana, "the first")
    await rental.hangs("set_up")
    second = await office.text(ana, "the second")
    await nothing_more()
    assert rental.sent == []
    assert {(await office.message(id_))["state"] for id_ in (first, second)} == {"held"}
    rental.go_on()
    await office.is_sent(first)
    await office.is_sent(second)
    assert {number for number, _, _ in rental.sent} == {OWN}


async def test_one_need_asked_for_twenty_times_at_once_is_one_purchase(open_office, rental):
    rental.offer(*(f"+1415555{number}" for number in range(1111, 1140)))
    office = await open_office(numbers={"meanwhile": "wait", "monthly_cap": 100})
    ana = await office.user()
    phones = [await office.somebody() for _ in range(20)]
    ids = await asyncio.gather(*(office.text(ana, "Hello", phone) for phone in phones))
    for id_ in ids:
        await office.is_sent(id_)
    assert (len(rental.owned), len(await office.purchases())) == (1, 1)
    assert {(number, phone) for number, phone, _ in rental.sent} == {(next(iter(rental.owned)), p) for p in phones}
    assert len(rental.sent) == 20


async def test_users_of_one_area_code_at_the_same_time_each_get_their_own(open_office, rental):
    numbers = [f"+1415555{number}" for number in range(1111, 1120)]
    rental.offer(*numbers)
    rental.after.add("order")
    office = await open_office(numbers={"meanwhile": "wait", "monthly_cap": 100})
    users = [await office.user(f"user{place}") for place in range(4)]
    ids = await asyncio.gather(*(office.text(user) for user in users))
    await rental.hangs("order")
    rental.go_on()
    for id_ in ids:
        await office.is_sent(id_)
    own = [(await office.of(user.name))["number"] for user in users]
    assert len(set(own)) == 4
    assert set(own) == set(rental.owned)


async def test_two_nodes_buy_one_number_for_one_need(open_office, rental, fresh_postgres):
    rental.offer(*(f"+1415555{number}" for number in range(1111, 1120)))
    one = await open_office(fresh_postgres, numbers={"meanwhile": "wait"})
    two = await open_office(fresh_postgres, numbers={"meanwhile": "wait"})
    ana = await one.user()
    there = type(ana)(two.site, two.client, ana.headers, ana.name)
    phones = [await one.somebody() for _ in range(10)]
    texts = [
        (office, office.text(caller, "Hello", phone))
        for office, caller, half in ((one, ana, phones[:5]), (two, there, phones[5:]))
        for phone in half
    ]
    ids = await asyncio.gather(*(text for _, text in texts))
    for (office, _), id_ in zip(texts, ids, strict=True):
        await office.is_sent(id_)
    await one.purchase("done")
    assert (len(rental.owned), len(await one.purchases()), len(rental.sent)) == (1, 1, 10)
    assert {number for number, _, _ in rental.sent} == set(rental.owned)
    # The other node knows it at once.
    await two.is_sent(await two.text(there, "one more"))
    assert rental.sent[-1][0] in rental.owned


async def test_stop_while_a_text_waits_cancels_it(open_office, rental):
    rental.offer(OWN)
    rental.before.add("order")
    office = await open_office(numbers={"meanwhile": "wait"})
    ana, phone = await office.user(), await office.somebody()
    id_ = await office.text(ana, "Hello", phone)
    await rental.hangs("order")
    stop = {"MessageSid": "SM" + "1" * 32, "From": phone, "To": POOL, "Body": "STOP", "NumMedia": "0"}
    assert (await office.call_webhook(stop))[0] == 200
    assert (await office.message(id_))["state"] == "cancelled"
    rental.go_on()
    await office.purchase("done")
    await nothing_more()
    assert [body for _, _, body in rental.sent if body == "Hello"] == []


async def test_who_has_no_cell_texts_from_the_pool_and_it_is_said_once(open_office, rental):
    office = await open_office(numbers={"meanwhile": "wait"})
    ana = await office.user(code="")
    for _ in range(3):
        await office.is_sent(await office.text(ana))
    (only,) = await office.purchases()
    assert (only["state"], only["user"], only["number"]) == ("refused", "ana", None)
    assert "has no cell" in only["error"]
    assert len(await office.told("number.trouble")) == 1
    # With a cell they get one at once.
    rental.offer(OWN)
    user = await office.of("ana")
    assert await office.change(f"/users/{user['id']}", body={"cell": "+14155550142"}) == 200
    await office.is_sent(await office.text(ana))
    assert (await office.purchase("done"))["number"] == OWN


async def test_a_token_and_who_has_a_number_buy_nothing(open_office, rental):
    rental.offer(OWN)
    office = await open_office(numbers={"automatic": False})
    ana = await office.user()
    await office.is_sent(await office.text(ana))
    phone = await office.somebody()
    status, _ = await office.admin.call("POST", "/messages", {"to": {"phone": phone}, "body": "by a program"})
    assert status == 202
    await nothing_more()
    assert (rental.asked["search"], rental.owned, await office.purchases()) == (0, {}, [])


@pytest.mark.parametrize(
    ("answer", "words", "state"),
    [
        (refused(20003, "Authenticate", 401), "20003", "open"),
        (refused(20500, "broken", 500), "20500", "open"),
        ((429, {"Retry-After": "1"}, refused(20429, "slow down", 429)[2]), "20429", "open"),
        (refused(21631, "Address required"), "21631", "open"),
    ],
    ids=["credentials", "broken", "throttled", "needs an address"],
)
async def test_what_the_provider_refuses_is_said_where_people_look(open_office, rental, answer, words, state):
    rental.offer(OWN)
    step = "order" if words == "21631" else "search"
    rental.always[step] = answer
    office = await open_office(numbers={"meanwhile": "wait"})
    ana = await office.user()
    id_ = await office.text(ana)
    found = await office.purchase(state, error=words)
    message = await office.message(id_)
    assert (message["state"], found["step"]) == ("held", step)
    assert words in message["error"]
    assert len(await office.told("number.trouble")) == 1
    listed = await asyncio.to_thread(office.server.command, "numbers", "list")
    assert words in listed.stdout
    assert listed.returncode == 0
    # A later text says it too, with the next try.
    assert (rental.owned, rental.sent) == ({}, [])
    if words == "20003":
        # Mended and started again, it is tried at once.
        rental.always.clear()
        await office.server.stop()
        await office.server.start()
        await office.is_sent(id_)
        assert set(rental.owned) == {OWN}
