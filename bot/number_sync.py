"""What the providers say of our numbers: those bought elsewhere are found, and those that are gone are let go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters import NUMBERS
from adapters.errors import SendError
from adapters.http import Http
from adapters.numbers import OwnNumber
from bot.alerts import alert
from bot.clock import Clock
from bot.config import Config
from bot.purchases import end_line, end_release, number_row
from bot.store.contract import Row, Store, Transaction


@dataclass(frozen=True, slots=True)
class Synced:
    """What one channel's provider told: numbers that are new to us, and those that it has no more; or an `error`."""

    channel: str
    total: int = 0
    found: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    error: str = ""


async def sync_numbers(config: Config, store: Store, http: Http, clock: Clock) -> list[Synced]:
    """Ask every channel's provider that can tell. One that does not answer changes nothing of its own."""
    results = []
    for channel in config.channels.values():
        if channel.adapter not in NUMBERS:
            continue
        asked_at = clock()
        try:
            owned = await NUMBERS[channel.adapter](channel.settings).owned(http)
        except SendError as error:
            results.append(Synced(channel.name, error=str(error)[:300]))
            continue
        async with store.transaction() as transaction:
            results.append(await _written(transaction, config, channel.name, owned, asked_at, clock()))
    return results


async def _written(
    transaction: Transaction, config: Config, channel: str, owned: Sequence[OwnNumber], asked_at: int, now: int
) -> Synced:
    known = {row["number"]: row for row in await transaction.rows("all_numbers")}
    named = {number: row["channel"] for number, row in known.items() if _is_known(row)}
    named = {number: name for number, name in named.items() if name in config.channels}
    named |= {number: item.name for item in config.channels.values() for number in item.numbers}
    # The account may hold numbers that are another channel's of ours; what is not set up yet is nobody's to text from.
    coming = {row["number"] for row in await transaction.rows("numbers_under_way")}
    mine = [item for item in owned if named.get(item.number, channel) == channel and item.number not in coming]
    rows = [
        number_row(
            item.number, channel, "found", label=item.label, provider_id=item.provider_id,
            registration=item.registration, campaign=item.campaign,
        )
        for item in mine
    ]  # fmt: skip
    await transaction.each("upsert_numbers", rows, now=now)
    of_config = {number for item in config.channels.values() for number in item.numbers}
    found = [item.number for item in mine if item.number not in of_config and not _is_known(known.get(item.number))]
    there = {item.number for item in owned}
    # One that was bought while the provider answered is not in that answer.
    gone = [
        number
        for number, row in known.items()
        if row["channel"] == channel and _is_known(row) and number not in there and row["updated_at"] < asked_at
    ]
    for number in gone:
        await end_line(transaction, known[number], now)
        await end_release(transaction, number, now)
        await transaction.rows("number_is_released", number=number, now=now)
        note = f"{channel} has no number {number} any more."
        await alert(transaction, config, "number.trouble", {"number": number, "channel": channel}, note, at=now)
    await transaction.wake("numbers")
    return Synced(channel, len(owned), tuple(found), tuple(gone))


def _is_known(row: Row | None) -> bool:
    return row is not None and row["state"] != "released"
