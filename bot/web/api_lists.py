"""The API of lists: by hand, and by query, whose members are whoever meets it at this moment."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.changes import Additions, dumps, list_event, occurrence, write_additions
from bot.contacts import Missing, known_list
from bot.criteria import Criteria, Selection, UnknownList, criteria_from, selection
from bot.store.contract import Row, Transaction
from bot.web import models as m
from bot.web import models_rules as r
from bot.web import present
from bot.web.api_contacts import CONTACT, editing_of
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.problems import Problem
from rules.facts import ALL_CONTACTS

_NONE = {"contacts": 0, "textable": 0, "opted_out": 0, "blocked": 0}


async def list_lists(call: Call[Nothing, Nothing]) -> m.Page[m.ListOut]:
    """Every list with its counts; All Contacts holds everybody."""
    rows = await call.transaction.rows("all_lists")
    by_hand = {row["list"]: dict(row) for row in await call.transaction.rows("counts_of_lists")}
    lists = [await _everybody(call)]
    for row in rows:
        counts = await _counted(call, row) if row["query"] else by_hand.get(row["name"], _NONE)
        lists.append(_list(row, counts))
    return m.Page[m.ListOut](items=lists, next=None)


async def is_marketing_list(transaction: Transaction, name: str) -> bool:
    """Whether texts to a list keep to the hours for marketing."""
    row = await transaction.row("list_named", name=name)
    return row is not None and row["purpose"] == "marketing"


async def list_names(transaction: Transaction, *, by_hand: bool = False) -> list[str]:
    """The names of all lists but All Contacts, or of those that people are put on by hand."""
    rows = await transaction.rows("all_lists")
    return [row["name"] for row in rows if not (by_hand and row["query"])]


async def _everybody(call: Call[Any, Any]) -> m.ListOut:
    counts = await _count(call, Selection(Criteria()))
    return _list({"name": ALL_CONTACTS, "purpose": "service", "query": ""}, counts)


async def _counted(call: Call[Any, Any], row: Row) -> Row:
    return await _count(call, await selection(call.transaction, Criteria(list=row["name"])))


async def _count(call: Call[Any, Any], chosen: Selection) -> Row:
    return await call.transaction.row("count_selected", **chosen.parameters(call.now)) or _NONE


def _list(row: Row, counts: Row) -> m.ListOut:
    return m.ListOut(
        id=row["name"],
        name=row["name"],
        purpose=row["purpose"],
        query=criteria_from(row["query"]).as_json() if row["query"] else None,
        **{name: counts[name] or 0 for name in _NONE},
    )


async def get_list(call: Call[Any, Any]) -> m.ListOut:
    """One list with its counts."""
    name = call.path["list"]
    if name == ALL_CONTACTS:
        return await _everybody(call)
    row = await call.transaction.row("list_named", name=name)
    if row is None:
        raise Problem(404, "There is no such list.")
    return _list(row, await _counted(call, row))


async def create_list(call: Call[m.NewList, Nothing]) -> m.ListOut:
    """Make a list."""
    body = call.body
    query = await _query(call, body.query) if body.query is not None else ""
    made = None
    if body.name != ALL_CONTACTS:
        values = {"name": body.name, "purpose": body.purpose, "asks": query}
        made = await call.transaction.row("add_list", **values, now=call.now)
    if made is None:
        raise Problem(409, f"There is a list '{body.name}' already.")
    row = await call.transaction.row("list_named", name=body.name)
    assert row is not None, "it was made just now"
    return _list(row, await _counted(call, row))


async def _query(call: Call[Any, Any], given: m.CriteriaIn) -> str:
    """What a list by query asks for, as it is kept. Raises Problem where that is nothing, or a list by query."""
    criteria = given.criteria()
    if criteria.list == ALL_CONTACTS:
        criteria = replace(criteria, list=None)
    if not criteria.as_json():
        raise Problem(422, "query: it asks for nothing, and All Contacts is a list already.")
    try:
        chosen = await selection(call.transaction, criteria)
    except UnknownList as error:
        raise Problem(422, f"query.list: there is no list '{error}'.") from error
    if chosen.within.as_json():
        raise Problem(422, f"query.list: '{criteria.list}' is a list by query itself.")
    return dumps(criteria.as_json())


async def change_list(call: Call[m.ListPatch, Nothing]) -> m.ListOut:
    """Change what a list is for, or what a list by query asks for. Its name stays: rules go by it."""
    await call.transaction.rows("hold_list", name=call.path["list"])
    before = await get_list(call)
    call.match(before)
    if before.name == ALL_CONTACTS:
        raise Problem(409, f"{ALL_CONTACTS} stays as it is.")
    row = await call.transaction.row("list_named", name=before.name)
    assert row is not None, "it was found just now"
    if call.body.query is not None and not row["query"]:
        raise Problem(409, "It is a list by hand. Make a list by query beside it.")
    query = await _query(call, call.body.query) if call.body.query is not None else row["query"]
    purpose = call.body.purpose or row["purpose"]
    await call.transaction.rows("change_list", name=before.name, purpose=purpose, asks=query)
    return await get_list(call)


async def delete_list(call: Call[Nothing, m.Confirmed]) -> None:
    """Delete a list. Its people stay contacts."""
    if not call.query.confirm:
        raise Problem(422, "Deleting is for good. Say so: ?confirm=true")
    name = call.path["list"]
    await call.transaction.rows("hold_list", name=name)
    call.match(await get_list(call))
    if name == ALL_CONTACTS:
        raise Problem(409, f"{ALL_CONTACTS} stays.")
    if name in call.services.rules.current.book.lists:
        raise Problem(409, "A rule file declares this list. Take it out there first.")
    for row in await call.transaction.rows("all_lists"):
        if criteria_from(row["query"]).list == name:
            raise Problem(409, f"The list '{row['name']}' asks who is on it.")
    rows = await call.transaction.rows("members_of_list", list=name)
    events = [list_event(row["contact_id"], name, "list_left", at=call.now, actor=call.by) for row in rows]
    await write_additions(call.transaction, Additions(list_events=events), at=call.now)
    await call.transaction.rows("delete_list", name=name)


async def _by_hand(call: Call[Any, Any]) -> str:
    """The path's list, where people may be put on it. Raises Missing and Problem."""
    name = call.path["list"]
    if (await known_list(call.transaction, name))["query"]:
        raise Problem(409, "Who is on this list follows from its query.")
    return name


