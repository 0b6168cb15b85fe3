"""Versions of the rule files: read from disk, or as they were kept; and what a new one means for people inside."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import orjson

from bot.config import Config
from bot.store.contract import Transaction
from rules.book import RuleBook, SourceFile
from rules.load import load
from rules.problems import Problem, Problems
from rules.workflow import Workflow

_CANCELLED = "its workflow was changed"


def read_sources(paths: list[Path], base: Path, problems: Problems) -> list[SourceFile]:
    """The files' texts; one that cannot be read is a problem."""
    sources = []
    for path in paths:
        shown = str(path.relative_to(base)) if path.is_relative_to(base) else str(path)
        if path.suffix != ".yaml":
            problems.error(shown, 1, "a rule file's name ends in .yaml.")
            continue
        try:
            sources.append(SourceFile(path.stem, shown, path.read_text(encoding="utf-8")))
        except UnicodeDecodeError:
            problems.error(shown, 1, "the file is not UTF-8.")
        except OSError as error:
            problems.error(shown, 1, f"cannot be read: {error.strerror}.")
    return sources


def load_rules(
    config: Config, problems: Problems, paths: list[Path] | None = None, *, names_known: bool = True
) -> RuleBook | None:
    """Read the rule files of a configuration (or those given); None when there is any error.

    Where the configuration itself has errors, its channels and routes may not all be known.
    """
    files = config.rule_files() if paths is None else paths
    if paths is None and config.rules.files and not files:
        problems.error(config.path.name, 1, f"no file matches [rules] files = {list(config.rules.files)}.")
    sources = read_sources(files, config.base, problems)
    book = load(
        sources,
        problems,
        timezone=config.business.timezone,
        routes=config.routes if names_known else None,
        channels=config.channels if names_known else None,
    )
    return None if problems.errors else book


async def kept_book(transaction: Transaction, config: Config, version: str) -> RuleBook | None:
    """The rules of an earlier version, from the files as they were kept; None when they cannot be read any more."""
    row = await transaction.row("rule_version", version=version)
    if row is None:
        return None
    sources = [SourceFile(**file) for file in orjson.loads(row["files"])]
    return await asyncio.to_thread(load, sources, Problems(), timezone=config.business.timezone)


async def kept_workflows(transaction: Transaction, config: Config, wanted: Mapping[str, str]) -> list[Workflow]:
    """Workflows (key -> version of the files that hold it), as those files were kept; without what is not there.

    A workflow's own version would differ where the business has moved to another time zone meanwhile.
    """
    found = []
    for files in sorted(set(wanted.values())):
        book = await kept_book(transaction, config, files)
        for key in sorted(key for key, version in wanted.items() if version == files):
            id_, _, version = key.rpartition("@")
            workflow = book.workflows.get(id_) if book else None
            if workflow is not None:
                found.append(replace(workflow, version=version))
    return found


async def workflows_inside(transaction: Transaction) -> dict[str, str]:
    """The workflows (with their version) that anybody is in, and the versions of the files that hold them."""
    return {f"{row['workflow']}@{row['version']}": row["rules"] for row in await transaction.rows("people_inside")}


async def move_people(transaction: Transaction, book: RuleBook, now: int) -> list[Problem]:
    """See to the people who are inside of workflows that these rules have otherwise: they finish the old version,
    follow to the new one, or are taken out, as the workflow says.

    Returns the problems of those who cannot follow, because the step that they stand at is gone.
    """
    changed = [{"workflow": id_, "version": version} for id_, version in await _changed(transaction, book)]
    if not changed:
        return []
    # Nobody moves them meanwhile, on any node: what somebody else's turn has begun is ended first.
    people = await transaction.each("contacts_inside", changed)
    await transaction.lock_contacts([row["contact_id"] for row in people])
    problems: list[Problem] = []
    for (id_, version), steps in (await _changed(transaction, book)).items():
        workflow = book.workflows[id_]
        old = {"workflow": id_, "version": version}
        if workflow.on_change == "cancel":
            await transaction.rows("tell_of_cancelled_runs", **old, source=_CANCELLED, now=now)
            await transaction.rows("cancel_runs", **old, outcome=_CANCELLED, now=now)
            await transaction.wake("due")
            continue
        for step, people_there in steps.items():
            if _has_step(workflow, step):
                new = {"new_version": workflow.version, "new_rules": book.version}
                await transaction.rows("move_runs", **old, step=step, **new)
            else:
                problems.append(_left_behind(workflow, step, people_there))
    return problems


async def _changed(transaction: Transaction, book: RuleBook) -> dict[tuple[str, str], dict[str, int]]:
    """The workflows, and their earlier versions, whose people do not just go on; how many are at which step."""
    found: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in await transaction.rows("people_inside"):
        workflow = book.workflows.get(row["workflow"])
        if workflow is not None and workflow.version != row["version"] and workflow.on_change != "finish_old":
            found[workflow.id, row["version"]][row["step"]] += row["people"]
    return found


def _has_step(workflow: Workflow, id_: str) -> bool:
    return any(step.id == id_ and step.is_named for step in workflow.steps)


def _left_behind(workflow: Workflow, step: str, people: int) -> Problem:
    who = "1 person is" if people == 1 else f"{people} people are"
    message = (
        f"{who} at the step '{step}' of '{workflow.id}', which is gone: keep the step, or set "
        "'on_change: finish_old' or 'cancel'."
    )
    return Problem(workflow.file, workflow.line, message)
