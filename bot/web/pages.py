"""The pages that people see: the front page, and the API's documentation."""

from __future__ import annotations

import html
from importlib import resources
from string import Template

from aiohttp import web

from bot.services import SERVICES
from bot.web.api import ENDPOINTS
from bot.web.endpoints import PREFIX, Endpoint

_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page_routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.get("/", front), web.get("/api/docs", docs), web.get("/assets/style.css", style)]


async def front(request: web.Request) -> web.Response:
    """What runs here, and what to do first."""
    services = request.app[SERVICES]
    channels = "".join(
        f"<li><code>{html.escape(channel.name)}</code> ({html.escape(channel.adapter)}): "
        f"{html.escape(', '.join(channel.numbers) or 'no number')}</li>"
        for channel in services.config.channels.values()
    )
    values = {
        "business": html.escape(services.config.business.name),
        "channels": channels,
        "rules": str(len(services.rules.current.book.rules)),
        "version": html.escape(services.rules.current.version),
    }
    return _page("front.html", values)


async def docs(_request: web.Request) -> web.Response:
    """Every operation of the API, from the endpoints themselves."""
    return _page("docs.html", {"operations": "".join(_operation(endpoint) for endpoint in ENDPOINTS)})


async def style(_request: web.Request) -> web.Response:
    """The style sheet."""
    return web.Response(text=_asset("style.css"), content_type="text/css", headers=_HEADERS)


def _operation(endpoint: Endpoint) -> str:
    doc = html.escape((endpoint.handler.__doc__ or "").strip())
    path = html.escape(PREFIX + endpoint.path)
    return (
        f"<tr><td><code>{endpoint.method}</code></td><td><code>{path}</code></td>"
        f"<td>{doc}</td><td>{endpoint.role}</td></tr>"
    )


def _page(name: str, values: dict[str, str]) -> web.Response:
    text = Template(_asset(name)).substitute(values)
    return web.Response(text=text, content_type="text/html", headers=_HEADERS)


def _asset(name: str) -> str:
    return resources.files("bot.web").joinpath("assets", name).read_text(encoding="utf-8")
