"""The API's machinery: an endpoint is data, and one function serves them all.

It checks the token and the role, validates the query and the body with the endpoint's own models, calls the
handler and writes its answer. The OpenAPI description is made from the same data, so it cannot disagree.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from bot.clock import Clock
from bot.services import SERVICES, Services
from bot.tokens import Actor, Role, find_actor
from bot.web.models import In, Out
from bot.web.problems import Problem

PREFIX = "/api/v1"
Body = TypeVar("Body", bound=In)
Query = TypeVar("Query", bound=In)


class Nothing(In):
    """No query, or no body."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Body, Query]):
    """One request, validated."""

    services: Services
    actor: Actor
    path: dict[str, str]
    body: Body
    query: Query

    @property
    def now(self) -> int:
        """UTC microseconds."""
        clock: Clock = self.services.clock
        return clock()


Handler = Callable[[Call[Any, Any]], Awaitable[Out | None]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation. `refusals` are the statuses it may answer beside those that every operation may."""

    method: str
    path: str
    handler: Handler
    role: Role
    summary: str
    response: type[BaseModel] | None
    status: int = 200
    body: type[In] = Nothing
    query: type[In] = Nothing
    refusals: tuple[int, ...] = ()
    body_required: bool = True

    @property
    def operation_id(self) -> str:
        """The handler's name."""
        return self.handler.__name__


def routes(endpoints: tuple[Endpoint, ...]) -> list[web.RouteDef]:
    """The endpoints as routes."""
    return [web.route(item.method, PREFIX + item.path, _serve(item)) for item in endpoints]


def _serve(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def serve(request: web.Request) -> web.Response:
        services = request.app[SERVICES]
        actor = await _actor(services, request)
        if not actor.may(endpoint.role):
            raise Problem(403, f"This needs a token of role {endpoint.role}; yours is {actor.role}.")
        path = dict(request.match_info)
        if any("\0" in value or not _is_text(value) for value in path.values()):
            raise Problem(404, "There is no such thing.")
        query = _validated(endpoint.query, _query_values(request))
        body = await _body(endpoint, request)
        answer = await endpoint.handler(Call(services, actor, path, body, query))
        if answer is None:
            return web.Response(status=204)
        content = answer.model_dump_json(by_alias=True)
        return web.Response(status=endpoint.status, text=content, content_type="application/json")

    return serve


async def _actor(services: Services, request: web.Request) -> Actor:
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    actor = await find_actor(services.store, secret.strip()) if scheme.lower() == "bearer" else None
    if actor is None:
        detail = "Send a token: Authorization: Bearer tw_... (textwright token create)."
        raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
    return actor


def _query_values(request: web.Request) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise Problem(422, f"'{name}' is given twice.", errors=[{"field": name, "detail": "given twice"}])
        values[name] = value
    return values


async def _body(endpoint: Endpoint, request: web.Request) -> In:
    if endpoint.body is Nothing:
        return Nothing()
    raw = await request.read()
    if not raw and not endpoint.body_required:
        return endpoint.body()
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error.msg}.") from error
    # JSON has types of its own: "yes" is no boolean there. A query has only texts.
    return _validated(endpoint.body, value, strict=True)


def _validated(model: type[In], value: object, *, strict: bool = False) -> In:
    try:
        validated = model.model_validate(value, strict=strict)
    except ValidationError as error:
        errors = [
            {"field": ".".join(str(part) for part in item["loc"]), "detail": item["msg"]} for item in error.errors()
        ]
        raise Problem(422, f"{errors[0]['field']}: {errors[0]['detail']}", errors=errors) from error
    if not _is_clean(value):
        raise Problem(422, "NUL characters are not text.")
    return validated


def _is_clean(value: object) -> bool:
    """Whether every text can be stored: PostgreSQL takes no NUL, and no engine a lone surrogate."""
    if isinstance(value, str):
        return "\0" not in value and _is_text(value)
    if isinstance(value, dict):
        return all(_is_clean(key) and _is_clean(item) for key, item in value.items())
    return not isinstance(value, list) or all(_is_clean(item) for item in value)


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
