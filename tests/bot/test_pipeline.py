"""The pipeline: order, batches, repeats, and what it makes of requests that are not what they should be."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.bot.conftest import NOBODY, Shop, everything, ids, settled
from tests.server import NUMBER, Customer

RULES = """
version: 1
name: shop
fields: {count: integer}
rules:
  - id: hours
    when: {keyword: hours}
    do: [{reply: "We are open 9 to 6."}]
  - id: count
    when: {keyword: n}
    do:
      - reply: '{{ contact.count | default("0") }} after {{ message.text }}'
      - increment: {count: 1}
"""
CAP = 3
MANY = 200


@pytest.fixture(scope="module")
def shop(open_shop) -> Shop:
    return open_shop(rules=RULES, routes__desk=NOBODY, outbox={"auto_reply_cap": 10_000})


@pytest.fixture(scope="module")
def capped_shop(open_shop) -> Shop:
    return open_shop(
        rules=RULES,
        routes__desk=NOBODY,
        outbox={"auto_reply_cap": CAP},
        server={"max_body_bytes": 300_000},
    )


async def post(customer: Customer, body: Any, channel: str = "sim") -> tuple[int, Any]:
    """POST something to a channel's webhook."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with customer.client.post(f"{customer.server.url}/webhooks/{channel}", data=data) as response:
        return response.status, await response.json()


def message(customer: Customer, body: str, **values: Any) -> dict[str, Any]:
    return {"from": customer.phone, "to": NUMBER, "body": body, **values}


def in_order(count: int) -> list[str]:
    return [f"{number} after n {number}" for number in range(count)]


async def assert_answered_in_order(shop: Shop, customer: Customer, count: int) -> None:
    staff = shop.staff(customer.client)
    queued = await everything(staff, "/messages", phone=customer.phone, direction="outbound")
    assert [item["body"] for item in queued[::-1]] == in_order(count)
    assert await customer.wait_for(count, seconds=30) == in_order(count)


