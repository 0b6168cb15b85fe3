"""Opt-outs that a provider keeps itself are read from it, now and then, and written to consent.

A customer may have opted out where we could not see it: before a number was ours, or at the carrier. The list only ever
opts out: who is not on it any more opted in at the provider, and has not told us so. Who has opted in with us since,
on another channel say, stays so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from adapters import OPT_OUTS
from adapters.errors import SendError
from adapters.http import Http
from bot.batch import Batch, Windows
from bot.clock import NEVER, Clock, from_iso
from bot.config import Config
from bot.delivery import first_of
from bot.phones import parse_phone
from bot.receipts import without_returned
from bot.store.contract import Store, StoreError
from bot.suppression import Suppressions

_EVERY_SECONDS = 3600.0
_AGAIN_SECONDS = 120.0
_BATCH = 500


class OptOutSync:
    """Reads the lists. Run `work()` as a task."""

    def __init__(self, config: Config, store: Store, suppressions: Suppressions, http: Http, clock: Clock) -> None:
        self._channels = [channel for channel in config.channels.values() if channel.adapter in OPT_OUTS]
        self._country = config.business.country
        self._store = store
        self._suppressions = suppressions
        self._http = http
        self._clock = clock
        self._log = structlog.get_logger("opt_outs")

    async def work(self, draining: asyncio.Event) -> None:
        """Read them at the start and every hour, soon again where one was not read, until `draining` is set."""
        while not draining.is_set() and self._channels:
            rest = _EVERY_SECONDS
            for channel in self._channels:
                try:
                    count = await self.read(channel.name)
                    self._log.info("opt_outs.read", channel=channel.name, new=count)
                except Exception as error:  # noqa: BLE001 - the worker outlives any failure, as do the other lists
                    is_ours = not isinstance(error, SendError | StoreError)
                    said = f"{type(error).__name__}: {error}" if isinstance(error, SendError) else type(error).__name__
                    self._log.warning("opt_outs.not_read", channel=channel.name, error=said, exc_info=is_ours)
                    rest = _AGAIN_SECONDS
            await first_of(draining, seconds=rest)

    async def read(self, name: str) -> int:
        """Read one channel's list; how many phones were opted out by it. Raises SendError, StoreError."""
        channel = next(channel for channel in self._channels if channel.name == name)
        listed = await OPT_OUTS[channel.adapter](channel.settings).opted_out(self._http)
        since: dict[str, int] = {}
        for item in listed:
            phone = parse_phone(item.phone, self._country)
            if phone is not None:
                since[phone] = max(since.get(phone, 0), _moment(item.at))
        phones, count = sorted(since), 0
        for start in range(0, len(phones), _BATCH):
            count += await self._opt_out({phone: since[phone] for phone in phones[start : start + _BATCH]})
        return count

    async def _opt_out(self, since: Mapping[str, int]) -> int:
        """Opt out those whom we know, unless they have opted in with us after that moment; whom we do not know yet is
        remembered as suppressed."""
        async with self._store.transaction() as transaction:
            batch = Batch(transaction, self._clock(), self._suppressions, Windows())
            await batch.load([], since)
            still_out = await without_returned(transaction, since)
            changed = [phone for phone in still_out if batch.opt_out_by_provider(phone)]
            unknown = [phone for phone in since if not batch.knows(phone)]
            await batch.write()
            await self._suppressions.add(transaction, unknown, self._clock(), "on the provider's list of opt-outs")
        return len(changed)


def _moment(text: str) -> int:
    """When somebody opted out; at no time known, after everything."""
    try:
        return from_iso(text) if text else NEVER
    except (ValueError, OverflowError):
        return NEVER
