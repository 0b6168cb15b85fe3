"""All endpoints of the API, and their description."""

from __future__ import annotations

from aiohttp import web

from bot.web import (
    api_answers,
    api_broadcasts,
    api_contacts,
    api_conversations,
    api_history,
    api_imports,
    api_lists,
    api_messages,
    api_numbers,
    api_routes,
    api_rules,
    api_users,
    api_workflows,
)  # fmt: skip
from bot.web.endpoints import PREFIX, routes
from bot.web.openapi import describe

_MODULES = (
    api_contacts,
    api_history,
    api_lists,
    api_conversations,
    api_messages,
    api_broadcasts,
    api_answers,
    api_imports,
    api_routes,
    api_rules,
    api_workflows,
    api_users,
    api_numbers,
)
ENDPOINTS = tuple(endpoint for module in _MODULES for endpoint in module.ENDPOINTS)


def routes_of_api() -> list[web.RouteDef]:
    """The routes of the API."""
    described: dict[str, object] = {}

    async def openapi(_request: web.Request) -> web.Response:
        if not described:
            described.update(describe(ENDPOINTS))
        return web.json_response(described)

    return [*routes(ENDPOINTS), web.get(f"{PREFIX}/openapi.json", openapi)]
