"""Sending, on whole servers: order, one in flight per phone, rates, priorities, drains; and receipts that overtake."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from adapters.contract import Receipt
from adapters.http import Http
from bot.clock import system_clock
from bot.config import Config
from bot.metrics import Metrics
from bot.outbox import Outbox, SendOutcome
from bot.receipts import apply_receipts
from bot.rulebook import Rules
from bot.senders import Senders
from bot.store.contract import Store
from bot.store.open import open_store
from bot.suppression import Suppressions
from rules.book import RuleBook
from tests.bot.conftest import Shop, configured, everything, settled, until
from tests.providers.standin import Reply, Request
from tests.providers.twilio import TwilioStandIn, refused
from tests.server import NUMBER, Customer, Server, free_port

RULES = """
version: 1
name: shop
rules:
  - id: echo
    when: {keyword: n}
    do: [{reply: "re {{ message.text }}"}]
"""
ACCOUNT, TOKEN = "AC" + "0" * 32, "the auth token"
TWILIO_NUMBER = "+12025550142"


def channel(port: int, **settings: Any) -> dict[str, Any]:
    return {
        "adapter": "twilio",
        "numbers": [TWILIO_NUMBER],
        "account_sid": ACCOUNT,
        "auth_token": TOKEN,
        "api_base": f"http://127.0.0.1:{port}",
        **settings,
    }


class Slow(TwilioStandIn):
    """Takes its time, and notes how many messages of one phone it has in hand at once."""

    def __init__(self, port: int) -> None:
        super().__init__(ACCOUNT, TOKEN, port=port)
        self.failures: dict[str, int] = {}
        self.seconds = 0.05
        self.open = asyncio.Event()
        self.open.set()
        self.in_hand: dict[str, int] = {}
        self.most_in_hand = 0
        self.most_of_a_phone = 0

    async def _handle(self, received: Any) -> Any:
        fields = await received.post()
        phone = fields["To"]
        self.in_hand[phone] = self.in_hand.get(phone, 0) + 1
        self.most_of_a_phone = max(self.most_of_a_phone, self.in_hand[phone])
        self.most_in_hand = max(self.most_in_hand, sum(self.in_hand.values()))
        await self.open.wait()
        await asyncio.sleep(self.seconds)
        self.in_hand[phone] -= 1
        return await super()._handle(received)

    def usual(self, request: Request) -> Reply:
        body = request.fields["Body"]
        if self.failures.get(body, 0):
            self.failures[body] -= 1
            return refused(20500, "Internal Server Error", 500)
        return super().usual(request)


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture
async def twilio(port) -> AsyncIterator[Slow]:
    async with Slow(port) as stand_in:
        yield stand_in


@pytest.fixture(scope="module")
def shop(open_shop, port) -> Shop:
    return open_shop(
        rules=RULES,
        outbox={"retry_base_seconds": 0.05, "retry_max_seconds": 0.1, "concurrency": 8},
        channels__main=channel(port),
        channels__slow={"adapter": "simulator", "numbers": ["+12025550143"], "rate_per_second": 5},
        channels__one={"adapter": "simulator", "numbers": ["+12025550144"], "rate_per_second": 1},
    )


async def known(shop: Shop, *customers: Customer) -> None:
    """Make contacts of customers."""
    for customer in customers:
        await customer.text("hello")


async def send(shop: Shop, customer: Customer, body: str, number: str = TWILIO_NUMBER, **more: Any) -> str:
    """Text as staff; the message's id."""
    message = {"to": {"phone": customer.phone}, "body": body, "from": number, **more}
    status, accepted = await shop.staff(customer.client).call("POST", "/messages", message)
    assert (status, accepted["queued"]) == (202, 1), accepted
    return str(accepted["recipients"][0]["id"])


async def test_the_messages_of_a_phone_leave_in_order_one_at_a_time_however_slow_and_shaky_the_provider(
    shop, customer_of, client, twilio
):
    customers = [customer_of(shop) for _ in range(6)]
    await known(shop, *customers)
    for number in range(5):
        await asyncio.gather(*(send(shop, customer, f"{customer.phone} {number}") for customer in customers))
    twilio.failures = {f"{customer.phone} {number}": 1 for customer in customers[::2] for number in (1, 3)}
    await settled(shop.staff(client))
    for customer in customers:
        bodies = [request.fields["Body"] for request in twilio.requests if request.fields["To"] == customer.phone]
        assert list(dict.fromkeys(bodies)) == [f"{customer.phone} {number}" for number in range(5)]
        assert bodies == sorted(bodies), "a message that failed is tried again before the next one"
    assert twilio.most_of_a_phone == 1
    assert 2 <= twilio.most_in_hand <= 8


