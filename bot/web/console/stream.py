"""GET /live: which conversations change, as server-sent events; and the numbers at the top of every page."""

from __future__ import annotations

import asyncio
import contextlib

import orjson
from aiohttp import web

from bot.services import SERVICES
from bot.web.auth import actor_of, session_of
from bot.web.console.phone import is_open_to_try
from bot.web.console.rendering import html_response
from bot.web.console.view import PAGES
from bot.web.problems import Problem

_QUIET_SECONDS = 15.0
_RECHECK_TURNS = 8


def stream_routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.get("/live", live), web.get("/live/waiting", waiting)]


async def _may_look(request: web.Request) -> bool:
    try:
        await actor_of(request.app[SERVICES], request)
    except Problem:
        return await is_open_to_try(request)
    return True


async def live(request: web.Request) -> web.StreamResponse:
    """Server-sent events named `changed`, whose data are the ids of conversations (`*` for any), as JSON."""
    services = request.app[SERVICES]
    if not await _may_look(request):
        raise Problem(401, "Sign in first.")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "X-Content-Type-Options": "nosniff"}
    response = web.StreamResponse(headers=headers)
    response.content_type = "text/event-stream"
    await response.prepare(request)
    turns = 0
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):
        await response.write(b"retry: 2000\n\n")
        async with contextlib.aclosing(services.live.changes(_QUIET_SECONDS)) as changes:
            async for changed in changes:
                turns += 1
                # Whoever was signed out meanwhile hears no more.
                if (not changed or turns % _RECHECK_TURNS == 0) and not await _may_look(request):
                    break
                data = b"event: changed\ndata: " + orjson.dumps(changed) + b"\n\n" if changed else b": quiet\n\n"
                await response.write(data)
    return response


async def waiting(request: web.Request) -> web.StreamResponse:
    """How many people wait for an answer: the badge of every page."""
    services = request.app[SERVICES]
    session = await session_of(services, request)
    if session is None:
        return web.Response(status=204)
    async with services.store.snapshot() as transaction:
        row = await transaction.row("count_waiting", now=services.clock(), assigned=session.actor.name)
    count = row["waiting"] if row else 0
    return html_response(request.app[PAGES].render("_waiting.html", session, {"waiting": count}))
