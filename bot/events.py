"""What others may want to know: events, which routes of config.toml are told of (`events = [...]`).

They are derived from the very rows that a transaction writes, in the functions that write them, and become
notifications in that transaction: none is forgotten, and none is told of that was rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import orjson

from bot.clock import iso, new_id
from bot.people import Contact, Conversation
from bot.store.contract import Row, Transaction

EVENTS: Mapping[str, str] = {
    "contact.created": "Somebody new, by a text, by staff or by an import.",
    "contact.changed": "A name or a field.",
    "contact.deleted": "For good; only the id is told.",
    "contact.opted_in": "A phone, by START or by staff.",
    "contact.opted_out": "A phone, by STOP, by staff or by the provider.",
    "contact.blocked": "A phone.",
    "contact.unblocked": "A phone.",
    "list.joined": "A contact came to a list.",
    "list.left": "A contact left a list.",
    "tag.added": "A contact was tagged.",
    "tag.removed": "A contact was untagged.",
    "conversation.routed": "Staff took over, or were asked to.",
    "conversation.closed": "Automation answers again.",
    "message.received": "A text came in.",
    "message.sent": "The provider took a text.",
    "message.delivered": "A text arrived.",
    "message.undelivered": "A text did not arrive.",
    "message.failed": "A text could not be sent.",
    "channel.out": "A channel fails again and again, and was taken out.",
    "channel.back": "A channel that was out works again.",
    "number.bought": "A number was bought and set up.",
    "number.trouble": "A number cannot be bought, set up or given back; it says why.",
}
_OF_CONSENT = ("opted_in", "opted_out", "blocked", "unblocked")
_OF_LISTS = {"list_joined": "list.joined", "list_left": "list.left"}
EventRow = dict[str, object]


def is_event(notification_id: str) -> bool:
    """Whether a notification tells of an event, and asks nobody for an answer."""
    return ":" in notification_id


def event(
    name: str,
    data: Mapping[str, object],
    *,
    at: int,
    conversation_id: str | None = None,
    contact_id: str | None = None,
    is_urgent: bool = False,
) -> EventRow:
    """One event. It is forgotten with its conversation, or its contact where it is about none. It is told after
    everything that people wait for, unless it is urgent."""
    payload = orjson.dumps({**data, "at": iso(at)}).decode()
    priority = 0 if is_urgent else 1
    return {"id": new_id(), "event": name, "payload": payload, "conversation_id": conversation_id,
            "contact_id": contact_id, "priority": priority, "at": at}  # fmt: skip


async def publish(transaction: Transaction, build: Callable[[], Sequence[EventRow]]) -> None:
    """Tell the routes that asked for them; nothing is built where no route asks for any."""
    if await transaction.row("any_subscription") is None:
        return
    events = build()
    if events and await transaction.each("publish_events", events):
        await transaction.wake("notifications")


def of_contacts(pairs: Iterable[tuple[Contact | None, Contact]], *, at: int, source: str) -> list[EventRow]:
    """Who is new, and whose name or fields changed."""
    events = []
    for before, after in pairs:
        if before is not None and (before.name, before.fields) == (after.name, after.fields):
            continue
        data = {"contact": {"id": after.id, "name": after.name, "fields": dict(after.fields)}, "by": source}
        events.append(event("contact.changed" if before else "contact.created", data, at=at, contact_id=after.id))
    return events


def of_tags(rows: Iterable[Row]) -> list[EventRow]:
    """Rows of tag_events."""
    return [
        event(f"tag.{row['event']}", {"contact": {"id": row["contact_id"]}, "tag": row["tag"], "by": row["source"]},
              at=row["at"], contact_id=row["contact_id"])
        for row in rows
    ]  # fmt: skip


def of_conversations(pairs: Iterable[tuple[Conversation | None, Conversation]], *, at: int) -> list[EventRow]:
    """Which were handed to staff, and which to automation again."""
    events = []
    for before, after in pairs:
        was = before.at(at) if before else None
        if after.mode == "staff" and (was is None or (was.mode, was.route) != ("staff", after.route)):
            name = "conversation.routed"
        elif before and before.mode == "staff" and after.mode == "auto":
            name = "conversation.closed"
        else:
            continue
        data = {"id": after.id, "phone": after.phone, "number": after.number, "channel": after.channel,
                "mode": after.mode, "route": after.route, "assigned_to": after.assigned_to or None}  # fmt: skip
        events.append(event(name, {"conversation": data}, at=at, conversation_id=after.id))
    return events


def of_consent(rows: Iterable[Row]) -> list[EventRow]:
    """Rows of consent_events. Who is blocked is opted out as well, where they were not."""
    return [
        event(
            f"contact.{name}",
            {"contact": {"id": row["contact_id"]}, "phone": row["phone"], "by": row["actor"], "reason": row["reason"]},
            at=row["at"],
            contact_id=row["contact_id"],
        )
        for row in rows
        for name in ((row["event"], "opted_out") if _opts_out_too(row) else (row["event"],))
        if name in _OF_CONSENT
    ]


def _opts_out_too(row: Row) -> bool:
    return bool(row["event"] == "blocked" and orjson.loads(row["before"]).get("opted_in"))


def of_lists(rows: Iterable[Row]) -> list[EventRow]:
    """Rows of list_events."""
    return [
        event(
            _OF_LISTS[row["event"]],
            {"contact": {"id": row["contact_id"]}, "list": row["list"], "by": row["actor"]},
            at=row["at"],
            contact_id=row["contact_id"],
        )
        for row in rows
    ]


def of_inbound(rows: Iterable[Row]) -> list[EventRow]:
    """Rows of messages that came in."""
    return [
        event(
            "message.received", {"message": _message(row)}, at=row["created_at"], conversation_id=row["conversation_id"]
        )
        for row in rows
        if row["direction"] == "inbound" and row["state"] == "received"
    ]


def of_outbound(rows: Iterable[Row], *, at: int) -> list[EventRow]:
    """Messages whose state became sent, delivered, undelivered or failed: rows with their id, phone, number, channel,
    conversation_id, state and error."""
    return [
        event(
            f"message.{row['state']}",
            {"message": _message(row) | {"error": row["error"]}},
            at=at,
            conversation_id=row["conversation_id"],
        )
        for row in rows
        if f"message.{row['state']}" in EVENTS
    ]


def _message(row: Row) -> dict[str, object]:
    told = ("id", "phone", "number", "channel", "body")
    return {name: row[name] for name in told if name in row.keys()} | {"conversation": row["conversation_id"]}  # noqa: SIM118
