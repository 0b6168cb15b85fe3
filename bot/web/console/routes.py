"""All routes of the console, and its assets."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib import resources

from aiohttp import web

from bot.services import SERVICES
from bot.web.api import ENDPOINTS
from bot.web.auth import session_of
from bot.web.console import files, inbox, people, setup, texts
from bot.web.console.forms import form_routes
from bot.web.console.phone import is_open_to_try, phone_routes
from bot.web.console.rendering import Pages, html_response
from bot.web.console.signing_in import login_routes
from bot.web.console.stream import stream_routes
from bot.web.console.view import PAGES, PageRoute, page_route
from bot.web.endpoints import PREFIX
from bot.web.problems import Problem

ALL_PAGES: tuple[PageRoute, ...] = (*inbox.PAGES, *people.PAGES, *files.PAGES, *texts.PAGES, *setup.PAGES)
_ASSETS = {
    "console.css": "text/css",
    "console.js": "text/javascript",
    "htmx.min.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
_ASSET_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}


def console_routes(app: web.Application) -> list[web.RouteDef]:
    """The routes; the templates go into `app`."""
    app[PAGES] = Pages(app[SERVICES])
    return [
        web.get("/", front),
        web.get("/api/docs", docs),
        web.get("/assets/{name}", asset),
        *login_routes(),
        *phone_routes(),
        *stream_routes(),
        *form_routes(),
        *texts.routes(),
        *(page_route(page) for page in ALL_PAGES),
    ]


async def front(request: web.Request) -> web.StreamResponse:
    """The inbox, for who is signed in; a newcomer sees the phone."""
    if await session_of(request.app[SERVICES], request) is not None:
        return web.HTTPSeeOther("/inbox")
    return web.HTTPSeeOther("/phone" if await is_open_to_try(request) else "/login")


async def docs(request: web.Request) -> web.Response:
    """Every operation of the API, from the endpoints themselves."""
    session = await session_of(request.app[SERVICES], request)
    operations = [
        (endpoint.method, PREFIX + endpoint.path, ((endpoint.stream or endpoint.handler).__doc__ or "").strip(),
         endpoint.role)
        for endpoint in ENDPOINTS
    ]  # fmt: skip
    values = {"section": "docs", "flash": "", "here": "/api/docs", "operations": operations}
    return html_response(request.app[PAGES].render("docs.html", session, values))


async def asset(request: web.Request) -> web.Response:
    """A file of the console's, from this server and no other."""
    name = request.match_info["name"]
    if name not in _ASSETS:
        raise Problem(404, "There is no such file.")
    headers = _ASSET_HEADERS | {"ETag": _tag(name)}
    if request.headers.get("If-None-Match") == headers["ETag"]:
        return web.Response(status=304, headers=headers)
    return web.Response(body=_content(name), content_type=_ASSETS[name], charset="utf-8", headers=headers)


@cache
def _content(name: str) -> bytes:
    return resources.files("bot.web.console").joinpath("assets", name).read_bytes()


@cache
def _tag(name: str) -> str:
    return f'"{hashlib.sha256(_content(name)).hexdigest()[:16]}"'
