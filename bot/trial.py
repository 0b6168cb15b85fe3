"""Run the `tests:` of rule files: the real pipeline, in a store in memory, with a clock that moves.

Messages go through the intake, waits through the clock's worker, what is sent through the outbox with both gates; an
adapter that only writes down stands where the provider would be. Nothing of deciding or applying is done twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import ClassVar
from zoneinfo import ZoneInfo

import orjson

from adapters.contract import Acknowledgement, Capabilities, Inbound, Outbound, Receipt, Sent, Setting, WebhookRequest
from adapters.http import Http
from bot import consent
from bot.changes import dumps
from bot.config import Config
from bot.contacts import Editing, NewPerson, create, people_by_id
from bot.deciding import facts_of_row, surroundings_of
from bot.due import Due
from bot.intake import Intake
from bot.metrics import Metrics
from bot.outbox import Outbox
from bot.people import Contact, Phone, Run, conversation_from_row, phone_from_row, run_from_row
from bot.phones import parse_phone
from bot.routes import Route
from bot.rulebook import Rules
from bot.senders import Senders
from bot.store.contract import Row
from bot.store.memory import MemoryStore
from bot.suppression import Suppressions
from rules.book import RuleBook
from rules.decide import Explanation
from rules.expectations import TestCase, TestContact, TestStep
from rules.wall_clock import later

STAFF = "staff"
_KEPT = ("lists", "rule_versions", "rule_activations")
_MAX_MOMENTS = 10_000


class Recorder:
    """An adapter that sends nothing, and writes it down."""

    settings: ClassVar[Mapping[str, Setting]] = {}
    capabilities: ClassVar[Capabilities] = Capabilities(carrier_confirms_opt_out=False, supports_media=True)
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str] | None = None) -> None:
        self.sent: list[Outbound] = []

    def verify(self, request: WebhookRequest) -> None:
        """Nobody calls."""

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        """Nobody calls."""
        return []

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Write it down."""
        self.sent.append(message)
        return Sent(provider_id=message.id)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a step of a test led to, and how things stand after it.

    `fired` are the rules, in order; `decisions` the rows to explain them by; `runs` are all that the contact ever had.
    """

    fired: tuple[str, ...]
    sent: tuple[str, ...]
    notified: tuple[str, ...]
    mode: str
    phone: Phone | None
    contact: Contact | None
    runs: tuple[Run, ...]
    decisions: tuple[Row, ...]
    failures: tuple[str, ...]
    """What staff would be told of: a message or a workflow that could not be decided."""


class World:
    """One world in memory. Times are UTC microseconds."""

    def __init__(self, config: Config, book: RuleBook, store: MemoryStore, suppressions: Suppressions) -> None:
        self.now = 0
        self._config = config
        self._store = store
        self._suppressions = suppressions
        self._recorder = Recorder()
        metrics = Metrics()
        self.rules = Rules(config, store, metrics, book)
        adapters = dict.fromkeys(config.channels, self._recorder)
        senders = Senders(config, store, self._clock)
        parts = (config, store, self.rules)
        self.intake = Intake(*parts, suppressions, metrics, self._clock, senders.lines)
        self._due = Due(*parts, suppressions, metrics, self._clock, senders)
        self._outbox = Outbox(*parts, adapters, Http(answer_seconds=1), suppressions, metrics, self._clock, senders)
        self._channel = next(iter(config.channels.values()))
        self._notified = 0

    def _clock(self) -> int:
        return self.now

    async def begin(self, case: TestCase) -> None:
        """Forget what was, and make the contact of a test."""
        self._store.forget_everything(but=_KEPT)
        self._recorder.sent.clear()
        self.now = case.at
        self._notified = 0
        if case.contact.is_known:
            await self._make(case.contact)

    async def _make(self, who: TestContact) -> None:
        number = self.number_of(who)
        new = NewPerson(
            name=who.name,
            phones=((number, "cell"),),
            lists=frozenset(who.lists),
            tags=frozenset(who.tags),
            fields=who.fields,
            opted_in=who.status == "opted_in",
            evidence="a test",
        )
        async with self._store.transaction() as transaction:
            person = await create(transaction, self._suppressions, _nothing, new, "test", self.now)
            if who.status == "blocked":
                arguments = (transaction, self._suppressions, _nothing, person.contact.id, "test", self.now)
                editing = await Editing.begin(*arguments)
                editing.change(number, consent.block, "a test")
                await editing.write(transaction, person)

    def number_of(self, who: TestContact) -> str:
        """The phone of a test's contact, in E.164 where that is possible."""
        return parse_phone(who.phone, self._config.business.country) or who.phone

    async def do(self, case: TestCase, step: TestStep) -> Seen:
        """Do one step of a test, and look."""
        before = self.now
        self._recorder.sent.clear()
        self.now += 1  # what happens in this step happens after what happened before
        phone = self.number_of(case.contact)
        if step.kind == "in":
            recipient = self._channel.numbers[0] if self._channel.numbers else ""
            inbound = Inbound(provider_id=str(self.now), sender=phone, recipient=recipient, body=step.text)
            await self.intake.submit(self._channel, [inbound])
        elif step.kind == "advance" and step.span is not None:
            await self._advance(later(self.now, step.span.days, step.span.seconds, ZoneInfo(case.zone)))
        else:
            await self._list(phone, step)
        await self._settle()
        return await self._look(phone, before)

    async def _list(self, phone: str, step: TestStep) -> None:
        async with self._store.transaction() as transaction:
            rows = await transaction.rows("load_phones", phones=dumps([phone]))
        if not rows:
            await self._make(TestContact(phone=phone))
        async with self._store.transaction() as transaction:
            rows = await transaction.rows("load_phones", phones=dumps([phone]))
            concerns = self.rules.current.concerns
            arguments = (transaction, self._suppressions, concerns, rows[0]["contact_id"], "test", self.now)
            editing = await Editing.begin(*arguments)
            before = editing.person
            (editing.join if step.kind == "join" else editing.leave)(step.text)
            await editing.write(transaction, before)

    async def _advance(self, until: int) -> None:
        """Let time pass, from one moment at which something is due to the next."""
        for _ in range(_MAX_MOMENTS):
            async with self._store.snapshot() as transaction:
                rows = [await transaction.row("next_due_run"), await transaction.row("next_held")]
            due = min((row["due_at"] for row in rows if row and row["due_at"] is not None), default=until)
            if due >= until:
                break
            self.now = max(self.now, due)
            await self._settle()
        self.now = until

    async def _settle(self) -> None:
        while await self._due.deal():
            pass
        await self._outbox.run_until_idle()

    async def _look(self, phone: str, before: int) -> Seen:
        async with self._store.snapshot() as transaction:
            decisions = await transaction.rows("decisions_after", at=before)
            numbers = dumps([phone])
            phones = [phone_from_row(row) for row in await transaction.rows("load_phones", phones=numbers)]
            people = await people_by_id(transaction, [item.contact_id for item in phones])
            conversations = [
                conversation_from_row(row) for row in await transaction.rows("load_conversations", phones=numbers)
            ]
            limits = {"cursor": 2**62, "limit": 1000}
            notified = await transaction.rows("page_notifications", state=None, **limits)
            contact = phones[0].contact_id if phones else ""
            runs = await transaction.rows("runs_of_contact", contact=contact, state=None, **limits)
        new = [row["route"] for row in reversed(notified) if row["seq"] > self._notified]
        new_ids = {row["id"] for row in notified if row["seq"] > self._notified}
        self._notified = max([self._notified, *(row["seq"] for row in notified)])
        latest = max(conversations, key=lambda item: item.last_message_at, default=None)
        return Seen(
            fired=tuple(rule for row in decisions for rule in orjson.loads(row["fired"])),
            sent=tuple(message.body for message in self._recorder.sent),
            notified=tuple(new),
            mode=latest.mode_at(self.now) if latest else "auto",
            phone=phones[0] if phones else None,
            contact=people[0].contact if people else None,
            runs=tuple(run_from_row(row) for row in runs),
            decisions=tuple(decisions),
            failures=tuple(
                orjson.loads(row["payload"])["note"]
                for row in notified
                if row["id"] in new_ids and row["type"] in ("message.failed", "workflow.failed")
            ),
        )

    def explain(self, row: Row) -> Explanation:
        """Why a decision of a step was as it was."""
        return self.rules.current.explain(facts_of_row(row, surroundings_of(self._config).business), row["at"])


def _nothing(_event: str, _detail: str) -> bool:
    """Whoever is on a list when a test begins did not just join it."""
    return False


@asynccontextmanager
async def world(config: Config, book: RuleBook) -> AsyncIterator[World]:
    """A world with these rules. Without any route, `staff` is one."""
    if not config.routes:
        config = replace(config, routes={STAFF: Route(STAFF, "", "", default=True)})
    store = await MemoryStore.opened()
    try:
        made = World(config, book, store, await Suppressions.of(store))
        await made.rules.start()
        working = asyncio.create_task(made.intake.work())
        try:
            yield made
        finally:
            working.cancel()
            with suppress(asyncio.CancelledError):
                await working
            made.rules.close()
    finally:
        await store.close()
