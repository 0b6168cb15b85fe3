"""The API of conversations: the inbox, the chain of messages, answering, and whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from bot.changes import dumps, notification, write_people
from bot.clock import MICROSECONDS
from bot.people import Conversation, conversation_from_row
from bot.staff import Draft, queue_drafts
from bot.store.contract import Row
from bot.web import models_messages as m
from bot.web import models_staff as s
from bot.web import present
from bot.web.api_contacts import selection_of
from bot.web.api_messages import message_page, phone_filter
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.models import CriteriaIn, Page, PageQuery
from bot.web.problems import Problem
from bot.web.texting import media_limits, not_empty
from rules.problems import did_you_mean

_ME = "me"


async def list_conversations(call: Call[Nothing, m.ConversationQuery]) -> Page[m.ConversationOut]:
    """Conversations, the most recent first."""
    query = call.query
    moment, id_ = present.pair_cursor(query.cursor)
    chosen = await selection_of(call, CriteriaIn.model_validate({"list": query.list_name}))
    rows = await call.transaction.rows(
        "page_inbox",
        phone=phone_filter(call, query.phone),
        held=1 if query.mode in ("staff", "paused") or query.route or query.unanswered else None,
        mode=query.mode,
        owned=1 if query.assigned_to else None,
        assigned=call.actor.name if query.assigned_to == _ME else query.assigned_to,
        route=query.route,
        waiting=1 if query.unanswered else None,
        unread=1 if query.unread else None,
        of_list=1 if query.list_name else None,
        **chosen.parameters(call.now),
        now=call.now,
        cursor_at=moment,
        cursor_id=id_,
        limit=query.limit + 1,
    )
    shown = rows[: query.limit]
    last = shown[-1] if shown else None
    return Page[m.ConversationOut](
        items=await _shown(call, shown),
        next=f"{last['last_message_at']}:{last['id']}" if last and len(rows) > query.limit else None,
    )


async def _shown(call: Call[Any, Any], rows: Sequence[Row]) -> list[m.ConversationOut]:
    seqs = [str(row["last_seq"]) for row in rows if row["last_seq"] is not None]
    found = await call.transaction.rows("messages_by_seq", seqs=dumps(seqs)) if seqs else []
    last = {row["seq"]: row for row in found}
    return [present.conversation(row, call.now, last.get(row["last_seq"])) for row in rows]


async def get_conversation(call: Call[Any, Any]) -> m.ConversationOut:
    """One conversation."""
    rows = await call.transaction.rows("conversations_with_contacts", ids=dumps([call.path["id"]]))
    if not rows:
        raise Problem(404, "There is no such conversation.")
    return (await _shown(call, rows))[0]


async def conversation_messages(call: Call[Nothing, PageQuery]) -> Page[m.MessageOut]:
    """The messages of a conversation, the newest first."""
    query = call.query
    await get_conversation(call)
    rows = await call.transaction.rows(
        "page_conversation_messages",
        conversation=call.path["id"],
        cursor=present.number_cursor(query.cursor),
        limit=query.limit + 1,
    )
    return message_page(call.services.config, list(rows), query.limit)


async def _locked(call: Call[Any, Any]) -> Conversation:
    """The conversation of the path, with its phone locked. Raises Problem (404)."""
    for _ in range(2):
        row = await call.transaction.row("conversations_by_id", ids=dumps([call.path["id"]]))
        if row is None:
            raise Problem(404, "There is no such conversation.")
        # What was read before the lock may have been changed meanwhile.
        await call.transaction.lock_phones([row["phone"]])
    assert row is not None, "it was found"
    return conversation_from_row(row)


async def _matched(call: Call[Any, Any]) -> tuple[Conversation, m.ConversationOut]:
    """The conversation, held, and as it is shown: as the caller has seen it, where they say so (If-Match)."""
    before = await _locked(call)
    shown = await get_conversation(call)
    call.match(shown)
    return before, shown


async def _write(call: Call[Any, Any], before: Conversation, after: Conversation) -> m.ConversationOut:
    await write_people(call.transaction, [], [], [(before, after)], at=call.now, source=call.actor.name)
    is_back = before.mode != "auto" and after.mode == "auto"
    if is_back and call.services.rules.current.concerns("woken", ""):
        row = {"phone": before.phone, "event": "woken", "detail": "", "source": call.actor.name, "at": call.now}
        await call.transaction.each("insert_occurrences_of_phones", [row])
        await call.transaction.wake("due")
    return await get_conversation(call)


async def answer_conversation(call: Call[m.StaffMessage, Nothing]) -> m.MessageOut:
    """Answer as staff. Where staff have it already, they have it for as long again."""
    body = call.body
    not_empty(body.body, body.media)
    before = await _locked(call)
    draft = Draft(before.phone, body.body, tuple(body.media), call.actor.name, before.number, before.channel)
    (result,) = await queue_drafts(
        call.transaction, [draft], now=call.now, first=call.services.senders.first, limits=media_limits(call)
    )
    message = await call.transaction.row("message_by_id", id=result.id) if result.id else None
    if message is None:
        raise Problem(409, f"Not sent: {result.reason}.")
    if body.take_over or before.mode_at(call.now) == "staff":
        answered = await _locked(call)
        await _write(call, answered, _taken(call, answered))
    return present.message(call.services.config, message)


def _taken(call: Call[Any, Any], conversation: Conversation) -> Conversation:
    """The conversation in staff mode, from now on for the time that is configured, or longer if it was."""
    until = call.now + call.services.config.outbox.staff_seconds * MICROSECONDS
    before = conversation.at(call.now)
    return replace(
        before,
        mode="staff",
        assigned_to=before.assigned_to or (call.actor.name if call.actor.kind == "user" else ""),
        staff_until=max(until, before.staff_until if before.mode == "staff" else 0),
    )


async def close_conversation(call: Call[Nothing, Nothing]) -> m.ConversationOut:
    """Close: nothing is unread, nobody waits, and automation answers again."""
    before, _ = await _matched(call)
    return await _write(call, before, replace(before.handed_back(), unread=0))


async def reopen_conversation(call: Call[Nothing, Nothing]) -> m.ConversationOut:
    """Take a conversation over: automation is silent in it until it is closed, handed back, or its time has passed."""
    before, _ = await _matched(call)
    return await _write(call, before, _taken(call, before))


async def read_conversation(call: Call[Nothing, Nothing]) -> m.ConversationOut:
    """All that came in has been read."""
    before = await _locked(call)
    return await _write(call, before, replace(before, unread=0))


async def change_conversation(call: Call[s.ConversationPatch, Nothing]) -> m.ConversationOut:
    """Hand a conversation to a person or a route (which is told), take it over, or hand it back to automation."""
    body, given = call.body, call.body.model_fields_set
    before, shown = await _matched(call)
    after = stood = before.at(call.now)
    if body.mode == "auto":
        if body.assigned_to or body.route:
            raise Problem(422, "mode: what is handed back to automation is nobody's.")
        return await _write(call, before, before.handed_back())
    if body.mode == "staff" or body.route or body.assigned_to:
        after = _taken(call, after)
    if "assigned_to" in given:
        if body.assigned_to is not None:
            await _known_user(call, body.assigned_to)
        after = replace(after, assigned_to=body.assigned_to or "")
    if "route" in given:
        route = _known_route(call, body.route)
        if route != after.route:
            after = replace(after, route=route, escalated_at=0)
            if route:
                await _tell(call, after)
    # To give it back to nobody in particular is not to hand it to anybody.
    is_handed = (body.route or stood.route, body.assigned_to or stood.assigned_to) != (stood.route, stood.assigned_to)
    if is_handed and _wants_an_answer(shown):
        after = replace(after, waiting_since=after.waiting_since or call.now)
    return await _write(call, before, after)


def _wants_an_answer(shown: m.ConversationOut) -> bool:
    """Whether there is something to answer, and somebody who may be texted."""
    is_last = shown.last_message is not None and shown.last_message.direction == "inbound"
    return shown.textable and (is_last or shown.unread > 0)


async def _known_user(call: Call[Any, Any], name: str) -> None:
    row = await call.transaction.row("user_named", name=name)
    if row is None or not row["active"]:
        raise Problem(422, f"assigned_to: there is no user '{name}' who can sign in.")


def _known_route(call: Call[Any, Any], name: str | None) -> str:
    routes = call.services.config.routes
    if name and name not in routes:
        raise Problem(422, f"route: there is no route '{name}'.{did_you_mean(name, routes)}")
    return name or ""


async def _tell(call: Call[s.ConversationPatch, Nothing], conversation: Conversation) -> None:
    rows = await call.transaction.rows("names_of_phones", phones=dumps([conversation.phone]))
    data: dict[str, Any] = {
        "conversation": {
            "id": conversation.id,
            "phone": conversation.phone,
            "number": conversation.number,
            "channel": conversation.channel,
            "mode": "staff",
        },
        "contact": {"id": rows[0]["id"], "name": rows[0]["name"]} if rows else None,
        "message": None,
        "route": conversation.route,
        "rule": "",
        "note": call.body.note or f"{call.actor.name} asks you to answer.",
    }
    told = call.services.routes.told(conversation.route, call.now)
    row = notification(told, "conversation.routed", data, at=call.now, conversation_id=conversation.id)
    await call.transaction.each("insert_notifications", [row])
    await call.transaction.wake("notifications")


CONVERSATION, PAGE = m.ConversationOut, Page[m.ConversationOut]
ENDPOINTS = (
    Endpoint("GET", "/conversations", list_conversations, "read", "Conversations", PAGE, query=m.ConversationQuery),
    Endpoint("GET", "/conversations/{id}", get_conversation, "read", "One conversation", CONVERSATION),
    Endpoint(
        "PATCH", "/conversations/{id}", change_conversation, "staff", "Assign, take over or hand back", CONVERSATION,
        body=s.ConversationPatch, if_match=True,
    ),
    Endpoint(
        "GET", "/conversations/{id}/messages", conversation_messages, "read", "The messages of a conversation",
        Page[m.MessageOut], query=PageQuery,
    ),
    Endpoint(
        "POST", "/conversations/{id}/messages", answer_conversation, "staff", "Answer as staff", m.MessageOut, 202,
        body=m.StaffMessage, refusals=(409,),
    ),
    Endpoint("POST", "/conversations/{id}/close", close_conversation, "staff", "Close", CONVERSATION, if_match=True),
    Endpoint(
        "POST", "/conversations/{id}/reopen", reopen_conversation, "staff", "Take over", CONVERSATION, if_match=True
    ),
    Endpoint(
        "POST", "/conversations/{id}/read", read_conversation, "staff", "Mark as read", CONVERSATION, is_audited=False
    ),
)  # fmt: skip
