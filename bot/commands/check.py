"""textwright check [FILE...]: all problems of the configuration and the rule files, at once."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
from dataclasses import asdict
from pathlib import Path

import orjson

from bot.commands.console import Console
from bot.config import Config, ConfigError, load_config
from bot.config_file import shown
from bot.lines import Lines
from bot.registration import warning_of
from bot.store.contract import StoreError
from bot.store.open import look_into
from bot.versions import load_rules
from rules.book import RuleBook
from rules.decide import Ruleset
from rules.problems import Problem, Problems


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="rule files (default: the configuration's)")
    parser.add_argument("--test", action="store_true", help="run the files' tests too, as a reload does")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(given: argparse.Namespace, console: Console) -> int:
    """Check; 1 when there is any error."""
    # A short process that builds much and drops little: the collector costs it a third of its time.
    gc.disable()
    problems = Problems()
    book: RuleBook | None = None
    try:
        config = load_config(given.config, problems)
        book = _load(config, problems, given.files)
        asyncio.run(_look_at_numbers(config, problems))
        if given.test and book is not None and book.tests:
            problems.items.extend(_failed_tests(config, book))
    except ConfigError as error:
        if error.readable is not None:
            _load(error.readable, problems, given.files, names_known=False)
    if given.json:
        found = [asdict(problem) for problem in problems.sorted()]
        console.print(orjson.dumps({"problems": found, "version": book.version if book else None}).decode())
    else:
        console.problems(problems.sorted())
        console.print(_summary(problems, book, console))
    return 1 if problems.errors else 0


async def _look_at_numbers(config: Config, problems: Problems) -> None:
    """Numbers that carriers block, by config.toml and by what the store knows, where there is one."""
    lines = Lines(config)
    with contextlib.suppress(StoreError):
        async with look_into(config.store.url, config.store_base) as store:
            if store is not None:
                await lines.load(store)
    for line in lines.all:
        warning = warning_of(config, line)
        if warning is not None:
            problems.warning(shown(config.path), config.channels[line.channel].line, f"{warning}.")


def _failed_tests(config: Config, book: RuleBook) -> list[Problem]:
    # Only here: a check that runs no tests needs no pipeline.
    from bot.commands.test import problems_of, run_tests

    return problems_of(run_tests(config, book))


def _load(config: Config, problems: Problems, files: list[Path], *, names_known: bool = True) -> RuleBook | None:
    for path in files:
        if not path.exists():
            problems.error(str(path), 1, "there is no such file.")
    paths = [path.resolve() for path in files if path.exists()] if files else None
    book = load_rules(config, problems, paths, names_known=names_known)
    if book is not None:
        # Compiling is part of checking: a rule that the engine cannot take must fail here, not in the server.
        Ruleset(book).close()
    return book


def _summary(problems: Problems, book: RuleBook | None, console: Console) -> str:
    errors = len(problems.errors)
    warnings = len(problems.items) - errors
    counts = [f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((errors, "error"), (warnings, "warning")) if n]
    if errors or book is None:
        return console.style(" and ".join(counts), "red")
    files = f"{len(book.files)} rule file{'' if len(book.files) == 1 else 's'}"
    text = f"{files}, {len(book.rules)} rules (built-in ones included), version {book.version}"
    return f"{console.style('ok', 'green')}: {text}{''.join(f', {count}' for count in counts)}"
