"""The API of messages, and of texting."""

from __future__ import annotations

from typing import Any

import orjson

from bot.changes import BY_WORKFLOW, dumps
from bot.clock import iso
from bot.config import Config
from bot.contacts import best_phone, people_by_id
from bot.criteria import Criteria, UnknownList, selection
from bot.deciding import facts_of_row, surroundings_of
from bot.explaining import as_json
from bot.phones import queried_phone
from bot.staff import Draft, Queued, queue_drafts
from bot.store.contract import Row, Transaction
from bot.web import models_messages as m
from bot.web import models_rules as r
from bot.web import present
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.models import Page
from bot.web.problems import Problem
from bot.web.texting import Own, first_sender, media_limits, moment_of, not_empty, own_sender, phone_of, sender_of
from rules.decide import Ruleset

MOST_AT_ONCE = 1000
"""Recipients of one request: it is one transaction, and whoever texts meanwhile waits for it (0.3 ms each)."""


async def list_messages(call: Call[Nothing, m.MessageQuery]) -> Page[m.MessageOut]:
    """Messages, the newest first."""
    query = call.query
    transaction = call.transaction
    rows = await transaction.rows(
        "page_messages",
        phone=phone_filter(call, query.phone),
        state=query.state,
        direction=query.direction,
        cursor=present.number_cursor(query.cursor),
        limit=query.limit + 1,
    )
    return message_page(call.services.config, list(rows), query.limit)


def phone_filter(call: Call[Any, Any], phone: str | None) -> str | None:
    """A number that is looked for, as the store has it."""
    return None if phone is None else queried_phone(phone, call.services.config.business.country)


def message_page(config: Config, rows: list[Row], limit: int) -> Page[m.MessageOut]:
    """A page; `rows` are one more than it holds, if there is one."""
    shown = rows[:limit]
    return Page[m.MessageOut](
        items=[present.message(config, row) for row in shown], next=present.next_by_seq(rows, limit)
    )


async def get_message(call: Call[Nothing, Nothing]) -> m.MessageOut:
    """One message."""
    transaction = call.transaction
    row = await transaction.row("message_by_id", id=call.path["id"])
    if row is None:
        raise Problem(404, "There is no such message.")
    return present.message(call.services.config, row)


async def get_decision(call: Call[Nothing, Nothing]) -> r.ExplanationOut:
    """Why a message was answered as it was: decided again from its kept facts, with every reason."""
    services = call.services
    transaction = call.transaction
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
    not_empty(body.body, body.media)
    send_at = moment_of(call, body.send_at)
    number, channel = sender_of(call, body.sender)
    transaction = call.transaction
    own = Own(number, channel.name if channel else "") if number else await own_sender(call)
    chosen, refused = await _recipients(call, transaction)
    drafts = [
        Draft(
            phone=phone,
            body=body.body,
            media=tuple(body.media),
            by=call.actor.name,
            number=own.number,
            channel=own.channel,
            purchase=own.purchase if send_at <= call.now else "",
            send_at=send_at,
            bulk=body.to.list_name is not None or body.to.contacts is not None,
        )
        for phone, _ in chosen
    ]
    results = await queue_drafts(
        transaction,
        drafts,
        now=call.now,
        first=first_sender(call),
        usable=call.services.senders.usable,
        limits=media_limits(call),
    )
    recipients = [_recipient(result, contact) for result, (_, contact) in zip(results, chosen, strict=True)]
    recipients += refused
    queued = sum(1 for recipient in recipients if recipient.state == "queued")
    return m.Accepted(queued=queued, refused=len(recipients) - queued, recipients=recipients)


async def _recipients(
    call: Call[m.NewMessage, Nothing], transaction: Transaction
) -> tuple[list[tuple[str, str | None]], list[m.Recipient]]:
    """(phone, contact) of everybody who may be texted, and who may not because they have no phone for it."""
    to = call.body.to
    if sum(value is not None for value in (to.phone, to.contact, to.contacts, to.list_name)) != 1:
        raise Problem(422, "to: give exactly one of phone, contact, contacts and list.")
    if to.phone is not None:
        phone = phone_of(call, to.phone, "to.phone")
        found = await transaction.row("names_of_phones", phones=dumps([phone]))
        return [(phone, found["id"] if found else None)], []
    if to.list_name is not None:
        try:
            chosen_ones = await selection(transaction, Criteria(list=to.list_name))
        except UnknownList as error:
            raise Problem(422, f"There is no list '{error}'.") from error
        rows = await transaction.rows("selected_ids", **chosen_ones.parameters(call.now))
        ids = [row["contact_id"] for row in rows]
    else:
        ids = list(dict.fromkeys(to.contacts or [to.contact or ""]))
    if len(ids) > MOST_AT_ONCE:
        wrong = f"to: {len(ids)} people are more than {MOST_AT_ONCE}. POST /broadcasts texts them in the background."
        raise Problem(422, wrong)
    people = {person.contact.id: person for person in await people_by_id(transaction, ids)}
    chosen: list[tuple[str, str | None]] = []
    refused = []
    for id_ in ids:
        person = people.get(id_)
        number, why = best_phone(person)
        if number is not None:
            chosen.append((number, id_))
        else:
            refused.append(m.Recipient(phone=None, contact=id_, state="refused", id=None, reason=why))
    return chosen, refused


def _recipient(result: Queued, contact: str | None) -> m.Recipient:
    state = "queued" if result.id else "refused"
    return m.Recipient(phone=result.phone, contact=contact, state=state, id=result.id, reason=result.reason)


MESSAGE, MESSAGES = m.MessageOut, Page[m.MessageOut]
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
)  # fmt: skip
