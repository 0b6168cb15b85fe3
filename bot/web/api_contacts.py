"""The API of contacts, their phones, consent and tags, and of lists."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from bot import consent
from bot.contacts import (
    Editing,
    Missing,
    NewPerson,
    Taken,
    add_phone,
    create,
    delete,
    known_list,
    people_by_id,
)  # fmt: skip
from bot.phones import parse_phone
from bot.store.contract import Transaction
from bot.web import models as m
from bot.web import present
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.problems import Problem
from rules.facts import ALL_CONTACTS
from rules.reader import is_value

_TAG: TypeAdapter[str] = TypeAdapter(m.TagName)
_NUMBER_LIKE = re.compile(r"[\d\s()+./-]+", re.ASCII)


def phone_of(call: Call[Any, Any], text: str, field: str) -> str:
    """A number as a caller writes it, in E.164. Raises Problem."""
    phone = parse_phone(text, call.services.config.business.country)
    if phone is None:
        detail = f"'{text}' is no phone number. Write it as +12025550123."
        raise Problem(422, detail, errors=[{"field": field, "detail": "no phone number"}])
    return phone


def by(call: Call[Any, Any]) -> str:
    """The caller, as the history names them."""
    return f"staff {call.actor.name}"


async def list_contacts(call: Call[Nothing, m.ContactQuery]) -> m.Page[m.ContactOut]:
    """Look contacts up, the newest first."""
    query = call.query
    # Only what can be a number is looked for among the numbers: "Wing 5" is a name.
    is_number = query.q is not None and _NUMBER_LIKE.fullmatch(query.q)
    digits = re.sub(r"\D", "", query.q or "") if is_number else ""
    text = None
    if query.q is not None:
        escaped = query.q.replace("!", "!!").replace("%", "!%").replace("_", "!_")
        text = f"%{escaped}%"
    async with call.services.store.snapshot() as transaction:
        rows = await transaction.rows(
            "page_contacts",
            q=text,
            digits=f"%{digits}%" if digits else None,
            list=None if query.list_name == ALL_CONTACTS else query.list_name,
            tag=query.tag,
            opted_in=None if query.opted_in is None else int(query.opted_in),
            blocked=None if query.blocked is None else int(query.blocked),
            cursor=None if query.cursor is None else present.id_cursor(query.cursor),
            limit=query.limit + 1,
        )
        ids = [row["id"] for row in rows[: query.limit]]
        people = await people_by_id(transaction, ids)
    return m.Page[m.ContactOut](
        items=[present.contact(person) for person in people], next=ids[-1] if len(rows) > query.limit else None
    )


async def create_contact(call: Call[m.NewContact, Nothing]) -> m.ContactOut:
    """Make a contact. Opting in needs evidence."""
    body = call.body
    if body.opted_in and not body.evidence.strip():
        raise Problem(422, "Opting in needs evidence: where and when did the person agree?")
    _right_types(call, body.fields)
    phones: dict[str, str] = {}
    for position, phone in enumerate(body.phones):
        phones.setdefault(phone_of(call, phone.number, f"phones.{position}.number"), phone.label)
    new = NewPerson(
        name=body.name,
        phones=tuple(phones.items()),
        lists=frozenset(body.lists),
        tags=frozenset(body.tags),
        fields=body.fields,
        opted_in=body.opted_in,
        evidence=body.evidence,
    )
    try:
        async with call.services.store.transaction() as transaction:
            person = await create(
                transaction, call.services.suppressions, call.services.rules.current.concerns, new, by(call), call.now
            )
    except consent.NeedsReason as error:
        raise Problem(422, str(error), errors=[{"field": "evidence", "detail": "missing"}]) from error
    except Taken as error:
        raise Problem(409, f"A number belongs to contact {error} already.") from error
    except Missing as error:
        raise Problem(422, str(error)) from error
    return present.contact(person)


def _right_types(call: Call[Any, Any], fields: Mapping[str, str]) -> None:
    """A field that the rule files declare holds a value of its type: a wait for "soon" would never end. Raises
    Problem."""
    declared = call.services.rules.current.book.fields
    zone = ZoneInfo(call.services.config.business.timezone)
    for name, value in fields.items():
        kind = declared.get(name)
        if kind is not None and value and not is_value(value, kind, zone):
            detail = f"'{value[:60]}' is no {kind}"
            raise Problem(422, f"fields.{name}: {detail}.", errors=[{"field": f"fields.{name}", "detail": detail}])


async def get_contact(call: Call[Nothing, Nothing]) -> m.ContactOut:
    """One contact."""
    async with call.services.store.snapshot() as transaction:
        people = await people_by_id(transaction, [call.path["id"]])
    if not people:
        raise Problem(404, "There is no such contact.")
    return present.contact(people[0])


@asynccontextmanager
async def _editing(call: Call[Any, Any]) -> AsyncIterator[tuple[Transaction, Editing]]:
    """Edit the contact of the path in one transaction; what went wrong becomes a problem."""
    services = call.services
    try:
        async with services.store.transaction() as transaction:
            editing = await Editing.begin(
                transaction, services.suppressions, services.rules.current.concerns, call.path["id"], by(call), call.now
            )
            before = editing.person
            yield transaction, editing
            await editing.write(transaction, before)
    except Missing as error:
        raise Problem(404, str(error)) from error
    except Taken as error:
        raise Problem(409, f"The number belongs to contact {error} already.") from error
    except consent.NeedsReason as error:
        raise Problem(422, str(error), errors=[{"field": "reason", "detail": "missing"}]) from error
    except consent.Refused as error:
        raise Problem(409, str(error)) from error


async def change_contact(call: Call[m.ContactPatch, Nothing]) -> m.ContactOut:
    """Change the name and fields."""
    _right_types(call, {name: value for name, value in (call.body.fields or {}).items() if value is not None})
    async with _editing(call) as (_, editing):
        editing.rename(call.body.name, call.body.fields)
    return present.contact(editing.person)


async def delete_contact(call: Call[Nothing, m.Confirmed]) -> None:
    """Delete for good; an opt-out survives as a keyed hash of the number."""
    if not call.query.confirm:
        raise Problem(422, "Deleting is for good. Say so: ?confirm=true")
    services = call.services
    try:
        async with services.store.transaction() as transaction:
            editing = await Editing.begin(
                transaction, services.suppressions, services.rules.current.concerns, call.path["id"], by(call), call.now
            )
            await delete(transaction, editing)
    except Missing as error:
        raise Problem(404, str(error)) from error


async def list_phones(call: Call[Nothing, Nothing]) -> m.Page[m.PhoneOut]:
    """The phones of a contact."""
    return m.Page[m.PhoneOut](items=(await get_contact(call)).phones, next=None)


async def create_phone(call: Call[m.NewPhone, Nothing]) -> m.ContactOut:
    """Give a contact one more phone."""
    number = phone_of(call, call.body.number, "number")
    async with _editing(call) as (transaction, editing):
        await add_phone(transaction, editing, number, call.body.label)
    return present.contact(editing.person)


async def change_phone(call: Call[m.PhonePatch, Nothing]) -> m.ContactOut:
    """Opt a phone in (with a reason) or out, block, flag or label it."""
    body = call.body
    number = phone_of(call, call.path["number"], "number")

    def changed(state: consent.PhoneConsent) -> consent.PhoneConsent:
        if body.blocked is not None:
            state = consent.block(state) if body.blocked else consent.unblock(state)
        if body.opted_in is not None:
            state = consent.opt_in_by_staff(state, body.reason) if body.opted_in else consent.opt_out(state)
        if body.do_not_contact is not None:
            state = replace(state, do_not_contact=body.do_not_contact)
        if body.wrong_number is not None:
            state = replace(state, wrong_number=body.wrong_number)
        return replace(state, label=body.label or state.label)

    async with _editing(call) as (_, editing):
        editing.change(number, changed, body.reason)
    return present.contact(editing.person)


async def tag_contact(call: Call[m.TagChange, Nothing]) -> m.ContactOut:
    """Tag a contact. wrong-number, do-not-contact and opt-in (with a reason) act on consent."""
    async with _editing(call) as (_, editing):
        editing.tag(_tag(call), call.body.reason)
    return present.contact(editing.person)


async def untag_contact(call: Call[Nothing, Nothing]) -> m.ContactOut:
    """Untag a contact, and take back what the tag did."""
    async with _editing(call) as (_, editing):
        editing.untag(_tag(call))
    return present.contact(editing.person)


def _tag(call: Call[Any, Any]) -> str:
    try:
        return _TAG.validate_python(call.path["tag"])
    except ValidationError as error:
        detail = error.errors()[0]["msg"]
        raise Problem(422, f"tag: {detail}", errors=[{"field": "tag", "detail": detail}]) from error


async def consent_history(call: Call[Nothing, m.PageQuery]) -> m.Page[m.ConsentOut]:
    """Every change of consent of the contact's phones, the newest first."""
    await get_contact(Call(call.services, call.actor, call.path, Nothing(), Nothing()))
    async with call.services.store.snapshot() as transaction:
        rows = await transaction.rows(
            "consent_history",
            contact=call.path["id"],
            cursor=present.number_cursor(call.query.cursor),
            limit=call.query.limit + 1,
        )
    shown = rows[: call.query.limit]
    return m.Page[m.ConsentOut](
        items=[present.consent_event(row) for row in shown],
        next=present.next_by_seq(rows, call.query.limit),
    )


