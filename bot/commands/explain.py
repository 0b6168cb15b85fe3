"""textwright explain: decide about a text without storing or sending anything, and say why."""

from __future__ import annotations

import argparse
from dataclasses import asdict

import orjson

from bot.clock import iso, system_clock
from bot.commands.console import Console
from bot.commands.show import show_rule
from bot.config import ConfigError, load_config
from bot.explaining import Question, as_json, facts_of_question, moment
from bot.versions import load_rules
from rules.decide import Explanation, Ruleset
from rules.problems import Problems
from rules.tags import tag_name


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("--from", dest="sender", required=True, metavar="PHONE", help="who texts, e.g. +12025550123")
    parser.add_argument("--to", metavar="NUMBER", help="our number (default: the first of the first channel)")
    parser.add_argument(
        "--list", dest="lists", action="append", default=[], metavar="LIST", help="the contact is on it"
    )
    parser.add_argument("--tag", dest="tags", action="append", default=[], metavar="TAG", help="the contact has it")
    parser.add_argument(
        "--field", dest="fields", action="append", default=[], metavar="NAME=VALUE", help="what is known of the contact"
    )
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
        now = system_clock() if given.at is None else moment(given.at)
    except ValueError:
        console.error(f"--at is a time such as 2026-03-03T21:30-05:00, not '{given.at}'.")
        return 2
    question = Question(
        given.text,
        given.sender,
        given.to or "",
        given.lists,
        [tag_name(tag) for tag in given.tags],
        dict(item.partition("=")[::2] for item in given.fields),
        opted_out=given.opted_out,
        is_new=given.new,
    )
    ruleset = Ruleset(book)
    try:
        explanation = ruleset.explain(facts_of_question(question, config), now)
    finally:
        ruleset.close()
    if given.json:
        console.print(orjson.dumps(as_json(explanation, now)).decode())
    else:
        _show(explanation, now, console)
    return 0


def _show(explanation: Explanation, now: int, console: Console) -> None:
    decision = explanation.decision
    console.print(f"rules {decision.version}, at {iso(now)}")
    console.print()
    for tried in explanation.tried:
        show_rule(tried, console)
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
