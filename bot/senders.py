"""Which of our numbers a text leaves from, where nothing else says so.

Somebody who has spoken with us keeps hearing from the same number. For anybody else one is chosen from a pool: in their
own area code, else in one of the same area, else in the same state, else any.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping

from bot.area_codes import area_code, overlays, state_of
from bot.clock import Clock
from bot.config import Config
from bot.lines import Lines, Sender
from bot.outages import Outages
from bot.people import Conversation
from bot.store.contract import Store

Choose = Callable[[str], Sender]
"""Gives the number and channel for a phone (E.164) that never spoke with us; ("", "") where there is none."""


Usable = Callable[[str, str], bool]
"""Whether something new may begin on a number of ours and its channel."""


class Senders:
    """The choice among our numbers."""

    def __init__(self, config: Config, store: Store, clock: Clock) -> None:
        self._pools = config.pools
        self._channels = config.channels
        self.lines = Lines(config)
        self.outages = Outages(config, store, clock, self.lines)
        self._store = store
        self._clock = clock

    async def load(self) -> None:
        """Read what the store knows of numbers and outages."""
        await self.lines.load(self._store)
        await self.outages.load()

    @property
    def has_any(self) -> bool:
        """Whether there is a number to send from."""
        return bool(self._of(self._default_pool()[0]))

    def usable(self, number: str, channel: str) -> bool:
        """Whether something new may begin there: the channel is still ours, and the number is not given back."""
        return channel in self._channels and number not in self.lines.leaving

    def first(self, phone: str) -> Sender:
        """For a phone that never spoke with us."""
        pool, spread = self._default_pool()
        # One that may be tried again takes part: else a channel that nobody knows yet would never come back.
        now = self._clock()
        out = {outage.channel for outage in self.outages.all.values() if outage.next_try > now}
        candidates = self._of(pool)
        return _best(phone, [s for s in candidates if s[1] not in out] or candidates, spread=spread)

    def instead(self, phone: str, number: str, channel: str, also_out: Collection[str] = ()) -> Sender | None:
        """For a text that cannot leave through its channel now: the same number on another channel of its pool, else
        another number of it. None where the channel is in no pool, or all of it is out of order."""
        pool = next((names for names in self._pools.values() if channel in names), ())
        out = {*self.outages.names(), *also_out, channel}
        candidates = [sender for sender in self._of(pool) if sender[1] not in out]
        same = [sender for sender in candidates if sender[0] == number]
        return (same or [_best(phone, candidates, spread=True)])[0] if candidates else None

    def _default_pool(self) -> tuple[tuple[str, ...], bool]:
        """The first pool; without any, the first channel that has a number, whose first number then stands for all
        that have none nearer."""
        if self._pools:
            return next(iter(self._pools.values())), True
        return next(((name,) for name in self._channels if self.lines.of_channel(name)), ()), False

    def _of(self, pool: Iterable[str]) -> list[Sender]:
        names = list(pool)
        found = [(line.number, line.channel) for line in self.lines.all
                 if line.channel in names and not line.user and not line.is_leaving]  # fmt: skip
        return sorted(found, key=lambda sender: names.index(sender[1]))


def _best(phone: str, candidates: list[Sender], *, spread: bool) -> Sender:
    """The nearest; of several, one by chance that is the same each time, or the first."""
    code = area_code(phone)
    state = state_of(code)
    near = set(overlays(code))

    def distance(sender: Sender) -> int:
        own = area_code(sender[0])
        if not code or not own:
            return 3
        return 0 if own == code else 1 if own in near else 2 if state and state_of(own) == state else 3

    def chance(sender: Sender) -> bytes:
        return hashlib.blake2b(f"{phone} {sender[0]}".encode(), digest_size=8).digest() if spread else b""

    return min(candidates, key=lambda sender: (distance(sender), chance(sender)), default=("", ""))


def sticky(conversations: Iterable[Conversation], usable: Usable = lambda number, channel: True) -> Conversation | None:
    """The conversation whose number a phone keeps hearing from: where they texted last, else where we began. One that
    only stood in for a channel that was out is not it."""
    known = [item for item in conversations if usable(item.number, item.channel)]
    return max(known, key=lambda item: (item.last_inbound_at, -item.created_at), default=None)


def pool_of(pools: Mapping[str, tuple[str, ...]], channel: str) -> str:
    """The pool that a channel is in, "" for none."""
    return next((name for name, channels in pools.items() if channel in channels), "")
