"""All endpoints of the API, and their description."""

from __future__ import annotations

from aiohttp import web

from bot.web import api_contacts, api_messages, api_rules, api_workflows
from bot.web.endpoints import PREFIX, routes
from bot.web.openapi import describe

ENDPOINTS = (*api_contacts.ENDPOINTS, *api_messages.ENDPOINTS, *api_rules.ENDPOINTS, *api_workflows.ENDPOINTS)


def api_routes() -> list[web.RouteDef]:
    """The routes of the API."""
    described: dict[str, object] = {}

    async def openapi(_request: web.Request) -> web.Response:
        if not described:
            described.update(describe(ENDPOINTS))
        return web.json_response(described)

    return [*routes(ENDPOINTS), web.get(f"{PREFIX}/openapi.json", openapi)]