@pytest.mark.slow
async def test_a_number_sends_no_faster_than_its_rate(shop, customer_of, client):
    customers = [customer_of(shop) for _ in range(12)]
    await known(shop, *customers)
    started = time.monotonic()
    await asyncio.gather(*(send(shop, customer, "rated", "+12025550143") for customer in customers))
    await settled(shop.staff(client))
    took = time.monotonic() - started
    # Five may leave at once (one second's worth), the other seven at five a second.
    assert took >= 7 / 5 - 0.1
    assert took < 7 / 5 + 2


async def test_an_id_that_the_provider_gives_twice_stops_nobody(shop, customer_of, twilio):
    ana, ben = customer_of(shop), customer_of(shop)
    await known(shop, ana, ben)
    same = (201, {}, {"sid": "SMsame", "status": "queued", "num_segments": "1"})
    for customer in (ana, ben):
        twilio.answer_with(same)
        await send(shop, customer, "n 1")
        [message] = await settled(shop.staff(customer.client), phone=customer.phone)
        assert message["state"] == "sent"


async def test_what_is_queued_when_stop_comes_does_not_leave(shop, customer_of, client):
    customer = customer_of(shop)
    await known(shop, customer)
    for number in range(4):
        await send(shop, customer, f"{number}", "+12025550144")
    staff = shop.staff(client)
    await until(lambda: everything(staff, "/messages", phone=customer.phone, state="sent"))
    await customer.text("STOP")
    sent = await settled(staff, phone=customer.phone)
    assert [item["state"] for item in sent[:4]] == ["sent", "cancelled", "cancelled", "cancelled"]
    [confirmation] = await customer.inbox()
    assert "unsubscribed" in confirmation
    async with client.get(f"{shop.server.url}/simulator/one/sent", params={"phone": customer.phone}) as response:
        assert [item["body"] for item in (await response.json())["items"]] == ["0"]


async def test_a_reply_goes_before_the_bulk_that_waits(shop, customer_of, client, twilio):
    customers = [customer_of(shop) for _ in range(20)]
    await known(shop, *customers)
    staff = shop.staff(client)
    ids = [(await staff.contact_of(customer.phone))["id"] for customer in customers]
    twilio.open.clear()
    message = {"to": {"contacts": ids}, "body": "bulk", "from": TWILIO_NUMBER}
    assert (await staff.call("POST", "/messages", message))[1]["queued"] == 20
    await until(lambda: twilio.most_in_hand == 8)
    waiting = {item["phone"] for item in await everything(staff, "/messages", state="queued")}
    assert len(waiting) == 12
    customer = next(customer for customer in customers if customer.phone in waiting)
    await customer.text("n 1")
    twilio.open.set()
    sent = [item for item in await settled(staff) if item["phone"] in waiting and item["body"] in ("bulk", "re n 1")]
    reply = next(item for item in sent if item["body"] == "re n 1")
    assert reply["created_at"] >= max(item["created_at"] for item in sent)
    assert reply["updated_at"] < min(item["updated_at"] for item in sent if item is not reply)


async def test_a_message_for_later_is_held_until_its_time_and_then_sent(shop, customer_of, client):
    customer = customer_of(shop)
    await known(shop, customer)
    due = datetime.now(UTC) + timedelta(seconds=0.8)
    await send(shop, customer, "later", NUMBER, send_at=due.isoformat())
    [message] = await everything(shop.staff(client), "/messages", phone=customer.phone, direction="outbound")
    assert message["state"] == "held"
    assert message["send_at"].startswith(due.isoformat()[:19])
    assert await customer.wait_for(1) == ["later"]
    assert datetime.now(UTC) >= due
    assert datetime.now(UTC) < due + timedelta(seconds=1.5)


@pytest.mark.slow
async def test_a_server_that_is_told_to_stop_settles_what_is_under_way_and_loses_nothing(serve, customer, api, port):
    async with Slow(port) as twilio:
        twilio.seconds = 1.0
        server: Server = await serve(rules=RULES, outbox={"concurrency": 3}, channels__main=channel(port))
        staff = api(server)
        customers = [customer(server, f"+1202888{number:04d}") for number in range(8)]
        shop = Shop(server, staff.headers["Authorization"].split()[1])
        await known(shop, *customers)
        for each in customers:
            await send(shop, each, each.phone)
        await until(lambda: twilio.most_in_hand == 3)
        started = time.monotonic()
        assert await server.stop() == 0
        assert time.monotonic() - started < 5
        assert len(twilio.requests) == 3, "nothing new is begun"
        twilio.seconds = 0.0
        await server.start()
        sent = await settled(staff)
        assert [(item["state"], item["attempts"]) for item in sent] == [("sent", 1)] * 8
        assert sorted(request.fields["Body"] for request in twilio.requests) == [each.phone for each in customers]


