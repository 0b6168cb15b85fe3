"""A large file while the server works: its memory does not grow, and whoever texts meanwhile does not wait."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.server import Customer, Server
from tests.web.uploads import chunked, ended, people, upload

pytestmark = pytest.mark.slow
ROWS = 100_000
GROWTH_BYTES = 25_000_000
MEDIAN_SECONDS = 0.2
RULES = 'version: 1\nrules: [{id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}]\n'


async def sampled(what: Callable[[], Any], seconds: float, until: asyncio.Event) -> list[Any]:
    """What a function gives, again and again until the event is set."""
    found = []
    while not until.is_set():
        found.append(what())
        await asyncio.sleep(seconds)
    return found


async def waits(customer: Customer, until: asyncio.Event) -> list[float]:
    """How long each of a person's texts waits for its 200, in seconds: it is stored then, and decided."""
    found = []
    while not until.is_set():
        began = time.perf_counter()
        await customer.text("HELLO")
        found.append(time.perf_counter() - began)
        await asyncio.sleep(0.05)
    return found


def at(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def test_a_hundred_thousand_rows_leave_memory_and_messages_as_they_are(
    serve, store_url, customer, api, record_property
):
    server: Server = await serve(store_url, rules=RULES)
    admin, texter = api(server), customer(server)
    warm = asyncio.Event()
    warming = asyncio.create_task(waits(texter, warm))
    await asyncio.sleep(3)
    warm.set()
    calm = await warming
    before = server.rss_bytes()
    over = asyncio.Event()
    watching = [
        asyncio.create_task(sampled(server.rss_bytes, 0.1, over)),
        asyncio.create_task(waits(texter, over)),
    ]
    began = time.perf_counter()
    try:
        status, made = await upload(admin, chunked(people(ROWS)))
        assert status == 202
        uploaded = time.perf_counter() - began
        found = await ended(admin, made["id"], 300)
    finally:
        over.set()
        marks, busy = await asyncio.gather(*watching)
    seconds = time.perf_counter() - began
    assert (found["state"], found["added"]) == ("done", ROWS)
    told = {
        "rows_a_second": round(ROWS / (seconds - uploaded)),
        "upload_seconds": round(uploaded, 1),
        "server_mb": [round(before / 1e6, 1), round(max(marks) / 1e6, 1)],
        "texts": len(busy),
        "ms_calm": [round(1000 * at(calm, share), 1) for share in (0.5, 0.95, 1)],
        "ms_during": [round(1000 * at(busy, share), 1) for share in (0.5, 0.95, 1)],
    }
    record_property("load", told)
    print(told)
    assert max(marks) - before < GROWTH_BYTES
    assert statistics.median(busy) < MEDIAN_SECONDS
    assert at(busy, 0.95) < 5 * MEDIAN_SECONDS
