"""`python -m bench --memory`: what the server's memory does over 200,000 messages from 50,000 contacts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from statistics import linear_regression
from typing import Any

import aiohttp
import orjson

from bench.servers import textwright
from bench.shop import NUMBER, texts

MESSAGES = 200_000
CONTACTS = 50_000
LIMIT_MB = 150.0
_EACH_POST = 100
_AT_ONCE = 8
_EACH_SAMPLE = 20_000


async def grow(folder: Path, store: str, progress: Callable[[str], None]) -> list[tuple[int, float]]:
    """(messages so far, RSS in MB), from before the first message to after the last.

    The simulator's channel takes arrays, and delivers the replies at once.
    """
    samples: list[tuple[int, float]] = []
    server = textwright(folder / "memory", set(), store=store)
    try:
        bodies = texts()
        async with aiohttp.ClientSession() as client:
            samples.append((0, server.rss_bytes() / 1e6))
            for done in range(0, MESSAGES, _EACH_SAMPLE):
                posts = [
                    [
                        {"id": f"m{n}", "from": f"+1646{2_000_000 + n % CONTACTS}", "to": NUMBER, "body": next(bodies)}
                        for n in range(start, start + _EACH_POST)
                    ]
                    for start in range(done, done + _EACH_SAMPLE, _EACH_POST)
                ]
                waiting = iter(posts)
                await asyncio.gather(*[_post(client, server.port, waiting) for _ in range(_AT_ONCE)])
                samples.append((done + _EACH_SAMPLE, server.rss_bytes() / 1e6))
                progress(f"memory: {done + _EACH_SAMPLE:,} messages, {samples[-1][1]:.0f} MB")
    finally:
        server.stop()
    return samples


async def _post(client: aiohttp.ClientSession, port: int, posts: Any) -> None:
    for messages in posts:
        async with client.post(f"http://127.0.0.1:{port}/webhooks/sim", data=orjson.dumps(messages)) as response:
            if response.status != 200:
                raise SystemExit(f"the server answered {response.status}: {await response.text()}")
            await response.read()


def report(samples: list[tuple[int, float]], *, as_json: bool) -> int:
    """Print; 0 when the limit is kept. The slope is that of the second half, when every contact is known."""
    late = samples[len(samples) // 2 :]
    slope = linear_regression([count for count, _ in late], [size for _, size in late]).slope
    last = samples[-1][1]
    if as_json:
        print(orjson.dumps({"samples": samples, "mb_per_100k": round(slope * 1e5, 2), "limit_mb": LIMIT_MB}).decode())
    else:
        print(f"\nmemory: {MESSAGES:,} messages from {CONTACTS:,} contacts")
        for count, size in samples:
            print(f"  {count:>8,}  {size:7.1f} MB")
        print(f"  slope of the second half: {slope * 1e5:+.1f} MB per 100,000 messages")
        print(f"  limit {LIMIT_MB:.0f} MB: {'pass' if last < LIMIT_MB else 'SHORT'}")
    return 0 if last < LIMIT_MB else 1
