"""Load on real servers: customers who text a Twilio channel and, like Twilio, try again until they get a 200."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg

from bot.store.contract import Store
from tests.providers.twilio import TwilioStandIn, signed_webhook
from tests.server import Server

ACCOUNT, TOKEN, NUMBER = "AC" + "0" * 32, "the auth token", "+12025550142"
PUBLIC = "https://sms.example.org"
RULES = """
version: 1
name: shop
fields: {count: integer}
rules:
  - id: count
    when: {keyword: n}
    do:
      - reply: '{{ contact.count | default("0") }} after {{ message.text }}'
      - increment: {count: 1}
"""


def settings(port: int, **outbox: Any) -> dict[str, dict[str, Any]]:
    """The sections of a server whose provider is a stand-in at `port`."""
    return {
        "server": {"public_url": PUBLIC},
        "outbox": {
            "auto_reply_cap": 10_000, "retry_base_seconds": 0.05, "retry_max_seconds": 0.2, "answer_seconds": 1,
            **outbox,
        },
        "channels__main": {
            "adapter": "twilio", "numbers": [NUMBER], "account_sid": ACCOUNT, "auth_token": TOKEN,
            "api_base": f"http://127.0.0.1:{port}",
        },
    }  # fmt: skip


class Provider(TwilioStandIn):
    """Twilio, a few milliseconds away."""

    def __init__(self, port: int) -> None:
        super().__init__(ACCOUNT, TOKEN, port=port)

    async def _handle(self, received: Any) -> Any:
        self.delay = random.uniform(0.0, 0.02)
        return await super()._handle(received)

    @property
    def received(self) -> Counter[tuple[str, str]]:
        """How often each (phone, text) came."""
        return Counter((request.fields["To"], request.fields["Body"]) for request in self.requests)

    def bodies_to(self, phone: str) -> list[str]:
        return [request.fields["Body"] for request in self.requests if request.fields["To"] == phone]


@dataclass
class Customers:
    """Phones that text one after the other, each at its own pace."""

    servers: list[Server]
    phones: list[str]
    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    """The message ids that got a 200, per phone, in order."""
    posted: set[str] = field(default_factory=set)
    refusals: Counter[int] = field(default_factory=Counter)
    stopping: bool = False

    async def text(self, count: int | None = None) -> None:
        """Every phone texts `count` messages, or on until `stopping`."""
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=10)
        ) as client:
            await asyncio.gather(*(self._phone(client, phone, count) for phone in self.phones))

    async def _phone(self, client: aiohttp.ClientSession, phone: str, count: int | None) -> None:
        own = self.acknowledged.setdefault(phone, [])
        turn = len(own)
        while not self.stopping and (count is None or len(own) < count):
            number = len(own)
            sid = f"SM{phone[1:]}x{number}"
            fields = {"MessageSid": sid, "AccountSid": ACCOUNT, "From": phone, "To": NUMBER, "Body": f"n {number}"}
            headers, body = signed_webhook(f"{PUBLIC}/webhooks/main", fields, TOKEN)
            server = self.servers[turn % len(self.servers)]
            turn += 1
            self.posted.add(sid)
            try:
                async with client.post(f"{server.url}/webhooks/main", data=body, headers=headers) as response:
                    status = response.status
            except (aiohttp.ClientError, TimeoutError, OSError):
                await asyncio.sleep(0.02)
                continue
            if status == 200:
                own.append(sid)
            else:
                self.refusals[status] += 1
                await asyncio.sleep(0.02)


async def table(store: Store, sql: str) -> list[dict[str, Any]]:
    """Rows of a query that no server needs."""
    async with store.snapshot() as transaction:
        connection = transaction._connection  # type: ignore[attr-defined]
        if isinstance(connection, asyncpg.pool.PoolConnectionProxy):
            return [dict(row) for row in await connection.fetch(sql)]
        return [dict(row) for row in await connection.execute_fetchall(sql)]


async def assert_exactly_its_consequences(store: Store, customers: Customers, provider: Provider) -> Counter[str]:
    """Every message that got a 200 is stored once, with all that it causes, once; how the replies ended."""
    messages = await table(store, "SELECT * FROM messages ORDER BY seq")
    inbound = [row for row in messages if row["direction"] == "inbound"]
    outbound = [row for row in messages if row["direction"] == "outbound"]
    stored = Counter(row["provider_id"] for row in inbound)
    acknowledged = {sid for sids in customers.acknowledged.values() for sid in sids}
    assert acknowledged <= set(stored)
    assert set(stored) <= customers.posted
    assert set(stored.values()) == {1}
    assert {row["state"] for row in inbound} == {"received"}

    replies = Counter(row["in_reply_to"] for row in outbound)
    assert replies == Counter(row["id"] for row in inbound), "one reply to each message, and none to nothing"
    decisions = await table(store, "SELECT message_id FROM decisions")
    assert Counter(row["message_id"] for row in decisions) == replies
    people = await table(
        store, "SELECT p.number, c.fields, v.unread FROM phones p JOIN contacts c ON c.id = p.contact_id"
        " JOIN conversations v ON v.phone = p.number",
    )  # fmt: skip
    assert len(people) == len(await table(store, "SELECT id FROM contacts")) == len({row["phone"] for row in inbound})
    for person in people:
        own = [row for row in inbound if row["phone"] == person["number"]]
        assert person["fields"] == f'{{"count":"{len(own)}"}}'
        assert person["unread"] == len(own)
        assert [row["provider_id"] for row in own] == [f"SM{person['number'][1:]}x{n}" for n in range(len(own))]
        answers = [row["body"] for row in outbound if row["phone"] == person["number"]]
        assert answers == [f"{n} after n {n}" for n in range(len(own))]
    events = await table(store, "SELECT phone, event FROM consent_events")
    assert Counter((row["phone"], row["event"]) for row in events) == Counter(
        (person["number"], "created") for person in people
    )

    received = provider.received
    ends: Counter[str] = Counter()
    for row in outbound:
        arrived = received.pop((row["phone"], row["body"]), 0)
        assert arrived <= 1, f"sent {arrived} times: {row}"
        assert row["state"] == "unknown" or (row["state"], arrived) == ("sent", 1), row
        ends[f"{row['state']}, arrived {arrived} times"] += 1
    assert not received, "and nothing else was sent"
    return ends
