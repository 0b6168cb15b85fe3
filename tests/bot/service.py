"""The service in the test's own process, on a clock that the test moves: every part is real, nobody waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from adapters.contract import Inbound, Outbound, Sent
from adapters.http import Http
from bot.config import Config, load_config
from bot.contacts import Editing, NewPerson, Person, create
from bot.due import Due
from bot.intake import Intake
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.rulebook import Rules
from bot.senders import Senders
from bot.store.contract import Store
from bot.store.open import open_store
from bot.suppression import Suppressions
from bot.trial import Recorder
from bot.versions import load_rules
from rules.problems import Problems
from tests.bot.load import table
from tests.server import NUMBER, Server

MICROSECONDS = 1_000_000
HOUR = 3600 * MICROSECONDS


def at(text: str, zone: str = "America/New_York") -> int:
    """A moment, in UTC microseconds, that a wall clock shows: "2026-03-03 12:00"."""
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * MICROSECONDS


def clock_of(moment: int, zone: str = "America/New_York") -> str:
    """What a wall clock shows at a moment."""
    return datetime.fromtimestamp(moment / MICROSECONDS, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")


@dataclass
class Clock:
    """The time of all nodes."""

    now: int

    def __call__(self) -> int:
        return self.now


class Notebook(Recorder):
    """Sends nothing, and writes down what to whom, and when."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.log: list[tuple[int, str, str]] = []

    async def send(self, message: Outbound, http: Http) -> Sent:
        self.log.append((self.clock.now, message.recipient, message.body))
        return await super().send(message, http)

    def to(self, phone: str) -> list[str]:
        """The texts to one phone, in order."""
        return [body for _, recipient, body in self.log if recipient == phone]


class Service:
    """One node. Its rules are read from `rules.yaml` in its own folder."""

    def __init__(self, config: Config, store: Store, suppressions: Suppressions, clock: Clock) -> None:
        self.config = config
        self.store = store
        self.suppressions = suppressions
        self.clock = clock
        self.notebook = Notebook(clock)
        self.book = load_rules(config, problems := Problems())
        assert self.book is not None, problems.sorted()
        metrics = Metrics()
        self.rules = Rules(config, store, metrics, self.book)
        senders = self.senders = Senders(config, store, clock)
        parts = (config, store, self.rules)
        self.intake = Intake(*parts, suppressions, metrics, clock, senders.lines)
        self.due = Due(*parts, suppressions, metrics, clock, senders)
        adapters = dict.fromkeys(config.channels, self.notebook)
        self.outbox = Outbox(*parts, adapters, Http(answer_seconds=1), suppressions, metrics, clock, senders)
        self._count = 0

    async def text(self, phone: str, body: str) -> None:
        """A customer texts."""
        self._count += 1
        inbound = Inbound(f"{phone}-{self.clock.now}-{self._count}", phone, NUMBER, body)
        await self.intake.submit(self.config.channels["sim"], [inbound])
        await self.settle()

    async def make(self, phone: str, *lists: str, **fields: str) -> Person:
        """Staff make a contact."""
        new = NewPerson("", ((phone, "cell"),), frozenset(lists), frozenset(), fields, opted_in=True, evidence="a form")
        async with self.store.transaction() as transaction:
            concerns = self.rules.current.concerns
            return await create(transaction, self.suppressions, concerns, new, "staff", self.clock.now)

    @asynccontextmanager
    async def editing(self, contact: str) -> AsyncIterator[Editing]:
        """Staff change a contact."""
        async with self.store.transaction() as transaction:
            concerns = self.rules.current.concerns
            arguments = (transaction, self.suppressions, concerns, contact, "staff", self.clock.now)
            editing = await Editing.begin(*arguments)
            before = editing.person
            yield editing
            await editing.write(transaction, before)

    async def settle(self) -> None:
        """Do what is due, all of it."""
        for _ in range(1000):
            if not await self.due.deal():
                break
        else:
            raise AssertionError("something is due for ever")
        await self.outbox.run_until_idle()

    async def advance(self, until: int) -> None:
        """Let time pass, from one moment at which something is due to the next."""
        await self.settle()
        for _ in range(1000):
            rows = await table(self.store, _NEXT)
            due = min((row["due_at"] for row in rows if row["due_at"] is not None), default=until)
            if due >= until:
                break
            self.clock.now = max(self.clock.now + 1, due)
            await self.settle()
        self.clock.now = until
        await self.settle()

    def write_rules(self, text: str) -> None:
        """Edit the rule file."""
        (self.config.base / "rules.yaml").write_text(text, encoding="utf-8")

    async def edit(self, text: str) -> bool:
        """Edit the rule file and reload it. Raises RulesRejected."""
        self.write_rules(text)
        return await self.rules.reload()

    async def tried(self) -> str:
        """In place of the child process that tries new rules first, and takes a second each time."""
        book = load_rules(self.config, Problems())
        return book.version if book else ""

    async def runs(self, state: str = "active") -> list[dict[str, Any]]:
        """The runs of everybody."""
        return await table(self.store, f"SELECT * FROM runs WHERE state = '{state}' ORDER BY seq")

    async def where(self, phone: str) -> set[tuple[str, str]]:
        """The steps that somebody stands at, each with what it waits for."""
        return {(run["step"], run["waits_for"]) for run in await self.runs() if run["phone"] == phone}


_NEXT = """
SELECT MIN(due_at) AS due_at FROM runs WHERE state = 'active'
UNION ALL SELECT MIN(CASE WHEN lease_until > due_at THEN lease_until ELSE due_at END) FROM messages
    WHERE state IN ('held', 'queued')
"""


@asynccontextmanager
async def node(
    folder: Path, store: Store, clock: Clock, rules: str | None = None, **sections: Any
) -> AsyncIterator[Service]:
    """A node at work on a store that is open; without `rules`, those that are in the folder."""
    service = Service(_config(folder, rules, sections), store, await Suppressions.of(store), clock)
    service.rules._try_in_child = service.tried  # type: ignore[method-assign]
    await service.rules.start()
    working = asyncio.create_task(service.intake.work())
    try:
        yield service
    finally:
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        service.rules.close()


def _config(folder: Path, rules: str | None, sections: dict[str, Any]) -> Config:
    folder.mkdir(exist_ok=True)
    kept = folder / "rules.yaml"
    server = Server(folder, rules=kept.read_text(encoding="utf-8") if rules is None else rules, **sections)
    return load_config(server.config, Problems())


@asynccontextmanager
async def service(store_url: str, folder: Path, rules: str, now: str, **sections: Any) -> AsyncIterator[Service]:
    """One node on a store of its own. `now` is what a clock in New York shows."""
    async with (
        open_store(store_url, folder) as store,
        node(folder / "node", store, Clock(at(now)), rules, **sections) as made,
    ):
        yield made