@pytest.mark.slow
async def test_messages_sent_down_one_connection_without_waiting_are_decided_in_their_order(shop, customer_of):
    customer = customer_of(shop)
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.server.port)
    for number in range(MANY):
        body = json.dumps(message(customer, f"n {number}", id=f"{customer.phone}-{number}")).encode()
        writer.write(b"POST /webhooks/sim HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    await writer.drain()
    for _ in range(MANY):
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
        await reader.readexactly(length)
    writer.close()
    await assert_answered_in_order(shop, customer, MANY)


async def test_messages_sent_one_after_the_other_are_decided_in_their_order(shop, customer_of):
    customer = customer_of(shop)
    for number in range(MANY):
        await customer.text(f"n {number}")
    await assert_answered_in_order(shop, customer, MANY)


async def test_messages_of_one_request_are_decided_in_their_order(shop, customer_of):
    customer = customer_of(shop)
    status, _ = await post(customer, [message(customer, f"n {number}", id=f"b{number}") for number in range(50)])
    assert status == 200
    await assert_answered_in_order(shop, customer, 50)


async def test_after_a_stop_in_a_batch_the_next_message_of_the_batch_is_not_answered(shop, customer_of, client):
    customer, other = customer_of(shop), customer_of(shop)
    batch = [message(customer, "hours"), message(customer, "STOP"), message(customer, "HOURS"), message(other, "HOURS")]
    assert (await post(customer, [{**item, "id": f"{customer.phone}-{i}"} for i, item in enumerate(batch)]))[0] == 200
    sent = await settled(shop.staff(client), phone=customer.phone)
    assert [(item["state"], item["sent_by"]["name"].rpartition(".")[2]) for item in sent] == [
        ("cancelled", "hours"), ("sent", "stop"),
    ]  # fmt: skip
    assert [text[:12] for text in await customer.wait_for(1)] == ["Corner Books"]
    assert await other.wait_for(1) == ["We are open 9 to 6."]


async def test_start_and_a_question_in_one_batch_are_both_answered(shop, customer_of):
    customer = customer_of(shop)
    await post(customer, [message(customer, text, id=f"{customer.phone}{text}") for text in ("STOP", "START", "HOURS")])
    texts = await customer.wait_for(3)
    assert "unsubscribed" in texts[0]
    assert "subscribed again" in texts[1]
    assert texts[2] == "We are open 9 to 6."


async def test_the_same_id_in_one_request_and_again_later_is_one_message(shop, customer_of, client):
    customer = customer_of(shop)
    one = message(customer, "HOURS", id=f"{customer.phone}-1")
    _, answer = await post(customer, [one, one])
    _, again = await post(customer, {**one, "body": "another text"})
    statuses = [item["status"] for item in answer["messages"] + again["messages"]]
    assert statuses == ["received", "duplicate", "duplicate"]
    assert len({item["id"] for item in answer["messages"] + again["messages"]}) == 1
    stored = await everything(shop.staff(client), "/messages", phone=customer.phone, direction="inbound")
    assert [item["body"] for item in stored] == ["HOURS"]


async def test_without_an_id_the_same_text_twice_in_a_row_is_one_message(shop, customer_of):
    customer = customer_of(shop)
    _, first = await post(customer, message(customer, "HOURS"))
    _, second = await post(customer, message(customer, "HOURS"))
    _, both = await post(customer, [message(customer, "hours?"), message(customer, "hours?")])
    statuses = [item["status"] for answer in (first, second, both) for item in answer["messages"]]
    assert statuses == ["received", "duplicate", "received", "duplicate"]
    assert len(await customer.wait_for(2)) == 2


@pytest.mark.parametrize("at_once", [True, False], ids=["in one request", "one by one"])
async def test_without_ids_stop_start_stop_are_three_messages(at_once, shop, customer_of, client):
    customer = customer_of(shop)
    texts = [message(customer, text) for text in ("STOP", "START", "STOP")]
    for request in [texts] if at_once else texts:
        assert (await post(customer, request))[0] == 200
    assert len(await everything(shop.staff(client), "/messages", phone=customer.phone, direction="inbound")) == 3
    assert (await shop.staff(client).phone(customer.phone))["opted_in"] is False


async def test_without_an_id_the_same_text_with_another_picture_is_another_message(shop, customer_of):
    customer = customer_of(shop)
    pictures = [["https://x.example/1.jpg"], ["https://x.example/2.jpg"]]
    answers = [await post(customer, message(customer, "HOURS", media=media)) for media in pictures]
    assert [answer["messages"][0]["status"] for _, answer in answers] == ["received", "received"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"HOURS",
        b"\xff\xfe",
        b"{",
        b"[" * 100_000,
        b"null",
        b"[[]]",
        b"{}",
        b'{"id": "1", "to": "+12025550100", "body": "no sender"}',
        b'{"id": "1", "from": "+12025550123", "body": "no recipient"}',
        b'{"id": {}, "from": "+12025550123", "to": "+12025550100"}',
        b'{"from": "+12025550123", "to": "+12025550100", "body": 5}',
        b'{"from": "+12025550123", "to": "+12025550100", "media": "x"}',
        b'{"receipt_for": "x", "state": "eaten"}',
    ],
    ids=lambda body: body[:40].decode(errors="replace") or "empty",
)
async def test_a_request_that_cannot_be_read_is_refused_and_stores_nothing(body, shop, customer_of, client):
    staff = shop.staff(client)
    before = await ids(staff)
    status, problem = await post(customer_of(shop), body)
    assert (status, problem["status"]) == (400, 400)
    assert await ids(staff) == before


async def test_one_bad_item_refuses_the_whole_request_so_that_nothing_is_stored_twice(shop, customer_of, client):
    customer = customer_of(shop)
    status, _ = await post(customer, [message(customer, "HOURS", id="good"), {"from": customer.phone}])
    assert status == 400
    assert await everything(shop.staff(client), "/messages", phone=customer.phone) == []


async def test_too_many_events_in_one_request_are_refused(shop, customer_of, client):
    customer = customer_of(shop)
    status, problem = await post(customer, [message(customer, "HOURS", id=f"e{i}") for i in range(1001)])
    assert (status, problem["detail"]) == (400, "more than 1000 events in one request")
    assert await everything(shop.staff(client), "/messages", phone=customer.phone) == []


async def test_a_request_that_is_too_large_is_refused(shop, customer_of, client):
    customer = customer_of(shop)
    status, problem = await post(customer, message(customer, "x" * 300_000))
    assert (status, problem["status"]) == (413, 413)
    assert await everything(shop.staff(client), "/messages", phone=customer.phone) == []


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_a_body_that_cannot_be_unpacked_is_refused(encoding, shop, client):
    for path in ("/webhooks/sim", "/api/v1/contacts"):
        url, headers = shop.server.url + path, {"Content-Encoding": encoding, "Authorization": f"Bearer {shop.token}"}
        async with client.post(url, data=b"xxxx", headers=headers) as response:
            assert (response.status, response.content_type) == (400, "application/problem+json")
            assert "cannot be decoded" in (await response.json())["detail"]
    assert "Traceback" not in shop.server.log.read_text()


