"""How much memory a server takes: nothing stays in it of a contact or a message.

200,000 messages of 50,000 contacts are the measure. TEXTWRIGHT_MEMORY_MESSAGES=200000 drives all of them; without it
a quarter is driven, and its slope must leave room for the rest. The slope is the median of those between any two marks
(Theil and Sen): memory is taken from the system in steps, and one step is no slope.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
from statistics import median
from typing import Any

import aiohttp
import pytest

from tests.bot.conftest import until
from tests.server import NUMBER, Server

pytestmark = pytest.mark.slow
MEASURE = 200_000
MESSAGES = int(os.environ.get("TEXTWRIGHT_MEMORY_MESSAGES", MEASURE // 4))
PER_CONTACT = 4
MARKS = 10
IN_A_REQUEST = 100
CONNECTIONS = 4
STATES = ("queued", "sending", "queued")
"""Asked in this order, because a message may go back from the second to the first."""
LIMIT_BYTES = 150 * 1000 * 1000


def requests(first: int, count: int) -> list[bytes]:
    """Requests of 100 messages each, of other contacts in turn."""
    contacts = MESSAGES // PER_CONTACT
    messages = (
        {"id": f"m{n}", "from": f"+1415{n % contacts:07d}", "to": NUMBER, "body": "HOURS" if n % 2 else f"hello {n}"}
        for n in range(first, first + count)
    )
    found = []
    while chunk := list(itertools.islice(messages, IN_A_REQUEST)):
        found.append(json.dumps(chunk).encode())
    return found


async def drive(server: Server, bodies: list[bytes]) -> None:
    """Post all of them over a few connections, and wait until what they caused is sent."""
    waiting = iter(bodies)

    async def post(client: aiohttp.ClientSession) -> None:
        for body in waiting:
            async with client.post(f"{server.url}/webhooks/sim", data=body) as response:
                assert response.status == 200, await response.text()

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=120)) as client:
        await asyncio.gather(*(post(client) for _ in range(CONNECTIONS)))


async def until_sent(staff: Any, seconds: float) -> None:
    async def is_sent() -> bool:
        return not any([(await staff.get("/messages", state=state, limit="1"))["items"] for state in STATES])

    await until(is_sent, seconds)


async def test_memory_stays_below_its_limit_however_many_contacts_text(serve, api, record_property):
    server = await serve(channels__sim={"deliveries": ""}, outbox={"concurrency": 256})
    staff = api(server)
    marks = []
    share = MESSAGES // MARKS
    for part in range(MARKS):
        await drive(server, requests(part * share, share))
        await until_sent(staff, 600)
        marks.append(server.rss_bytes())
    slope = median(
        (marks[later] - marks[earlier]) / ((later - earlier) * share)
        for earlier, later in itertools.combinations(range(2, MARKS), 2)
    )
    expected = marks[-1] + max(slope, 0.0) * (MEASURE - MESSAGES)
    told = {"rss_mb": [round(mark / 1e6, 1) for mark in marks], "bytes_per_message": round(slope, 1)}
    record_property("memory", told)
    print(told)
    assert max(marks) < LIMIT_BYTES
    assert expected < LIMIT_BYTES
    stored = (await staff.get("/lists"))["items"][0]["contacts"]
    assert stored == MESSAGES // PER_CONTACT
