"""textwright contacts import FILE | export: contacts in from CSV or vCards, and out; every wrong row by its line."""

from __future__ import annotations

import argparse
import asyncio
import csv
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.audit import audit_command
from bot.clock import system_clock
from bot.commands.console import Console
from bot.config import Config, ConfigError, load_config
from bot.exporting import WHATS, NoSuchList, export_pages, write_csv
from bot.import_files import ImportFile, NoContacts, look_at, mapping_of
from bot.import_rows import Plan
from bot.importing import Outcome, import_contacts
from bot.naming import said
from bot.store.open import open_store
from bot.suppression import Suppressions
from bot.vcards import VCards
from bot.versions import load_rules
from rules.book import RuleBook
from rules.decide import Ruleset
from rules.problems import Problems

_PROGRESS_ROWS = 10_000
_SHOWN_ERRORS = 100
_NOUNS = {"contacts": "phones", "messages": "messages", "consent": "changes of consent"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    into = actions.add_parser("import", help="contacts from a CSV file with a header, or from vCards")
    into.add_argument("file", type=Path, metavar="FILE", help="CSV or vCards (2.1, 3.0, 4.0)")
    into.add_argument("--map", action="append", default=[], metavar="COLUMN=TARGET", help=(
        "what a column of CSV is: id (rows of one are one person), name, phone, cell, home, work, label, lists, tags, "
        "opted_in, evidence, blocked, do_not_contact, wrong_number, field:NAME, or - for nothing (default: by its name)"
    ))  # fmt: skip
    into.add_argument("--list", dest="lists", action="append", default=[], metavar="LIST", help="put everybody on it")
    agreed = "everybody agreed, save who has a no in the file; needs --evidence or such a column"
    into.add_argument("--opted-in", action="store_true", help=agreed)
    into.add_argument("--evidence", default="", metavar="TEXT", help="where and when everybody agreed")
    into.add_argument("--dry-run", action="store_true", help="say what would happen, and change nothing")
    into.add_argument("--errors", type=Path, metavar="FILE", help="write all wrong rows there, as CSV: line, message")
    out = actions.add_parser("export", help="contacts (a row for each phone), messages or consent as CSV")
    out.add_argument("--what", choices=WHATS, default="contacts", help="contacts, messages or the history of consent")
    out.add_argument("--list", dest="list_name", metavar="LIST", help="only of those on it")
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
        file = look_at(given.file, mapping_of(given.map), book.fields)
    except NoContacts as error:
        console.error(f"{given.file}: {error}")
        return 1
    if file.columns and file.columns.ignored:
        _not_imported(file.columns.ignored, "name it with --map, or declare it as a field", console)
    if not given.opted_in and (file.columns is None or "opted_in" not in file.columns.targets):
        console.error(_NOBODY_AGREED)
    plan = Plan(
        country=config.business.country,
        by=f"import {given.file.name}",
        lists=frozenset(given.lists),
        kinds=book.fields,
        zone=ZoneInfo(config.business.timezone),
        opted_in=given.opted_in,
        evidence=said(given.evidence),
        dry_run=given.dry_run,
        most_errors=sys.maxsize if given.errors else _SHOWN_ERRORS,
    )
    asked = {"name": given.file.name, "map": given.map, "lists": given.lists, "opted_in": given.opted_in}
    asked |= {"evidence": given.evidence, "dry_run": given.dry_run}
    outcome = asyncio.run(_run_import(file, config, book, plan, asked, console))
    for wrong in outcome.errors[:_SHOWN_ERRORS]:
        console.print(f"{given.file}:{wrong.line}: {wrong.message}")
    if outcome.error_count > _SHOWN_ERRORS:
        console.print(f"... and {outcome.error_count - _SHOWN_ERRORS} more (--errors FILE keeps them all)")
    if given.errors:
        with given.errors.open("w", newline="", encoding="utf-8") as target:
            csv.writer(target).writerows([("line", "message"), *((e.line, e.message) for e in outcome.errors)])
    console.print(_summary(outcome, dry_run=given.dry_run))
    return 1 if outcome.error_count else 0


_NOBODY_AGREED = (
    "nobody is opted in by this file: whoever is new is texted nothing, not even an answer, until they text START"
    " (--opted-in --evidence TEXT where they agreed)"
)


def _not_imported(names: Iterable[str], hint: str, console: Console) -> None:
    console.error(f"not imported: {', '.join(names)} ({hint})")


async def _run_import(
    file: ImportFile, config: Config, book: RuleBook, plan: Plan, asked: Mapping[str, Any], console: Console
) -> Outcome:
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
                detail = {key: value for key, value in asked.items() if value}
                await audit_command(transaction, now, "create_import", "/imports", **detail)
            suppressions = await Suppressions.of(store)
            with file.records() as records:
                arguments_ = (store, suppressions, ruleset.concerns, records, plan, system_clock, progress)
                outcome = await import_contacts(*arguments_)
            if isinstance(records, VCards) and records.ignored:
                _not_imported(sorted(records.ignored), "a field of that name would keep it", console)
            return outcome
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
            pages = await export_pages(store, given.what, book.fields, given.list_name)
            operation, target = f"export_{given.what}", f"/exports/{given.what}.csv"
            async with store.transaction() as transaction:
                await audit_command(transaction, system_clock(), operation, target, list=given.list_name)
            if given.output is None:
                return await write_csv(pages, sys.stdout)
            with given.output.open("w", newline="", encoding="utf-8") as file:
                return await write_csv(pages, file)

    try:
        count = asyncio.run(work())
    except NoSuchList as error:
        console.error(str(error))
        return 1
    console.error(f"{count} {_NOUNS[given.what]}.")
    return 0
