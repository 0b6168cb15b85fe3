"""The API's machinery: an endpoint is data, and one function serves them all.

It says who calls and whether they may, validates the query and the body with the endpoint's own models, opens the
endpoint's one transaction, calls the handler in it, and writes into that same transaction who did what (the audit log)
and what was answered (for an Idempotency-Key). The OpenAPI description is made from the same data, so it cannot
disagree. The console's pages and forms go through the same endpoints (bot/web/console).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, Literal, TypeVar

import orjson
import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from bot.audit import audited
from bot.clock import Clock
from bot.phones import masked
from bot.services import SERVICES, Services
from bot.store.contract import Conflict, Transaction
from bot.tokens import Actor, Role
from bot.web.auth import actor_of
from bot.web.idempotency import Answer, answered_before, keep_answer
from bot.web.models import In, Out, Page
from bot.web.problems import Problem

PREFIX = "/api/v1"
Body = TypeVar("Body", bound=In)
Query = TypeVar("Query", bound=In)
_TRIES = 3
_log = structlog.get_logger("http")


class Nothing(In):
    """No query, or no body."""


@dataclass(frozen=True, slots=True)
class Call(Generic[Body, Query]):
    """One request, validated. `transaction` is the endpoint's own: what the handler does commits when it returns."""

    services: Services
    actor: Actor
    path: Mapping[str, str]
    body: Body
    query: Query
    transaction: Transaction
    if_match: str = ""
    upload: AsyncIterator[bytes] | None = None

    @property
    def now(self) -> int:
        """UTC microseconds."""
        clock: Clock = self.services.clock
        return clock()

    @property
    def by(self) -> str:
        """The caller, as the history names them."""
        return f"staff {self.actor.name}"

    def match(self, present: Out) -> None:
        """Raise Problem (412) where the caller said which state they change (If-Match) and this is another."""
        wanted = [tag.strip() for tag in self.if_match.split(",")]
        if self.if_match and "*" not in wanted and etag(content_of(present)) not in wanted:
            raise Problem(412, "Somebody changed it meanwhile. Look at it again, and then change it.")


Handler = Callable[[Call[Any, Any]], Awaitable[Out | None]]
Stream = Callable[[Call[Any, Any]], AsyncIterator[str]]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One operation. `refusals` are the statuses it may answer beside those that every operation may.

    `before` is work that no transaction should wait for. `opens` is the transaction: "" is a snapshot for a GET, and
    one that writes for all else; "snapshot" is for a POST that only asks, "nothing" for what needs none, or opens its
    own. `if_match` says that a changed resource can be refused (Call.match), `upload`
    that the body is a file. `stream`, in the place of a handler, writes CSV. `keeps_answer` is false for an answer with
    a secret, which no Idempotency-Key may keep.
    """

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
    opens: Literal["", "snapshot", "nothing"] = ""
    if_match: bool = False
    upload: bool = False
    stream: Stream | None = None
    before: Callable[[Call[Any, Any]], Awaitable[Call[Any, Any]]] | None = None
    is_audited: bool = True
    keeps_answer: bool = True

    @property
    def operation_id(self) -> str:
        """The handler's name."""
        return (self.stream or self.handler).__name__

    @property
    def changes(self) -> bool:
        """Whether it changes anything."""
        return self.method != "GET"

    @property
    def has_etag(self) -> bool:
        """Whether its answer is one thing, whose ETag is given."""
        return self.response is not None and not self.changes and not issubclass(self.response, Page)

    @property
    def takes_key(self) -> bool:
        """Whether an Idempotency-Key is heeded."""
        return self.method == "POST" and self.opens == "" and self.keeps_answer


def routes(endpoints: tuple[Endpoint, ...]) -> list[web.RouteDef]:
    """The endpoints as routes."""
    return [web.route(item.method, PREFIX + pattern(item.path), _serve(item)) for item in endpoints]


def pattern(path: str) -> str:
    """The path for aiohttp, whose own pattern takes no braces, which a list's name may have."""
    return re.sub(r"\{(\w+)\}", r"{\1:[^/]+}", path)


def _serve(endpoint: Endpoint) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        services = request.app[SERVICES]
        actor = await actor_of(services, request)
        permit(endpoint, actor)
        path = path_values(request)
        query = validated(endpoint.query, _query_values(request))
        body, raw = (Nothing(), b"") if endpoint.upload else await _body(endpoint, request)
        call = Call(services, actor, path, body, query, no_transaction(), request.headers.get("If-Match", "").strip())
        if endpoint.stream is not None:
            return await _streamed(endpoint.stream(call), request, path_name(endpoint))
        if endpoint.upload:
            call = replace(call, upload=request.content.iter_chunked(65536))
        key = request.headers.get("Idempotency-Key") if endpoint.takes_key else None
        answer = await perform(endpoint, call, key, raw)
        return _response(endpoint, request, answer)

    return serve


def permit(endpoint: Endpoint, actor: Actor) -> None:
    """Raise Problem (403) unless the caller's role may do this."""
    if not actor.may(endpoint.role):
        raise Problem(403, f"This needs the role {endpoint.role}; yours is {actor.role}.")


def path_values(request: web.Request) -> dict[str, str]:
    """What the path names. Raises Problem (404) for what cannot be the name of anything."""
    path = dict(request.match_info)
    if any("\0" in value or not _is_text(value) for value in path.values()):
        raise Problem(404, "There is no such thing.")
    return path


