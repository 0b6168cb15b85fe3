"""Contacts and lists: the grid, one person with the whole history, the lists and their people."""

from __future__ import annotations

from typing import Any

from bot.web import models as m
from bot.web.api_contacts import get_contact, list_contacts
from bot.web.api_conversations import list_conversations
from bot.web.api_history import contact_history
from bot.web.api_lists import get_list, list_lists, list_names
from bot.web.api_workflows import contact_runs
from bot.web.console.view import PageRoute, Shown, View
from bot.web.models_messages import ConversationOut, ConversationQuery
from bot.web.models_rules import RunQuery
from rules.facts import ALL_CONTACTS

_SHOWN = 50
_CRITERIA = ("q", "list", "tag", "without_tag", "field", "value", "opted_in", "blocked", "textable",
             "texted_within_days", "silent_for_days")  # fmt: skip


async def show_contacts(view: View) -> Shown:
    """The grid of contacts that match."""
    return "contacts.html", await _grid(view, view.query.get("list"))


async def _grid(view: View, list_name: str | None) -> dict[str, Any]:
    query = view.wanted(m.ContactQuery, limit=_SHOWN, **({"list": list_name} if list_name else {}))
    page = await view.ask(list_contacts, query)
    asked = {name: value for name in _CRITERIA if (value := view.query.get(name))}
    if list_name:
        asked["list"] = list_name
    return {
        "page": page,
        "asked": asked,
        "want": {name: asked.get(name, "") for name in _CRITERIA},
        "filtered": [name for name in asked if name not in ("q", "list")],
        "lists": await list_names(view.transaction),
        "fields": sorted(view.services.rules.current.book.fields),
        "path": view.request.path,
        "cursor": view.query.get("cursor", ""),
        "all_contacts": ALL_CONTACTS,
    }


async def show_new_contact(view: View) -> Shown:
    """The form of a new contact: that of a change, empty."""
    return "contact_new.html", {
        "lists": await list_names(view.transaction, by_hand=True),
        "fields": sorted(view.services.rules.current.book.fields),
        "list": view.query.get("list", ""),
        "phone": view.query.get("phone", ""),
    }


async def show_contact(view: View) -> Shown:
    """A person: who, which phones, which lists and tags, and everything that happened."""
    id_ = view.path["id"]
    contact = await view.ask(get_contact, id=id_)
    history = await view.ask(contact_history, m.PageQuery(limit=40, cursor=view.query.get("before")), id=id_)
    numbers = [phone.number for phone in contact.phones]
    conversations: dict[str, ConversationOut] = {}
    for number in numbers:
        found = await view.ask(list_conversations, ConversationQuery(phone=number, limit=1))
        if found.items:
            conversations[number] = found.items[0]
    runs = await view.ask(contact_runs, RunQuery(state="active", limit=10), id=id_)
    return "contact.html", {
        "contact": contact,
        "history": history,
        "conversations": conversations,
        "runs": runs.items,
        "lists": await list_names(view.transaction, by_hand=True),
        "fields": sorted({*view.services.rules.current.book.fields} - contact.fields.keys()),
        "workflows": sorted(view.services.rules.current.book.workflows),
    }


async def show_lists(view: View) -> Shown:
    """Every list with its counts."""
    return "lists.html", {"lists": (await view.ask(list_lists)).items, "all_contacts": ALL_CONTACTS}


async def show_new_list(view: View) -> Shown:
    """The form of a new list, by hand or by query."""
    return "list_new.html", {
        "lists": await list_names(view.transaction, by_hand=True),
        "fields": sorted(view.services.rules.current.book.fields),
        "want": {name: view.query.get(name, "") for name in _CRITERIA},
    }


async def show_list(view: View) -> Shown:
    """A list with its people."""
    found = await view.ask(get_list, list=view.path["list"])
    values = await _grid(view, found.name)
    is_declared = found.name in view.services.rules.current.book.lists
    asked = dict.fromkeys(_CRITERIA, "") | {name: _as_field(value) for name, value in (found.query or {}).items()}
    names = await list_names(view.transaction, by_hand=True)
    about = {"list": found, "is_declared": is_declared, "asks": asked, "lists": names}
    return "list.html", values | about | {"fields": sorted(view.services.rules.current.book.fields)}


def _as_field(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


PAGES = (
    PageRoute("/contacts", "read", show_contacts, "contacts"),
    PageRoute("/contacts/new", "staff", show_new_contact, "contacts"),
    PageRoute("/contacts/{id}", "read", show_contact, "contacts"),
    PageRoute("/lists", "read", show_lists, "lists"),
    PageRoute("/lists/new", "staff", show_new_list, "lists"),
    PageRoute("/lists/{list}", "read", show_list, "lists"),
)