async def join_list(call: Call[Nothing, Nothing]) -> m.ContactOut:
    """Put a contact on a list."""
    async with editing_of(call) as editing:
        name = await _by_hand(call)
        if name != ALL_CONTACTS:
            editing.join(name)
    return present.contact(editing.person)


async def leave_list(call: Call[Nothing, Nothing]) -> m.ContactOut:
    """Take a contact off a list; they stay in All Contacts."""
    if call.path["list"] == ALL_CONTACTS:
        raise Problem(409, f"Everybody is on {ALL_CONTACTS}. Delete the contact instead.")
    async with editing_of(call) as editing:
        editing.leave(await _by_hand(call))
    return present.contact(editing.person)


async def join_many(call: Call[r.Members, Nothing]) -> r.Joined:
    """Put many contacts on a list."""
    ids, transaction = list(dict.fromkeys(call.body.contacts)), call.transaction
    try:
        name = await _by_hand(call)
    except Missing as error:
        raise Problem(404, str(error)) from error
    await transaction.lock_contacts(ids)
    text = dumps(ids)
    known = {row["id"] for row in await transaction.rows("contacts_by_id", ids=text)}
    labels = await transaction.rows("load_labels", contacts=text)
    on_it = {row["contact_id"] for row in labels if row["kind"] == "list" and row["name"] == name}
    new = [id_ for id_ in ids if id_ in known - on_it] if name != ALL_CONTACTS else []
    rows = [{"list": name, "contact_id": id_, "at": call.now, "source": call.by} for id_ in new]
    await transaction.each("join_lists", rows)
    added = Additions()
    added.list_events = [list_event(id_, name, "list_joined", at=call.now, actor=call.by) for id_ in new]
    if call.services.rules.current.concerns("list_joined", name):
        added.occurrences = [occurrence(id_, "list_joined", name, at=call.now, source=call.by) for id_ in new]
    await write_additions(transaction, added, at=call.now)
    unknown = [id_ for id_ in ids if id_ not in known]
    return r.Joined(joined=len(new), already=len(ids) - len(new) - len(unknown), unknown=unknown)


ENDPOINTS = (
    Endpoint("GET", "/lists", list_lists, "read", "Every list", m.Page[m.ListOut]),
    Endpoint(
        "POST", "/lists", create_list, "staff", "Make a list", m.ListOut, 201, body=m.NewList, refusals=(409,)
    ),
    Endpoint("GET", "/lists/{list}", get_list, "read", "One list", m.ListOut),
    Endpoint(
        "PATCH", "/lists/{list}", change_list, "staff", "Change a list", m.ListOut, body=m.ListPatch, refusals=(409,),
        if_match=True,
    ),
    Endpoint(
        "DELETE", "/lists/{list}", delete_list, "staff", "Delete a list", None, query=m.Confirmed, refusals=(409,),
        if_match=True,
    ),
    Endpoint(
        "PUT", "/lists/{list}/contacts/{id}", join_list, "staff", "Put a contact on a list", CONTACT, refusals=(409,),
        if_match=True,
    ),
    Endpoint(
        "DELETE", "/lists/{list}/contacts/{id}", leave_list, "staff", "Take a contact off a list", CONTACT,
        refusals=(409,), if_match=True,
    ),
    Endpoint(
        "POST", "/lists/{list}/contacts", join_many, "staff", "Put many on a list", r.Joined, body=r.Members,
        refusals=(409,),
    ),
)  # fmt: skip
