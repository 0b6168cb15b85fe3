"""Texts to many: writing one to a selection, seeing beforehand who gets it, and what became of each."""

from __future__ import annotations

from typing import Any

from aiohttp import web
from multidict import MultiDict

from bot.services import SERVICES
from bot.store.contract import StoreError
from bot.users import Session
from bot.web import models_staff as s
from bot.web.api_answers import count_segments, list_answers
from bot.web.api_broadcasts import get_broadcast, list_broadcasts, list_recipients, preview_broadcast
from bot.web.auth import CSRF_FIELD, check_csrf, session_of
from bot.web.console.forms import read_form
from bot.web.console.rendering import html_response
from bot.web.console.view import PAGES as RENDERER
from bot.web.console.view import SIGNED_OUT, PageRoute, Shown, View, error_page, is_htmx
from bot.web.endpoints import Call, Nothing, no_transaction, validated
from bot.web.models import PageQuery
from bot.web.problems import Problem


def routes() -> list[web.RouteDef]:
    """What is asked by a form and yet changes nothing: the text to a selection, and the counts beside it."""
    return [
        web.post("/texts/new", write_to_selection),
        web.get("/texts/new", choose_first),
        web.post("/texts/preview", preview),
        web.post("/segments", segments),
    ]


async def show_texts(view: View) -> Shown:
    """Texts to many, the newest first."""
    return "texts.html", {"page": await view.ask(list_broadcasts, view.wanted(PageQuery, limit=30))}


async def show_text(view: View) -> Shown:
    """One of them: how far it is, and what became of each."""
    id_ = view.path["id"]
    query = view.wanted(s.RecipientQuery, limit=100)
    return "text.html", {
        "text": await view.ask(get_broadcast, id=id_),
        "page": await view.ask(list_recipients, query, id=id_),
        "state": view.query.get("state", ""),
    }


async def _asking(request: web.Request) -> tuple[Session, MultiDict[str]]:
    """Who asks, with the fields of the form. Raises Problem, and HTTPSeeOther to the login."""
    session = await session_of(request.app[SERVICES], request)
    if session is None and is_htmx(request):
        raise Problem(401, SIGNED_OUT)
    if session is None:
        raise web.HTTPSeeOther("/login")
    fields: MultiDict[str] = MultiDict()
    for name, value in (await request.post()).items():
        if isinstance(value, str):
            fields.add(name, value)
    check_csrf(session, fields.get(CSRF_FIELD, ""))
    return session, fields


def _audience(fields: MultiDict[str]) -> dict[str, Any]:
    """Whom a form of the grid means: who is ticked, or all that match what was searched for."""
    if fields.get("everybody") == "true":
        matching = {
            name.removeprefix("matching."): value
            for name, value in fields.items()
            if name.startswith("matching.") and value
        }
        return {"matching": matching}
    return {"contacts": fields.getall("contacts[]", [])}


async def choose_first(_request: web.Request) -> web.StreamResponse:
    """Loaded again, the form has nobody to write to."""
    return web.HTTPSeeOther("/contacts")


async def write_to_selection(request: web.Request) -> web.StreamResponse:
    """The form for a text to a selection; ticked people are too many for an address."""
    services = request.app[SERVICES]
    try:
        session, fields = await _asking(request)
    except Problem as problem:
        return error_page(request, None, problem)
    try:
        if not session.actor.may("staff"):
            raise Problem(403, "Texting needs the role staff.")
        to = _audience(fields)
        if not to.get("contacts") and "matching" not in to:
            raise Problem(422, "Nobody is ticked. Tick people first, or choose all that match.")
        body = validated(s.BroadcastPreview, {"to": to, "body": ""})
        async with services.store.snapshot() as transaction:
            call: Call[Any, Any] = Call(services, session.actor, {}, body, Nothing(), transaction)
            audience = await preview_broadcast(call)
            answers = (await list_answers(call)).items
    except Problem as problem:
        return error_page(request, session, problem)
    values = {
        "section": "texts",
        "flash": "",
        "here": "/texts",
        "to": to,
        "audience": audience,
        "answers": answers,
        "numbers": [line.number for line in services.senders.lines.all],
        "body": fields.get("body", ""),
    }
    return html_response(request.app[RENDERER].render("text_new.html", session, values))


async def preview(request: web.Request) -> web.StreamResponse:
    """Who will get it, and in how many segments, as it is written."""
    services = request.app[SERVICES]
    try:
        session, fields = await _asking(request)
        form = read_form(fields).body
        body = validated(s.BroadcastPreview, {"to": form.get("to", {}), "body": form.get("body", "")})
        async with services.store.snapshot() as transaction:
            call: Call[Any, Any] = Call(services, session.actor, {}, body, Nothing(), transaction)
            values = {"audience": await preview_broadcast(call)}
    except (Problem, StoreError) as error:
        return web.Response(text="", status=200 if isinstance(error, Problem) else 503)
    return html_response(request.app[RENDERER].render("_audience.html", session, values))


async def segments(request: web.Request) -> web.StreamResponse:
    """In how many segments a text will leave, as it is written."""
    services = request.app[SERVICES]
    try:
        session, fields = await _asking(request)
        body = validated(s.SegmentsIn, {"body": fields.get("body", "")})
        call: Call[Any, Any] = Call(services, session.actor, {}, body, Nothing(), no_transaction())
        counted = await count_segments(call)
    except Problem:
        return web.Response(text="")
    return html_response(request.app[RENDERER].render("_segments.html", session, {"counted": counted}))


PAGES = (
    PageRoute("/texts", "read", show_texts, "texts"),
    PageRoute("/texts/{id}", "read", show_text, "texts"),
)
