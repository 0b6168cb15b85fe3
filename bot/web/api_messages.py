"""The API of conversations and messages, and of texting."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson

from bot.changes import BY_WORKFLOW, dumps, write_people
from bot.clock import from_iso, iso
from bot.config import Channel
from bot.consent import refusal
from bot.contacts import Missing, Person, known_list, people_by_id
from bot.deciding import facts_of_row, surroundings_of
from bot.explaining import as_json
from bot.people import conversation_from_row
from bot.phones import queried_phone
from bot.staff import Draft, Queued, queue_drafts
from bot.store.contract import Row, Transaction
from bot.web import models as m
from bot.web import models_rules as r
from bot.web import present
from bot.web.api_contacts import phone_of
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.problems import Problem
from rules.decide import Ruleset
from rules.facts import ALL_CONTACTS

_MAX_SCHEDULE_DAYS = 366


async def list_messages(call: Call[Nothing, m.MessageQuery]) -> m.Page[m.MessageOut]:
    """Messages, the newest first."""
    query = call.query
    async with call.services.store.snapshot() as transaction:
        rows = await transaction.rows(
            "page_messages",
            phone=_phone_filter(call, query.phone),
            state=query.state,
            direction=query.direction,
            cursor=present.number_cursor(query.cursor),
            limit=query.limit + 1,
        )
    return _message_page(list(rows), query.limit)


def _phone_filter(call: Call[Any, Any], phone: str | None) -> str | None:
    return None if phone is None else queried_phone(phone, call.services.config.business.country)


def _message_page(rows: list[Row], limit: int) -> m.Page[m.MessageOut]:
    shown = rows[:limit]
    return m.Page[m.MessageOut](items=[present.message(row) for row in shown], next=present.next_by_seq(rows, limit))


async def get_message(call: Call[Nothing, Nothing]) -> m.MessageOut:
    """One message."""
    async with call.services.store.snapshot() as transaction:
        row = await transaction.row("message_by_id", id=call.path["id"])
    if row is None:
        raise Problem(404, "There is no such message.")
    return present.message(row)


async def get_decision(call: Call[Nothing, Nothing]) -> r.ExplanationOut:
    """Why a message was answered as it was: decided again from its kept facts, with every reason."""
    services = call.services
    async with services.store.snapshot() as transaction:
        row = await transaction.row("decision_of", id=call.path["id"])
        message = await transaction.row("message_by_id", id=call.path["id"]) if row is None else None
        version = row["version"] if row else services.rules.current.version
        waiting = orjson.loads(row["facts"]).get("waiting", "") if row else ""
        rules = await services.rules.of_version(transaction, version, waiting.rpartition("/")[0])
    if message is not None and message["sent_by"] == BY_WORKFLOW:
        return _of_workflow(services.rules.current, message)
    if row is None:
        raise Problem(404, "No decision is kept for this message.")
    if rules is None:
        raise Problem(409, f"It was decided by rules {version}, whose files are not kept.")
    facts = facts_of_row(row, surroundings_of(services.config).business)
    return r.ExplanationOut.model_validate(as_json(rules.explain(facts, row["at"]), row["at"]))


def _of_workflow(rules: Ruleset, message: Row) -> r.ExplanationOut:
    """Why a workflow sent a message: a step of it had its turn, and no rule was asked."""
    name, _, id_ = message["sent_by_name"].partition("/")
    workflow = rules.book.workflows.get(name)
    place = workflow.place(id_) if workflow else None
    line = workflow.steps[place].line if workflow and place is not None else 0
    tried = r.TriedOut(
        rule=message["sent_by_name"],
        file=workflow.file if workflow else "",
        line=line,
        band="workflow",
        outcome="its time had come",
        fired=True,
        reasons=[],
    )
    at = iso(message["created_at"])
    return r.ExplanationOut(
        version=rules.version, at=at, rule=tried.rule, matched=[], fired=[tried.rule], effects=[], tried=[tried]
    )


async def send_message(call: Call[m.NewMessage, Nothing]) -> m.Accepted:
    """Text one or many. Whoever may not be texted is refused, with the reason."""
    body = call.body
    _not_empty(body.body, body.media)
    send_at = _moment(call, body.send_at)
    number, channel = _sender(call, body.sender)
    async with call.services.store.transaction() as transaction:
        chosen, refused = await _recipients(call, transaction)
        drafts = [
            Draft(
                phone=phone,
                body=body.body,
                media=tuple(body.media),
                by=call.actor.name,
                number=number,
                channel=channel.name if channel else "",
                send_at=send_at,
                bulk=body.to.list_name is not None or body.to.contacts is not None,
            )
            for phone, _ in chosen
        ]
        results = await queue_drafts(
            transaction,
            drafts,
            now=call.now,
            default=_default_sender(call),
            channels=frozenset(call.services.adapters),
            limits=_media_limits(call),
        )
    recipients = [_recipient(result, contact) for result, (_, contact) in zip(results, chosen, strict=True)]
    recipients += refused
    queued = sum(1 for recipient in recipients if recipient.state == "queued")
    return m.Accepted(queued=queued, refused=len(recipients) - queued, recipients=recipients)


def _not_empty(body: str, media: list[str]) -> None:
    if not body.strip() and not media:
        raise Problem(422, "A message needs a body or media.", errors=[{"field": "body", "detail": "empty"}])


def _moment(call: Call[m.NewMessage, Nothing], text: str | None) -> int:
    if text is None:
        return 0
    try:
        moment = from_iso(text)
    except (ValueError, OverflowError) as error:
        raise Problem(422, "send_at: a time such as 2026-03-05T15:00:00Z.") from error
    if moment > call.now + _MAX_SCHEDULE_DAYS * 86400 * 10**6:
        raise Problem(422, f"send_at: at most {_MAX_SCHEDULE_DAYS} days ahead.")
    return moment


def _sender(call: Call[m.NewMessage, Nothing], text: str | None) -> tuple[str, Channel | None]:
    if text is None:
        return "", None
    channels = call.services.config.channels.values()
    number = text if any(text in channel.numbers for channel in channels) else phone_of(call, text, "from")
    for channel in channels:
        if number in channel.numbers:
            return number, channel
    raise Problem(422, f"from: {number} is none of our numbers.")


def _default_sender(call: Call[Any, Any]) -> tuple[str, str]:
    for channel in call.services.config.channels.values():
        for number in channel.numbers:
            return number, channel.name
    raise Problem(409, "No channel has a number to send from.")


def _media_limits(call: Call[Any, Any]) -> frozenset[str]:
    return frozenset(
        name for name, adapter in call.services.adapters.items() if not adapter.capabilities.supports_media
    )


async def _recipients(
    call: Call[m.NewMessage, Nothing], transaction: Transaction
) -> tuple[list[tuple[str, str | None]], list[m.Recipient]]:
    """(phone, contact) of everybody who may be texted, and who may not because they have no phone for it."""
    to = call.body.to
    if sum(value is not None for value in (to.phone, to.contact, to.contacts, to.list_name)) != 1:
        raise Problem(422, "to: give exactly one of phone, contact, contacts and list.")
    if to.phone is not None:
        return [(phone_of(call, to.phone, "to.phone"), None)], []
    if to.list_name is not None:
        try:
            await known_list(transaction, to.list_name)
        except Missing as error:
            raise Problem(422, str(error)) from error
        everybody = to.list_name == ALL_CONTACTS
        rows = (
            await transaction.rows("all_contact_ids")
            if everybody
            else await transaction.rows("members_of_list", list=to.list_name)
        )
        ids = [row["contact_id"] for row in rows]
    else:
        ids = list(dict.fromkeys(to.contacts or [to.contact or ""]))
    people = {person.contact.id: person for person in await people_by_id(transaction, ids)}
    chosen: list[tuple[str, str | None]] = []
    refused = []
    for id_ in ids:
        person = people.get(id_)
        phone, reason = _best_phone(person)
        if phone is not None:
            chosen.append((phone, id_))
        else:
            refused.append(m.Recipient(phone=None, contact=id_, state="refused", id=None, reason=reason))
    return chosen, refused


def _best_phone(person: Person | None) -> tuple[str | None, str]:
    """The first phone that may be texted; else the first, whose refusal says why; None without any."""
    if person is None:
        return None, "there is no such contact"
    for phone in person.phones:
        if refusal(phone.consent) is None:
            return phone.number, ""
    return (person.phones[0].number, "") if person.phones else (None, "the contact has no phone")


def _recipient(result: Queued, contact: str | None) -> m.Recipient:
    state = "queued" if result.id else "refused"
    return m.Recipient(phone=result.phone, contact=contact, state=state, id=result.id, reason=result.reason)  # type: ignore[arg-type]


async def list_conversations(call: Call[Nothing, m.ConversationQuery]) -> m.Page[m.ConversationOut]:
    """Conversations, the most recent first."""
    query = call.query
    moment, id_ = present.pair_cursor(query.cursor)
    async with call.services.store.snapshot() as transaction:
        rows = await transaction.rows(
            "page_conversations",
            phone=_phone_filter(call, query.phone),
            mode=query.mode,
            now=call.now,
            cursor_at=moment,
            cursor_id=id_,
            limit=query.limit + 1,
        )
    shown = rows[: query.limit]
    last = shown[-1] if shown else None
    return m.Page[m.ConversationOut](
        items=[present.conversation(row, call.now) for row in shown],
        next=f"{last['last_message_at']}:{last['id']}" if last and len(rows) > query.limit else None,
    )


async def get_conversation(call: Call[Nothing, Nothing]) -> m.ConversationOut:
    """One conversation."""
    async with call.services.store.snapshot() as transaction:
        row = await transaction.row("conversations_with_contacts", ids=dumps([call.path["id"]]))
    if row is None:
        raise Problem(404, "There is no such conversation.")
    return present.conversation(row, call.now)


async def conversation_messages(call: Call[Nothing, m.PageQuery]) -> m.Page[m.MessageOut]:
    """The messages of a conversation, the newest first."""
    query = call.query
    await get_conversation(Call(call.services, call.actor, call.path, Nothing(), Nothing()))
    async with call.services.store.snapshot() as transaction:
        rows = await transaction.rows(
            "page_conversation_messages",
            conversation=call.path["id"],
            cursor=present.number_cursor(query.cursor),
            limit=query.limit + 1,
        )
    return _message_page(list(rows), query.limit)


async def answer_conversation(call: Call[m.StaffMessage, Nothing]) -> m.MessageOut:
    """Answer as staff."""
    _not_empty(call.body.body, call.body.media)
    async with call.services.store.transaction() as transaction:
        row = await transaction.row("conversations_by_id", ids=dumps([call.path["id"]]))
        if row is None:
            raise Problem(404, "There is no such conversation.")
        draft = Draft(
            row["phone"], call.body.body, tuple(call.body.media), call.actor.name, row["number"], row["channel"]
        )
        (result,) = await queue_drafts(transaction, [draft], now=call.now, default=("", ""), limits=_media_limits(call))
        message = await transaction.row("message_by_id", id=result.id) if result.id else None
    if message is None:
        raise Problem(409, f"Not sent: {result.reason}.")
    return present.message(message)


async def close_conversation(call: Call[Nothing, Nothing]) -> m.ConversationOut:
    """Close: nothing is unread, and automation answers again."""
    async with call.services.store.transaction() as transaction:
        row = await transaction.row("conversations_by_id", ids=dumps([call.path["id"]]))
        if row is None:
            raise Problem(404, "There is no such conversation.")
        await transaction.lock_phones([row["phone"]])
        row = await transaction.row("conversations_by_id", ids=dumps([call.path["id"]]))
        if row is None:
            raise Problem(404, "There is no such conversation.")
        before = conversation_from_row(row)
        after = replace(before, mode="auto", route="", staff_until=0, unread=0)
        await write_people(transaction, [], [], [(before, after)], at=call.now, source=call.actor.name)
        if before.mode != "auto" and call.services.rules.current.concerns("woken", ""):
            row = {"phone": before.phone, "event": "woken", "detail": "", "source": call.actor.name, "at": call.now}
            await transaction.each("insert_occurrences_of_phones", [row])
            await transaction.wake("due")
    return await get_conversation(call)


MESSAGE, MESSAGES = m.MessageOut, m.Page[m.MessageOut]
ENDPOINTS = (
    Endpoint("GET", "/messages", list_messages, "read", "Messages", MESSAGES, query=m.MessageQuery),
    Endpoint(
        "POST", "/messages", send_message, "staff", "Text one or many", m.Accepted, 202, body=m.NewMessage,
        refusals=(409,),
    ),
    Endpoint("GET", "/messages/{id}", get_message, "read", "One message", MESSAGE),
    Endpoint(
        "GET", "/messages/{id}/decision", get_decision, "read", "Why a message was answered so", r.ExplanationOut,
        refusals=(409,),
    ),
    Endpoint(
        "GET", "/conversations", list_conversations, "read", "Conversations", m.Page[m.ConversationOut],
        query=m.ConversationQuery,
    ),
    Endpoint("GET", "/conversations/{id}", get_conversation, "read", "One conversation", m.ConversationOut),
    Endpoint(
        "GET", "/conversations/{id}/messages", conversation_messages, "read", "The messages of a conversation",
        MESSAGES, query=m.PageQuery,
    ),
    Endpoint(
        "POST", "/conversations/{id}/messages", answer_conversation, "staff", "Answer as staff", MESSAGE, 202,
        body=m.StaffMessage, refusals=(409,),
    ),
    Endpoint("POST", "/conversations/{id}/close", close_conversation, "staff", "Close", m.ConversationOut),
)  # fmt: skip
