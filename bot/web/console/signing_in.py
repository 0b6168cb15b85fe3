"""GET and POST /login, POST /logout."""

from __future__ import annotations

from aiohttp import web

from bot.services import SERVICES
from bot.users import SignInRefused, end_session, sign_in
from bot.web.auth import COOKIE, CSRF_FIELD, address_of, check_csrf, check_origin, session_of, set_cookie
from bot.web.console.rendering import html_response
from bot.web.console.view import PAGES, local_path
from bot.web.problems import Problem


def login_routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.get("/login", show_login), web.post("/login", log_in), web.post("/logout", log_out)]


async def show_login(request: web.Request) -> web.StreamResponse:
    """The form, or the console for who is signed in already."""
    services = request.app[SERVICES]
    if await session_of(services, request) is not None:
        return web.HTTPSeeOther(local_path(request.query.get("next", "/")))
    return await _form(request, "")


async def _form(request: web.Request, refused: str, name: str = "", status: int = 200) -> web.Response:
    services = request.app[SERVICES]
    async with services.store.snapshot() as transaction:
        row = await transaction.row("count_users")
    values = {
        "section": "",
        "flash": "",
        "here": "/",
        "refused": refused,
        "name": name,
        "next": local_path(request.query.get("next", "/")),
        "has_users": bool(row and row["count"]),
    }
    return html_response(request.app[PAGES].render("login.html", None, values), status)


async def log_in(request: web.Request) -> web.StreamResponse:
    """Begin a session. A form of another site's could sign a browser in as somebody else: it is refused."""
    services = request.app[SERVICES]
    try:
        check_origin(request)
    except Problem as problem:
        return await _form(request, problem.detail, status=403)
    fields = await request.post()
    name, password = str(fields.get("name", "")), str(fields.get("password", ""))
    try:
        address = address_of(services.config.server, request)
        cookie, _ = await sign_in(services.store, name, password, address, services.clock())
    except SignInRefused as error:
        status = 401 if error.retry_after is None else 429
        response = await _form(request, str(error), name, status)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
        return response
    target = local_path(str(fields.get("next", "/")))
    response_ = web.HTTPSeeOther(target)
    set_cookie(services, request, response_, cookie)
    return response_


async def log_out(request: web.Request) -> web.StreamResponse:
    """End the session."""
    services = request.app[SERVICES]
    session = await session_of(services, request)
    response = web.HTTPSeeOther("/login")
    if session is not None:
        fields = await request.post()
        check_origin(request)
        check_csrf(session, str(fields.get(CSRF_FIELD, "")))
        await end_session(services.store, session)
    response.del_cookie(COOKIE, path="/")
    return response
