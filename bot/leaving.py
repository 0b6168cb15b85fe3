"""A user of the console goes: what was theirs is nobody's, or given back."""

from __future__ import annotations

from bot.config import Config
from bot.purchases import give_back
from bot.store.contract import Row, Transaction


async def delete_user(transaction: Transaction, config: Config, user: Row, *, by: str, now: int) -> None:
    """Delete a user. Their conversations are nobody's, and numbers that were bought for them are given back."""
    await let_go(transaction, user)
    of_config = {number for channel in config.channels.values() for number in channel.numbers}
    for line in await transaction.rows("lines_of_user", user=user["id"]):
        if line["source"] == "bought" and line["number"] not in of_config:
            await give_back(transaction, line, by=by, now=now, days=config.numbers.quarantine_days)
    await transaction.rows("delete_user", id=user["id"])


async def let_go(transaction: Transaction, user: Row) -> None:
    """Who cannot sign in any more has no conversations: else nobody would answer them."""
    await transaction.rows("let_go_of_conversations", name=user["name"])
