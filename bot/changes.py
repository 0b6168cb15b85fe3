"""What a transaction will write: the differences of its working set, and rows that are only ever added."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import orjson

from bot import events
from bot.clock import new_id
from bot.consent import PhoneConsent, event_name
from bot.criteria import searchable
from bot.people import Contact, Conversation, Phone
from bot.store.contract import Transaction
from rules.segments import segments

JsonRow = dict[str, Any]
AUTOMATIC, BY_WORKFLOW = "rule", "workflow"
PRIORITY_REPLY, PRIORITY_STAFF, PRIORITY_BULK = 0, 1, 2
_RETAGGED = {"tagged": "added", "untagged": "removed"}


@dataclass(slots=True)
class Additions:
    """Rows that one message adds. Kept apart until the message has been dealt with as a whole."""

    messages: list[JsonRow] = field(default_factory=list)
    consent_events: list[JsonRow] = field(default_factory=list)
    decisions: list[JsonRow] = field(default_factory=list)
    cooldowns: list[JsonRow] = field(default_factory=list)
    notifications: list[JsonRow] = field(default_factory=list)
    list_events: list[JsonRow] = field(default_factory=list)
    tag_events: list[JsonRow] = field(default_factory=list)
    notes: list[JsonRow] = field(default_factory=list)
    occurrences: list[JsonRow] = field(default_factory=list)
    silenced: list[str] = field(default_factory=list)
    """Phones whose waiting messages are cancelled."""
    unreachable: list[str] = field(default_factory=list)
    """Phones that nobody can answer any more: whoever waited there waits no longer."""
    cut_off: list[str] = field(default_factory=list)
    """Runs whose waiting messages, from before this, are cancelled."""

    def extend(self, other: Additions) -> None:
        """Take over another's rows. A phone that `other` silences loses the messages that wait for it here."""
        for row in self.messages if other.silenced else ():
            survives = row["exempt_until"] and row["exemption"] != "opt_in"
            if row["phone"] in other.silenced and row["state"] in ("held", "queued") and not survives:
                row["state"], row["error"] = "cancelled", "the phone opted out"
        for name in self.__slots__:
            getattr(self, name).extend(getattr(other, name))


def forgotten_nonce(provider_id: str) -> str:
    """What a message that was deleted with its contact is known by, when its provider sends it once more."""
    return f"message:{hashlib.sha256(provider_id.encode()).hexdigest()}"


def consent_event(
    phone: Phone, after: PhoneConsent, *, at: int, actor: str, reason: str, message_id: str | None = None
) -> JsonRow:
    """The history row of a change of consent."""
    return {
        "id": new_id(),
        "phone": phone.number,
        "contact_id": phone.contact_id,
        "at": at,
        "event": "created" if phone.is_new and after == phone.consent else event_name(phone.consent, after),
        "actor": actor,
        "reason": reason,
        "message_id": message_id,
        "before": "{}" if phone.is_new and after == phone.consent else dumps(phone.consent.as_json()),
        "after": dumps(after.as_json()),
    }


def notification(route: str, kind: str, data: JsonRow, *, at: int, conversation_id: str | None) -> JsonRow:
    """A row for the notifier."""
    return {
        "id": new_id(),
        "route": route,
        "type": kind,
        "payload": dumps(data),
        "conversation_id": conversation_id,
        "at": at,
    }


def message_row(conversation: Conversation, **values: Any) -> JsonRow:
    """The row of a message of a conversation; `values` must have its id, direction, state, body, media, sender and
    created_at."""
    row: JsonRow = {
        "channel": conversation.channel,
        "number": conversation.number,
        "phone": conversation.phone,
        "conversation_id": conversation.id,
        "provider_id": None,
        "in_reply_to": None,
        "exempt_until": 0,
        "exemption": "",
        "priority": PRIORITY_REPLY,
        "sent_before": 0,
        "hours": "",
        "run_id": None,
        "purchase_id": None,
        "error": None,
        "due_at": values["created_at"],
        "parts": segments(str(values["body"])).count,
        **values,
    }
    return row


def list_event(
    contact_id: str, name: str, event: str, *, at: int, actor: str, message_id: str | None = None, evidence: str = ""
) -> JsonRow:
    """The history row of a list that was joined or left."""
    return {
        "contact_id": contact_id,
        "list": name,
        "event": event,
        "actor": actor,
        "message_id": message_id,
        "evidence": evidence,
        "at": at,
    }


def note_row(contact_id: str, author: str, body: str, *, at: int) -> JsonRow:
    """A note about a contact."""
    return {"id": new_id(), "contact_id": contact_id, "author": author, "body": body, "at": at}


def occurrence(contact_id: str, event: str, detail: str, *, at: int, source: str, phone: str = "") -> JsonRow:
    """Something that happened to a contact, or to one phone of it, outside of the pipeline: for the clock to carry on
    with."""
    return {"contact_id": contact_id, "phone": phone, "event": event, "detail": detail, "source": source, "at": at}


