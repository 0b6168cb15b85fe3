"""The API of our numbers: look for some, buy, give back, compare with the providers; and of the channels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from adapters import NUMBERS
from adapters.errors import SendError
from adapters.numbers import Wanted
from bot.clock import iso, new_id
from bot.lines import Line, Lines
from bot.number_sync import sync_numbers
from bot.purchases import (
    CannotBuy,
    buying_channel,
    give_back,
    number_row,
    place_of,
    take_away,
    want_line,
    want_number,
)
from bot.registration import standing_of, warning_of
from bot.senders import pool_of
from bot.store.contract import Row
from bot.web import models_numbers as n
from bot.web import present
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.models import Page, PageQuery
from bot.web.problems import Problem
from bot.web.texting import phone_of

_MOST_PURCHASES = 500


async def list_numbers(call: Call[Nothing, n.NumberQuery]) -> Page[n.NumberOut]:
    """Our numbers: those of config.toml, and those that were bought or found."""
    rows = {row["number"]: row for row in await call.transaction.rows("all_numbers")}
    users = {row["id"]: row["name"] for row in await call.transaction.rows("all_users")}
    lines = sorted(_lines(call, rows.values()).all, key=lambda line: line.number)
    wanted = [line for line in lines if call.query.channel in (None, line.channel)]
    after = [line for line in wanted if line.number > (call.query.cursor or "")]
    shown = after[: call.query.limit]
    items = [_number(call, line, rows.get(line.number), users) for line in shown]
    return Page[n.NumberOut](items=items, next=shown[-1].number if len(after) > len(shown) else None)


def _number(call: Call[Any, Any], line: Line, row: Row | None, users: dict[str, str]) -> n.NumberOut:
    config = call.services.config
    is_leaving = row is not None and row["state"] == "quarantined"
    standing = standing_of(config, line)
    return n.NumberOut(
        number=line.number,
        channel=line.channel,
        state="quarantined" if is_leaving else "active",
        source="config" if row is None or line.number in config.channels[line.channel].numbers else row["source"],
        user=users.get(row["user_id"]) if row else None,
        registration=standing.state if standing.kind else "",
        campaign=standing.campaign,
        warning=warning_of(config, line),
        release_at=iso(row["release_at"]) if row and is_leaving else None,
    )


def _lines(call: Call[Any, Any], rows: Iterable[Row]) -> Lines:
    """Our numbers as the store has them now: what this node has heard of may be older."""
    lines = Lines(call.services.config)
    lines.take(rows)
    return lines


async def list_available_numbers(call: Call[Nothing, n.AvailableQuery]) -> Page[n.OfferOut]:
    """Numbers that can be bought."""
    query, config = call.query, call.services.config
    try:
        channel = config.channels[buying_channel(config, query.channel)]
    except CannotBuy as error:
        raise Problem(409, str(error)) from error
    country = (query.country or config.business.country).upper()
    wanted = Wanted(country, query.area_code, kind=query.kind, limit=query.limit)
    try:
        offers = await NUMBERS[channel.adapter](channel.settings).search(wanted, call.services.http)
    except SendError as error:
        raise Problem(424, f"{channel.name} did not tell: {error}") from error
    items = [
        n.OfferOut(number=o.number, channel=channel.name, region=o.region, locality=o.locality, price=o.price)
        for o in offers[: query.limit]
    ]
    return Page[n.OfferOut](items=items, next=None)


async def buy_number(call: Call[n.NewNumber, Nothing]) -> n.PurchaseOut:
    """Buy a number. It is ordered and set up in the background: look at the purchase."""
    body, config = call.body, call.services.config
    number = phone_of(call, body.number, "number") if body.number else ""
    if number and number in _lines(call, await call.transaction.rows("all_numbers")):
        raise Problem(409, f"{number} is ours already.")
    user = await _named_user(call, body.user) if body.user is not None else None
    if user is not None and not (number or body.area_code or body.country or body.channel):
        return await _line_for(call, user)
    country, code = place_of(number) if number else ((body.country or config.business.country).upper(), body.area_code)
    need = f"user:{body.user}" if body.user else f"number:{number}" if number else f"request:{new_id()}"
    try:
        row = await want_number(
            call.transaction, config, need=need, country=country, code=code, by=call.by, now=call.now, number=number,
            channel=body.channel, user_id=body.user,
        )  # fmt: skip
    except CannotBuy as error:
        raise Problem(409, str(error)) from error
    return purchase(row)


async def give_user_a_line(call: Call[Nothing, Nothing]) -> n.PurchaseOut:
    """Buy a user a number of their own, in the area code of their cell. Who has one keeps it."""
    user = await call.transaction.row("user_by_id", id=call.path["id"])
    if user is None:
        raise Problem(404, "There is no such user.")
    return await _line_for(call, user)


async def _line_for(call: Call[Any, Any], user: Row) -> n.PurchaseOut:
    if await call.transaction.row("lines_of_user", user=user["id"]) is not None:
        raise Problem(409, f"{user['name']} has a number already.")
    try:
        row = await want_line(call.transaction, call.services.config, user, by=call.by, now=call.now)
    except CannotBuy as error:
        raise Problem(409, str(error)) from error
    return purchase(row)


async def change_number(call: Call[n.NumberPatch, Nothing]) -> n.NumberOut:
    """Say whose own a number is."""
    line, row = await _held(call)
    number = line.number
    user = await _named_user(call, call.body.user) if call.body.user else None
    if user and row is not None and row["state"] == "quarantined":
        raise Problem(409, f"{number} is being given back: nothing begins on it any more.")
    others = await call.transaction.rows("lines_of_user", user=user["id"]) if user else []
    if user and any(other["number"] != number for other in others):
        raise Problem(409, f"{user['name']} has a number already.")
    if row is not None and row["user_id"] != call.body.user:
        await take_away(call.transaction, row, call.now)
    if row is None:
        await call.transaction.each("upsert_numbers", [number_row(number, line.channel, "found")], now=call.now)
    await call.transaction.rows("give_line", number=number, user=user["id"] if user else None, now=call.now)
    await call.transaction.wake("numbers")
    row = await call.transaction.row("number_named", number=number)
    return _number(call, line, row, {user["id"]: user["name"]} if user else {})


async def release_number(call: Call[Nothing, n.ReleaseQuery]) -> n.PurchaseOut:
    """Give a number back to its provider, after its quarantine."""
    line, row = await _held(call)
    number, channel, config = line.number, line.channel, call.services.config
    if number in config.channels[channel].numbers:
        raise Problem(409, f"{number} is one of config.toml. Take it out there first.")
    if config.channels[channel].adapter not in NUMBERS or row is None:
        raise Problem(409, f"{channel} cannot give numbers back through its API.")
    days = 0.0 if call.query.now else config.numbers.quarantine_days
    return purchase(await give_back(call.transaction, row, by=call.by, now=call.now, days=days))


async def sync_own_numbers(call: Call[Nothing, Nothing]) -> Page[n.SyncedOut]:
    """Ask the providers which numbers we have, and what is known of them."""
    services = call.services
    results = await sync_numbers(services.config, services.store, services.http, services.clock)
    items = [
        n.SyncedOut(channel=s.channel, total=s.total, found=list(s.found), gone=list(s.gone), error=s.error or None)
        for s in results
    ]
    return Page[n.SyncedOut](items=items, next=None)


async def list_purchases(call: Call[Nothing, PageQuery]) -> Page[n.PurchaseOut]:
    """Numbers that are bought or given back, the newest first."""
    query = call.query
    rows = await call.transaction.rows(
        "page_purchases", cursor=present.falling_id_cursor(query.cursor), limit=query.limit + 1
    )
    shown = rows[: query.limit]
    return Page[n.PurchaseOut](
        items=[purchase(row) for row in shown], next=shown[-1]["id"] if len(rows) > len(shown) else None
    )


async def get_purchase(call: Call[Nothing, Nothing]) -> n.PurchaseOut:
    """One purchase."""
    row = await call.transaction.row("purchase_by_id", id=call.path["id"])
    if row is None:
        raise Problem(404, "There is no such purchase.")
    return purchase(row)


def purchase(row: Row) -> n.PurchaseOut:
    """A row of `purchases`, with its user's name."""
    return n.PurchaseOut(
        id=row["id"],
        state=row["state"],
        step=row["step"],
        number=row["number"] or None,
        channel=row["channel"],
        area_code=row["area_code"],
        found_by=row["found_by"],
        user=row["user_name"],
        error=row["error"] or None,
        requested_by=row["requested_by"],
        created_at=iso(row["created_at"]),
        updated_at=iso(row["updated_at"]),
    )


