"""Versions of the rule files: read from disk, or as they were kept; and what a new one means for people inside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson

from bot.config import Config
from bot.config_file import shown
from bot.store.contract import Transaction
from rules.book import RuleBook, SourceFile
from rules.load import load
from rules.problems import Problem, Problems
from rules.workflow import OnChange, Workflow

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
        problems.error(
            shown(config.path), config.rules_line, f"no file matches [rules] files = {list(config.rules.files)}."
        )
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
    given: dict[str, Any] = {"timezone": config.business.timezone, "routes": config.routes, "is_checked": False}
    return await asyncio.to_thread(load, sources, Problems(), **given)


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


@dataclass(frozen=True, slots=True)
class _Inside:
    """People in a version of a workflow that these rules have otherwise (`new`), or no more (None)."""

    id: str
    version: str
    policy: OnChange
    new: Workflow | None
    steps: dict[str, int]


async def move_people(transaction: Transaction, config: Config, book: RuleBook, now: int) -> list[Problem]:
    """See to the people who are inside of workflows that these rules have otherwise: they finish the old version,
    follow to the new one, or are taken out, as the workflow says. Where it is gone there is nothing to follow to.

    Returns the problems of those who cannot follow, because the step that they stand at is gone.
    """
    changed = await _changed(transaction, config, book)
    if not changed:
        return []
    # Nobody moves them meanwhile, on any node: what somebody else's turn has begun is ended first.
    rows = [{"workflow": item.id, "version": item.version} for item in changed]
    people = await transaction.each("contacts_inside", rows)
    await transaction.lock_contacts([row["contact_id"] for row in people])
    problems: list[Problem] = []
    for item in await _changed(transaction, config, book):
        old = {"workflow": item.id, "version": item.version}
        if item.policy == "cancel":
            await transaction.rows("tell_of_cancelled_runs", **old, source=_CANCELLED, now=now)
            await transaction.rows("cancel_texts_of_runs", **old, reason=_CANCELLED, now=now)
            await transaction.rows("cancel_runs", **old, outcome=_CANCELLED, now=now)
            await transaction.wake("due")
            continue
        for step, people_there in item.steps.items():
            assert item.new is not None, "nobody follows to what is gone"
            if _has_step(item.new, step):
                new = {"new_version": item.new.version, "new_rules": book.version}
                await transaction.rows("move_runs", **old, step=step, **new)
            else:
                problems.append(_left_behind(item.new, step, people_there))
    return problems


async def _changed(transaction: Transaction, config: Config, book: RuleBook) -> list[_Inside]:
    """The workflows, and their earlier versions, whose people do not just go on."""
    rows = await transaction.rows("people_inside")
    gone = {
        f"{row['workflow']}@{row['version']}": row["rules"] for row in rows if row["workflow"] not in book.workflows
    }
    kept = {workflow.key: workflow for workflow in await kept_workflows(transaction, config, gone)} if gone else {}
    found: dict[tuple[str, str], _Inside] = {}
    for row in rows:
        id_, version = row["workflow"], row["version"]
        new, old = book.workflows.get(id_), kept.get(f"{id_}@{version}")
        policy = new.on_change if new else "cancel" if old and old.on_change == "cancel" else "finish_old"
        if (new is not None and new.version == version) or policy == "finish_old":
            continue
        item = found.setdefault((id_, version), _Inside(id_, version, policy, new, {}))
        item.steps[row["step"]] = item.steps.get(row["step"], 0) + row["people"]
    return list(found.values())


def _has_step(workflow: Workflow, id_: str) -> bool:
    return any(step.id == id_ and step.is_named for step in workflow.steps)


def _left_behind(workflow: Workflow, step: str, people: int) -> Problem:
    who = "1 person is" if people == 1 else f"{people} people are"
    message = (
        f"{who} at the step '{step}' of '{workflow.id}', which is gone: keep the step, or set "
        "'on_change: finish_old' or 'cancel'."
    )
    return Problem(workflow.file, workflow.line, message)
