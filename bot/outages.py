"""Channels that are out of order: a circuit breaker for each, as every node sees it.

A channel that fails several times in a row, its account refused or nobody there, is taken out: its texts wait, or leave
through another channel of its pool, and staff are told. Now and then one text is tried; when it gets
through, the channel is back. That one number of several is refused, or one receiver cannot be reached, says nothing of
the channel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from adapters.errors import Misconfigured, NumberRefused, Retry, SendError, Unknown
from bot.alerts import alert
from bot.changes import JsonRow
from bot.clock import MICROSECONDS, Clock, iso
from bot.config import Config
from bot.delivery import backoff
from bot.following import follow
from bot.lines import Lines
from bot.store.contract import Row, Store, Transaction

_MISCONFIGURED, _DOWN = 3, 5
"""Failures in a row, and none that got through, before a channel is taken out."""

Outcome = tuple[Row, SendError | None]
"""A message that was tried, and what went wrong."""

_LONGEST_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Outage:
    """Why a channel is out, since when, and when one text is tried again (UTC microseconds)."""

    channel: str
    reason: str
    since: int
    next_try: int
    tries: int


class Outages:
    """Which channels are out. Run `work()` as a task, to hear of changes."""

    def __init__(self, config: Config, store: Store, clock: Clock, lines: Lines) -> None:
        self._config = config
        self._store = store
        self._clock = clock
        self._lines = lines
        self._failures: dict[str, set[str]] = defaultdict(set)
        self._log = structlog.get_logger("outages")
        self.all: dict[str, Outage] = {}

    def names(self) -> frozenset[str]:
        """The channels that are out."""
        return frozenset(self.all)

    def allowances(self, now: int) -> list[JsonRow]:
        """How many texts each channel that is out may try now."""
        return [{"channel": o.channel, "count": int(o.next_try <= now)} for o in self.all.values()]

    async def load(self) -> None:
        """Read which are out."""
        async with self._store.snapshot() as transaction:
            rows = await transaction.rows("all_outages")
        found = [Outage(**{name: row[name] for name in Outage.__slots__}) for row in rows]
        before, self.all = self.all, {o.channel: o for o in found if o.channel in self._config.channels}
        for name in before.keys() - self.all.keys():
            # Another node has put it back: what failed here before that says nothing any more.
            self._failures[name].clear()

    async def work(self) -> None:
        """Read it again whenever any node has changed it."""
        await follow(self._store, "outages", self.load)

    async def trying(self, transaction: Transaction, channels: Sequence[str], until: int) -> None:
        """A text of each of these, which are out, is being tried: no other is until then."""
        rows = [{"channel": name, "next_try": until} for name in set(channels) if name in self.all]
        if rows:
            await transaction.each("outage_tried", rows)
            await transaction.wake("outages")
        for row in rows:
            name = str(row["channel"])
            self.all[name] = replace(self.all[name], next_try=until)

    async def settle(self, transaction: Transaction, outcomes: Sequence[Outcome], now: int) -> None:
        """Weigh what became of attempts to send, in their order; tell staff what changes."""
        latest: dict[str, SendError | None] = {}
        for row, error in outcomes:
            channel = row["channel"]
            if error is not None and self._is_of_channel(channel, error):
                if channel not in self.all:
                    self._failures[channel].add(_mark(row, error))
                latest[channel] = error
            else:
                self._failures[channel].clear()
                latest[channel] = None
        for channel, error in latest.items():
            if channel not in self._config.channels:
                continue
            if error is None:
                if channel in self.all:
                    await self._back(transaction, channel, now)
            elif channel in self.all:
                await self._still_out(transaction, channel, now)
            elif len(self._failures[channel]) >= (_MISCONFIGURED if isinstance(error, Misconfigured) else _DOWN):
                await self._taken_out(transaction, channel, str(error)[:300], now)

    def _is_of_channel(self, channel: str, error: SendError) -> bool:
        """Whether a failure may be the whole channel's."""
        if isinstance(error, NumberRefused):
            return len(self._lines.of_channel(channel)) == 1
        return isinstance(error, Misconfigured | Retry | Unknown)

    async def _taken_out(self, transaction: Transaction, channel: str, reason: str, now: int) -> None:
        outage = Outage(channel, reason, now, now + self._pause(1), 1)
        self.all[channel] = outage
        if await transaction.row("begin_outage", **_fields(outage)) is None:
            return
        self._log.error("channel.out", channel=channel, reason=reason)
        note = f"Channel {channel} is out: {reason}. Its texts wait, or leave through another channel of its pool."
        data = {"channel": channel, "reason": reason, "since": iso(now)}
        await alert(transaction, self._config, "channel.out", data, note, at=now)
        await transaction.wake("outages")

    async def _still_out(self, transaction: Transaction, channel: str, now: int) -> None:
        was = self.all[channel]
        outage = replace(was, next_try=now + self._pause(was.tries + 1), tries=was.tries + 1)
        self.all[channel] = outage
        goes_on = {"channel": channel, "next_try": outage.next_try, "tries": outage.tries}
        if await transaction.row("outage_goes_on", **goes_on) is None:
            # Another node has put it back meanwhile, or it was never written that it is out: it is counted anew.
            del self.all[channel]
            self._failures[channel].clear()
            return
        await transaction.wake("outages")

    async def _back(self, transaction: Transaction, channel: str, now: int) -> None:
        since = self.all.pop(channel).since
        if await transaction.row("end_outage", channel=channel) is None:
            return
        self._log.info("channel.back", channel=channel)
        minutes = (now - since) // (60 * MICROSECONDS)
        note = f"Channel {channel} is back after {minutes} minute{'' if minutes == 1 else 's'}."
        await alert(transaction, self._config, "channel.back", {"channel": channel, "since": iso(since)}, note, at=now)
        await transaction.wake("outages")

    def _pause(self, tries: int) -> int:
        outbox = self._config.outbox
        longest = min(outbox.retry_max_seconds, _LONGEST_SECONDS)
        return round(backoff(tries, min(outbox.retry_base_seconds, longest), longest) * MICROSECONDS)


def _mark(row: Row, error: SendError) -> str:
    """What a failure counts as: a provider that says why it cannot reach somebody may say so at each try."""
    return str(row["phone"]) if isinstance(error, Retry) and error.code else f"{row['id']} {row['attempts']}"


def _fields(outage: Outage) -> dict[str, object]:
    return {name: getattr(outage, name) for name in Outage.__slots__}


def shown(outages: Mapping[str, Outage]) -> list[JsonRow]:
    """The outages for people, the oldest first."""
    return [{"channel": o.channel, "reason": o.reason, "since": iso(o.since)} for o in
            sorted(outages.values(), key=lambda o: o.since)]  # fmt: skip
