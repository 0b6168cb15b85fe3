"""textwright replay --since 30d [FILE...]: what changed rule files would have done with the messages of the past."""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import asdict
from pathlib import Path

import orjson

from bot.clock import MICROSECONDS, iso, system_clock
from bot.commands.console import Console
from bot.config import ConfigError, load_config
from bot.replaying import Difference, Replay, replay
from bot.store.open import open_store
from bot.versions import load_rules
from rules.problems import Problems
from rules.reader import parse_span

_MAX_SHOWN = 160


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("--since", default="30d", metavar="DURATION", help="how far back, e.g. 7d (default: 30d)")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="rule files (default: the configuration's)")


def run(given: argparse.Namespace, console: Console) -> int:
    """Replay; 0 also when there are differences."""
    span = parse_span(given.since)
    if span is None:
        console.error(f"--since is a duration such as 30d or 12h, not '{given.since}'.")
        return 2
    problems = Problems()
    config = load_config(given.config, problems)
    paths = [path.resolve() for path in given.files] or None
    book = load_rules(config, problems, paths)
    if book is None:
        raise ConfigError(problems)
    since = max(0, system_clock() - (span.days * 86_400 + span.seconds) * MICROSECONDS)

    async def work() -> Replay:
        async with open_store(config.store.url, config.store_base, exclusive=False) as store:
            return await replay(store, config, book, since)

    found = asyncio.run(work())
    if given.json:
        console.print(orjson.dumps(_as_json(found)).decode())
    else:
        _show(found, iso(since), console)
    return 0


def _show(found: Replay, since: str, console: Console) -> None:
    versions = f"{len(found.versions)} version{'' if len(found.versions) == 1 else 's'} of the rules"
    console.print(f"{found.messages} messages since {since}, decided by {versions}.")
    if not found.differing:
        console.print(console.style("All of them would be decided the same.", "green"))
        return
    console.print(console.style(f"{found.differing} would be decided otherwise:", "yellow"))
    for (was, now), count in found.counts.most_common():
        same = " (otherwise)" if was == now else ""
        console.print()
        console.print(f"{count:>6}  {_rules(was)} -> {_rules(now)}{same}")
        for difference in found.examples[was, now]:
            _show_difference(difference, console)


def _show_difference(difference: Difference, console: Console) -> None:
    console.print(f"        {iso(difference.at)}  {_short(difference.text)!r}  {console.style(difference.id, 'dim')}")
    was = difference.was_texts
    console.print(f"          was: {_texts(was) if was is not None else 'not known: those rules are not kept'}")
    console.print(f"          now: {_texts(difference.now_texts)}")


def _rules(rules: tuple[str, ...]) -> str:
    return ", ".join(rules) or "no rule"


def _texts(texts: tuple[str, ...]) -> str:
    return " / ".join(repr(_short(text)) for text in texts) or "no text"


def _short(text: str) -> str:
    return text if len(text) <= _MAX_SHOWN else f"{text[: _MAX_SHOWN - 1]}…"


def _as_json(found: Replay) -> dict[str, object]:
    return {
        "messages": found.messages,
        "versions": sorted(found.versions),
        "differing": found.differing,
        "differences": [
            {"was": was, "now": now, "count": count, "examples": [asdict(item) for item in found.examples[was, now]]}
            for (was, now), count in found.counts.most_common()
        ],
    }