async def list_lists(call: Call[Nothing, Nothing]) -> m.Page[m.ListOut]:
    """Every list; All Contacts holds everybody."""
    async with call.services.store.snapshot() as transaction:
        total = await transaction.row("count_contacts")
        rows = await transaction.rows("all_lists")
    lists = [m.ListOut(id=ALL_CONTACTS, name=ALL_CONTACTS, purpose="service", contacts=total["count"] if total else 0)]
    lists += [m.ListOut(id=r["name"], name=r["name"], purpose=r["purpose"], contacts=r["contacts"]) for r in rows]
    return m.Page[m.ListOut](items=lists, next=None)


async def create_list(call: Call[m.NewList, Nothing]) -> m.ListOut:
    """Make a list."""
    body = call.body
    async with call.services.store.transaction() as transaction:
        made = None
        if body.name != ALL_CONTACTS:
            made = await transaction.row("add_list", name=body.name, purpose=body.purpose, now=call.now)
    if made is None:
        raise Problem(409, f"There is a list '{body.name}' already.")
    return m.ListOut(id=body.name, name=body.name, purpose=body.purpose, contacts=0)


async def join_list(call: Call[Nothing, Nothing]) -> m.ContactOut:
    """Put a contact on a list."""
    async with _editing(call) as (transaction, editing):
        await known_list(transaction, call.path["list"])
        if call.path["list"] != ALL_CONTACTS:
            editing.join(call.path["list"])
    return present.contact(editing.person)


