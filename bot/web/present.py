"""Rows and values as the API shows them."""

from __future__ import annotations

import re
from collections.abc import Sequence

import orjson

from adapters.advice import advice
from bot.clock import NEVER, iso
from bot.config import Config
from bot.consent import refusal
from bot.contacts import Person
from bot.people import conversation_from_row, phone_from_row
from bot.store.contract import Row
from bot.web.models import ConsentOut, ContactOut, NotificationOut, PhoneOut
from bot.web.models_messages import ConversationOut, MediaOut, MessageOut, Preview, SentBy
from bot.web.problems import Problem
from rules.facts import ALL_CONTACTS

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KEY = re.compile(r"[a-z]{3,10}:[0-9a-f-]{1,36}")
_PREVIEW_CHARACTERS = 200
FIRST = 2**62
"""The cursor of a first page, of rows in falling order."""
LAST_ID = "z"
"""The same of ids: behind all of them, by whatever alphabet a database goes (in most, "~" comes before "0")."""


def next_by_seq(rows: Sequence[Row], limit: int) -> str | None:
    """The cursor of the page after this one; `rows` are one more than the page holds, if there is one."""
    return str(rows[limit - 1]["seq"]) if len(rows) > limit else None


def contact(person: Person) -> ContactOut:
    """A contact."""
    return ContactOut(
        id=person.contact.id,
        name=person.contact.name,
        phones=[
            PhoneOut(
                number=phone.number,
                label=phone.consent.label,
                **phone.consent.as_json(),
                textable=refusal(phone.consent) is None,
                not_textable_because=refusal(phone.consent),
            )
            for phone in person.phones
        ],
        lists=[ALL_CONTACTS, *sorted(person.contact.lists)],
        tags=sorted(person.contact.tags),
        fields=dict(person.contact.fields),
        source=person.contact.source,
        created_at=iso(person.created_at),
        updated_at=iso(person.updated_at),
    )


def consent_event(row: Row) -> ConsentOut:
    """A line of the consent history."""
    return ConsentOut(
        id=row["id"],
        phone=row["phone"],
        at=iso(row["at"]),
        event=row["event"],
        actor=row["actor"],
        reason=row["reason"],
        message_id=row["message_id"],
        before=orjson.loads(row["before"]),
        after=orjson.loads(row["after"]),
    )


def message(config: Config, row: Row) -> MessageOut:
    """A message."""
    channel = config.channels.get(row["channel"])
    return MessageOut(
        id=row["id"],
        direction=row["direction"],
        state=row["state"],
        body=row["body"],
        phone=row["phone"],
        number=row["number"],
        channel=row["channel"],
        conversation=row["conversation_id"],
        media=[MediaOut(**media) for media in orjson.loads(row["media"])],
        parts=row["parts"],
        provider_id=row["provider_id"],
        in_reply_to=row["in_reply_to"],
        attempts=row["attempts"],
        sent_by=SentBy(kind=row["sent_by"], name=row["sent_by_name"]),
        error=row["error"],
        advice=(advice(channel.adapter, row["error"] or "") or None) if channel else None,
        created_at=iso(row["created_at"]),
        updated_at=iso(row["updated_at"]),
        send_at=iso(row["due_at"]) if row["state"] == "held" and row["due_at"] < NEVER else None,
    )


def conversation(row: Row, now: int, last: Row | None) -> ConversationOut:
    """A conversation with its contact and its last message."""
    value = conversation_from_row(row).at(now)
    mode = value.mode_at(now)
    refused = refusal(phone_from_row({**row, "number": value.phone}).consent if row["contact_id"] else None)
    return ConversationOut(
        id=value.id,
        phone=value.phone,
        number=value.number,
        channel=value.channel,
        contact=row["contact_id"],
        name=row["name"] or "",
        mode=mode,
        route=value.route,
        assigned_to=value.assigned_to or None,
        staff_until=iso(min(value.staff_until, 253370764800 * 10**6)) if mode != "auto" else None,
        unread=value.unread,
        waiting_since=iso(value.waiting_since) if value.waiting_since else None,
        last_message_at=iso(value.last_message_at),
        textable=refused is None,
        not_textable_because=refused,
        last_message=_preview(last) if last is not None else None,
    )


def _preview(row: Row) -> Preview:
    return Preview(
        direction=row["direction"],
        body=row["body"][:_PREVIEW_CHARACTERS],
        media=len(orjson.loads(row["media"])),
        state=row["state"],
        at=iso(row["created_at"]),
    )


def notification(row: Row) -> NotificationOut:
    """A delivery to staff."""
    return NotificationOut(
        id=row["id"],
        route=row["route"],
        type=row["type"],
        state=row["state"],
        attempts=row["attempts"],
        error=row["error"],
        conversation=row["conversation_id"],
        created_at=iso(row["created_at"]),
        next_try_at=iso(row["due_at"]) if row["state"] == "queued" else None,
    )


def number_cursor(cursor: str | None) -> int:
    """A cursor of falling sequence numbers. Raises Problem."""
    if cursor is None:
        return FIRST
    if not cursor.isascii() or not cursor.isdigit() or len(cursor) > 18:
        raise bad_cursor()
    return int(cursor)


def pair_cursor(cursor: str | None) -> tuple[int, str]:
    """A cursor of (time, id). Raises Problem."""
    if cursor is None:
        return FIRST, LAST_ID
    moment, _, id_ = cursor.partition(":")
    return number_cursor(moment), id_cursor(id_)


def key_cursor(cursor: str | None) -> tuple[int, str]:
    """A cursor of (time, key of an item of a history). Raises Problem."""
    if cursor is None:
        return FIRST, LAST_ID
    moment, _, key = cursor.partition(":")
    if not _KEY.fullmatch(key):
        raise bad_cursor()
    return number_cursor(moment), key


def falling_id_cursor(cursor: str | None) -> str:
    """A cursor of ids, the newest first. Raises Problem."""
    return id_cursor(cursor) if cursor else LAST_ID


def id_cursor(cursor: str) -> str:
    """A cursor that is one of our ids. Raises Problem."""
    if not _ID.fullmatch(cursor):
        raise bad_cursor()
    return cursor


def bad_cursor() -> Problem:
    """A cursor that no page gave."""
    return Problem(422, "cursor: not one that a page gave.", errors=[{"field": "cursor", "detail": "not a cursor"}])
