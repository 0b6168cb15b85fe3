"""A page: its path, who may see it, and what it asks of the API. Every page reads in one snapshot of the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote

from aiohttp import web

from bot.services import SERVICES, Services
from bot.store.contract import StoreError, Transaction
from bot.tokens import Role
from bot.users import Session
from bot.web.auth import session_of
from bot.web.console.rendering import Pages, html_response, plain
from bot.web.endpoints import Call, Nothing, path_values, pattern, validated
from bot.web.models import In
from bot.web.problems import Problem

PAGES = web.AppKey("pages", Pages)
FLASH = "textwright_flash"
SIGNED_OUT = "You were signed out. What you typed is still here: copy it, sign in again, and go on."
_MAX_FLASH = 600
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class View:
    """One request for a page."""

    request: web.Request
    services: Services
    session: Session
    transaction: Transaction

    @property
    def query(self) -> dict[str, str]:
        """What the address asks, without what is blank: a form sends its empty fields too."""
        return {name: value for name, value in self.request.query.items() if value != ""}

    @property
    def path(self) -> dict[str, str]:
        """What the path names."""
        return path_values(self.request)

    async def ask(
        self, handler: Callable[[Call[Any, Any]], Awaitable[Answer]], query: In | None = None, **path: str
    ) -> Answer:
        """What the API would answer. Raises Problem."""
        call: Call[Any, Any] = Call(
            self.services, self.session.actor, path, Nothing(), query or Nothing(), self.transaction
        )
        return await handler(call)

    def wanted(self, model: type[In], **more: Any) -> Any:
        """The address's query as the API's model has it, with what the page itself wants. Raises Problem."""
        known = {field.alias or name for name, field in model.model_fields.items()}
        return validated(model, {**{key: value for key, value in self.query.items() if key in known}, **more})


Shown = tuple[str, Mapping[str, Any]]
"""A template, and what it shows."""


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A page of the console."""

    path: str
    role: Role
    show: Callable[[View], Awaitable[Shown]]
    section: str = ""


def page_route(page: PageRoute) -> web.RouteDef:
    """Its route."""

    async def serve(request: web.Request) -> web.StreamResponse:
        services, pages = request.app[SERVICES], request.app[PAGES]
        session = await session_of(services, request)
        if session is None and is_htmx(request) and not is_boosted(request):
            return error_page(request, None, Problem(401, SIGNED_OUT))
        if session is None:
            raise web.HTTPSeeOther(f"/login?next={quote(request.path_qs)}")
        try:
            if not session.actor.may(page.role):
                raise Problem(403, f"This page needs the role {page.role}; yours is {session.actor.role}.")
            async with services.store.snapshot() as transaction:
                name, values = await page.show(View(request, services, session, transaction))
        except Problem as problem:
            return error_page(request, session, problem)
        except StoreError:
            return error_page(request, session, Problem(503, "The store does not answer. Try again in a moment."))
        flash = unquote(request.cookies.get(FLASH, ""))[:_MAX_FLASH]
        common = {"section": page.section, "flash": flash, "here": request.path_qs}
        response = html_response(pages.render(name, session, {**common, **values}))
        if is_boosted(request):
            # The link that was followed may be gone from the page by now, and with it that it leads somewhere.
            response.headers["HX-Push-Url"] = request.raw_path
        if flash:
            response.del_cookie(FLASH, path="/")
        return response

    return web.get(pattern(page.path), serve)


def is_htmx(request: web.Request) -> bool:
    """Whether a script of ours asks, which puts the answer into the page that is there."""
    return request.headers.get("HX-Request") == "true"


def is_boosted(request: web.Request) -> bool:
    """Whether a link was followed, and the answer is to be the whole page."""
    return request.headers.get("HX-Boosted") == "true"


def error_page(request: web.Request, session: Session | None, problem: Problem) -> web.Response:
    """What went wrong, as a page; above the page that is there, where a script asks: what was typed stays."""
    if is_htmx(request):
        response = html_response(request.app[PAGES].render("_notice.html", session, {"problem": problem}))
        response.headers.update(
            {"HX-Retarget": "#notice", "HX-Reselect": "#notice", "HX-Reswap": "outerHTML", "HX-Push-Url": "false"}
        )
        return response
    values = {"section": "", "flash": "", "here": "/", "problem": problem}
    return html_response(request.app[PAGES].render("problem.html", session, values), problem.status)


def set_flash(response: web.StreamResponse, text: str) -> None:
    """Say something on the next page."""
    # A name within it must not turn the words after it round.
    response.set_cookie(FLASH, quote(plain(text)[:_MAX_FLASH]), max_age=60, httponly=True, samesite="Lax", path="/")


def local_path(text: str, default: str = "/") -> str:
    """A path of ours to go to; anything else becomes the default."""
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and text.isprintable()
    return text if is_ours else default