async def test_a_request_to_a_channel_that_is_not_there_is_refused(shop, customer_of, client):
    customer = customer_of(shop)
    status, _ = await post(customer, message(customer, "HOURS"), channel="nowhere")
    assert status == 404
    assert await everything(shop.staff(client), "/messages", phone=customer.phone) == []


async def test_an_id_that_no_index_can_hold_is_refused(shop, customer_of, client):
    customer = customer_of(shop)
    status, _ = await post(customer, message(customer, "HOURS", id="x" * 256))
    assert status == 400
    assert (await post(customer, message(customer, "HOURS", id="x" * 255)))[0] == 200
    assert len(await everything(shop.staff(client), "/messages", phone=customer.phone, direction="inbound")) == 1


async def test_the_longest_text_that_a_request_can_carry_is_stored_whole_and_answered(
    capped_shop, customer_of, client
):  # fmt: skip
    customer = customer_of(capped_shop)
    text = "hours " + "é" * 145_000
    status, _ = await post(customer, json.dumps(message(customer, text, id="long"), ensure_ascii=False).encode())
    assert status == 200
    assert await customer.wait_for(1) == ["We are open 9 to 6."]
    [stored] = await everything(capped_shop.staff(client), "/messages", phone=customer.phone, direction="inbound")
    assert stored["body"] == text


@pytest.mark.parametrize("sender", ["55512", "CORNERBOOKS", NUMBER, "whatsapp:+12025550177"])
@pytest.mark.parametrize("text", ["HOURS", "STOP", "HELP"])
async def test_a_sender_that_is_no_customer_is_stored_and_never_answered(sender, text, shop, customer_of, client):
    staff = shop.staff(client)
    before = await ids(staff, direction="outbound")
    status, answer = await post(
        customer_of(shop), {"from": sender, "to": NUMBER, "body": text, "id": f"{sender}{text}"}
    )
    assert (status, answer["messages"][0]["status"]) == (200, "received")
    stored = await staff.get(f"/messages/{answer['messages'][0]['id']}")
    assert (stored["phone"], stored["body"]) == (sender, text)
    assert await ids(staff, direction="outbound") == before
    assert (await staff.get("/contacts", q=sender))["items"] == []


async def test_past_the_cap_a_phone_is_not_answered_and_staff_are_told_once(capped_shop, customer_of, client):
    staff = capped_shop.staff(client)
    customer, other = customer_of(capped_shop), customer_of(capped_shop)
    before = len(await everything(staff, "/notifications"))
    for number in range(CAP + 4):
        await customer.text(f"n {number}")
    assert await customer.wait_for(CAP) == in_order(CAP)
    assert len(await settled(staff, phone=customer.phone)) == CAP
    told = await everything(staff, "/notifications")
    assert [item["type"] for item in told[: len(told) - before]] == ["conversation.capped"]
    await customer.text("STOP")
    assert "unsubscribed" in (await customer.wait_for(CAP + 1))[-1], "the cap does not silence the law"
    await other.text("n 0")
    assert await other.wait_for(1) == in_order(1)


async def test_the_cap_holds_within_one_batch(capped_shop, customer_of, client):
    customer = customer_of(capped_shop)
    await post(customer, [message(customer, f"n {number}", id=f"cap{number}") for number in range(CAP + 4)])
    assert len(await settled(capped_shop.staff(client), phone=customer.phone)) == CAP


async def test_two_phones_of_one_contact_share_its_fields_and_have_conversations_of_their_own(
    shop, customer_of, client
):  # fmt: skip
    staff = shop.staff(client)
    first, second = customer_of(shop), customer_of(shop)
    phones = [{"number": first.phone}, {"number": second.phone}]
    await staff.call("POST", "/contacts", {"phones": phones, "opted_in": True, "evidence": "the counter"})
    await post(first, [message(first, "n 0", id=f"{first.phone}a"), message(second, "n 1", id=f"{second.phone}b")])
    assert await first.wait_for(1) == ["0 after n 0"]
    assert await second.wait_for(1) == ["1 after n 1"]
    assert (
        len({item["id"] for c in (first, second) for item in await everything(staff, "/conversations", phone=c.phone)})
        == 2
    )
