"""Keeping in memory what all nodes share: read at the start, and again whenever anybody has changed it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from bot.delivery import first_of
from bot.store.contract import Store, StoreError, Topic

_LOOK_SECONDS = 5.0
"""A command beside a server wakes nobody on SQLite: what it changed is seen after so long."""
_RETRY_SECONDS = 5.0


async def follow(store: Store, topic: Topic, load: Callable[[], Awaitable[None]]) -> None:
    """Call `load` now, at every wake of the topic, and now and then in between, until cancelled."""
    changed = asyncio.Event()
    store.on_wake(topic, changed.set)
    while True:
        changed.clear()
        seconds = _LOOK_SECONDS
        try:
            await load()
        except StoreError as error:
            structlog.get_logger(topic).warning(f"{topic}.not_read", error=type(error).__name__)
            seconds = _RETRY_SECONDS
        await first_of(changed, seconds=seconds)
