"""What staff send: an answer in a conversation, or one text to many. Gate 1 stands before every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot.changes import (
    PRIORITY_BULK,
    PRIORITY_STAFF,
    Additions,
    JsonRow,
    dumps,
    message_row,
    note_row,
    write_additions,
    write_people,
)  # fmt: skip
from bot.clock import MICROSECONDS, NEVER, new_id
from bot.consent import refusal
from bot.people import Conversation, conversation_from_row, phone_from_row
from bot.senders import Choose, Usable, sticky
from bot.store.contract import Transaction


@dataclass(frozen=True, slots=True)
class StaffReply:
    """An answer to a conversation. `by` is who, for the message's sent_by."""

    conversation_id: str
    body: str
    by: str


@dataclass(frozen=True, slots=True)
class Draft:
    """One text for one phone. `send_at` is UTC microseconds, 0 for now; `number` "" picks one of ours. With a
    `purchase` (its id) it waits until that number is bought. What goes to a marketing list at no time of its own
    leaves within the hours in which the contact may be texted."""

    phone: str
    body: str
    media: tuple[str, ...]
    by: str
    number: str
    channel: str
    send_at: int = 0
    bulk: bool = False
    purchase: str = ""
    is_marketing: bool = False

    def waits_for_hours(self, now: int) -> bool:
        """Whether it is still to be found when it may leave (bot/due.py does that)."""
        return self.is_marketing and self.send_at <= now and not self.purchase


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of a draft: the message's id, or why it was not queued."""

    phone: str
    id: str | None
    reason: str | None


async def queue_staff_replies(
    transaction: Transaction, replies: Sequence[StaffReply], *, now: int, staff_seconds: int
) -> list[Queued]:
    """Queue answers; one to a phone that may not be texted is refused, and the reason noted down about the contact.
    Where staff have the conversation already, they have it for `staff_seconds` again."""
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
    results = await queue_drafts(
        transaction, drafts, now=now, first=lambda phone: ("", ""), staff_seconds=staff_seconds
    )
    await _note_refusals(transaction, drafts, results, now)
    return results


async def _note_refusals(
    transaction: Transaction, drafts: Sequence[Draft], results: Sequence[Queued], now: int
) -> None:
    """Nobody waits for the word on an answer that a webhook gave: whoever looks at the contact finds it."""
    refused = [(draft.by, result) for draft, result in zip(drafts, results, strict=True) if result.reason]
    if not refused:
        return
    phones = dumps([result.phone for _, result in refused])
    people = {row["number"]: row["id"] for row in await transaction.rows("names_of_phones", phones=phones)}
    notes = [
        note_row(people[result.phone], by, f"An answer was not texted: {result.reason}.", at=now)
        for by, result in refused
        if result.phone in people
    ]
    await write_additions(transaction, Additions(notes=notes), at=now)


async def queue_drafts(
    transaction: Transaction,
    drafts: Sequence[Draft],
    *,
    now: int,
    first: Choose,
    usable: Usable = lambda number, channel: True,
    limits: frozenset[str] = frozenset(),
    staff_seconds: int = 0,
) -> list[Queued]:
    """Queue texts, with gate 1, in a constant number of statements.

    A draft without a number leaves from the one that the phone keeps hearing from, else from the one that `first`
    chooses; `usable` are the numbers that something may begin on, `limits` the channels that take no media.
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
            own = [conversation for conversation in before.values() if conversation.phone == draft.phone]
            known = sticky(own, usable)
            number, channel = (known.number, known.channel) if known else first(draft.phone)
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
        conversation = replace(conversation, last_message_at=now)
        if not draft.bulk and draft.send_at <= now:
            # Whoever answers has read what came before.
            conversation = replace(conversation, unread=0, waiting_since=0, escalated_at=0)
            if conversation.mode_at(now) == "staff":
                until = max(conversation.staff_until, now + staff_seconds * MICROSECONDS)
                conversation = replace(conversation, staff_until=until)
        after[key] = conversation
        row = _row(draft, conversation, now)
        added.messages.append(row)
        results.append(Queued(draft.phone, row["id"], None))
    await write_people(
        transaction, [], [], [(before.get(key), item) for key, item in after.items()], at=now, source="staff"
    )
    await write_additions(transaction, added, at=now)
    if any(draft.waits_for_hours(now) for draft in drafts):
        await transaction.wake("due")
    return results


def _row(draft: Draft, conversation: Conversation, now: int) -> JsonRow:
    waits_for_hours = draft.waits_for_hours(now)
    return message_row(
        conversation,
        id=new_id(),
        direction="outbound",
        state="held" if draft.send_at > now or draft.purchase or waits_for_hours else "queued",
        purchase_id=draft.purchase or None,
        error="waits until its sender's own number is bought" if draft.purchase else None,
        channel=draft.channel,
        body=draft.body,
        media=dumps([{"url": url, "content_type": ""} for url in draft.media]),
        sent_by="staff",
        sent_by_name=draft.by,
        priority=PRIORITY_BULK if draft.bulk else PRIORITY_STAFF,
        due_at=NEVER if draft.purchase or waits_for_hours else max(draft.send_at, now),
        hours="1" if waits_for_hours else "",
        created_at=now,
    )
