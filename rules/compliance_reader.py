"""What rule files add to the built-in rules of consent: words, the wording of HELP, a narrower day."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import time

from rules.grammar import COMPLIANCE_KEYS, QUIET_HOURS_KEYS
from rules.nodes import Node
from rules.reader import Reader
from rules.text import phrase

MAX_HELP = 160
DAY = (time(8), time(21))
"""When a business may text by itself, on the contact's clock (47 CFR 64.1200(c)(1)). No file widens it."""


@dataclass(slots=True)
class Compliance:
    """What the files add to the built-in rules."""

    stop: frozenset[tuple[str, ...]] = frozenset()
    start: frozenset[tuple[str, ...]] = frozenset()
    help: frozenset[tuple[str, ...]] = frozenset()
    added: list[tuple[Reader, Node, str]] = field(default_factory=list)
    help_text: Node | None = None
    help_reader: Reader | None = None
    review: bool = False
    quiet_hours: tuple[time, time] | None = None


def read_compliance(reader: Reader, node: Node, extra: Compliance) -> None:
    """Read a file's `compliance:` into `extra`."""
    keys = reader.mapping(node, COMPLIANCE_KEYS, "compliance key")
    for key, name in (
        ("extra_stop_words", "stop"),
        ("extra_start_words", "start"),
        ("extra_help_words", "help"),
    ):
        if key in keys:
            setattr(extra, name, getattr(extra, name) | frozenset(reader.words(keys[key], key)))
            extra.added.append((reader, keys[key], name))
    if "natural_language_stop" in keys:
        choice = reader.choice(keys["natural_language_stop"], ["opt_out", "review"], "natural_language_stop")
        extra.review = extra.review or choice == "review"
    if "quiet_hours" in keys:
        _read_quiet_hours(reader, keys["quiet_hours"], extra)
    if "help" in keys:
        if extra.help_text is not None:
            reader.error(keys["help"], "another file words the help text.")
        text = reader.text(keys["help"], "the help text")
        if text is None:
            return
        if len(text) > MAX_HELP:
            reader.error(keys["help"], f"the help text has {len(text)} characters; {MAX_HELP} is the most.")
        if "stop" not in text.lower():
            reader.error(keys["help"], "the help text must say how to stop, for example 'Reply STOP to stop'.")
        extra.help_text, extra.help_reader = keys["help"], reader


def _read_quiet_hours(reader: Reader, node: Node, extra: Compliance) -> None:
    keys = reader.mapping(node, QUIET_HOURS_KEYS, "quiet_hours key")
    since = reader.clock(keys["from"], "from") if "from" in keys else None
    until = reader.clock(keys["to"], "to") if "to" in keys else None
    if since is None or until is None:
        if keys or node.is_empty:
            reader.error(node, "'quiet_hours' needs 'from' and 'to', as in {from: \"09:00\", to: \"20:00\"}.")
        return
    if since < DAY[0] or until > DAY[1] or since >= until:
        reader.error(node, "'quiet_hours' may narrow the day (08:00 to 21:00), not widen it.")
    if extra.quiet_hours is not None:
        since, until = max(since, extra.quiet_hours[0]), min(until, extra.quiet_hours[1])
    extra.quiet_hours = (since, until)


def _one_meaning_each(extra: Compliance) -> None:
    """A word that files add for two things would do only one of them."""
    meanings: dict[tuple[str, ...], str] = {}
    for reader, node, kind in extra.added:
        for item in node.items if node.kind == "list" else [node]:
            words = phrase(item.text)
            other = meanings.setdefault(words, kind)
            if words and other != kind:
                reader.error(item, f"'{item.text}' is among 'extra_{other}_words' and 'extra_{kind}_words': keep one.")


def keep_builtin_words(lists: dict[str, frozenset[tuple[str, ...]]], extra: Compliance) -> None:
    """A file adds words; one that means something else already would take that meaning away."""
    _one_meaning_each(extra)
    for reader, node, kind in extra.added:
        for other in {"stop", "start", "help"} - {kind}:
            builtin = lists[other] | (lists["strong"] if other == "stop" else frozenset())
            for item in node.items if node.kind == "list" else [node]:
                if item.kind == "text" and phrase(item.text) in builtin:
                    reader.error(item, f"'{item.text}' is a built-in {other} word and stays one.")
