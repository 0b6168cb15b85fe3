"""Versions of the rule files: read from disk, or as they were kept; and what a new one means for people inside."""

from __future__ import annotations

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
    return load(sources, Problems(), timezone=config.business.timezone)


async def move_people(transaction: Transaction, book: RuleBook, now: int) -> list[Problem]:
    """See to the people who are inside of workflows that these rules have otherwise: they finish the old version,
    follow to the new one, or are taken out, as the workflow says.

    Returns the problems of those who cannot follow, because the step that they stand at is gone.
    """
    problems: list[Problem] = []
    for row in await transaction.rows("people_inside"):
        workflow = book.workflows.get(row["workflow"])
        if workflow is None or workflow.version == row["version"] or workflow.on_change == "finish_old":
            continue
        if workflow.on_change == "follow" and not _has_step(workflow, row["step"]):
            problems.append(_left_behind(workflow, row["step"], row["people"]))
    if problems:
        return problems
    for row in await transaction.rows("people_inside"):
        workflow = book.workflows.get(row["workflow"])
        if workflow is None or workflow.version == row["version"]:
            continue
        if workflow.on_change == "follow":
            await transaction.rows(
                "move_runs",
                workflow=workflow.id,
                version=row["version"],
                new_version=workflow.version,
                new_rules=book.version,
            )
        elif workflow.on_change == "cancel":
            await transaction.rows(
                "cancel_runs", workflow=workflow.id, version=row["version"], outcome=_CANCELLED, now=now
            )
    return []


def _has_step(workflow: Workflow, id_: str) -> bool:
    return any(step.id == id_ and step.is_named for step in workflow.steps)


def _left_behind(workflow: Workflow, step: str, people: int) -> Problem:
    who = "1 person is" if people == 1 else f"{people} people are"
    message = (
        f"{who} at the step '{step}' of '{workflow.id}', which is gone: keep the step, or set "
        "'on_change: finish_old' or 'cancel'."
    )
    return Problem(workflow.file, workflow.line, message)