@pytest.mark.slow
async def test_an_idle_server_stops_at_once(serve, customer):
    server: Server = await serve(rules=RULES)
    await customer(server).text("n 1")
    started = time.monotonic()
    assert await server.stop() == 0
    assert time.monotonic() - started < 3


# A receipt and the answer to its own send, each in a transaction that has begun before the other ended.


def outbound(id_: str, **values: Any) -> dict[str, Any]:
    """A row of the outbox."""
    return {
        **dict.fromkeys(("conversation_id", "body", "sent_by", "sent_by_name", "number"), "x"),
        **dict.fromkeys(("exempt_until", "priority", "due_at", "sent_before", "created_at"), 0),
        "exemption": "",
        "hours": "",
        "run_id": None,
        "purchase_id": None,
        "id": id_,
        "direction": "outbound",
        "channel": "sim",
        "phone": "+12025557001",
        "media": "[]",
        "parts": 1,
        "provider_id": None,
        "in_reply_to": None,
        "error": None,
        **values,
    }


async def outbox_of(config: Config, book: RuleBook, store: Store) -> Outbox:
    """An outbox that sends nothing by itself."""
    rules = Rules(config, store, Metrics(), book)
    suppressions = await Suppressions.of(store)
    return Outbox(
        config,
        store,
        rules,
        {},
        cast("Http", None),
        suppressions,
        Metrics(),
        system_clock,
        Senders(config, store, system_clock),
    )


async def test_two_nodes_that_claim_in_the_same_moment_take_one_message_of_a_phone(fresh_postgres, tmp_path):
    config, book = configured(tmp_path, fresh_postgres)
    async with open_store(fresh_postgres, tmp_path) as store:
        nodes = [await outbox_of(config, book, store) for _ in range(2)]
        phone = {"number": "+12025557001", "contact_id": "c", "label": "cell", "at": 0}
        flags = {"opted_in": 1, "blocked": 0, "do_not_contact": 0, "wrong_number": 0}
        async with store.transaction() as transaction:
            await transaction.each(
                "insert_contacts", [{"id": "c", "name": "", "search": "", "fields": "{}", "source": "x", "at": 0}]
            )
            await transaction.each("upsert_phones", [{**phone, **flags}])
            await transaction.each("insert_messages", [outbound("bulk", state="queued", priority=2)])

        async def claim(node: Outbox) -> list[str]:
            async with store.transaction() as transaction:
                return [row["id"] for row in await node.claim(transaction, 8)]

        async with store.transaction() as transaction:
            assert [row["id"] for row in await nodes[0].claim(transaction, 8)] == ["bulk"]
            async with store.transaction() as other:
                await other.each("insert_messages", [outbound("reply", state="queued")])
            second = asyncio.create_task(claim(nodes[1]))
            await asyncio.sleep(0.2)
        assert await second == [], "the reply waits until the other node has settled"
        async with store.transaction() as transaction:
            fate = {"id": "bulk", "state": "failed", "error": "x", "rests_until": 0}
            await transaction.each("settle_otherwise", [fate], now=0)
        assert await claim(nodes[1]) == ["reply"]


@pytest.mark.parametrize("first", ["receipt", "answer"])
async def test_a_receipt_that_comes_in_the_moment_of_the_answer_is_not_lost(first, store_url, tmp_path):
    config, book = configured(tmp_path, store_url)
    row = outbound("x", state="sending")
    async with open_store(store_url, tmp_path) as store:
        outbox = await outbox_of(config, book, store)
        async with store.transaction() as transaction:
            await transaction.each("insert_messages", [row])
        go_on = asyncio.Event()

        async def take_receipt(*, hold: bool) -> None:
            async with store.transaction() as transaction:
                await apply_receipts(transaction, [("sim", Receipt("SM1", "delivered"))], now=system_clock())
                if hold:
                    await go_on.wait()

        async def settle(*, hold: bool) -> None:
            async with store.transaction() as transaction:
                await outbox.settle(transaction, [SendOutcome(row, "SM1")])
                if hold:
                    await go_on.wait()

        earlier, later = (take_receipt, settle) if first == "receipt" else (settle, take_receipt)
        begun = asyncio.create_task(earlier(hold=True))
        await asyncio.sleep(0.1)
        overlapping = asyncio.create_task(later(hold=False))
        await asyncio.sleep(0.1)
        go_on.set()
        await asyncio.gather(begun, overlapping)
        async with store.snapshot() as transaction:
            found = await transaction.row("message_by_id", id="x")
    assert found is not None
    assert (found["state"], found["provider_id"]) == ("delivered", "SM1")
