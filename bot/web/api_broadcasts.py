"""The API of texting a selection: who will get it, sending, progress, and what became of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from bot.changes import dumps
from bot.clock import iso, new_id
from bot.consent import refusal
from bot.contacts import best_phone, people_by_id
from bot.store.contract import Row
from bot.web import models_staff as s
from bot.web import present
from bot.web.api_answers import check_template
from bot.web.api_contacts import selection_of
from bot.web.api_lists import is_marketing_list
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.models import Page, PageQuery
from bot.web.problems import Problem
from bot.web.texting import first_sender, moment_of, not_empty, sender_of
from rules.segments import segments

_WHY: Mapping[str, str] = {
    "1": "the phone is blocked",
    "2": "the phone is opted out",
    "3": "the phone is marked Do Not Contact",
    "4": "the phone is marked Wrong Number",
    "5": "no phone is labelled cell",
    "6": "the contact has no phone",
}


async def preview_broadcast(call: Call[s.BroadcastPreview, Nothing]) -> s.AudienceOut:
    """Who will get a text, and why the others will not."""
    to = _one_of(call.body.to)
    if to.matching is not None:
        chosen = await selection_of(call, to.matching, "to.matching.list")
        rows = await call.transaction.rows("refusals_of_selected", **chosen.parameters(call.now))
        counts = {row["why"]: row["contacts"] for row in rows}
    else:
        counts = await _counted(call, to.contacts or [])
    counted = segments(call.body.body)
    return s.AudienceOut(
        contacts=sum(counts.values()),
        textable=counts.pop("0", 0),
        refused={_WHY.get(why, why): count for why, count in counts.items()},
        encoding=counted.encoding,
        segments=counted.count,
    )


async def _counted(call: Call[Any, Any], ids: Sequence[str]) -> dict[str, int]:
    counts: dict[str, int] = defaultdict(int)
    for person in await people_by_id(call.transaction, list(dict.fromkeys(ids))):
        number, why = best_phone(person)
        found = next((phone for phone in person.phones if phone.number == number), None)
        counts[(refusal(found.consent) or "0") if found else why] += 1
    return counts


def _one_of(to: s.Audience) -> s.Audience:
    if (to.contacts is None) == (to.matching is None):
        raise Problem(422, "to: give exactly one of contacts and matching.")
    return to


async def create_broadcast(call: Call[s.NewBroadcast, Nothing]) -> s.BroadcastOut:
    """Text a selection: whoever it is at this moment. They are queued in the background, and those of a marketing list
    get it within the hours for marketing where they are, unless it has a time of its own."""
    body, to = call.body, _one_of(call.body.to)
    not_empty(body.body, body.media)
    if body.template:
        check_template(call, body.body)
    elif body.template is None and "{{" in body.body:
        said = "The text has {{ }} in it, which each would get as it stands: have the variables filled in ('template')."
        raise Problem(422, said, errors=[{"field": "template", "detail": "variables that are not filled in"}])
    number, channel = sender_of(call, body.sender)
    first_sender(call)
    id_ = new_id()
    audience: dict[str, Any] = {"template": bool(body.template)}
    if to.matching is not None:
        audience["matching"] = to.matching.criteria().as_json()
        if to.matching.list_name and await is_marketing_list(call.transaction, to.matching.list_name):
            audience["marketing"] = True
    await call.transaction.rows(
        "add_broadcast",
        id=id_,
        author=call.actor.name,
        body=body.body,
        media=dumps(body.media),
        number=number,
        channel=channel.name if channel else "",
        send_at=moment_of(call, body.send_at),
        audience=dumps(audience),
        now=call.now,
    )
    if to.matching is not None:
        chosen = await selection_of(call, to.matching, "to.matching.list")
        await call.transaction.rows("address_selected", **chosen.parameters(call.now), broadcast=id_)
    else:
        await call.transaction.rows("address_contacts", broadcast=id_, contacts=dumps(to.contacts))
    await call.transaction.rows("set_total", id=id_)
    await call.transaction.wake("broadcasts")
    return await _broadcast(call, id_)


async def _broadcast(call: Call[Any, Any], id_: str) -> s.BroadcastOut:
    row = await call.transaction.row("broadcast_by_id", id=id_)
    if row is None:
        raise Problem(404, "There is no such text.")
    return (await _shown(call, [row]))[0]


async def _shown(call: Call[Any, Any], rows: Sequence[Row]) -> list[s.BroadcastOut]:
    progress: dict[str, dict[str, int]] = defaultdict(dict)
    for row in await call.transaction.rows("progress_of", ids=dumps([row["id"] for row in rows])):
        progress[row["broadcast_id"]][row["state"]] = row["count"]
    return [
        s.BroadcastOut(
            id=row["id"],
            author=row["author"],
            body=row["body"],
            media=orjson.loads(row["media"]),
            number=row["number"] or None,
            total=row["total"],
            progress=progress[row["id"]],
            send_at=iso(row["send_at"]) if row["send_at"] else None,
            created_at=iso(row["created_at"]),
            finished_at=iso(row["finished_at"]) if row["finished_at"] else None,
            cancelled=bool(row["cancelled"]),
        )
        for row in rows
    ]


async def get_broadcast(call: Call[Nothing, Nothing]) -> s.BroadcastOut:
    """One text to many, and how far it is."""
    return await _broadcast(call, call.path["id"])


async def list_broadcasts(call: Call[Nothing, PageQuery]) -> Page[s.BroadcastOut]:
    """Texts to many, the newest first."""
    limit = call.query.limit
    cursor = present.falling_id_cursor(call.query.cursor)
    rows = await call.transaction.rows("page_broadcasts", cursor=cursor, limit=limit + 1)
    following = rows[limit - 1]["id"] if len(rows) > limit else None
    return Page[s.BroadcastOut](items=await _shown(call, rows[:limit]), next=following)


async def list_recipients(call: Call[Nothing, s.RecipientQuery]) -> Page[s.RecipientOut]:
    """What became of each recipient, by contact."""
    query = call.query
    await _broadcast(call, call.path["id"])
    rows = await call.transaction.rows(
        "page_recipients",
        broadcast=call.path["id"],
        state=query.state,
        cursor=present.id_cursor(query.cursor) if query.cursor else "",
        limit=query.limit + 1,
    )
    items = [
        s.RecipientOut(
            contact=row["contact_id"],
            name=row["name"],
            phone=row["phone"] or None,
            state=row["state"],
            reason=row["reason"] or row["error"] or None,
            message=row["message_id"],
        )
        for row in rows[: query.limit]
    ]
    following = items[-1].contact if len(rows) > query.limit else None
    return Page[s.RecipientOut](items=items, next=following)


async def cancel_broadcast(call: Call[Nothing, Nothing]) -> s.BroadcastOut:
    """Call a text back: whoever has not got it yet, does not."""
    id_ = call.path["id"]
    await _broadcast(call, id_)
    if await call.transaction.row("cancel_broadcast", id=id_, now=call.now) is None:
        raise Problem(409, "It was called back already.")
    await call.transaction.rows("cancel_recipients", id=id_)
    rows = await call.transaction.rows("cancel_texts_of_broadcast", id=id_, now=call.now)
    call.transaction.conversations_changed(row["conversation_id"] for row in rows)
    return await _broadcast(call, id_)


BROADCAST = s.BroadcastOut
ENDPOINTS = (
    Endpoint(
        "POST", "/broadcasts/preview", preview_broadcast, "read", "Who will get a text", s.AudienceOut,
        body=s.BroadcastPreview, opens="snapshot", is_audited=False,
    ),
    Endpoint(
        "POST", "/broadcasts", create_broadcast, "staff", "Text a selection", BROADCAST, 202, body=s.NewBroadcast,
        refusals=(409,),
    ),
    Endpoint("GET", "/broadcasts", list_broadcasts, "read", "Texts to many", Page[BROADCAST], query=PageQuery),
    Endpoint("GET", "/broadcasts/{id}", get_broadcast, "read", "One text to many", BROADCAST),
    Endpoint(
        "GET", "/broadcasts/{id}/recipients", list_recipients, "read", "What became of each", Page[s.RecipientOut],
        query=s.RecipientQuery,
    ),
    Endpoint(
        "POST", "/broadcasts/{id}/cancel", cancel_broadcast, "staff", "Call back", BROADCAST, refusals=(409,)
    ),
)  # fmt: skip
