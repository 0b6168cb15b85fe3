"""The rules in force: loaded, kept by version, replaced whole or not at all."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import orjson
import structlog

from bot.clock import system_clock
from bot.config import Config
from bot.metrics import Metrics
from bot.store.contract import Store, StoreError
from rules.decide import Ruleset
from rules.language import RuleBook, SourceFile
from rules.load import load
from rules.problems import Problem, Problems

CHECK_SECONDS = 10.0
WATCH_SECONDS = 1.0
_SOURCE = Path(__file__).resolve().parent.parent


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


class RulesRejected(Exception):
    """A reload was refused: the old rules stay in force."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


class Rules:
    """The rules in force."""

    def __init__(self, config: Config, store: Store, metrics: Metrics, book: RuleBook) -> None:
        self._config = config
        self._store = store
        self._metrics = metrics
        self._log = structlog.get_logger("rules")
        self._reloading = asyncio.Lock()
        self.current = Ruleset(book)
        self.rejected: list[Problem] = []

    async def start(self) -> None:
        """Remember this version in the store, and make the lists that the files declare."""
        book = self.current.book
        now = system_clock()
        async with self._store.transaction() as transaction:
            files = orjson.dumps([asdict(file) for file in book.files]).decode()
            await transaction.rows("keep_rule_version", version=book.version, files=files, now=now)
            rows = [{"name": name, "purpose": purpose, "at": now} for name, purpose in book.lists.items()]
            await transaction.each("declare_lists", rows)
        self._metrics.rules_loaded.set(len(book.rules))

    def close(self) -> None:
        """Give the engine's memory back."""
        self.current.close()

    async def reload(self) -> bool:
        """Read the files again. They are read and compiled in a child process first, under a time limit: a
        file that hangs or crashes the engine there never gets near the running server.

        Returns whether anything changed. Raises RulesRejected, and keeps the old rules, when there is any error.
        """
        async with self._reloading:
            try:
                await self._try_in_child()
                problems = Problems()
                book = load_rules(self._config, problems)
                if book is None:
                    raise RulesRejected(problems.errors)
            except RulesRejected as rejected:
                self.rejected = rejected.problems
                self._metrics.rules_rejected.inc()
                self._log.error("rules.rejected", problems=[str(problem) for problem in rejected.problems])
                raise
            self.rejected = []
            if book.version == self.current.version:
                return False
            old, self.current = self.current, Ruleset(book)
            await self.start()
            old.close()
            self._log.info("rules.reloaded", version=book.version, rules=len(book.rules))
            return True

    async def _try_in_child(self) -> None:
        name = self._config.path.name
        paths = [str(_SOURCE), os.environ.get("PYTHONPATH", "")]
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bot", "check", "--json", *self._config.arguments),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                output, _ = await child.communicate()
        except TimeoutError as error:
            child.kill()
            await child.wait()
            raise RulesRejected([Problem(name, 1, f"the rules were not read within {CHECK_SECONDS:.0f} s.")]) from error
        if child.returncode == 1:
            found = [Problem(**problem) for problem in orjson.loads(output)["problems"]]
            raise RulesRejected([problem for problem in found if problem.level == "error"])
        if child.returncode != 0:
            raise RulesRejected([Problem(name, 1, f"reading the rules crashed (exit {child.returncode}).")])

    async def watch(self) -> None:
        """Reload when a rule file changes, until cancelled."""
        seen = await asyncio.to_thread(self._fingerprint)
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            found = await asyncio.to_thread(self._fingerprint)
            if found == seen:
                continue
            try:
                await self.reload()
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