async def leave_list(call: Call[Nothing, Nothing]) -> m.ContactOut:
    """Take a contact off a list; they stay in All Contacts."""
    if call.path["list"] == ALL_CONTACTS:
        raise Problem(409, f"Everybody is on {ALL_CONTACTS}. Delete the contact instead.")
    async with _editing(call) as (transaction, editing):
        await known_list(transaction, call.path["list"])
        editing.leave(call.path["list"])
    return present.contact(editing.person)


CONTACT, PAGE = m.ContactOut, m.Page[m.ContactOut]
ENDPOINTS = (
    Endpoint("GET", "/contacts", list_contacts, "read", "Look contacts up", PAGE, query=m.ContactQuery),
    Endpoint(
        "POST", "/contacts", create_contact, "staff", "Make a contact", CONTACT, 201, body=m.NewContact, refusals=(409,)
    ),
    Endpoint("GET", "/contacts/{id}", get_contact, "read", "One contact", CONTACT),
    Endpoint("PATCH", "/contacts/{id}", change_contact, "staff", "Change a contact", CONTACT, body=m.ContactPatch),
    Endpoint("DELETE", "/contacts/{id}", delete_contact, "staff", "Delete a contact", None, query=m.Confirmed),
    Endpoint("GET", "/contacts/{id}/phones", list_phones, "read", "The phones of a contact", m.Page[m.PhoneOut]),
    Endpoint(
        "POST", "/contacts/{id}/phones", create_phone, "staff", "Add a phone", CONTACT, 201, body=m.NewPhone,
        refusals=(409,),
    ),
    Endpoint(
        "PATCH", "/contacts/{id}/phones/{number}", change_phone, "staff", "Consent, block and label of a phone",
        CONTACT, body=m.PhonePatch, refusals=(409,),
    ),
    Endpoint(
        "PUT", "/contacts/{id}/tags/{tag}", tag_contact, "staff", "Tag a contact", CONTACT, body=m.TagChange,
        refusals=(409,), body_required=False,
    ),
    Endpoint(
        "DELETE", "/contacts/{id}/tags/{tag}", untag_contact, "staff", "Untag a contact", CONTACT, refusals=(409,),
    ),
    Endpoint(
        "GET", "/contacts/{id}/consent", consent_history, "read", "The consent history", m.Page[m.ConsentOut],
        query=m.PageQuery,
    ),
    Endpoint("GET", "/lists", list_lists, "read", "Every list", m.Page[m.ListOut]),
    Endpoint("POST", "/lists", create_list, "staff", "Make a list", m.ListOut, 201, body=m.NewList, refusals=(409,)),
    Endpoint("PUT", "/lists/{list}/contacts/{id}", join_list, "staff", "Put a contact on a list", CONTACT),
    Endpoint(
        "DELETE", "/lists/{list}/contacts/{id}", leave_list, "staff", "Take a contact off a list", CONTACT,
        refusals=(409,),
    ),
)  # fmt: skip
