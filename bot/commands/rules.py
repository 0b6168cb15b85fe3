"""textwright rules status | rollback [VERSION]: which rules are in force, who is inside, and the way back."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

import orjson

from bot.clock import iso
from bot.commands.console import Console
from bot.config import Config, load_config
from bot.store.contract import Row
from bot.store.open import open_store
from bot.versions import load_rules
from rules.book import RuleBook, SourceFile
from rules.load import load
from rules.problems import Problems

_SHOWN_VERSIONS = 10


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    status = actions.add_parser("status", help="files, versions, and the people at each step")
    rollback = actions.add_parser("rollback", help="put the rule files of an earlier version back")
    rollback.add_argument("version", nargs="?", metavar="VERSION", help="which (default: the one before)")
    for action in (status, rollback):
        action.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")


def run(given: argparse.Namespace, console: Console) -> int:
    """Show, or go back."""
    config = load_config(given.config, Problems())

    async def read() -> tuple[Sequence[Row], Sequence[Row]]:
        async with (
            open_store(config.store.url, config.store_base, exclusive=False) as store,
            store.snapshot() as transaction,
        ):
            activations = await transaction.rows("latest_activations", limit=_SHOWN_VERSIONS)
            return activations, await transaction.rows("people_inside")

    activations, people = asyncio.run(read())
    problems = Problems()
    book = load_rules(config, problems)
    if given.action == "status":
        _status(activations, people, book, problems, console)
        return 0
    return _roll_back(config, activations, given.version, console)


def _status(
    activations: Sequence[Row], people: Sequence[Row], book: RuleBook | None, problems: Problems, console: Console
) -> None:
    if not activations:
        console.print("No rules were ever in force here: start the server first.")
        return
    current = activations[0]
    console.print(f"in force: {console.style(current['version'], 'bold')} since {iso(current['at'])}")
    for file in orjson.loads(current["files"]):
        console.print(f"  {file['path']}")
    if book is None:
        count = len(problems.errors)
        errors = f"{count} error{'' if count == 1 else 's'}"
        console.print(console.style(f"on disk: {errors}, so the server keeps these.", "red"))
        console.problems(problems.errors)
    elif book.version != current["version"]:
        why = "the server has not read it yet, or its tests fail (textwright test)"
        console.print(console.style(f"on disk: {book.version}, not in force: {why}", "yellow"))
    if len(activations) > 1:
        console.print("before:")
    for row in activations[1:]:
        console.print(f"  {row['version']} since {iso(row['at'])}")
    console.print("people in workflows:" if people else "Nobody is in a workflow.")
    for row in people:
        is_now = book is not None and _has(book, row)
        note = "" if is_now else console.style(f"  (an earlier version, of rules {row['rules']})", "yellow")
        console.print(f"  {row['people']:>7}  {row['workflow']}@{row['version']}  {row['step']}{note}")


def _has(book: RuleBook, row: Row) -> bool:
    workflow = book.workflows.get(row["workflow"])
    return workflow is not None and workflow.version == row["version"]


def _roll_back(config: Config, activations: Sequence[Row], version: str | None, console: Console) -> int:
    current = activations[0]["version"] if activations else ""
    earlier = [row for row in activations if row["version"] != current]
    found = next((row for row in earlier if version is None or row["version"].startswith(version)), None)
    if found is None:
        console.error(f"There is no version '{version}' to go back to." if version else "There is no earlier version.")
        return 1
    files = [SourceFile(**file) for file in orjson.loads(found["files"])]
    problems = Problems()
    load(files, problems, timezone=config.business.timezone, routes=config.routes, channels=config.channels)
    if problems.errors:
        console.error(f"Version {found['version']} does not load any more:")
        console.problems(problems.errors)
        return 1
    _write(config, files, current, console)
    console.print(f"The files are those of version {found['version']}; the server takes them up as any change.")
    return 0


def _write(config: Config, files: Sequence[SourceFile], current: str, console: Console) -> None:
    """Put the files back, each in one stroke. What stood there stays beside, under a name that is no rule file's."""
    wanted = {config.base / file.path: file.text for file in files}
    for path in config.rule_files():
        text = path.read_text(encoding="utf-8")
        if wanted.get(path) != text:
            kept = path.with_name(f"{path.name}.{current[:8]}.bak")
            kept.write_text(text, encoding="utf-8")
            console.print(f"kept {kept.name}")
        if path not in wanted:
            path.unlink()
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh = path.with_name(f".{path.name}.new")
            fresh.write_text(text, encoding="utf-8")
            fresh.replace(path)
            console.print(f"wrote {path.name}")
