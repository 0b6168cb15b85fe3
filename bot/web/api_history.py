"""The API of what is known of a contact's past: the whole history, consent, lists and notes; and the audit log."""

from __future__ import annotations

from typing import Any

import orjson

from bot.changes import Additions, note_row, write_additions
from bot.clock import iso
from bot.history import Item, history_page
from bot.store.contract import Row
from bot.web import models as m
from bot.web import models_rules as r
from bot.web import models_staff as s
from bot.web import present
from bot.web.api_contacts import person_of
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.problems import Problem


async def contact_history(call: Call[Nothing, m.PageQuery]) -> m.Page[s.HistoryItem]:
    """Everything that happened to a contact, the newest first."""
    person, limit = await person_of(call), call.query.limit
    cursor = present.key_cursor(call.query.cursor)
    numbers = [phone.number for phone in person.phones]
    items = await history_page(call.transaction, person.contact.id, numbers, cursor, limit + 1)
    shown = items[:limit]
    following = f"{shown[-1].cursor[0]}:{shown[-1].cursor[1]}" if len(items) > limit else None
    return m.Page[s.HistoryItem](items=[_item(item) for item in shown], next=following)


def _item(item: Item) -> s.HistoryItem:
    values = {name: getattr(item, name) for name in Item.__slots__ if name != "at"}
    return s.HistoryItem(at=iso(item.at), **values)


async def consent_history(call: Call[Nothing, m.PageQuery]) -> m.Page[m.ConsentOut]:
    """Every change of consent of the contact's phones, the newest first."""
    rows = await _of_contact(call, "consent_history")
    return m.Page[m.ConsentOut](
        items=[present.consent_event(row) for row in rows[: call.query.limit]],
        next=present.next_by_seq(rows, call.query.limit),
    )


async def list_history(call: Call[Nothing, m.PageQuery]) -> m.Page[r.ListEventOut]:
    """The lists that a contact joined and left, the newest first."""
    rows = await _of_contact(call, "list_history")
    items = [
        r.ListEventOut(
            list_name=row["list"],
            event=row["event"],
            actor=row["actor"],
            message=row["message_id"],
            evidence=row["evidence"],
            at=iso(row["at"]),
        )
        for row in rows[: call.query.limit]
    ]
    return m.Page[r.ListEventOut](items=items, next=present.next_by_seq(rows, call.query.limit))


async def add_note(call: Call[r.NewNote, Nothing]) -> r.NoteOut:
    """Note something down about a contact."""
    if not call.body.body.strip():
        raise Problem(422, "A note needs words.", errors=[{"field": "body", "detail": "empty"}])
    person = await person_of(call)
    row = note_row(person.contact.id, call.by, call.body.body, at=call.now)
    await write_additions(call.transaction, Additions(notes=[row]), at=call.now)
    return _note(row)


async def list_notes(call: Call[Nothing, m.PageQuery]) -> m.Page[r.NoteOut]:
    """The notes about a contact, the newest first."""
    rows = await _of_contact(call, "notes_of")
    return m.Page[r.NoteOut](
        items=[_note(row) for row in rows[: call.query.limit]], next=present.next_by_seq(rows, call.query.limit)
    )


def _note(row: Row) -> r.NoteOut:
    return r.NoteOut(id=row["id"], author=row["author"], body=row["body"], at=iso(row["at"]))


async def _of_contact(call: Call[Nothing, m.PageQuery], query: str) -> Any:
    cursor = present.number_cursor(call.query.cursor)
    contact = (await person_of(call)).contact.id
    return await call.transaction.rows(query, contact=contact, cursor=cursor, limit=call.query.limit + 1)


async def list_audit(call: Call[Nothing, s.AuditQuery]) -> m.Page[s.AuditOut]:
    """Who changed what, the newest first."""
    query = call.query
    rows = await call.transaction.rows(
        "page_audit",
        actor=query.actor,
        operation=query.operation,
        contact=query.contact,
        cursor=present.number_cursor(query.cursor),
        limit=query.limit + 1,
    )
    items = [
        s.AuditOut(
            id=row["id"],
            at=iso(row["at"]),
            actor=row["actor"],
            operation=row["operation"],
            target=row["target"],
            contact=row["contact_id"],
            detail=orjson.loads(row["detail"]),
        )
        for row in rows[: query.limit]
    ]
    return m.Page[s.AuditOut](items=items, next=present.next_by_seq(rows, query.limit))


ENDPOINTS = (
    Endpoint(
        "GET", "/contacts/{id}/history", contact_history, "read", "A contact's whole history",
        m.Page[s.HistoryItem], query=m.PageQuery,
    ),
    Endpoint(
        "GET", "/contacts/{id}/consent", consent_history, "read", "The consent history", m.Page[m.ConsentOut],
        query=m.PageQuery,
    ),
    Endpoint(
        "GET", "/contacts/{id}/lists", list_history, "read", "The lists that a contact joined and left",
        m.Page[r.ListEventOut], query=m.PageQuery,
    ),
    Endpoint("GET", "/contacts/{id}/notes", list_notes, "read", "Notes", m.Page[r.NoteOut], query=m.PageQuery),
    Endpoint("POST", "/contacts/{id}/notes", add_note, "staff", "Add a note", r.NoteOut, 201, body=r.NewNote),
    Endpoint(
        "GET", "/audit", list_audit, "admin", "Who changed what", m.Page[s.AuditOut], query=s.AuditQuery
    ),
)  # fmt: skip
