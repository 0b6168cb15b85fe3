"""textwright contacts import FILE.csv | export: contacts in and out, with every wrong row named by its line."""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from bot.clock import system_clock
from bot.commands.console import Console
from bot.config import Config, ConfigError, load_config
from bot.csv_columns import Columns, UnknownColumn, columns_of
from bot.exporting import export_contacts
from bot.importing import Outcome, Plan, import_contacts
from bot.store.open import open_store
from bot.suppression import Suppressions
from bot.versions import load_rules
from rules.book import RuleBook
from rules.decide import Ruleset
from rules.problems import Problems

_PROGRESS_ROWS = 10_000
_SHOWN_ERRORS = 100


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    into = actions.add_parser("import", help="contacts from a CSV file with a header")
    into.add_argument("file", type=Path, metavar="FILE", help="CSV, UTF-8")
    into.add_argument("--map", action="append", default=[], metavar="COLUMN=TARGET", help=(
        "what a column is: name, phone, cell, home, work, label, lists, tags, opted_in, evidence, field:NAME, or - for "
        "nothing, blocked, do_not_contact, wrong_number (default: by its name)"
    ))  # fmt: skip
    into.add_argument("--list", dest="lists", action="append", default=[], metavar="LIST", help="put everybody on it")
    into.add_argument("--opted-in", action="store_true", help="everybody agreed; needs --evidence or such a column")
    into.add_argument("--evidence", default="", metavar="TEXT", help="where and when everybody agreed")
    into.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
    into.add_argument("--errors", type=Path, metavar="FILE", help="write all wrong rows there, as CSV: line, message")
    out = actions.add_parser("export", help="contacts as CSV, a row for each phone")
    out.add_argument("--list", dest="list_name", metavar="LIST", help="only those on it")
    out.add_argument("--output", type=Path, metavar="FILE", help="write there (default: standard output)")
    for action in (into, out):
        action.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")


def run(given: argparse.Namespace, console: Console) -> int:
    """Import, 1 when any row was left out; or export."""
    problems = Problems()
    config = load_config(given.config, problems)
    book = load_rules(config, problems)
    if book is None:
        raise ConfigError(problems)
    return _import(given, config, book, console) if given.action == "import" else _export(given, config, book, console)


def _import(given: argparse.Namespace, config: Config, book: RuleBook, console: Console) -> int:
    try:
        columns = _columns(given, book)
    except (UnknownColumn, ValueError, OSError) as error:
        console.error(f"{given.file}: {error.strerror if isinstance(error, OSError) else error}")
        return 1
    if columns.ignored:
        console.error(f"not imported: {', '.join(columns.ignored)} (name it with --map, or declare it as a field)")
    plan = Plan(
        columns=columns,
        country=config.business.country,
        by=f"import {given.file.name}",
        lists=frozenset(given.lists),
        kinds=book.fields,
        zone=ZoneInfo(config.business.timezone),
        opted_in=given.opted_in,
        evidence=given.evidence,
        dry_run=given.dry_run,
        most_errors=sys.maxsize if given.errors else _SHOWN_ERRORS,
    )
    outcome = asyncio.run(_run_import(given.file, config, book, plan, console))
    for wrong in outcome.errors[:_SHOWN_ERRORS]:
        console.print(f"{given.file}:{wrong.line}: {wrong.message}")
    if outcome.error_count > _SHOWN_ERRORS:
        console.print(f"... and {outcome.error_count - _SHOWN_ERRORS} more (--errors FILE keeps them all)")
    if given.errors:
        with given.errors.open("w", newline="", encoding="utf-8") as target:
            csv.writer(target).writerows([("line", "message"), *((e.line, e.message) for e in outcome.errors)])
    console.print(_summary(outcome, dry_run=given.dry_run))
    return 1 if outcome.error_count else 0


def _columns(given: argparse.Namespace, book: RuleBook) -> Columns:
    with given.file.open(newline="", encoding="utf-8-sig") as source:
        header = next(csv.reader(source), [])
    mapped = {}
    for item in given.map:
        column, sign, target = item.partition("=")
        if not sign:
            raise UnknownColumn(f"--map is COLUMN=TARGET, not '{item}'.")
        mapped[column] = target
    columns = columns_of(header, book.fields, mapped)
    if not columns.has_phone:
        raise UnknownColumn("no column holds phone numbers: name one with --map COLUMN=phone.")
    return columns


async def _run_import(path: Path, config: Config, book: RuleBook, plan: Plan, console: Console) -> Outcome:
    shown = 0

    def progress(outcome: Outcome) -> None:
        nonlocal shown
        if outcome.rows >= shown + _PROGRESS_ROWS:
            shown = outcome.rows
            console.error(f"{outcome.rows} rows ...")

    ruleset = Ruleset(book)
    try:
        async with open_store(config.store.url, config.store_base, exclusive=False) as store:
            async with store.transaction() as transaction:
                now = system_clock()
                declared = [{"name": name, "purpose": purpose, "at": now} for name, purpose in book.lists.items()]
                await transaction.each("declare_lists", declared)
            suppressions = await Suppressions.of(store)
            with path.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
                arguments_ = (store, suppressions, ruleset.concerns, lines, plan, system_clock, progress)
                return await import_contacts(*arguments_)
    finally:
        ruleset.close()


def _summary(outcome: Outcome, *, dry_run: bool) -> str:
    text = (
        f"{outcome.rows} rows: {outcome.new} new, {outcome.changed} changed, {outcome.unchanged} as they were, "
        f"{outcome.error_count} left out"
    )
    kept = f"; {outcome.kept_out} phones stay opted out" if outcome.kept_out else ""
    return f"{'would be: ' if dry_run else ''}{text}{kept}."


def _export(given: argparse.Namespace, config: Config, book: RuleBook, console: Console) -> int:
    async def work() -> int:
        async with open_store(config.store.url, config.store_base, exclusive=False) as store:
            fields = sorted({"first_name", *book.fields})
            if given.output is None:
                return await export_contacts(store, sys.stdout, fields, given.list_name)
            with given.output.open("w", newline="", encoding="utf-8") as target:
                return await export_contacts(store, target, fields, given.list_name)

    count = asyncio.run(work())
    console.error(f"{count} phones.")
    return 0
