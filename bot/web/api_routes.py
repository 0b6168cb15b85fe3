"""The API of routes: whether anybody is there, and who stands in for them."""

from __future__ import annotations

from typing import Any

from bot.clock import iso
from bot.web import models_staff as s
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.models import Page
from bot.web.problems import Problem
from bot.web.texting import moment_of
from rules.problems import did_you_mean


async def list_routes(call: Call[Nothing, Nothing]) -> Page[s.RouteOut]:
    """The routes of config.toml."""
    return Page[s.RouteOut](items=[await _route(call, name) for name in call.services.config.routes], next=None)


async def _route(call: Call[Any, Any], name: str) -> s.RouteOut:
    routes, now = call.services.routes, call.now
    route = routes.all[name]
    absent = {row["route"]: row for row in await call.transaction.rows("all_absences")}.get(name)
    is_absent = absent is not None and absent["until"] > now
    count = await call.transaction.row("count_unanswered_of", route=name, now=now)
    return s.RouteOut(
        name=name,
        is_default=name == routes.default,
        is_away=is_absent or (route.hours is not None and not route.hours.is_open(now)),
        away_until=iso(absent["until"]) if absent is not None and is_absent else None,
        stand_in=(absent["stand_in"] if absent is not None and is_absent else route.away_to) or None,
        hours=route.hours is not None,
        escalate_minutes=route.escalate_minutes,
        escalate_to=route.escalate_to or None,
        events=list(route.events),
        unanswered=count["count"] if count else 0,
    )


def _known(call: Call[Any, Any], name: str) -> str:
    if name not in call.services.config.routes:
        raise Problem(404, "There is no such route.")
    return name


async def get_route(call: Call[Nothing, Nothing]) -> s.RouteOut:
    """One route."""
    return await _route(call, _known(call, call.path["route"]))


async def set_absence(call: Call[s.AbsenceIn, Nothing]) -> s.RouteOut:
    """The people of a route are away; whoever stands in for them is told instead."""
    name, stand_in = _known(call, call.path["route"]), call.body.stand_in or ""
    call.match(await _route(call, name))
    until = moment_of(call, call.body.until, "until")
    if until <= call.now:
        raise Problem(422, "until: a time that is to come.", errors=[{"field": "until", "detail": "past"}])
    if stand_in and (stand_in == name or stand_in not in call.services.config.routes):
        hint = did_you_mean(stand_in, call.services.config.routes)
        raise Problem(422, f"stand_in: the name of another route.{hint}")
    values = {"route": name, "until": until, "stand_in": stand_in, "actor": call.actor.shown}
    await call.transaction.rows("set_absence", **values, now=call.now)
    await call.transaction.wake("routes")
    return await _route(call, name)


async def end_absence(call: Call[Nothing, Nothing]) -> s.RouteOut:
    """The people of a route are back."""
    name = _known(call, call.path["route"])
    call.match(await _route(call, name))
    await call.transaction.rows("end_absence", route=name)
    await call.transaction.wake("routes")
    return await _route(call, name)


ENDPOINTS = (
    Endpoint("GET", "/routes", list_routes, "read", "The routes to staff", Page[s.RouteOut]),
    Endpoint("GET", "/routes/{route}", get_route, "read", "One route", s.RouteOut),
    Endpoint(
        "PUT", "/routes/{route}/absence", set_absence, "staff", "Be away", s.RouteOut, body=s.AbsenceIn, if_match=True
    ),
    Endpoint("DELETE", "/routes/{route}/absence", end_absence, "staff", "Be back", s.RouteOut, if_match=True),
)  # fmt: skip
