"""From what the store knows to the facts of a decision, and from a kept decision back to its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson

from bot.apply import Arrival
from bot.changes import JsonRow, dumps
from bot.people import Thread
from bot.phones import country_of
from bot.store.contract import Row
from rules.decide import Decision
from rules.facts import Business, Contact, Facts


def facts_of(
    arrival: Arrival,
    thread: Thread,
    last_fired: Mapping[str, int],
    business: Business,
    settings: frozenset[str],
    *,
    with_country: bool,
) -> Facts:
    """The facts of one message at the moment that it is decided."""
    contact = thread.contact
    return Facts(
        text=arrival.inbound.body,
        phone=arrival.sender,
        number=arrival.number,
        channel=arrival.channel.name,
        media=tuple(media.content_type for media in arrival.inbound.media),
        status=thread.phone.consent.status if thread.phone else "opted_in",
        mode=thread.conversation.mode_at(arrival.at),
        sender=arrival.kind,
        country=country_of(arrival.sender) if with_country and arrival.kind == "phone" else "",
        contact=Contact(
            name=contact.name if contact else "",
            known=contact is not None and not contact.is_new,
            first_message=thread.is_first,
            lists=contact.lists if contact else frozenset(),
            tags=contact.tags if contact else frozenset(),
            fields=contact.fields if contact else {},
        ),
        business=business,
        last_fired=last_fired,
        settings=settings,
        carrier_stopped=arrival.inbound.carrier_action == "stop",
    )


def stored_decision(arrival: Arrival, facts: Facts, decision: Decision) -> JsonRow:
    """The row that explains this decision for ever: its facts without the message itself, and its outcome."""
    contact = facts.contact
    compact: dict[str, Any] = {
        "status": facts.status,
        "mode": facts.mode,
        "sender": facts.sender,
        "country": facts.country,
        "name": contact.name,
        "known": contact.known,
        "first": contact.first_message,
        "lists": sorted(contact.lists),
        "tags": sorted(contact.tags),
        "fields": dict(contact.fields),
        "last_fired": dict(facts.last_fired),
        "settings": sorted(facts.settings),
        "carrier_stopped": facts.carrier_stopped,
    }
    return {
        "message_id": arrival.id,
        "at": arrival.at,
        "version": decision.version,
        "facts": dumps({key: value for key, value in compact.items() if value not in ("", [], {})}),
        "matched": dumps(decision.matched),
        "fired": dumps([fired.rule for fired in decision.fired]),
        "error": None,
    }


def facts_of_row(row: Row, business: Business) -> Facts:
    """The facts of a kept decision (a row of `decision_of`)."""
    kept = orjson.loads(row["facts"])
    facts = Facts(
        text=row["body"],
        phone=row["phone"],
        number=row["number"],
        channel=row["channel"],
        media=tuple(media["content_type"] for media in orjson.loads(row["media"])),
        business=business,
    )
    return replace(
        facts,
        status=kept["status"],
        mode=kept["mode"],
        sender=kept["sender"],
        country=kept.get("country", ""),
        contact=Contact(
            name=kept.get("name", ""),
            known=kept["known"],
            first_message=kept["first"],
            lists=frozenset(kept.get("lists", ())),
            tags=frozenset(kept.get("tags", ())),
            fields=kept.get("fields", {}),
        ),
        last_fired=kept.get("last_fired", {}),
        settings=frozenset(kept.get("settings", ())),
        carrier_stopped=kept.get("carrier_stopped", False),
    )