async def perform(endpoint: Endpoint, call: Call[Any, Any], key: str | None = None, raw: bytes = b"") -> Answer:
    """Call the handler in the endpoint's transaction; with `key`, at most once for the same request (`raw`)."""
    store = call.services.store
    if endpoint.before is not None:
        call = await endpoint.before(call)
    if endpoint.opens == "nothing":
        answer = Answer(endpoint.status, content_of(await endpoint.handler(call)))
        if endpoint.changes and endpoint.is_audited:
            async with store.transaction() as transaction:
                await _audit(endpoint, replace(call, transaction=transaction), answer)
        return answer
    if not endpoint.changes or endpoint.opens == "snapshot":
        async with store.snapshot() as transaction:
            result = await endpoint.handler(replace(call, transaction=transaction))
        return Answer(endpoint.status, content_of(result))
    for attempt in range(_TRIES):
        try:
            async with store.transaction() as transaction:
                return await _changed(endpoint, replace(call, transaction=transaction), key, raw)
        except Conflict:
            if attempt == _TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


async def _changed(endpoint: Endpoint, call: Call[Any, Any], key: str | None, raw: bytes) -> Answer:
    transaction = call.transaction
    request = f"{endpoint.method} {endpoint.path} {dict(call.path)}".encode() + b"\0" + raw
    if key is not None:
        before = await answered_before(transaction, call.actor, key, request, call.now)
        if before is not None:
            return before
    answer = Answer(endpoint.status, content_of(await endpoint.handler(call)))
    if endpoint.is_audited:
        await _audit(endpoint, call, answer)
    if key is not None:
        await keep_answer(transaction, call.actor, key, answer, _contact(endpoint, call, answer))
    return answer


async def _audit(endpoint: Endpoint, call: Call[Any, Any], answer: Answer) -> None:
    given = {"query": call.query, "body": call.body}
    detail = {name: model.model_dump(mode="json", exclude_unset=True, by_alias=True) for name, model in given.items()}
    # A whole number is in the consent history, which forgets it with its contact.
    target = endpoint.path.format(**{key: masked(v) if key == "number" else v for key, v in call.path.items()})
    contact = _contact(endpoint, call, answer)
    row = audited(call.now, call.actor.shown, endpoint.operation_id, target, contact, detail)
    await call.transaction.rows("insert_audit", **row)


def _contact(endpoint: Endpoint, call: Call[Any, Any], answer: Answer) -> str | None:
    """The contact that it is about."""
    return call.path["id"] if "contacts/{id}" in endpoint.path else answer.contact


def content_of(answer: Out | None) -> str:
    """The JSON of an answer; "" for none."""
    return "" if answer is None else answer.model_dump_json(by_alias=True)


def etag(content: str) -> str:
    """The entity tag of an answer."""
    return f'"{hashlib.sha256(content.encode(errors="replace")).hexdigest()[:20]}"'


def _response(endpoint: Endpoint, request: web.Request, answer: Answer) -> web.Response:
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    if answer.is_repeated:
        headers["Idempotent-Replayed"] = "true"
    if not answer.content:
        return web.Response(status=204, headers=headers)
    if endpoint.has_etag or endpoint.if_match:
        headers["ETag"] = etag(answer.content)
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")]
        if endpoint.has_etag and headers["ETag"] in known:
            return web.Response(status=304, headers=headers)
    return web.Response(status=answer.status, text=answer.content, content_type="application/json", headers=headers)


def path_name(endpoint: Endpoint) -> str:
    """The last part of the path: what a download is called."""
    return endpoint.path.rpartition("/")[2]


async def _streamed(chunks: AsyncIterator[str], request: web.Request, name: str) -> web.StreamResponse:
    first = await anext(chunks, "")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Content-Type-Options": "nosniff"}
    response = web.StreamResponse(headers=headers)
    response.content_type, response.charset = "text/csv", "utf-8"
    try:
        await response.prepare(request)
        await response.write(first.encode())
        async for chunk in chunks:
            await response.write(chunk.encode())
        await response.write_eof()
    except Exception as error:  # noqa: BLE001 - there is no answering any more: who downloads must see it break off
        _log.error("stream.broke_off", name=name, error=type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
    return response


def _query_values(request: web.Request) -> dict[str, str]:
    values: dict[str, str] = {}
    for name, value in request.query.items():
        if name in values:
            raise Problem(422, f"'{name}' is given twice.", errors=[{"field": name, "detail": "given twice"}])
        values[name] = value
    return values


async def _body(endpoint: Endpoint, request: web.Request) -> tuple[In, bytes]:
    if endpoint.body is Nothing:
        return Nothing(), b""
    raw = await request.read()
    if not raw and not endpoint.body_required:
        return endpoint.body(), raw
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"The body is not JSON: {error.msg}.") from error
    # JSON has types of its own: "yes" is no boolean there. A query has only texts.
    return validated(endpoint.body, value, strict=True), raw


def validated(model: type[In], value: object, *, strict: bool = False) -> In:
    """A value as the model has it. Raises Problem (422) that says what is wrong with which field."""
    try:
        made = model.model_validate(value, strict=strict)
    except ValidationError as error:
        errors = [
            {"field": ".".join(str(part) for part in item["loc"]), "detail": item["msg"]} for item in error.errors()
        ]
        raise Problem(422, f"{errors[0]['field']}: {errors[0]['detail']}", errors=errors) from error
    if not _is_clean(value):
        raise Problem(422, "NUL characters are not text.")
    return made


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


def no_transaction() -> Transaction:
    """Where no transaction is open: whoever uses it finds out at once."""
    return None  # type: ignore[return-value]
