"""Our numbers: those of config.toml, and those that were bought or found at a provider, as every node sees them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bot.channels import Channel
from bot.config import Config
from bot.following import follow
from bot.store.contract import Row, Store

_RETRY_SECONDS = 5.0
_LOOK_SECONDS = 5.0

Sender = tuple[str, str]
"""A number of ours and the channel that it sends through."""


@dataclass(frozen=True, slots=True)
class Line:
    """One of our numbers on one channel. `user` is the id of the staff user whose own it is, "" for everybody's; a
    number that is given back soon `is_leaving`: it is still answered, and chosen no more."""

    number: str
    channel: str
    user: str = ""
    is_leaving: bool = False
    registration: str = ""
    campaign: str = ""


class Lines:
    """All of our numbers. Run `work()` as a task, to hear of changes."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._of_config = [Line(n, channel.name) for channel in config.channels.values() for n in channel.numbers]
        self.take(())

    def take(self, rows: Iterable[Row]) -> None:
        """What the store knows of numbers, beside those of config.toml."""
        known = {row["number"]: row for row in rows if row["channel"] in self._config.channels}
        lines = [_line(line.number, line.channel, known.pop(line.number, None)) for line in self._of_config]
        lines += [_line(number, row["channel"], row) for number, row in known.items() if row["state"] != "released"]
        self.all: tuple[Line, ...] = tuple(lines)
        self._by_number: Mapping[str, Line] = {line.number: line for line in reversed(lines)}
        self.leaving = frozenset(number for number, row in known.items() if row["state"] != "active")
        """Numbers that are given back, now or soon: nothing new begins on them."""
        self.gone = frozenset(number for number, row in known.items() if row["state"] == "released")
        """Numbers that are ours no more: nothing can leave from them."""
        self._by_user: Mapping[str, Line] = {line.user: line for line in lines if line.user and not line.is_leaving}

    def __contains__(self, number: str) -> bool:
        return number in self._by_number

    def named(self, number: str) -> Line | None:
        """One of our numbers; None for any other."""
        return self._by_number.get(number)

    def channel_of(self, number: str) -> Channel | None:
        """The channel that a number of ours sends through; None for a number that is none of ours."""
        line = self._by_number.get(number)
        return self._config.channels.get(line.channel) if line else None

    def of_channel(self, name: str) -> tuple[str, ...]:
        """The numbers of one channel."""
        return tuple(line.number for line in self.all if line.channel == name)

    def of_user(self, id_: str) -> Line | None:
        """A staff user's own number."""
        return self._by_user.get(id_)

    async def load(self, store: Store) -> None:
        """Read what was bought and found."""
        async with store.snapshot() as transaction:
            self.take(await transaction.rows("all_numbers"))

    async def work(self, store: Store) -> None:
        """Read it again whenever any node has changed it."""
        await follow(store, "numbers", lambda: self.load(store))


def _line(number: str, channel: str, row: Row | None) -> Line:
    if row is None:
        return Line(number, channel)
    is_leaving = row["state"] == "quarantined"
    return Line(number, channel, row["user_id"] or "", is_leaving, row["registration"], row["campaign"])
