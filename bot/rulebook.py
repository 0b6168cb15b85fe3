"""The rules in force: loaded, kept by version, replaced whole or not at all."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict

import orjson
import structlog

from bot.child import command, environment
from bot.clock import system_clock
from bot.config import Config
from bot.metrics import Metrics
from bot.store.contract import Store, StoreError, Transaction
from bot.versions import kept_book, kept_workflows, load_rules, move_people, workflows_inside
from rules.book import RuleBook
from rules.decide import Ruleset
from rules.problems import Problem, Problems
from rules.workflow import Workflow

WATCH_SECONDS = 1.0
AGAIN_SECONDS = 30.0
_TRIES = 5


class RulesRejected(Exception):
    """A reload was refused: the old rules stay in force."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class PeopleInTheWay(RulesRejected):
    """The rules are good, but people are at steps that they leave out: once these have gone on, they can be taken."""


class Rules:
    """The rules in force, and what of earlier versions people are still in."""

    def __init__(self, config: Config, store: Store, metrics: Metrics, book: RuleBook) -> None:
        self._config = config
        self._store = store
        self._metrics = metrics
        self._log = structlog.get_logger("rules")
        self._reloading = asyncio.Lock()
        self._lost: set[str] = set()
        self._earlier: Ruleset | None = None
        self.current = Ruleset(book)
        self.rejected: list[Problem] = []

    async def start(self) -> None:
        """Put the first version in force. Who would be left at a step that is gone finishes the old version."""
        async with self._store.transaction() as transaction:
            for problem in await self._put_in_force(transaction, self.current.book):
                self._log.warning("rules.people_left_behind", problem=str(problem))
            await self.knowing(transaction, await workflows_inside(transaction))
        self._metrics.rules_loaded.set(len(self.current.book.rules))

    async def _put_in_force(self, transaction: Transaction, book: RuleBook) -> list[Problem]:
        """Remember the version, make the lists that the files declare, and see to the people inside of workflows."""
        now = system_clock()
        files = orjson.dumps([asdict(file) for file in book.files]).decode()
        await transaction.rows("keep_rule_version", version=book.version, files=files, now=now)
        await transaction.rows("activate_rules", version=book.version, now=now)
        rows = [{"name": name, "purpose": purpose, "at": now} for name, purpose in book.lists.items()]
        await transaction.each("declare_lists", rows)
        return await move_people(transaction, self._config, book, now)

    def close(self) -> None:
        """Give the engine's memory back."""
        self.current.close()
        if self._earlier is not None:
            self._earlier.close()

    async def knowing(self, transaction: Transaction, inside: Mapping[str, str]) -> Ruleset:
        """The rules in force, which know these workflows too (key -> version of the files that hold it)."""
        # A reload may come in between, and know less.
        while unknown := {key: inside[key] for key in inside.keys() - self.current.workflows.keys() - self._lost}:
            found = await kept_workflows(transaction, self._config, unknown)
            old = self.current
            knowing = await asyncio.to_thread(Ruleset, old.book, [*old.workflows.values(), *found])
            if self.current is not old:
                knowing.close()
                continue
            self.current = knowing
            old.close()
            lost = unknown.keys() - knowing.workflows.keys()
            self._lost |= lost
            for key in sorted(lost):
                self._log.error("rules.version_lost", workflow=key)
        return self.current

    async def _asked(self, transaction: Transaction, question: str, book: RuleBook) -> list[Workflow]:
        """The workflow of a question, where the book does not have it in that version."""
        id_, _, version = question.rpartition("@")
        if not question or any(workflow.key == question for workflow in book.workflows.values()):
            return []
        row = await transaction.row("rules_of_run", workflow=id_, version=version)
        return await kept_workflows(transaction, self._config, {question: row["rules"]}) if row else []

    async def of_version(self, transaction: Transaction, version: str, question: str = "") -> Ruleset | None:
        """The rules of a version, to explain by: those in force, or earlier ones from their kept files, with the
        workflow (and its version) whose question was open. The one that was asked for last is kept; None when there
        are no such files."""
        if version == self.current.version and (not question or question in self.current.workflows):
            return self.current
        known = self._earlier is not None and (not question or question in self._earlier.workflows)
        if self._earlier is None or self._earlier.version != version or not known:
            book = await kept_book(transaction, self._config, version)
            if book is None:
                return None
            compiled = await asyncio.to_thread(Ruleset, book, await self._asked(transaction, question, book))
            # Swapped without a wait in between: somebody else may have asked meanwhile.
            old, self._earlier = self._earlier, compiled
            if old is not None:
                old.close()
        return self._earlier

    async def reload(self) -> bool:
        """Read the files again. They are read, compiled and tested in a child process first, under a time limit: a
        file that hangs or crashes the engine there never gets near the running server.

        Returns whether anything changed. Raises RulesRejected, and keeps the old rules, when there is any error.
        """
        async with self._reloading:
            try:
                book = await self._read_and_tried()
                changed = book.version != self.current.version
                if changed:
                    await self._replace(book)
            except RulesRejected as rejected:
                self.rejected = rejected.problems
                self._metrics.rules_rejected.inc()
                self._log.error("rules.rejected", problems=[str(problem) for problem in rejected.problems])
                raise
            self.rejected = []
            return changed

    async def _read_and_tried(self) -> RuleBook:
        """The files as they are now, and were when the child tried them: somebody may save in between."""
        for _ in range(_TRIES):
            tried = await self._try_in_child()
            problems = Problems()
            book = await asyncio.to_thread(load_rules, self._config, problems)
            if book is None:
                raise RulesRejected(problems.errors)
            if book.version == tried:
                return book
        message = "the files went on changing while they were read."
        raise RulesRejected([Problem(self._config.path.name, 1, message)])

    async def _replace(self, book: RuleBook) -> None:
        async with self._store.snapshot() as transaction:
            inside = await workflows_inside(transaction)
        kept = [workflow for key, workflow in self.current.workflows.items() if key in inside]
        ruleset = await asyncio.to_thread(Ruleset, book, kept)
        try:
            async with self._store.transaction() as transaction:
                problems = await self._put_in_force(transaction, book)
                if problems:
                    raise PeopleInTheWay(problems)
        except BaseException:
            ruleset.close()
            raise
        old, self.current = self.current, ruleset
        old.close()
        self._metrics.rules_loaded.set(len(book.rules))
        self._log.info("rules.reloaded", version=book.version, rules=len(book.rules))

    async def _try_in_child(self) -> str:
        """Read, compile and test the files in a process of its own; returns their version. Raises RulesRejected."""
        name, seconds = self._config.path.name, self._config.rules.check_seconds
        child = await asyncio.create_subprocess_exec(
            *command("bot", "check", "--json", "--test", *self._config.arguments),
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(seconds):
                output, _ = await child.communicate()
        except TimeoutError as error:
            child.kill()
            await child.wait()
            message = f"the rules were not read and tested within {seconds:.0f} s."
            raise RulesRejected([Problem(name, 1, message)]) from error
        if child.returncode == 1:
            found = [Problem(**problem) for problem in orjson.loads(output)["problems"]]
            raise RulesRejected([problem for problem in found if problem.level == "error"])
        if child.returncode != 0:
            raise RulesRejected([Problem(name, 1, f"reading the rules crashed (exit {child.returncode}).")])
        return str(orjson.loads(output)["version"])

    async def watch(self) -> None:
        """Reload when a rule file changes, and now and then while people are in the way, until cancelled."""
        seen = await asyncio.to_thread(self._fingerprint)
        again_at = math.inf
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            found = await asyncio.to_thread(self._fingerprint)
            if found == seen and time.monotonic() < again_at:
                continue
            again_at = math.inf
            try:
                await self.reload()
            except PeopleInTheWay:
                again_at = time.monotonic() + AGAIN_SECONDS
            except RulesRejected:
                pass
            except StoreError as error:
                # Not noted as seen, so that it is tried again.
                self._log.error("rules.not_reloaded", error=type(error).__name__)
                continue
            seen = found

    def _fingerprint(self) -> dict[str, tuple[int, int]]:
        found = {}
        for path in self._config.rule_files():
            # An editor may take the file away at any moment, to put the new one in its place.
            with suppress(OSError):
                stat = path.stat()
                found[str(path)] = (stat.st_mtime_ns, stat.st_size)
        return found
