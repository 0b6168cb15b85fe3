"""Who calls: a bearer token, or the session cookie of the console with the token against forged requests.

A browser sends cookies with whatever page asks it to, so a change by cookie must also carry the session's CSRF token,
which only our own pages know: in a header, or in a form's field.
"""

from __future__ import annotations

import hmac
import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import web

from bot.sections import Server
from bot.services import Services
from bot.tokens import Actor, find_actor
from bot.users import Session, find_session
from bot.web.problems import Problem

COOKIE = "textwright_session"
CSRF_HEADER = "X-CSRF-Token"
CSRF_FIELD = "csrf"
_SAFE = ("GET", "HEAD", "OPTIONS")


async def actor_of(services: Services, request: web.Request) -> Actor:
    """The caller of the API. Raises Problem (401, and 403 for what a page of somebody else's may have sent)."""
    header = request.headers.get("Authorization")
    session = await session_of(services, request) if header is None else None
    if session is not None:
        if request.method not in _SAFE:
            check_origin(request)
            check_csrf(session, request.headers.get(CSRF_HEADER, ""))
        return session.actor
    scheme, _, secret = (header or "").partition(" ")
    actor = None
    if scheme.lower() == "bearer":
        actor = await find_actor(services.store, secret.strip(), services.clock())
    if actor is None:
        detail = "Send a token: Authorization: Bearer tw_... (textwright token create)."
        raise Problem(401, detail, headers={"WWW-Authenticate": "Bearer"})
    return actor


async def session_of(services: Services, request: web.Request) -> Session | None:
    """The session of the request's cookie, if it has one of ours that is alive."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        return None
    limits = services.config.console
    return await find_session(
        services.store, cookie, services.clock(), idle_hours=limits.idle_hours, days=limits.session_days
    )


def address_of(server: Server, request: web.Request) -> str:
    """Where a request came from. Anybody can write X-Forwarded-For: it is believed as far as our own proxies wrote it,
    from its end to the first address that is none of theirs."""
    address = _address(request.remote or "")
    hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
    while address is not None and hops and any(address in network for network in server.trusted_proxies):
        before = _address(hops.pop())
        if before is None:
            break
        address = before
    return str(address or "")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address, without the port that some proxies add; one form for both of an IPv4 address's."""
    text = text.strip()
    bare = re.fullmatch(r"\[([^\]]+)\](?::\d+)?|([\d.]+):\d+", text)
    try:
        address = ip_address((bare[1] or bare[2]) if bare else text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def check_csrf(session: Session, token: str) -> None:
    """Raise Problem (403) unless the token is the session's."""
    if not hmac.compare_digest(session.csrf.encode(), token.encode(errors="replace")):
        raise Problem(403, "This did not come from a page of ours. Open the page again, and try again.")


def check_origin(request: web.Request) -> None:
    """Raise Problem (403) for a request that the browser itself says another site made."""
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        raise Problem(403, "This came from a page of another site.")


def set_cookie(services: Services, request: web.Request, response: web.StreamResponse, value: str) -> None:
    """Hand the session to the browser: out of reach of scripts and of other sites."""
    is_https = request.secure or services.config.server.public_url.startswith("https://")
    seconds = round(services.config.console.session_days * 86_400)
    response.set_cookie(COOKIE, value, max_age=seconds, httponly=True, samesite="Lax", secure=is_https, path="/")
