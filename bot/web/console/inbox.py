"""The inbox and a conversation; and why a message was answered as it was."""

from __future__ import annotations

from typing import Any

from bot.web import models_messages as m
from bot.web.api_answers import answers_for_conversation
from bot.web.api_contacts import get_contact
from bot.web.api_conversations import conversation_messages, get_conversation, list_conversations
from bot.web.api_lists import list_names
from bot.web.api_messages import get_decision, get_message
from bot.web.api_users import list_users
from bot.web.console.view import PageRoute, Shown, View
from bot.web.models import PageQuery

_FILTERS: dict[str, tuple[str, dict[str, Any]]] = {
    "unanswered": ("Waiting", {"unanswered": True}),
    "mine": ("Mine", {"assigned_to": "me"}),
    "unread": ("Unread", {"unread": True}),
    "all": ("All", {}),
}
_SHOWN = 30


async def show_inbox(view: View) -> Shown:
    """The conversations, the latest first, and nothing chosen."""
    return "inbox.html", await _inbox(view)


async def _inbox(view: View) -> dict[str, Any]:
    shown = view.query.get("show", "")
    first = await view.ask(list_conversations, m.ConversationQuery(unanswered=True, limit=1)) if not shown else None
    # Whoever opens the console wants to see who waits; where nobody does, everybody.
    shown = shown if shown in _FILTERS else ("unanswered" if first is not None and first.items else "all")
    asked: dict[str, Any] = dict(_FILTERS[shown][1])
    asked |= {name: view.query[name] for name in ("route", "cursor") if name in view.query}
    query = m.ConversationQuery(**asked, list_name=view.query.get("list"), limit=_SHOWN)
    page = await view.ask(list_conversations, query)
    kept = {name: view.query.get(name, "") for name in ("route", "list")}
    return {
        "page": page,
        "show": shown,
        "filters": {name: words for name, (words, _) in _FILTERS.items()},
        "routes": list(view.services.config.routes),
        "lists": await list_names(view.transaction),
        "kept": kept,
        "asked": {"show": shown, **{name: value for name, value in kept.items() if value}},
        "conversation": None,
    }


async def show_conversation(view: View) -> Shown:
    """One conversation beside the others."""
    id_ = view.path["id"]
    conversation = await view.ask(get_conversation, id=id_)
    query = PageQuery(limit=50, cursor=view.query.get("before"))
    messages = await view.ask(conversation_messages, query, id=id_)
    contact = await view.ask(get_contact, id=conversation.contact) if conversation.contact else None
    routes = view.services.config.routes
    values = await _inbox(view) | {
        "conversation": conversation,
        "messages": messages.items[::-1],
        "earlier": messages.next,
        "is_past": "before" in view.query,
        "contact": contact,
        "answers": (await view.ask(answers_for_conversation, id=id_)).items if contact else [],
        "users": (await view.ask(list_users)).items if view.session.actor.may("staff") else [],
        "route_names": list(routes),
    }
    return "inbox.html", values


async def show_why(view: View) -> Shown:
    """Why a message was answered so, or who caused it."""
    id_ = view.path["id"]
    message = await view.ask(get_message, id=id_)
    decision = await view.ask(get_decision, id=id_)
    return "why.html", {"message": message, "decision": decision}


PAGES = (
    PageRoute("/inbox", "read", show_inbox, "inbox"),
    PageRoute("/inbox/{id}", "read", show_conversation, "inbox"),
    PageRoute("/messages/{id}/why", "read", show_why, "inbox"),
)
