"""Pages from templates: what every page has, how things are written in it, and what a browser may do with it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from importlib import metadata
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

import jinja2
import orjson
import phonenumbers
from aiohttp import web
from markupsafe import Markup

from bot.clock import MICROSECONDS
from bot.services import Services
from bot.users import Session
from bot.web.console.wording import effect_in_words
from bot.web.endpoints import content_of, etag

HEADERS: Mapping[str, str] = {
    # No inline script or style anywhere: what a customer texts can never become either.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
# What turns the direction of text, or hides: in an attribute or a title nothing else keeps it in its place.
_BIDI = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]")
_ISOLATES, _POP = "\u2066\u2067\u2068", "\u2069"
_STATES: Mapping[str, str] = {
    "received": "received",
    "blocked": "from a blocked phone",
    "held": "waits for its time",
    "queued": "queued",
    "sending": "on its way",
    "sent": "sent",
    "delivered": "delivered",
    "undelivered": "did not arrive",
    "failed": "failed",
    "cancelled": "called back",
    "unknown": "may or may not have left",
    "waiting": "not yet queued",
    "refused": "not sent",
    "deleted": "deleted",
}


def plain(text: object) -> str:
    """A text without characters that turn its direction."""
    return _BIDI.sub("", str(text))


def isolated(text: object) -> Markup:
    """A text whose direction is its own. An isolate that it leaves open would swallow the end of <bdi> in a browser,
    and one that it closes without need would be that end."""
    return Markup("<bdi>{}</bdi>").format("\n".join(map(_balanced, str(text).replace("\u2029", "\n").split("\n"))))


def _balanced(line: str) -> str:
    depth, kept = 0, list[str]()
    for sign in line:
        if sign == _POP and not depth:
            continue
        depth += 1 if sign in _ISOLATES else -1 if sign == _POP else 0
        kept.append(sign)
    return "".join(kept) + _POP * depth


def shown_phone(number: str) -> str:
    """A number as people write it; what is none stays as it is."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException:
        return number
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.INTERNATIONAL)


def _initials(name: str) -> str:
    words = [word for word in plain(name).split() if word[:1].isalnum()]
    return "".join(word[0] for word in (words[:1] + words[-1:] if len(words) > 1 else words)).upper() or "#"


def _href(path: str, **query: Any) -> str:
    """A path with a query; what is None or "" is left out."""
    given = {name: value for name, value in query.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(given)}" if given else path


class Pages:
    """Renders the templates of one server."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._zone = ZoneInfo(services.config.business.timezone)
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("bot.web.console", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.filters |= {
            "plain": plain,
            "bdi": isolated,
            # Whatever a provider says a picture's address is: nothing else becomes a link.
            "is_web": lambda url: str(url).startswith(("https://", "http://")),
            "phone": shown_phone,
            "initials": _initials,
            "when": self._when,
            "ago": self._ago,
            "part": lambda text: quote(str(text), safe=""),
            "state": lambda state: _STATES.get(state, state),
            "json": lambda value: orjson.dumps(value, option=orjson.OPT_INDENT_2).decode(),
            "effect": effect_in_words,
            "words": lambda text: str(text).replace("_", " "),
        }
        self._environment.globals |= {
            "href": _href,
            "once": lambda: secrets.token_urlsafe(12),
            "etag": lambda shown: etag(content_of(shown)),
            "business": services.config.business.name,
            "zone": services.config.business.timezone,
            "version": _version(),
        }

    def _local(self, text: str) -> datetime:
        return datetime.fromisoformat(text).astimezone(self._zone)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._services.clock() / MICROSECONDS, self._zone)

    def _when(self, text: str | None) -> str:
        """A moment on the business's clock, as short as it can be said."""
        if not text:
            return ""
        moment, now = self._local(text), self._now()
        if moment.date() == now.date():
            return moment.strftime("%H:%M")
        if moment.year == now.year:
            return f"{moment.day} {moment.strftime('%b, %H:%M')}"
        return f"{moment.day} {moment.strftime('%b %Y, %H:%M')}"

    def _ago(self, text: str | None) -> str:
        """How long ago, for an inbox."""
        if not text:
            return ""
        passed = self._now() - self._local(text)
        if passed < timedelta(minutes=1):
            return "now"
        if passed < timedelta(hours=1):
            return f"{int(passed.total_seconds() // 60)} min"
        if passed < timedelta(days=1):
            return f"{int(passed.total_seconds() // 3600)} h"
        return self._when(text).split(",")[0]

    def render(self, name: str, session: Session | None, values: Mapping[str, Any]) -> str:
        """The HTML of a template. `session` is who looks."""
        actor = session.actor if session else None
        known = {
            "actor": actor,
            "csrf": session.csrf if session else "",
            "outages": self._services.senders.outages.all.values() if actor else (),
            "may": lambda role: actor is not None and actor.may(role),
        }
        return self._environment.get_template(name).render({**known, **values})


def html_response(text: str, status: int = 200) -> web.Response:
    """A page."""
    return web.Response(status=status, text=text, content_type="text/html", headers=dict(HEADERS))


def _version() -> str:
    try:
        return metadata.version("textwright")
    except metadata.PackageNotFoundError:
        return "0"
