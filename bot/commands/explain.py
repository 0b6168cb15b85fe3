"""textwright explain: decide about a text without storing or sending anything, and say why."""

from __future__ import annotations

import argparse
from dataclasses import asdict

import orjson

from bot.clock import from_iso, iso, system_clock
from bot.commands.console import Console
from bot.config import Config, ConfigError, load_config
from bot.explaining import as_json
from bot.phones import country_of, identify_sender
from bot.rulebook import load_rules
from rules.decide import Explanation, Ruleset, Tried
from rules.facts import Business, Contact, Facts
from rules.problems import Problems


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("--from", dest="sender", required=True, metavar="PHONE", help="who texts, e.g. +12025550123")
    parser.add_argument("--to", metavar="NUMBER", help="our number (default: the first of the first channel)")
    parser.add_argument(
        "--list", dest="lists", action="append", default=[], metavar="LIST", help="the contact is on it"
    )
    parser.add_argument("--tag", dest="tags", action="append", default=[], metavar="TAG", help="the contact has it")
    parser.add_argument("--opted-out", action="store_true", help="the phone is opted out")
    parser.add_argument("--new", action="store_true", help="the sender is not a contact yet")
    parser.add_argument("--at", metavar="ISO", help="when, e.g. 2026-03-03T21:30-05:00 (default: now)")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("text", metavar="TEXT", help="what is texted")


def run(given: argparse.Namespace, console: Console) -> int:
    """Explain."""
    problems = Problems()
    config = load_config(given.config, problems)
    book = load_rules(config, problems)
    if book is None:
        raise ConfigError(problems)
    try:
        now = from_iso(given.at) if given.at else system_clock()
    except (ValueError, OverflowError):
        console.error(f"--at is a time such as 2026-03-03T21:30-05:00, not '{given.at}'.")
        return 2
    ruleset = Ruleset(book)
    try:
        explanation = ruleset.explain(_facts(given, config), now)
    finally:
        ruleset.close()
    if given.json:
        console.print(orjson.dumps(as_json(explanation, now)).decode())
    else:
        _show(explanation, now, console)
    return 0


def _facts(given: argparse.Namespace, config: Config) -> Facts:
    business = config.business
    sender, kind = identify_sender(given.sender, business.country)
    channel = next(iter(config.channels.values()))
    number = given.to or next(iter(channel.numbers), "")
    for candidate in config.channels.values():
        if number in candidate.numbers:
            channel = candidate
    return Facts(
        text=given.text,
        phone=sender,
        number=number,
        channel=channel.name,
        status="opted_out" if given.opted_out else "opted_in",
        sender=kind,
        country=country_of(sender) if kind == "phone" else "",
        contact=Contact(
            known=not given.new,
            first_message=given.new,
            lists=frozenset(given.lists),
            tags=frozenset(given.tags),
        ),
        business=Business(business.name, business.contact, business.country, business.timezone),
        settings=frozenset({"any_message_opts_in"} if config.consent.any_message_opts_in else ()),
    )


def _show(explanation: Explanation, now: int, console: Console) -> None:
    decision = explanation.decision
    console.print(f"rules {decision.version}, at {iso(now)}")
    console.print()
    for tried in explanation.tried:
        _show_rule(tried, console)
    console.print()
    if not decision.fired:
        console.print("No rule answers this: nothing is sent.")
    for fired in decision.fired:
        console.print(f"{console.style(fired.rule, 'bold')} does:")
        for effect in fired.effects:
            values = ", ".join(
                f"{key}: {value}" for key, value in asdict(effect).items() if value not in ("", (), None)
            )
            console.print(f"  {type(effect).__name__}  {values}")
        if not fired.effects:
            console.print("  nothing (ignore)")


def _show_rule(tried: Tried, console: Console) -> None:
    mark = console.style("✓", "green") if tried.fired else console.style("·", "dim")
    place = console.style(f"{tried.file}:{tried.line}", "dim")
    console.print(f"{mark} {tried.rule} ({tried.band}) {place}: {tried.outcome}")
    for reason in tried.reasons:
        held = console.style("yes", "green") if reason.held else console.style("no", "red")
        text = reason.text if len(reason.text) <= 100 else f"{reason.text[:99]}…"
        saw = f" (saw {reason.saw})" if reason.saw else ""
        console.print(f"    {'  ' * reason.depth}{held}  {text}{saw}")
