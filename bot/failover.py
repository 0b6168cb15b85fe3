"""Texts whose channel is out leave through another channel of its pool."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import structlog

from adapters import ADAPTERS
from bot.changes import dumps, write_people
from bot.clock import new_id
from bot.config import Config
from bot.lines import Sender
from bot.people import Conversation, conversation_from_row
from bot.senders import Senders
from bot.store.contract import Row, Transaction

_MOST = 200


class Failover:
    """Moves waiting texts from one channel to another."""

    def __init__(self, config: Config, senders: Senders) -> None:
        self._pools = config.pools
        self._senders = senders
        kinds = {name: ADAPTERS[channel.adapter] for name, channel in config.channels.items()}
        self._takes = {name: kind.capabilities for name, kind in kinds.items()}
        self._log = structlog.get_logger("failover")

    async def take_over(self, transaction: Transaction, out: Collection[str], tried: Collection[str], now: int) -> None:
        """Move what waits for channels that are out, where their pools have another. Of those that are `tried` now,
        one text stays: without it nobody would ever know that they are back."""
        stuck = [name for name in out if any(name in pool and set(pool) - set(out) for pool in self._pools.values())]
        if stuck:
            rows = await transaction.rows("queued_of_channels", channels=dumps(stuck), limit=_MOST)
            tries: dict[str, str] = {}
            for row in rows:
                if row["channel"] in tried and row["lease_until"] <= now:
                    tries.setdefault(row["channel"], row["id"])
            await self.move(transaction, [row for row in rows if row["id"] not in tries.values()], now)

    async def leave_gone(self, transaction: Transaction, now: int) -> None:
        """Have what waits on numbers that are ours no more leave from others."""
        gone = self._senders.lines.gone
        rows = await transaction.rows("queued_of_numbers", numbers=dumps(sorted(gone)), limit=_MOST) if gone else []
        chosen = {row["id"]: sender for row in rows if (sender := self._senders.first(row["phone"]))[0]}
        await move_to(transaction, rows, chosen, now)

    def can_move(self, row: Row) -> bool:
        """Whether a text could leave from elsewhere."""
        return self._instead(row) is not None

    def _instead(self, row: Row) -> Sender | None:
        """Where a text could leave from; one that is long, or has a picture, not from where it would be refused."""
        has_media, length = row["media"] != "[]", len(row["body"])
        also_out = [
            name
            for name, takes in self._takes.items()
            if length > takes.max_body or (has_media and not takes.supports_media)
        ]
        return self._senders.instead(row["phone"], row["number"], row["channel"], also_out)

    async def move(self, transaction: Transaction, rows: Sequence[Row], now: int) -> frozenset[str]:
        """Have queued texts leave from elsewhere, each in the conversation of its new number; the ids of those that
        could be moved."""
        chosen = {row["id"]: sender for row in rows if (sender := self._instead(row)) is not None}
        await move_to(transaction, rows, chosen, now)
        for row in rows:
            if row["id"] in chosen:
                self._log.info("message.moved", id=row["id"], channel=row["channel"], to=chosen[row["id"]][1])
        return frozenset(chosen)


async def move_to(transaction: Transaction, rows: Sequence[Row], chosen: Mapping[str, Sender], now: int) -> None:
    """Have queued texts leave from the numbers that were chosen for them (by their ids), each in the conversation of
    its new number."""
    moved = [row for row in rows if row["id"] in chosen]
    if not moved:
        return
    phones = sorted({row["phone"] for row in moved})
    await transaction.lock_phones(phones)
    found = await transaction.rows("load_conversations", phones=dumps(phones))
    before = {(row["phone"], row["number"]): conversation_from_row(row) for row in found}
    after: dict[tuple[str, str], Conversation] = {}
    updates = []
    for row in moved:
        number, channel = chosen[row["id"]]
        key = (row["phone"], number)
        conversation = after.get(key) or before.get(key)
        if conversation is None:
            conversation = Conversation(new_id(), row["phone"], number, channel, created_at=now)
        after[key] = replace(conversation, channel=channel, last_message_at=now)
        updates.append({"id": row["id"], "number": number, "channel": channel, "conversation": conversation.id})
    pairs = [(before.get(key), conversation) for key, conversation in after.items()]
    await write_people(transaction, [], [], pairs, at=now, source="another number")
    await transaction.each("move_messages", updates, now=now)
    transaction.conversations_changed(row["conversation_id"] for row in moved)
