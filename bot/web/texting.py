"""What every way to text somebody through the API checks first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from bot.channels import Channel
from bot.clock import from_iso
from bot.phones import parse_phone
from bot.purchases import CannotBuy, note_refusal, want_line
from bot.senders import Choose
from bot.web.endpoints import Call
from bot.web.problems import Problem

_MAX_SCHEDULE_DAYS = 366


def phone_of(call: Call[Any, Any], text: str, field: str) -> str:
    """A number as a caller writes it, in E.164. Raises Problem (422)."""
    phone = parse_phone(text, call.services.config.business.country)
    if phone is None:
        detail = f"'{text}' is no phone number. Write it as +12025550123."
        raise Problem(422, detail, errors=[{"field": field, "detail": "no phone number"}])
    return phone


def not_empty(body: str, media: Sequence[str]) -> None:
    """Raise Problem (422) for a text that says and shows nothing."""
    if not body.strip() and not media:
        raise Problem(422, "A message needs a body or media.", errors=[{"field": "body", "detail": "empty"}])


def moment_of(call: Call[Any, Any], text: str | None, field: str = "send_at") -> int:
    """A time (ISO 8601) in UTC microseconds, 0 for none. Raises Problem (422)."""
    if not text:
        return 0
    try:
        moment = from_iso(text)
    except (ValueError, OverflowError) as error:
        detail = "a time such as 2026-03-05T15:00:00Z"
        raise Problem(422, f"{field}: {detail}.", errors=[{"field": field, "detail": detail}]) from error
    if moment > call.now + _MAX_SCHEDULE_DAYS * 86400 * 10**6:
        raise Problem(422, f"{field}: at most {_MAX_SCHEDULE_DAYS} days ahead.")
    return moment


def sender_of(call: Call[Any, Any], text: str | None) -> tuple[str, Channel | None]:
    """Which of our numbers a caller wants to send from, and its channel; ("", None) for none. Raises Problem (422)."""
    if not text:
        return "", None
    lines = call.services.senders.lines
    number = text if text in lines else phone_of(call, text, "from")
    channel = lines.channel_of(number)
    if channel is not None:
        return number, channel
    raise Problem(422, f"from: {number} is none of our numbers.")


@dataclass(frozen=True, slots=True)
class Own:
    """What a user texts from by themselves: their own number and its channel, or the purchase to wait for (its id)."""

    number: str = ""
    channel: str = ""
    purchase: str = ""


async def own_sender(call: Call[Any, Any]) -> Own:
    """The caller's own number. One who has none, where numbers are bought automatically, gets one: meanwhile texts wait
    or leave from the pool, as configured. That none can be bought stops no text."""
    services = call.services
    user = await call.transaction.row("user_named", name=call.actor.name) if call.actor.kind == "user" else None
    if user is None:
        return Own()
    # Asked of the store: what was bought a moment ago may not have reached this node.
    lines = await call.transaction.rows("lines_of_user", user=user["id"])
    line = next((line for line in lines if line["channel"] in services.config.channels), None)
    if line is not None:
        return Own(line["number"], line["channel"])
    if not services.config.numbers.automatic:
        return Own()
    try:
        purchase = await want_line(call.transaction, services.config, user, by=call.by, now=call.now, again=False)
    except CannotBuy as error:
        structlog.get_logger("numbers").warning("number.not_wanted", user=user["id"], reason=str(error))
        await note_refusal(call.transaction, services.config, user, str(error), by=call.by, now=call.now)
        return Own()
    waits = purchase["state"] == "open" and services.config.numbers.meanwhile == "wait"
    if waits:
        # In this moment the purchase may end on another node, which does not see this text yet.
        await call.transaction.wake("numbers")
    return Own(purchase=purchase["id"] if waits else "")


def first_sender(call: Call[Any, Any]) -> Choose:
    """Which number texts leave from to who never spoke with us. Raises Problem (409)."""
    if not call.services.senders.has_any:
        raise Problem(409, "No channel has a number to send from.")
    return call.services.senders.first


def media_limits(call: Call[Any, Any]) -> frozenset[str]:
    """The channels that take no media."""
    return frozenset(
        name for name, adapter in call.services.adapters.items() if not adapter.capabilities.supports_media
    )
