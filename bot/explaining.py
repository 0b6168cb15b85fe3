"""Explanations: what may be asked, and the answer for programs. The command and the API say the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from bot.clock import from_iso, iso
from bot.config import Config
from bot.phones import country_of, identify_sender
from rules.decide import Explanation
from rules.facts import Business, Contact, Facts, SenderKind

_EARLIEST, _LATEST = from_iso("1970-01-01"), from_iso("2200-01-01")


@dataclass(frozen=True, slots=True)
class Question:
    """A text that somebody could send. `number` "" is the first of the first channel."""

    text: str
    sender: str
    number: str = ""
    lists: Iterable[str] = ()
    tags: Iterable[str] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    opted_out: bool = False
    is_new: bool = False


def moment(text: str) -> int:
    """When it would be sent, in UTC microseconds. Raises ValueError, also for a time far from ours."""
    try:
        at = from_iso(text)
    except OverflowError as error:
        raise ValueError(str(error)) from error
    if not _EARLIEST <= at < _LATEST:
        raise ValueError("not between 1970 and 2200")
    return at


def facts_of_question(question: Question, config: Config) -> Facts:
    """The facts of a text that nobody sent."""
    country = config.business.country
    sender, kind = identify_sender(question.sender, country)
    channel = next(iter(config.channels.values()))
    number = identify_sender(question.number, country)[0] if question.number else next(iter(channel.numbers), "")
    channel = next((candidate for candidate in config.channels.values() if number in candidate.numbers), channel)
    is_ours = any(sender in candidate.numbers for candidate in config.channels.values())
    who: SenderKind = "own" if is_ours else kind
    business = config.business
    return Facts(
        text=question.text,
        phone=sender,
        number=number,
        channel=channel.name,
        status="opted_out" if question.opted_out else "opted_in",
        sender=who,
        country=country_of(sender) if who == "phone" else "",
        contact=Contact(
            known=not question.is_new,
            first_message=question.is_new,
            lists=frozenset(question.lists),
            tags=frozenset(question.tags),
            fields=question.fields,
        ),
        business=Business(business.name, business.contact, business.country, business.timezone),
        settings=frozenset({"any_message_opts_in"} if config.consent.any_message_opts_in else ()),
    )


def as_json(explanation: Explanation, now: int) -> dict[str, Any]:
    """An explanation as JSON values; `now` is when it was decided, in UTC microseconds."""
    decision = explanation.decision
    return {
        "version": decision.version,
        "at": iso(now),
        "rule": decision.rule,
        "matched": list(decision.matched),
        "fired": [fired.rule for fired in decision.fired],
        "effects": [
            {"rule": fired.rule, "effect": type(effect).__name__, **asdict(effect)}
            for fired in decision.fired
            for effect in fired.effects
        ],
        "tried": [asdict(tried) for tried in explanation.tried],
    }
