"""Files of contacts: import, and what became of one; the exports are downloads of the API."""

from __future__ import annotations

from bot.web import models as m
from bot.web.api_imports import get_import, list_imports
from bot.web.api_lists import list_names
from bot.web.console.view import PageRoute, Shown, View


async def show_imports(view: View) -> Shown:
    """Files of contacts, in and out."""
    page = await view.ask(list_imports, view.wanted(m.PageQuery, limit=20))
    return "imports.html", {"page": page, "lists": await list_names(view.transaction, by_hand=True)}


async def show_import(view: View) -> Shown:
    """One file, and how far it is."""
    return "import.html", {"file": await view.ask(get_import, id=view.path["id"])}


PAGES = (
    PageRoute("/imports", "staff", show_imports, "contacts"),
    PageRoute("/imports/{id}", "staff", show_import, "contacts"),
)