def dumps(value: Any) -> str:
    """JSON, as text columns keep it."""
    return orjson.dumps(value).decode()


async def write_people(
    transaction: Transaction,
    contacts: Iterable[tuple[Contact | None, Contact]],
    phones: Iterable[tuple[Phone | None, Phone]],
    conversations: Iterable[tuple[Conversation | None, Conversation]],
    *,
    at: int,
    source: str,
    tells_of_tags: bool = True,
) -> None:
    """Write what differs between (before, after) of each; `before` None is new. Whoever wants to know is told;
    of tags too, unless the caller tells more exactly who gave them (Additions.tag_events)."""
    pairs, talks = list(contacts), [(before, after) for before, after in conversations if before != after]
    rows = {"new": [], "changed": [], "joined": [], "left": [], "tagged": [], "untagged": []}  # type: dict[str, list[JsonRow]]
    for before, after in pairs:
        row = {
            "id": after.id,
            "name": after.name,
            "search": searchable(after.name),
            "fields": dumps(dict(after.fields)),
            "source": after.source,
            "at": at,
        }
        if before is None:
            rows["new"].append(row)
        elif (before.name, before.fields) != (after.name, after.fields):
            rows["changed"].append(row)
        old_lists, old_tags = (before.lists, before.tags) if before else (frozenset(), frozenset())
        for key, names, column in (
            ("joined", after.lists - old_lists, "list"),
            ("left", old_lists - after.lists, "list"),
            ("tagged", after.tags - old_tags, "tag"),
            ("untagged", old_tags - after.tags, "tag"),
        ):
            rows[key].extend({"contact_id": after.id, column: name, "at": at, "source": source} for name in names)
    await transaction.each("insert_contacts", rows["new"])
    await transaction.each("update_contacts", rows["changed"])
    await transaction.each("upsert_phones", [_phone_row(b, a, at) for b, a in phones if b != a])
    await transaction.each("join_lists", rows["joined"])
    await transaction.each("leave_lists", rows["left"])
    await transaction.each("add_tags", rows["tagged"])
    await transaction.each("remove_tags", rows["untagged"])
    await transaction.each("upsert_conversations", [_conversation_row(after) for _, after in talks])
    retagged = [{**row, "event": event} for key, event in _RETAGGED.items() for row in rows[key] if tells_of_tags]
    await transaction.each("insert_tag_events", retagged)
    await events.publish(
        transaction,
        lambda: [
            *events.of_contacts(pairs, at=at, source=source),
            *events.of_tags(retagged),
            *events.of_conversations(talks, at=at),
        ],
    )
    transaction.conversations_changed(after.id for _, after in talks)


async def write_additions(transaction: Transaction, added: Additions, *, at: int) -> None:
    """Write the added rows, wake whoever has work by them, and tell whoever wants to know."""
    if added.silenced:
        await transaction.rows("cancel_queued", phones=dumps(added.silenced), reason="the phone opted out", now=at)
    if added.unreachable:
        waited = await transaction.rows("stop_waiting", phones=dumps(added.unreachable))
        transaction.conversations_changed(row["id"] for row in waited)
    if added.cut_off:
        await transaction.rows("cancel_of_runs", runs=dumps(added.cut_off), reason="its workflow ended", now=at)
    await transaction.each("insert_messages", added.messages)
    await transaction.each("insert_consent_events", added.consent_events)
    await transaction.each("insert_decisions", added.decisions)
    await transaction.each("upsert_cooldowns", list({(r["key"], r["contact_id"]): r for r in added.cooldowns}.values()))
    await transaction.each("insert_notifications", added.notifications)
    await transaction.each("insert_list_events", added.list_events)
    await transaction.each("insert_tag_events", added.tag_events)
    await transaction.each("insert_notes", added.notes)
    await transaction.each("insert_occurrences", added.occurrences)
    await events.publish(
        transaction,
        lambda: [
            *events.of_consent(added.consent_events),
            *events.of_lists(added.list_events),
            *events.of_tags(added.tag_events),
            *events.of_inbound(added.messages),
        ],
    )
    transaction.conversations_changed(row["conversation_id"] for row in added.messages)
    if added.occurrences:
        await transaction.wake("due")
    if any(row["direction"] == "outbound" for row in added.messages):
        await transaction.wake("outbox")
    if added.notifications:
        await transaction.wake("notifications")


def _phone_row(before: Phone | None, phone: Phone, at: int) -> JsonRow:
    flags = {name: int(value) for name, value in phone.consent.as_json().items()}
    return {"number": phone.number, "contact_id": phone.contact_id, "label": phone.consent.label, "at": at, **flags}


def _conversation_row(conversation: Conversation) -> JsonRow:
    return {name: getattr(conversation, name) for name in Conversation.__slots__}
