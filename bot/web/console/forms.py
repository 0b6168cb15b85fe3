"""POST /do/{operation}: a form of the console is a call of the API, by the operation's id.

A field is called after where its value goes: `path.tag`, `query.confirm`, or a place in the body: `to.contacts[]`,
`phones.0.number`, and `body.query.tag` where the place itself is called like a path or a query. A suffix says what a
blank means: `?` leaves the value out, `~` is null; `@` is a time on the business's clock, left out where it is blank;
`[]` makes a list of all values of that name, `[lines]` of the lines of one.
`{name}` within a field's name is the value of another field.
Beside them a form has `csrf`, `once` (a token that makes a second click harmless), `return_to` (where to go, `{id}`
being what was made) and `done` (what to say there).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import orjson
from aiohttp import BodyPartReader, MultipartReader, web
from multidict import MultiDict

from bot.services import SERVICES
from bot.store.contract import StoreError
from bot.users import Session
from bot.web.api import ENDPOINTS
from bot.web.auth import CSRF_FIELD, check_csrf, check_origin, session_of
from bot.web.console.rendering import html_response
from bot.web.console.view import PAGES, SIGNED_OUT, error_page, is_htmx, local_path, set_flash
from bot.web.endpoints import Call, Endpoint, Nothing, no_transaction, perform, permit, validated
from bot.web.idempotency import KeyTaken
from bot.web.problems import Problem

_OPERATIONS: Mapping[str, Endpoint] = {endpoint.operation_id: endpoint for endpoint in ENDPOINTS}
_OWN = (CSRF_FIELD, "once", "return_to", "done")
_BORROWED = re.compile(r"\{(\w+)\}")
_MAX_FIELD = 64 * 1024
_MAX_FIELDS = 6000


@dataclass(frozen=True, slots=True)
class Form:
    """What a form says to a call."""

    path: dict[str, str] = field(default_factory=dict)
    query: dict[str, str] = field(default_factory=dict)
    body: dict[str, Any] = field(default_factory=dict)


def form_routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.post("/do/{operation}", do), web.get("/do/{operation}", look_again)]


async def look_again(_request: web.Request) -> web.StreamResponse:
    """Back, or a page loaded again, may ask for where a form went; there is nothing to see."""
    return web.HTTPSeeOther("/")


async def do(request: web.Request) -> web.StreamResponse:
    """Carry a form out, and go where it says."""
    services = request.app[SERVICES]
    session = await session_of(services, request)
    if session is None:
        return error_page(request, None, Problem(401, SIGNED_OUT)) if is_htmx(request) else web.HTTPSeeOther("/login")
    try:
        check_origin(request)
        endpoint = _OPERATIONS.get(request.match_info["operation"])
        if endpoint is None or not endpoint.changes:
            raise Problem(404, "There is no such operation.")
        fields, upload = await _read(request)
        check_csrf(session, fields.get(CSRF_FIELD, ""))
        permit(endpoint, session.actor)
        answer = await perform(endpoint, *_call(request, session, endpoint, fields, upload))
    except KeyTaken:
        said = "An earlier try was carried out after all. Look at what it did; to do this too, send it again."
        return error_page(request, session, Problem(409, said))
    except Problem as problem:
        return error_page(request, session, problem)
    except web.HTTPRequestEntityTooLarge:
        return error_page(request, session, Problem(413, "That is too large."))
    except StoreError:
        return error_page(request, session, Problem(503, "The store does not answer. Try again in a moment."))
    value: dict[str, Any] = orjson.loads(answer.content) if answer.content else {}
    if value.get("secret"):
        values = {"section": "settings", "flash": "", "here": "/settings/tokens", "token": value}
        response_ = html_response(request.app[PAGES].render("secret.html", session, values))
        response_.headers["HX-Push-Url"] = "/settings/tokens"  # where loading it again leads: it is shown once
        return response_
    target = fields.get("return_to", "/").replace("{id}", str(value.get("id", "")))
    response = web.HTTPSeeOther(local_path(target))
    done = fields.get("done", "")
    if done:
        set_flash(response, done)
    return response


def _call(
    request: web.Request,
    session: Session,
    endpoint: Endpoint,
    fields: MultiDict[str],
    upload: AsyncIterator[bytes] | None,
) -> tuple[Call[Any, Any], str | None, bytes]:
    form = read_form(fields, ZoneInfo(request.app[SERVICES].config.business.timezone))
    for name in re.findall(r"\{(\w+)\}", endpoint.path):
        if not form.path.get(name):
            raise Problem(422, f"{name} is missing.")
    body = Nothing() if endpoint.body is Nothing else validated(endpoint.body, form.body)
    query = validated(endpoint.query, form.query)
    # perform() opens the endpoint's own transaction.
    places = (form.path, body, query, no_transaction())
    call = Call(request.app[SERVICES], session.actor, *places, fields.get("if_match", ""), upload)
    raw = orjson.dumps([form.path, form.query, form.body])
    return call, (fields.get("once") or None) if endpoint.takes_key else None, raw


async def _read(request: web.Request) -> tuple[MultiDict[str], AsyncIterator[bytes] | None]:
    """The fields; and the file, where one follows them."""
    fields: MultiDict[str] = MultiDict()
    if not request.content_type.startswith("multipart/"):
        for name, value in (await request.post()).items():
            if isinstance(value, str):
                fields.add(name, value)
        return _limited(fields), None
    reader: MultipartReader = await request.multipart()
    while isinstance(part := await reader.next(), BodyPartReader):
        if part.filename is not None:
            fields.setdefault("query.name", part.filename or "contacts.csv")
            return _limited(fields), _chunks(part)
        value = await part.read_chunk(_MAX_FIELD)
        fields.add(part.name or "", value.decode("utf-8", errors="replace"))
        await part.release()
    return _limited(fields), None


def _limited(fields: MultiDict[str]) -> MultiDict[str]:
    if len(fields) > _MAX_FIELDS:
        raise Problem(413, "Too much is ticked at once. Choose all that match instead.")
    return fields


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(65536):
        yield chunk


def read_form(fields: MultiDict[str], zone: tzinfo = UTC) -> Form:
    """Where every value of a form goes; `zone` is the business's. Raises Problem (422) for a form that contradicts
    itself."""
    form, missing = Form(), list[str]()
    for name in dict.fromkeys(fields):
        if name in _OWN or name == "if_match":
            continue
        place, values = _resolved(name, fields), fields.getall(name)
        if place is None:
            continue
        value: Any = values[-1]
        if place.endswith("[]"):
            place, value = place[:-2], values
        elif place.endswith("[lines]"):
            place, value = place[:-7], [line.strip() for line in value.splitlines() if line.strip()]
        elif place.endswith("@"):
            place = place[:-1]
            if not value.strip():
                continue
            value = _on_clock(value.strip(), zone)
        elif place.endswith(("?", "~")):
            blank, place = place[-1], place[:-1]
            if value.strip() == "" and blank == "?":
                # A row of a list without it is no row: its other fields do not count.
                missing.append(place.rpartition(".")[0])
                continue
            value = value if value.strip() else None
        first, _, rest = place.partition(".")
        if first in ("path", "query") and rest:
            (form.path if first == "path" else form.query)[rest] = str(value)
        elif first == "body" and rest:
            _put(form.body, rest.split("."), value)
        elif first and "{" not in place:
            _put(form.body, place.split("."), value)
    for place in missing:
        name, _, row = place.rpartition(".")
        rows = form.body.get(name)
        if row.isdecimal() and isinstance(rows, dict):
            rows.pop(row, None)
    return Form(form.path, form.query, _with_lists(form.body))


def _on_clock(text: str, zone: tzinfo) -> str:
    """A time without an offset as a clock of that zone shows it; anything else stays, for the operation to refuse."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).isoformat()


def _resolved(name: str, fields: MultiDict[str]) -> str | None:
    """The name with what it borrows filled in; None where that is blank."""
    borrowed = [fields.get(other, "").strip() for other in _BORROWED.findall(name)]
    if any(value == "" or "." in value for value in borrowed):
        return None
    place = _BORROWED.sub(lambda match: fields.get(match[1], "").strip(), name)
    return None if any(f"{{{name}}}" in other for other in fields) else place


def _put(body: dict[str, Any], parts: list[str], value: Any) -> None:
    for part in parts[:-1]:
        body = body.setdefault(part, {})
        if not isinstance(body, dict):
            raise Problem(422, f"{'.'.join(parts)}: the form says two things of this.")
    body[parts[-1]] = value


def _with_lists(value: Any) -> Any:
    """What is numbered 0, 1, ... is a list."""
    if not isinstance(value, dict):
        return value
    made = {key: _with_lists(item) for key, item in value.items()}
    if made and all(key.isdecimal() for key in made):
        return [made[key] for key in sorted(made, key=int)]
    return made