async def list_channels(call: Call[Nothing, Nothing]) -> Page[n.ChannelOut]:
    """The provider accounts, and which of them are out."""
    services = call.services
    outages, lines = services.senders.outages.all, services.senders.lines
    items = []
    for channel in services.config.channels.values():
        outage = outages.get(channel.name)
        items.append(
            n.ChannelOut(
                name=channel.name,
                adapter=channel.adapter,
                numbers=list(lines.of_channel(channel.name)),
                pool=pool_of(services.config.pools, channel.name) or None,
                out=n.OutageOut(reason=outage.reason, since=iso(outage.since)) if outage else None,
            )
        )
    return Page[n.ChannelOut](items=items, next=None)


async def _held(call: Call[Any, Any]) -> tuple[Line, Row | None]:
    """A number of ours, and its row where it has one."""
    number = phone_of(call, call.path["number"], "number")
    line = _lines(call, await call.transaction.rows("all_numbers")).named(number)
    if line is None:
        raise Problem(404, f"{number} is none of our numbers.")
    return line, await call.transaction.row("number_named", number=number)


async def _named_user(call: Call[Any, Any], id_: str) -> Row:
    """The user whom a body names by id."""
    row = await call.transaction.row("user_by_id", id=id_)
    if row is None:
        raise Problem(422, "user: there is no such user.", errors=[{"field": "user", "detail": "unknown"}])
    return row


