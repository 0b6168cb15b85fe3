"""Receipts: what a provider says became of a message. States only move forward; an early one is kept."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.contract import Receipt
from bot.changes import JsonRow
from bot.store.contract import Transaction
from rules.decide import Ruleset

_RANK = {"sent": 2, "undelivered": 3, "failed": 3, "delivered": 4}
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
    latest: dict[tuple[str, str], Receipt] = {}
    for channel, receipt in receipts:
        key = (channel, receipt.provider_id)
        if key not in latest or _RANK[receipt.state] > _RANK[latest[key].state]:
            latest[key] = receipt
    opted_out = {(channel, receipt.provider_id) for channel, receipt in receipts if receipt.opted_out}
    rows = [
        {
            "channel": channel,
            "provider_id": id_,
            "state": r.state,
            "error": r.error_code,
            "opted_out": int((channel, id_) in opted_out),
            "at": now,
        }
        for (channel, id_), r in latest.items()
    ]
    await transaction.lock_receipts([receipt_key(*key) for key in latest])
    known = {
        (row["channel"], row["provider_id"]): row["phone"] for row in await transaction.each("known_outbound", rows)
    }
    moved = await transaction.each("apply_receipts", rows, now=now)
    await transaction.each(
        "keep_early_receipts", [row for row in rows if (row["channel"], row["provider_id"]) not in known]
    )
    failed = [{"phone": row["phone"], "error": row["error"] or ""} for row in moved if row["state"] in _FAILED]
    return [known[key] for key in sorted(opted_out) if key in known], failed


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
