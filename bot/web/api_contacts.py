"""The API of contacts, their phones, consent and tags."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from bot import consent
from bot.contacts import (
    Editing,
    Missing,
    NewPerson,
    Person,
    Taken,
    add_phone,
    create,
    delete,
    forget_phone,
    people_by_id,
)  # fmt: skip
from bot.criteria import Selection, UnknownList, selection
from bot.web import models as m
from bot.web import present
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.problems import Problem
from bot.web.texting import phone_of
from rules.reader import is_value

_TAG: TypeAdapter[str] = TypeAdapter(m.TagName)


async def list_contacts(call: Call[Nothing, m.ContactQuery]) -> m.Page[m.ContactOut]:
    """Look contacts up, the newest first."""
    query = call.query
    try:
        chosen = await selection(call.transaction, query.criteria())
    except UnknownList:
        return m.Page[m.ContactOut](items=[], next=None)
    rows = await call.transaction.rows(
        "page_contacts",
        **chosen.parameters(call.now),
        cursor=None if query.cursor is None else present.id_cursor(query.cursor),
        limit=query.limit + 1,
    )
    ids = [row["id"] for row in rows[: query.limit]]
    people = await people_by_id(call.transaction, ids)
    return m.Page[m.ContactOut](
        items=[present.contact(person) for person in people], next=ids[-1] if len(rows) > query.limit else None
    )


async def selection_of(call: Call[Any, Any], criteria: m.CriteriaIn, field: str = "list") -> Selection:
    """The contacts that a caller asks for. Raises Problem (422) for a list that there is not."""
    try:
        return await selection(call.transaction, criteria.criteria())
    except UnknownList as error:
        detail = f"There is no list '{error}'."
        raise Problem(422, detail, errors=[{"field": field, "detail": "unknown list"}]) from error


async def create_contact(call: Call[m.NewContact, Nothing]) -> m.ContactOut:
    """Make a contact. Opting in needs evidence."""
    body = call.body
    if body.opted_in and not body.evidence:
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
    services = call.services
    try:
        person = await create(
            call.transaction, services.suppressions, services.rules.current.concerns, new, call.by, call.now
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
    return present.contact(await person_of(call))


async def person_of(call: Call[Any, Any]) -> Person:
    """The person that the path names. Raises Problem (404)."""
    people = await people_by_id(call.transaction, [call.path["id"]])
    if not people:
        raise Problem(404, "There is no such contact.")
    return people[0]


@asynccontextmanager
async def editing_of(call: Call[Any, Any]) -> AsyncIterator[Editing]:
    """Edit the contact of the path; what went wrong becomes a problem."""
    services, transaction = call.services, call.transaction
    try:
        editing = await Editing.begin(
            transaction, services.suppressions, services.rules.current.concerns, call.path["id"], call.by, call.now
        )
        call.match(present.contact(editing.person))
        before = editing.person
        yield editing
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
    async with editing_of(call) as editing:
        editing.rename(call.body.name, call.body.fields)
    return present.contact(editing.person)


async def delete_contact(call: Call[Nothing, m.Confirmed]) -> None:
    """Delete for good; an opt-out survives as a keyed hash of the number."""
    if not call.query.confirm:
        raise Problem(422, "Deleting is for good. Say so: ?confirm=true")
    services = call.services
    try:
        editing = await Editing.begin(
            call.transaction, services.suppressions, services.rules.current.concerns, call.path["id"], call.by, call.now
        )
    except Missing as error:
        raise Problem(404, str(error)) from error
    call.match(present.contact(editing.person))
    await delete(call.transaction, editing)


async def list_phones(call: Call[Nothing, Nothing]) -> m.Page[m.PhoneOut]:
    """The phones of a contact."""
    return m.Page[m.PhoneOut](items=(await get_contact(call)).phones, next=None)


async def create_phone(call: Call[m.NewPhone, Nothing]) -> m.ContactOut:
    """Give a contact one more phone."""
    number = phone_of(call, call.body.number, "number")
    async with editing_of(call) as editing:
        await add_phone(call.transaction, editing, number, call.body.label)
    return present.contact(editing.person)


async def change_phone(call: Call[m.PhonePatch, Nothing]) -> m.ContactOut:
    """Opt a phone in (with a reason) or out, block, flag or label it."""
    body = call.body
    number = phone_of(call, call.path["number"], "number")

    async with editing_of(call) as editing:
        # One after the other: each is a line of the history, and of its own reason.
        for change in _changes(body):
            editing.change(number, change, body.reason)
    return present.contact(editing.person)


def _changes(body: m.PhonePatch) -> Iterator[Callable[[consent.PhoneConsent], consent.PhoneConsent]]:
    if body.blocked is not None:
        yield consent.block if body.blocked else consent.unblock
    if body.opted_in is not None:
        yield partial(consent.opt_in_by_staff, reason=body.reason) if body.opted_in else consent.opt_out
    flags = {"do_not_contact": body.do_not_contact, "wrong_number": body.wrong_number, "label": body.label or None}
    for name, value in flags.items():
        if value is not None:
            yield partial(replace, **{name: value})


async def tag_contact(call: Call[m.TagChange, Nothing]) -> m.ContactOut:
    """Tag a contact. wrong-number, do-not-contact and opt-in (with a reason) act on consent."""
    async with editing_of(call) as editing:
        editing.tag(_tag(call), call.body.reason)
    return present.contact(editing.person)


async def untag_contact(call: Call[Nothing, Nothing]) -> m.ContactOut:
    """Untag a contact, and take back what the tag did."""
    async with editing_of(call) as editing:
        await editing.untag(call.transaction, _tag(call))
    return present.contact(editing.person)


def _tag(call: Call[Any, Any]) -> str:
    try:
        return _TAG.validate_python(call.path["tag"])
    except ValidationError as error:
        detail = error.errors()[0]["msg"]
        raise Problem(422, f"tag: {detail}", errors=[{"field": "tag", "detail": detail}]) from error


async def remove_phone(call: Call[Nothing, m.Confirmed]) -> m.ContactOut:
    """Take a phone off a contact, with what was texted with it; an opt-out survives as a keyed hash of the number."""
    if not call.query.confirm:
        raise Problem(422, "Removing is for good. Say so: ?confirm=true")
    number = phone_of(call, call.path["number"], "number")
    async with editing_of(call) as editing:
        if [phone.number for phone in editing.person.phones] == [number]:
            raise Problem(409, "It is the contact's only phone. Delete the contact instead.")
        await forget_phone(call.transaction, editing, number)
    return present.contact(editing.person)


CONTACT, PAGE = m.ContactOut, m.Page[m.ContactOut]
ENDPOINTS = (
    Endpoint("GET", "/contacts", list_contacts, "read", "Look contacts up", PAGE, query=m.ContactQuery),
    Endpoint(
        "POST", "/contacts", create_contact, "staff", "Make a contact", CONTACT, 201, body=m.NewContact, refusals=(409,)
    ),
    Endpoint("GET", "/contacts/{id}", get_contact, "read", "One contact", CONTACT),
    Endpoint(
        "PATCH", "/contacts/{id}", change_contact, "staff", "Change a contact", CONTACT, body=m.ContactPatch,
        if_match=True,
    ),
    Endpoint(
        "DELETE", "/contacts/{id}", delete_contact, "staff", "Delete a contact", None, query=m.Confirmed, if_match=True
    ),
    Endpoint("GET", "/contacts/{id}/phones", list_phones, "read", "The phones of a contact", m.Page[m.PhoneOut]),
    Endpoint(
        "POST", "/contacts/{id}/phones", create_phone, "staff", "Add a phone", CONTACT, 201, body=m.NewPhone,
        refusals=(409,), if_match=True,
    ),
    Endpoint(
        "PATCH", "/contacts/{id}/phones/{number}", change_phone, "staff", "Consent, block and label of a phone",
        CONTACT, body=m.PhonePatch, refusals=(409,), if_match=True,
    ),
    Endpoint(
        "DELETE", "/contacts/{id}/phones/{number}", remove_phone, "staff", "Remove a phone", CONTACT,
        query=m.Confirmed, refusals=(409,), if_match=True,
    ),
    Endpoint(
        "PUT", "/contacts/{id}/tags/{tag}", tag_contact, "staff", "Tag a contact", CONTACT, body=m.TagChange,
        refusals=(409,), body_required=False, if_match=True,
    ),
    Endpoint(
        "DELETE", "/contacts/{id}/tags/{tag}", untag_contact, "staff", "Untag a contact", CONTACT, refusals=(409,),
        if_match=True,
    ),
)  # fmt: skip
