"""What staff send: an answer in a conversation, or one text to many. Gate 1 stands before every row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from bot.changes import (
    PRIORITY_BULK,
    PRIORITY_STAFF,
    Additions,
    JsonRow,
    dumps,
    message_row,
    write_additions,
    write_people,
)  # fmt: skip
from bot.clock import new_id
from bot.consent import refusal
from bot.people import Conversation, conversation_from_row, phone_from_row
from bot.store.contract import Transaction


@dataclass(frozen=True, slots=True)
class StaffReply:
    """An answer to a conversation. `by` is who, for the message's sent_by."""

    conversation_id: str
    body: str
    by: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One text for one phone. `send_at` is UTC microseconds, 0 for now; `number` "" picks one of ours."""

    phone: str
    body: str
    media: tuple[str, ...]
    by: str
    number: str
    channel: str
    send_at: int = 0
    bulk: bool = False


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of a draft: the message's id, or why it was not queued."""

    phone: str
    id: str | None
    reason: str | None


async def queue_staff_replies(transaction: Transaction, replies: Sequence[StaffReply], *, now: int) -> list[Queued]:
    """Queue answers; one to a phone that may not be texted is refused with the reason."""
    if not replies:
        return []
    ids = dumps([reply.conversation_id for reply in replies])
    found = {row["id"]: conversation_from_row(row) for row in await transaction.rows("conversations_by_id", ids=ids)}
    drafts = []
    for reply in replies:
        conversation = found.get(reply.conversation_id)
        if conversation is not None:
            drafts.append(
                Draft(conversation.phone, reply.body, (), reply.by, conversation.number, conversation.channel)
            )
    return await queue_drafts(transaction, drafts, now=now, default=("", ""))


async def queue_drafts(
    transaction: Transaction,
    drafts: Sequence[Draft],
    *,
    now: int,
    default: tuple[str, str],
    channels: frozenset[str] | None = None,
    limits: frozenset[str] = frozenset(),
) -> list[Queued]:
    """Queue texts, with gate 1, in a constant number of statements.

    A draft without a number leaves from the one that the phone last spoke with, else from `default` (number,
    channel); `channels` are those that there are (None leaves it unchecked), `limits` those that take no media.
    """
    if not drafts:
        return []
    phones = sorted({draft.phone for draft in drafts})
    await transaction.lock_phones(phones)
    text = dumps(phones)
    consents = {
        row["number"]: phone_from_row(row).consent for row in await transaction.rows("load_phones", phones=text)
    }
    before = {
        (row["phone"], row["number"]): conversation_from_row(row)
        for row in await transaction.rows("load_conversations", phones=text)
    }
    after: dict[tuple[str, str], Conversation] = {}
    added = Additions()
    results = []
    for given in drafts:
        draft = given
        if not draft.number:
            number, channel = _sticky(draft.phone, before.values(), channels) or default
            draft = replace(draft, number=number, channel=channel)
        reason = refusal(consents.get(draft.phone))
        if reason is None and draft.media and draft.channel in limits:
            reason = f"channel '{draft.channel}' takes no media"
        if reason is not None:
            results.append(Queued(draft.phone, None, reason))
            continue
        key = (draft.phone, draft.number)
        conversation = after.get(key) or before.get(key)
        if conversation is None:
            conversation = Conversation(new_id(), draft.phone, draft.number, draft.channel, created_at=now)
        after[key] = replace(conversation, last_message_at=now)
        row = _row(draft, conversation, now)
        added.messages.append(row)
        results.append(Queued(draft.phone, row["id"], None))
    await write_people(
        transaction, [], [], [(before.get(key), item) for key, item in after.items()], at=now, source="staff"
    )
    await write_additions(transaction, added, at=now)
    return results


def _sticky(
    phone: str, conversations: Iterable[Conversation], channels: frozenset[str] | None
) -> tuple[str, str] | None:
    """(number, channel) of the phone's latest conversation on a channel that there still is."""
    own = [
        conversation
        for conversation in conversations
        if conversation.phone == phone and (channels is None or conversation.channel in channels)
    ]
    latest = max(own, key=lambda conversation: conversation.last_message_at, default=None)
    return (latest.number, latest.channel) if latest else None


def _row(draft: Draft, conversation: Conversation, now: int) -> JsonRow:
    return message_row(
        conversation,
        id=new_id(),
        direction="outbound",
        state="held" if draft.send_at > now else "queued",
        channel=draft.channel,
        body=draft.body,
        media=dumps([{"url": url, "content_type": ""} for url in draft.media]),
        sent_by="staff",
        sent_by_name=draft.by,
        priority=PRIORITY_BULK if draft.bulk else PRIORITY_STAFF,
        due_at=max(draft.send_at, now),
        created_at=now,
    )
