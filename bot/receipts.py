"""Receipts: what a provider says became of a message. States only move forward; an early one is kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adapters.contract import Receipt
from bot import events
from bot.changes import JsonRow, dumps
from bot.parts import furthest, weighed
from bot.store.contract import Row, Transaction
from rules.decide import Ruleset

_FAILED = ("undelivered", "failed")


def receipt_key(channel: str, provider_id: str) -> str:
    """What the lock of a sent message's receipts is called."""
    return f"{channel}:{provider_id}"


async def apply_receipts(
    transaction: Transaction, receipts: Sequence[tuple[str, Receipt]], *, now: int
) -> tuple[list[str], list[JsonRow]]:
    """Move sent messages forward. Returns the phones that, says the provider, have opted out, and what failed, as
    (phone, error) rows."""
    if not receipts:
        return [], []
    opted_out = {(channel, receipt.provider_id) for channel, receipt in receipts if receipt.opted_out}
    said = furthest([_row(channel, receipt, opted_out, now) for channel, receipt in receipts])
    await transaction.lock_names(sorted({receipt_key(row["channel"], row["provider_id"]) for row in said}))
    known = {_key(row): row for row in await transaction.each("known_outbound", said)}
    named = [row for row in said if row["reference"] and _key(row) not in known]
    if named:
        named = list({row["reference"]: row for row in named}.values())
        known |= {_key(row): row for row in await transaction.each("name_messages", named)}
    rows = await _of_messages(transaction, said, known, now)
    for row in await transaction.each("known_outbound", [row for row in rows if _key(row) not in known]):
        known[_key(row)] = row
    opted_out = {_key(row) for row in rows if row["opted_out"]}
    moved = await transaction.each("apply_receipts", rows, now=now)
    await tell_of(transaction, moved, now=now)
    await transaction.each("keep_early_receipts", [row for row in rows if _key(row) not in known])
    failed = [{"phone": row["phone"], "error": row["error"] or ""} for row in moved if row["state"] in _FAILED]
    return await still_opted_out(transaction, [known[key] for key in opted_out if key in known]), failed


async def still_opted_out(transaction: Transaction, texts: Sequence[Row]) -> list[str]:
    """The phones of texts that say their receiver opted out (rows with phone and due_at): a receipt that comes late, or
    once more, is no news of whoever has opted in with us since the text was due."""
    since: dict[str, int] = {}
    for row in texts:
        since[row["phone"]] = max(since.get(row["phone"], 0), row["due_at"])
    return await without_returned(transaction, since)


async def without_returned(transaction: Transaction, since: Mapping[str, int]) -> list[str]:
    """The phones (with UTC microseconds) that have not opted in with us after that moment, in their order."""
    if not since:
        return []
    rows = await transaction.rows("last_opt_ins", phones=dumps(sorted(since)))
    returned = {row["phone"] for row in rows if row["at"] > since[row["phone"]]}
    return [phone for phone in sorted(since) if phone not in returned]


def _row(channel: str, receipt: Receipt, opted_out: set[tuple[str, str]], now: int) -> JsonRow:
    return {
        "channel": channel,
        "provider_id": receipt.provider_id,
        "state": receipt.state,
        "error": receipt.error_code,
        "opted_out": int((channel, receipt.provider_id) in opted_out),
        "at": now,
        "reference": receipt.reference,
        "number": receipt.part.number if receipt.part else 0,
        "total": receipt.part.total if receipt.part else 0,
    }


def _key(row: Row | JsonRow) -> tuple[str, str]:
    return (row["channel"], row["provider_id"])


async def _of_messages(
    transaction: Transaction, said: Sequence[JsonRow], known: Mapping[tuple[str, str], Row], now: int
) -> list[JsonRow]:
    """What was said, of whole messages; asks for parts only where there can be any."""
    whole: list[JsonRow] = []
    may_be_parts: list[JsonRow] = []
    for row in said:
        is_whole = row["total"] <= 1 and _key(row) in known and known[_key(row)]["parts"] <= 1
        (whole if is_whole else may_be_parts).append(row)
    return whole + await weighed(transaction, may_be_parts, now=now)


async def tell_of(transaction: Transaction, moved: Sequence[Row], *, now: int) -> None:
    """Tell whoever looks at these messages, or wants to know, of their new states (rows as for events.of_outbound)."""
    await events.publish(transaction, lambda: events.of_outbound(moved, at=now))
    transaction.conversations_changed(row["conversation_id"] for row in moved)


async def report_failures(
    transaction: Transaction, rules: Ruleset, failed: Sequence[JsonRow], *, now: int, source: str = "provider"
) -> None:
    """Tell the rules of messages that did not arrive ((phone, error) rows), where any rule wants to know."""
    if "delivery_failed" not in rules.events or not failed:
        return
    rows = [
        {"phone": row["phone"], "event": "delivery_failed", "detail": row["error"], "source": source, "at": now}
        for row in failed
    ]
    await transaction.each("insert_occurrences_of_phones", rows)
    await transaction.wake("due")
