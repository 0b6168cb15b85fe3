"""The machine behind the outbox and the notifier: claim with a lease, perform, settle.

A row is claimed in a transaction, performed with none open, and settled in the next transaction, which
claims again. A node that dies between claim and settle leaves a lease to expire.
"""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

import structlog

from bot.clock import MICROSECONDS, Clock
from bot.store.contract import Row, Store, StoreError, Topic, Transaction

Outcome = TypeVar("Outcome")
MAX_SLEEP_SECONDS = 5.0
_STORE_RETRY_SECONDS = 1.0
_BUSY_SECONDS = 1.0
_GATHER_SECONDS = 0.01


def backoff(attempt: int, base: float, longest: float) -> float:
    """Seconds before the next try: doubling from `base`, at most `longest`, with jitter of half of it."""
    whole = min(longest, base * 2.0 ** min(attempt - 1, 30))
    return whole * random.uniform(0.5, 1.0)


class Delivery(ABC, Generic[Outcome]):
    """Claims rows, performs them concurrently, settles what is done."""

    topic: Topic

    def __init__(self, store: Store, clock: Clock, concurrency: int) -> None:
        self._store = store
        self._clock = clock
        self._concurrency = concurrency
        self._work_there_is = asyncio.Event()
        self._running: dict[asyncio.Task[None], Row] = {}
        self._done: list[Outcome] = []
        self._log = structlog.get_logger(self.topic)
        store.on_wake(self.topic, self.look_again)

    @abstractmethod
    async def settle(self, transaction: Transaction, outcomes: Sequence[Outcome]) -> None:
        """Write what became of performed rows."""

    @abstractmethod
    async def claim(self, transaction: Transaction, limit: int) -> Sequence[Row]:
        """Take rows that are due, at most `limit`, under a lease."""

    @abstractmethod
    async def perform(self, row: Row) -> Outcome:
        """Do it, with no transaction open; every failure is an outcome."""

    @abstractmethod
    async def next_due(self, transaction: Transaction) -> int | None:
        """When the next row is due (UTC microseconds)."""

    async def work(self, draining: asyncio.Event) -> None:
        """Go on until `draining` is set; then finish what is under way, settle it, and return."""
        while not (draining.is_set() and not self._running and not self._done):
            try:
                await self._turn(claim=not draining.is_set())
            except Exception as error:  # noqa: BLE001 - the worker outlives any failure; what was claimed has a lease
                self._log.error("turn.failed", error=type(error).__name__, exc_info=not isinstance(error, StoreError))
                await self._sleep(draining, _STORE_RETRY_SECONDS)
                continue
            # While something runs, its end wakes us; asking for the next due time would be a query for nothing.
            seconds = _BUSY_SECONDS if self._running else await self._until_due()
            if self._running or not draining.is_set():
                await self._sleep(draining, seconds)
            if self._running and not draining.is_set():
                # More will be done, or due, in a moment: one transaction for many. With nothing under way, no wait.
                await asyncio.sleep(_GATHER_SECONDS)

    async def run_until_idle(self) -> None:
        """Deal with everything that is due by the clock, and return: for a clock that somebody else moves."""
        while True:
            await self._turn(claim=True)
            if self._running:
                await asyncio.gather(*self._running)
            elif not self._done and not self._work_there_is.is_set():
                return

    def look_again(self) -> None:
        """There may be more work at once."""
        self._work_there_is.set()

    async def _turn(self, *, claim: bool) -> None:
        """One transaction: settle what is done, claim what is due."""
        self._work_there_is.clear()
        free = self._concurrency - len(self._running) if claim else 0
        if not self._done and free <= 0:
            return
        outcomes: list[Outcome] = []
        try:
            async with self._store.transaction() as transaction:
                # Taken here, not before: more is done by the time that the transaction has begun.
                outcomes, self._done = self._done, []
                if outcomes:
                    await self.settle(transaction, outcomes)
                rows = await self.claim(transaction, free) if free > 0 else []
        except BaseException:
            self._done = outcomes + self._done
            raise
        for row in rows:
            task = asyncio.create_task(self._perform(row))
            self._running[task] = row
            task.add_done_callback(self._running.pop)

    async def _perform(self, row: Row) -> None:
        outcome = await self.perform(row)
        # `_done` is looked up only now: a turn in the meantime has put another list in its place.
        self._done.append(outcome)
        self._work_there_is.set()

    async def _until_due(self) -> float:
        try:
            async with self._store.snapshot() as transaction:
                due = await self.next_due(transaction)
        except StoreError:
            return _STORE_RETRY_SECONDS
        if due is None:
            return MAX_SLEEP_SECONDS
        # A row that is due and yet was not claimed waits for another of its phone, or for its number's rate.
        return min(MAX_SLEEP_SECONDS, max(0.05, (due - self._clock()) / MICROSECONDS))

    async def _sleep(self, draining: asyncio.Event, seconds: float) -> None:
        # Once it is set, `draining` would end every sleep at once.
        await first_of(self._work_there_is, *([] if draining.is_set() else [draining]), seconds=seconds)


async def first_of(*events: asyncio.Event, seconds: float) -> None:
    """Wait until one of the events is set, or so many seconds have passed."""
    waits = {asyncio.ensure_future(event.wait()) for event in events}
    _, pending = await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for wait in pending:
        wait.cancel()
