"""textwright test [FILE...]: run the `tests:` of the rule files against the real pipeline, with a clock that moves."""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import orjson
import structlog

from bot.commands.console import Console
from bot.commands.show import show_rule
from bot.config import Config, ConfigError, load_config
from bot.trial import world
from bot.verdict import Failure, Verdict, judge
from bot.versions import load_rules
from rules.book import RuleBook
from rules.problems import Problem, Problems


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("files", nargs="*", type=Path, metavar="FILE", help="rule files (default: the configuration's)")
    parser.add_argument("--name", metavar="WORDS", help="only tests whose name has these words")
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")


def run(given: argparse.Namespace, console: Console) -> int:
    """Test; 1 when any test fails, or there is none."""
    problems = Problems()
    config = load_config(given.config, problems)
    for path in given.files:
        if not path.exists():
            problems.error(str(path), 1, "there is no such file.")
    paths = [path.resolve() for path in given.files if path.exists()] if given.files else None
    book = load_rules(config, problems, paths, names_known=bool(config.routes))
    if book is None or problems.errors:
        raise ConfigError(problems)
    if given.name:
        chosen = tuple(case for case in book.tests if given.name.casefold() in case.name.casefold())
        book = replace(book, tests=chosen)
    began = time.monotonic()
    verdicts = run_tests(config, book)
    seconds = time.monotonic() - began
    failed = sum(1 for verdict in verdicts if verdict.failure)
    if given.json:
        console.print(orjson.dumps({"tests": [_as_json(verdict) for verdict in verdicts]}).decode())
    else:
        _show(verdicts, console)
        console.print(_summary(len(verdicts), failed, seconds, console))
    return 1 if failed or not verdicts else 0


def run_tests(config: Config, book: RuleBook) -> list[Verdict]:
    """Run all tests of these rules, silently: what the pipeline logs is about nobody."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    return asyncio.run(_run_tests(config, book))


async def _run_tests(config: Config, book: RuleBook) -> list[Verdict]:
    async with world(config, book) as made:
        return [await judge(made, book, case, config.default_route) for case in book.tests]


def problems_of(verdicts: Sequence[Verdict]) -> list[Problem]:
    """Failed tests as problems of the rule files."""
    return [
        Problem(verdict.case.file, line, f"the test '{verdict.case.name}' expects {wanted}, but got {got}.")
        for verdict in verdicts
        if verdict.failure
        for line, wanted, got in verdict.failure.wrong
    ]


def _show(verdicts: Sequence[Verdict], console: Console) -> None:
    file = ""
    for verdict in verdicts:
        case = verdict.case
        if case.file != file:
            file = case.file
            console.print(console.style(file, "bold"))
        mark = console.style("ok  ", "green") if verdict.failure is None else console.style("FAIL", "red")
        console.print(f"  {mark} {case.name}")
        if verdict.failure is not None:
            _show_failure(file, verdict.failure, console)


def _show_failure(file: str, failure: Failure, console: Console) -> None:
    step = failure.step
    what = f'"{step.text}"' if step.kind == "in" else step.text or "time"
    console.print(f"       step {failure.place}, {step.kind}: {what}  {console.style(f'{file}:{step.line}', 'dim')}")
    for _, wanted, got in failure.wrong:
        console.print(f"         expected {wanted}")
        console.print(f"         got      {got}")
    names = {word for _, wanted, _ in failure.wrong for word in wanted.replace(",", " ").split()}
    for explanation in failure.why:
        told = [
            tried
            for tried in explanation.tried
            if tried.fired or tried.outcome.startswith("matched") or tried.rule in names
        ]
        if told:
            console.print("       why:")
        for tried in told:
            show_rule(tried, console, indent=9)


def _summary(count: int, failed: int, seconds: float, console: Console) -> str:
    if not count:
        return console.style("There is no test. Write some under 'tests:' in a rule file.", "red")
    tests = f"{count} test{'' if count == 1 else 's'}"
    if failed:
        return console.style(f"{tests}, {failed} failed ({seconds:.1f} s)", "red")
    return console.style(f"{tests}, all passed ({seconds:.1f} s)", "green")


def _as_json(verdict: Verdict) -> dict[str, object]:
    failure = verdict.failure
    return {
        "name": verdict.case.name,
        "file": verdict.case.file,
        "line": verdict.case.line,
        "passed": failure is None,
        "wrong": [{"line": line, "expected": wanted, "got": got} for line, wanted, got in failure.wrong]
        if failure
        else [],
    }