NUMBER, PURCHASE = n.NumberOut, n.PurchaseOut
ENDPOINTS = (
    Endpoint("GET", "/channels", list_channels, "read", "The channels", Page[n.ChannelOut], opens="nothing"),
    Endpoint("GET", "/numbers", list_numbers, "read", "Our numbers", Page[n.NumberOut], query=n.NumberQuery),
    Endpoint(
        "GET", "/numbers/available", list_available_numbers, "admin", "Numbers that can be bought", Page[n.OfferOut],
        query=n.AvailableQuery, refusals=(409, 424), opens="nothing",
    ),
    Endpoint(
        "POST", "/numbers", buy_number, "admin", "Buy a number", PURCHASE, 202, body=n.NewNumber, refusals=(409,),
    ),
    Endpoint("POST", "/numbers/sync", sync_own_numbers, "admin", "Compare with the providers", Page[n.SyncedOut],
             opens="nothing"),
    Endpoint(
        "PATCH", "/numbers/{number}", change_number, "admin", "Say whose own a number is", NUMBER, body=n.NumberPatch,
        refusals=(409,),
    ),
    Endpoint(
        "DELETE", "/numbers/{number}", release_number, "admin", "Give a number back", PURCHASE, 200,
        query=n.ReleaseQuery, refusals=(409,),
    ),
    Endpoint(
        "GET", "/purchases", list_purchases, "staff", "Numbers on their way", Page[n.PurchaseOut], query=PageQuery,
    ),
    Endpoint("GET", "/purchases/{id}", get_purchase, "staff", "One purchase", PURCHASE),
    Endpoint(
        "POST", "/users/{id}/line", give_user_a_line, "admin", "Buy a user a number", PURCHASE, 202, refusals=(409,),
    ),
)  # fmt: skip
