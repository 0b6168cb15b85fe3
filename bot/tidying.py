"""What nothing else ends: texts whose missing parts do not come, and what is kept only for a while."""

from __future__ import annotations

import asyncio

import structlog

from bot.changes import dumps
from bot.clock import MICROSECONDS, Clock
from bot.config import Config
from bot.delivery import first_of
from bot.intake import Intake, Overloaded
from bot.parts import RestIsLost
from bot.store.contract import Store, StoreError

_LOOK_SECONDS = 2.0
_FORGET_SECONDS = 600
_JOINED_KEPT_SECONDS = 86_400
_SENT_KEPT_SECONDS = 7 * 86_400
_TOLD_KEPT_SECONDS = 30 * 86_400
_DEAD_KEPT_SECONDS = 90 * 86_400
_MOST = 200
_MOST_FORGOTTEN = 1000


class Tidying:
    """Gives up waiting for parts, and forgets. Run `work()` as a task."""

    def __init__(self, config: Config, store: Store, intake: Intake, clock: Clock) -> None:
        self._config = config
        self._store = store
        self._intake = intake
        self._clock = clock
        self._forgot_at = 0
        self._log = structlog.get_logger("tidying")

    async def work(self, draining: asyncio.Event) -> None:
        """Look every few seconds until `draining` is set."""
        while not draining.is_set():
            try:
                await self.give_up_waiting()
                if self._clock() - self._forgot_at > _FORGET_SECONDS * MICROSECONDS:
                    await self.forget()
                    self._forgot_at = self._clock()
            except (StoreError, Overloaded) as error:
                self._log.warning("tidying.failed", error=type(error).__name__)
            await first_of(draining, seconds=_LOOK_SECONDS)

    async def give_up_waiting(self) -> int:
        """Have texts read whose missing parts did not come in time; how many they are."""
        before = self._clock() - round(self._config.outbox.join_seconds * MICROSECONDS)
        async with self._store.snapshot() as transaction:
            rows = await transaction.rows("overdue_parts", before=before, limit=_MOST)
        for row in rows:
            channel = self._config.channels.get(row["channel"])
            if channel is not None:
                lost = RestIsLost(row["sender"], row["recipient"], row["part_group"])
                await self._intake.submit(channel, [lost])
                self._log.warning("message.incomplete", channel=channel.name)
        return len(rows)

    async def forget(self) -> None:
        """Delete what only told repeats from news, when a repeat cannot come any more, and what staff were told
        long ago."""
        now = self._clock()
        async with self._store.transaction() as transaction:
            await transaction.rows("forget_nonces", now=now)
            await transaction.rows("forget_outages", channels=dumps(list(self._config.channels)))
            await transaction.rows("forget_inbound_parts", before=now - _JOINED_KEPT_SECONDS * MICROSECONDS)
            await transaction.rows("forget_outbound_parts", before=now - _SENT_KEPT_SECONDS * MICROSECONDS)
        await self._forget_told("forget_delivered", now - _TOLD_KEPT_SECONDS * MICROSECONDS)
        await self._forget_told("forget_dead", now - _DEAD_KEPT_SECONDS * MICROSECONDS)

    async def _forget_told(self, query: str, before: int) -> None:
        """There may be a great many notifications: whoever texts meanwhile does not wait for all of them."""
        full = True
        while full:
            async with self._store.transaction() as transaction:
                full = len(await transaction.rows(query, before=before, limit=_MOST_FORGOTTEN)) == _MOST_FORGOTTEN
