"""The phone: text as a customer, and see the decision, its effects and the staff's side beside it.

It is what a newcomer sees first: on a server that only this machine can reach, whose channels are all simulated and
which has no user yet, it is open without signing in.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from aiohttp import web
from yarl import URL

from adapters.contract import WebhookRequest
from adapters.errors import BadPayload
from adapters.simulator import Simulator
from bot.clock import new_id
from bot.intake import Overloaded
from bot.phones import parse_phone
from bot.services import SERVICES, Services
from bot.store.contract import StoreError, Transaction
from bot.tokens import Actor
from bot.users import Session
from bot.web import models_messages as m
from bot.web.api_contacts import list_contacts
from bot.web.api_conversations import list_conversations
from bot.web.api_messages import get_decision, list_messages
from bot.web.api_rules import list_notifications
from bot.web.auth import CSRF_FIELD, check_csrf, check_origin, session_of
from bot.web.console.rendering import html_response
from bot.web.console.view import PAGES, error_page
from bot.web.endpoints import Call, Nothing
from bot.web.models import ContactQuery, NotificationQuery
from bot.web.models_rules import ExplanationOut
from bot.web.problems import Problem
from rules.book import RuleBook
from rules.language import ORDINARY
from rules.text_conditions import Phrases

FIRST_PHONE = "+12025550123"
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_SHOWN = 40
_MOST_SUGGESTED = 6


def phone_routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.get("/phone", show_phone), web.post("/phone", text)]


async def is_open_to_try(request: web.Request) -> bool:
    """Whether the phone needs no signing in: nobody but this machine can reach it, and there is nothing to protect."""
    services = request.app[SERVICES]
    config = services.config
    only_simulated = all(
        isinstance(adapter, Simulator) and not config.channels[name].settings.get("token")
        for name, adapter in services.adapters.items()
    )
    # The host, too: a proxy's visitors, or a page that names this machine by a name of its own, are not this machine.
    if not (only_simulated and config.server.is_loopback and request.url.host in _LOOPBACK):
        return False
    async with services.store.snapshot() as transaction:
        row = await transaction.row("count_users")
    return row is not None and row["count"] == 0


async def _looker(request: web.Request) -> Session | None:
    """Who looks; where the phone is open to all, nobody in particular, who may only read."""
    session = await session_of(request.app[SERVICES], request)
    if session is None and await is_open_to_try(request):
        return Session(Actor("the phone page", "read", "user"), "", "")
    return session


async def show_phone(request: web.Request) -> web.StreamResponse:
    """The page."""
    session = await _looker(request)
    if session is None:
        raise web.HTTPSeeOther("/login?next=/phone")
    services = request.app[SERVICES]
    simulators = _simulators(services)
    if not simulators:
        problem = Problem(404, "No channel is simulated: texts go to real phones here.")
        return error_page(request, session if session.hash else None, problem)
    phone = parse_phone(request.query.get("from", FIRST_PHONE), services.config.business.country) or FIRST_PHONE
    channel = request.query.get("channel", "")
    channel = channel if channel in simulators else simulators[0]
    async with services.store.snapshot() as transaction:
        values = await _seen(services, session, transaction, phone)
    shown = {
        "section": "phone",
        "flash": "",
        "here": request.path_qs,
        "phone": phone,
        "channel": channel,
        "channels": {name: services.config.channels[name].numbers for name in simulators},
        "suggested": ["HELP", "STOP", "START", *suggestions(services.rules.current.book)],
        "is_open": not session.hash,
        **values,
    }
    return html_response(request.app[PAGES].render("phone.html", session if session.hash else None, shown))


async def _seen(services: Services, session: Session, transaction: Transaction, phone: str) -> dict[str, Any]:
    def call(query: Any, **path: str) -> Call[Any, Any]:
        return Call(services, session.actor, path, Nothing(), query, transaction)

    texts = (await list_messages(call(m.MessageQuery(phone=phone, limit=_SHOWN)))).items
    decisions: list[tuple[m.MessageOut, ExplanationOut]] = []
    for message in texts:
        if message.direction == "inbound" and len(decisions) < 3:
            try:
                decisions.append((message, await get_decision(call(Nothing(), id=message.id))))
            except Problem:
                continue
    contacts = (await list_contacts(call(ContactQuery(q=phone, limit=1)))).items
    conversations = (await list_conversations(call(m.ConversationQuery(phone=phone, limit=3)))).items
    told = (await list_notifications(call(NotificationQuery(limit=50)))).items
    ids = {conversation.id for conversation in conversations}
    return {
        "texts": texts[::-1],
        "decisions": decisions,
        "contact": contacts[0] if contacts else None,
        "conversations": conversations,
        "notifications": [item for item in told if item.conversation in ids][:5],
    }


def _simulators(services: Services) -> list[str]:
    return [
        name
        for name, adapter in services.adapters.items()
        if isinstance(adapter, Simulator) and services.config.channels[name].numbers
    ]


def suggestions(book: RuleBook) -> Iterable[str]:
    """Texts that the rule files have an answer to."""
    found = []
    for rule in book.rules:
        if rule.band != ORDINARY or rule.event != "message":
            continue
        for part in getattr(rule.when, "parts", (rule.when,)):
            if isinstance(part, Phrases) and part.phrases:
                found.append(" ".join(part.phrases[0]).upper() if part.name == "keyword" else " ".join(part.phrases[0]))
                break
    return list(dict.fromkeys(found))[:_MOST_SUGGESTED]


async def text(request: web.Request) -> web.StreamResponse:
    """A text from the simulated phone: the very way of a provider's webhook."""
    session = await _looker(request)
    if session is None:
        raise web.HTTPSeeOther("/login?next=/phone")
    services = request.app[SERVICES]
    fields = await request.post()
    try:
        check_origin(request)
        if session.hash:
            check_csrf(session, str(fields.get(CSRF_FIELD, "")))
        if not session.actor.may("staff") and session.hash:
            raise Problem(403, "Texting needs the role staff.")
        phone, channel = str(fields.get("from", FIRST_PHONE)), str(fields.get("channel", ""))
        await _submit(services, channel, phone, str(fields.get("body", ""))[:1600])
    except Problem as problem:
        return error_page(request, session if session.hash else None, problem)
    return web.HTTPSeeOther(str(URL("/phone").with_query({"from": phone, "channel": channel})))


async def _submit(services: Services, channel: str, phone: str, body: str) -> None:
    if channel not in _simulators(services):
        raise Problem(404, "There is no such simulated channel.")
    numbers = services.config.channels[channel].numbers
    message = {"id": f"phone-{new_id()}", "from": phone, "to": numbers[0], "body": body}
    try:
        events = services.adapters[channel].parse(WebhookRequest("", {}, orjson.dumps(message)))
        await services.intake.submit(services.config.channels[channel], events)
    except BadPayload as error:
        raise Problem(422, str(error)) from error
    except (Overloaded, StoreError) as error:
        raise Problem(503, "Not stored. Try again.") from error
