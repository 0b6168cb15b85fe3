"""Everything that is set up once: canned answers, rules, routes, users, tokens, and what was changed by whom."""

from __future__ import annotations

from bot.purchases import CannotBuy, buying_channel
from bot.registration import warning_of
from bot.web import models as m
from bot.web import models_numbers as n
from bot.web import models_staff as s
from bot.web.api_answers import get_answer, list_answers
from bot.web.api_history import list_audit
from bot.web.api_numbers import list_available_numbers, list_numbers, list_purchases
from bot.web.api_routes import list_routes
from bot.web.api_rules import get_rules, list_notifications
from bot.web.api_users import list_tokens, list_users
from bot.web.api_workflows import list_workflows
from bot.web.console.view import PageRoute, Shown, View
from bot.web.models import PageQuery
from bot.web.problems import Problem
from rules.template import ALWAYS, OPTIONAL


async def show_answers(view: View) -> Shown:
    """The canned answers."""
    variables = {name: words for name, words in {**OPTIONAL, **ALWAYS}.items() if not name.startswith("message.")}
    return "answers.html", {
        "answers": (await view.ask(list_answers)).items,
        "variables": variables,
        "fields": sorted(view.services.rules.current.book.fields),
        "answer": await view.ask(get_answer, id=view.query["edit"]) if "edit" in view.query else None,
    }


async def show_rules(view: View) -> Shown:
    """The rules in force, and the workflows with the people inside."""
    return "rules.html", {
        "rules": await view.ask(get_rules),
        "workflows": (await view.ask(list_workflows)).items,
        "book": view.services.rules.current.book,
    }


async def show_notifications(view: View) -> Shown:
    """Deliveries to staff; the dead ones can be tried again."""
    page = await view.ask(list_notifications, view.wanted(m.NotificationQuery, limit=50))
    return "notifications.html", {"page": page, "state": view.query.get("state", "")}


async def show_routes(view: View) -> Shown:
    """The routes, and who is away."""
    return "routes.html", {"routes": (await view.ask(list_routes)).items}


async def show_users(view: View) -> Shown:
    """Who may sign in."""
    return "users.html", {"users": (await view.ask(list_users)).items}


async def show_numbers(view: View) -> Shown:
    """Our numbers, those on their way, and those that can be bought."""
    area_code = view.query.get("area_code", "")
    values: dict[str, object] = {
        "page": await view.ask(list_numbers, view.wanted(n.NumberQuery, limit=100)),
        "users": [],
        "purchases": [],
        "area_code": area_code,
        "offers": None,
        "can_buy": True,
        "none_why": "",
    }
    if view.session.actor.may("staff"):
        values["users"] = (await view.ask(list_users)).items
        values["purchases"] = (await view.ask(list_purchases, PageQuery(limit=20))).items
    if view.session.actor.may("admin"):
        try:
            buying_channel(view.services.config)
            if area_code:
                values["offers"] = (await view.ask(list_available_numbers, view.wanted(n.AvailableQuery))).items
        except CannotBuy as error:
            values |= {"can_buy": False, "none_why": str(error)}
        except Problem as problem:
            values |= {"offers": [], "none_why": problem.detail}
    return "numbers.html", values


async def show_tokens(view: View) -> Shown:
    """Which programs may call the API."""
    return "tokens.html", {"tokens": (await view.ask(list_tokens)).items}


async def show_audit(view: View) -> Shown:
    """Who changed what."""
    page = await view.ask(list_audit, view.wanted(s.AuditQuery, limit=100))
    return "audit.html", {"page": page, "asked": {k: view.query.get(k, "") for k in ("actor", "operation")}}


async def show_account(_view: View) -> Shown:
    """One's own password."""
    return "account.html", {}


async def show_settings(view: View) -> Shown:
    """Where everything is."""
    config, lines = view.services.config, view.services.senders.lines
    out = view.services.senders.outages.all
    channels = [
        (channel.name, channel.adapter, lines.of_channel(channel.name), out.get(channel.name))
        for channel in config.channels.values()
    ]
    warned = sum(warning_of(config, line) is not None for line in lines.all)
    return "settings.html", {"channels": channels, "warned": warned}


PAGES = (
    PageRoute("/answers", "read", show_answers, "answers"),
    PageRoute("/rules", "read", show_rules, "rules"),
    PageRoute("/settings", "read", show_settings, "settings"),
    PageRoute("/settings/notifications", "read", show_notifications, "settings"),
    PageRoute("/settings/routes", "read", show_routes, "settings"),
    PageRoute("/settings/numbers", "read", show_numbers, "settings"),
    PageRoute("/settings/users", "staff", show_users, "settings"),
    PageRoute("/settings/tokens", "admin", show_tokens, "settings"),
    PageRoute("/settings/audit", "admin", show_audit, "settings"),
    PageRoute("/settings/account", "read", show_account, "settings"),
)
