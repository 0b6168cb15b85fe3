"""From what the store knows to the facts of a decision, and from a kept decision back to its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import orjson

from bot.changes import JsonRow, dumps
from bot.clock import MICROSECONDS
from bot.config import Config
from bot.occasions import Occasion
from bot.people import Thread
from bot.phones import country_of, zones_of
from bot.store.contract import Row
from rules.decide import Decision
from rules.facts import Business, Contact, Event, Facts


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What facts hold beside the people: the business and its settings, which rules fired last (UTC microseconds by
    cooldown key), how many messages came within each window (by its seconds, this one included)."""

    business: Business
    settings: frozenset[str] = frozenset()
    last_fired: Mapping[str, int] = field(default_factory=dict)
    counts: Mapping[int, int] = field(default_factory=dict)
    with_country: bool = False


def surroundings_of(config: Config) -> Surroundings:
    """What the configuration says of them."""
    business = config.business
    return Surroundings(
        Business(business.name, business.contact, business.country, business.timezone),
        frozenset({"any_message_opts_in"} if config.consent.any_message_opts_in else ()),
    )


def facts_of(occasion: Occasion, thread: Thread, around: Surroundings, *, with_zones: bool = False) -> Facts:
    """The facts of one occasion at the moment that it is decided."""
    contact, arrival = thread.contact, occasion.arrival
    phone = thread.conversation.phone
    asked = [run for run in thread.runs if run.question and run.phone == phone]
    event = cast("Event", occasion.event)
    is_phone = arrival is None or arrival.kind == "phone"
    return Facts(
        text=arrival.inbound.body if arrival else "",
        phone=phone,
        number=thread.conversation.number,
        channel=arrival.channel.name if arrival else thread.conversation.channel,
        media=tuple(media.content_type for media in arrival.inbound.media) if arrival else (),
        status=thread.phone.consent.status if thread.phone else "opted_in",
        mode=thread.conversation.mode_at(occasion.at),
        sender=arrival.kind if arrival else "phone",
        country=country_of(phone) if around.with_country and is_phone else "",
        contact=Contact(
            name=contact.name if contact else "",
            known=contact is not None and not contact.is_new,
            first_message=not thread.last_inbound_at,
            lists=contact.lists if contact else frozenset(),
            tags=contact.tags if contact else frozenset(),
            fields=contact.fields if contact else {},
            workflows=frozenset(run.workflow for run in thread.runs),
        ),
        business=around.business,
        last_fired=around.last_fired,
        settings=around.settings,
        carrier_stopped=arrival is not None and arrival.inbound.carrier_action == "stop",
        event=event,
        list=occasion.detail if event in ("list_joined", "list_left") else "",
        error=occasion.detail if event == "delivery_failed" else "",
        workflow=occasion.detail if event == "workflow_ended" else "",
        waiting=asked[0].question if asked else "",
        repeated=asked[0].repeated if asked else 0,
        counts=around.counts,
        idle_seconds=(occasion.at - thread.last_inbound_at) // MICROSECONDS if thread.last_inbound_at else None,
        zones=zones_of(phone, around.business.timezone) if with_zones else (),
    )


def stored_decision(occasion: Occasion, facts: Facts, decision: Decision) -> JsonRow:
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
        "workflows": sorted(contact.workflows),
        "last_fired": dict(facts.last_fired),
        "settings": sorted(facts.settings),
        "carrier_stopped": facts.carrier_stopped,
        "waiting": facts.waiting,
        "repeated": facts.repeated,
        "counts": {str(seconds): count for seconds, count in facts.counts.items()},
        "idle": facts.idle_seconds,
    }
    if occasion.arrival is None:
        compact |= {
            "event": facts.event,
            "detail": occasion.detail,
            "phone": facts.phone,
            "number": facts.number,
            "channel": facts.channel,
        }
    return {
        "message_id": occasion.id,
        "at": occasion.at,
        "version": decision.version,
        "facts": dumps({key: value for key, value in compact.items() if value not in ("", [], {}, None)}),
        "matched": dumps(decision.matched),
        "fired": dumps([fired.rule for fired in decision.fired]),
        "error": None,
    }


def facts_of_row(row: Row, business: Business) -> Facts:
    """The facts of a kept decision (a row of `decision_of`)."""
    kept = orjson.loads(row["facts"])
    event, detail = kept.get("event", "message"), kept.get("detail", "")
    facts = Facts(
        text=row["body"] or "",
        phone=row["phone"] or kept.get("phone", ""),
        number=row["number"] or kept.get("number", ""),
        channel=row["channel"] or kept.get("channel", ""),
        media=tuple(media["content_type"] for media in orjson.loads(row["media"] or "[]")),
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
            workflows=frozenset(kept.get("workflows", ())),
        ),
        last_fired=kept.get("last_fired", {}),
        settings=frozenset(kept.get("settings", ())),
        carrier_stopped=kept.get("carrier_stopped", False),
        event=event,
        list=detail if event in ("list_joined", "list_left") else "",
        error=detail if event == "delivery_failed" else "",
        workflow=detail if event == "workflow_ended" else "",
        waiting=kept.get("waiting", ""),
        repeated=kept.get("repeated", 0),
        counts={int(seconds): count for seconds, count in kept.get("counts", {}).items()},
        idle_seconds=kept.get("idle"),
    )
