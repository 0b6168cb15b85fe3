"""What is due: workflow waits whose time has come, what happened outside of the pipeline, and people on their way in.

The same turns as for a message (bot/turn.py), batch by batch, each batch one transaction: a row that is due is dealt
with and moved on in the same commit, so a crash or another node can neither lose it nor do it twice. Batches are
small, so that a hundred thousand people joining a workflow hold up nobody's message.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import structlog

from bot.batch import Batch, Windows
from bot.changes import dumps
from bot.clock import MICROSECONDS, NEVER, Clock, new_id
from bot.config import Config
from bot.deciding import surroundings_of
from bot.delivery import first_of
from bot.metrics import Metrics
from bot.occasions import Occasion, policy_of
from bot.routes import Routes
from bot.rulebook import Rules
from bot.senders import Senders
from bot.store.contract import Row, Store, StoreError, Transaction
from bot.suppression import Suppressions
from bot.turn import Turn
from rules.decide import Ruleset
from rules.facts import ALL_CONTACTS

MAX_BATCH = 50
MAX_MEMBERS = 20
"""Of an enrolment, in one batch: nobody who texts meanwhile is to wait for more."""

_MAX_HAPPENED = 25
"""What happened does not crowd out the waits whose time has come."""
MAX_SLEEP_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_MAX_REST_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class _Item:
    """One occasion, and whose it is: a contact, on this phone and number where that is known."""

    occasion: Occasion
    contact_id: str
    phone: str = ""
    number: str = ""
    channel: str = ""


class Due:
    """Deals with what is due. Run `work()` as a task."""

    def __init__(
        self,
        config: Config,
        store: Store,
        rules: Rules,
        suppressions: Suppressions,
        metrics: Metrics,
        clock: Clock,
        senders: Senders,
        routes: Routes | None = None,
    ) -> None:
        self._store = store
        self._rules = rules
        self._suppressions = suppressions
        self._metrics = metrics
        self._clock = clock
        self._policy = policy_of(config, routes)
        self._surroundings = surroundings_of(config)
        self._windows = Windows(config.outbox.auto_reply_window_seconds)
        self._senders = senders
        self._log = structlog.get_logger("due")
        self._busy_seconds = 0.0
        self._look_again = asyncio.Event()
        store.on_wake("due", self._look_again.set)

    async def work(self, draining: asyncio.Event) -> None:
        """Deal with batch after batch as it falls due, until `draining` is set."""
        while not draining.is_set():
            self._look_again.clear()
            seconds = 0.0
            try:
                seconds = await self._until_due()
                if seconds <= 0 and not await self.deal():
                    seconds = _RETRY_SECONDS  # another node is at it
                elif self._busy_seconds:
                    # For as long as it took, everybody else comes first.
                    await asyncio.sleep(self._busy_seconds)
            except Exception as error:  # noqa: BLE001 - the worker outlives any failure; what is due stays due
                self._log.error("due.failed", error=type(error).__name__, exc_info=not isinstance(error, StoreError))
                seconds = _RETRY_SECONDS
            if seconds > 0:
                await first_of(self._look_again, draining, seconds=seconds)

    async def _until_due(self) -> float:
        async with self._store.snapshot() as transaction:
            if await transaction.rows("waiting_occurrences", limit=1) or await transaction.row("open_enrolment"):
                return 0.0
            if await transaction.rows("overdue_messages", forever=NEVER, limit=1):
                return 0.0
            row = await transaction.row("next_due_run")
        if row is None or row["due_at"] is None:
            return MAX_SLEEP_SECONDS
        return min(MAX_SLEEP_SECONDS, max(0.0, (int(row["due_at"]) - self._clock()) / MICROSECONDS))

    async def deal(self) -> bool:
        """Deal with one batch; False when there was nothing to do, or another node is doing it."""
        started, self._busy_seconds = time.monotonic(), 0.0
        async with self._store.transaction() as transaction:
            if not await transaction.try_lock("due"):
                return False
            now = self._clock()
            items = await self._happened(transaction, now)
            items += await self._waited(transaction, now, MAX_BATCH - len(items))
            enrolment = await transaction.row("open_enrolment") if len(items) < MAX_BATCH else None
            members: list[_Item] = []
            if enrolment is not None:
                members = await self._members(transaction, enrolment, now, min(MAX_MEMBERS, MAX_BATCH - len(items)))
            overdue = await transaction.rows("overdue_messages", forever=NEVER, limit=MAX_BATCH)
            if not items and not overdue and enrolment is None:
                return False
            phones = {row["phone"] for row in overdue}
            batch, rules = await self._load(transaction, [*items, *members], phones, now)
            reopened = [self._next_hours(batch, rules, row, now) for row in overdue]
            await transaction.each("give_hours", reopened, now=now)
            for item in items:
                self._one(batch, rules, item)
            enrolled = sum(self._one(batch, rules, item) for item in members)
            await batch.write()
            if enrolment is not None:
                await self._move(transaction, enrolment, members, enrolled, now)
        if members:
            self._busy_seconds = min(_MAX_REST_SECONDS, time.monotonic() - started)
        return True

    async def _happened(self, transaction: Transaction, now: int) -> list[_Item]:
        rows = await transaction.rows("waiting_occurrences", limit=_MAX_HAPPENED)
        if rows:
            await transaction.each("forget_occurrences", [{"seq": row["seq"]} for row in rows])
        return [
            _Item(
                Occasion(new_id(), now, row["event"], row["detail"], row["source"]),
                row["contact_id"],
                row["phone"],
            )
            for row in rows
        ]

    async def _waited(self, transaction: Transaction, now: int, limit: int) -> list[_Item]:
        rows = await transaction.rows("due_runs", now=now, limit=max(limit, 0))
        self._metrics.due_seconds.set((now - rows[0]["due_at"]) / MICROSECONDS if rows else 0)
        return [
            _Item(
                Occasion(new_id(), now, "due", row["id"], "time"),
                row["contact_id"],
                row["phone"],
                row["number"],
                row["channel"],
            )
            for row in rows
        ]

    async def _members(self, transaction: Transaction, enrolment: Row, now: int, limit: int) -> list[_Item]:
        """The next people of an enrolment, by id: who joins the list meanwhile behind them is enrolled by joining."""
        if enrolment["list"] == ALL_CONTACTS:
            rows = await transaction.rows("next_contacts", cursor=enrolment["cursor"], limit=limit)
        else:
            rows = await transaction.rows(
                "next_members", list=enrolment["list"], cursor=enrolment["cursor"], limit=limit
            )
        source = enrolment["source"]
        return [
            _Item(Occasion(new_id(), now, "start", enrolment["workflow"], source), row["contact_id"]) for row in rows
        ]

    async def _move(
        self, transaction: Transaction, enrolment: Row, members: list[_Item], started: int, now: int
    ) -> None:
        await transaction.rows(
            "move_enrolment",
            id=enrolment["id"],
            cursor=members[-1].contact_id if members else enrolment["cursor"],
            done=len(members),
            started=started,
            finished_at=0 if members else now,
        )

    def _next_hours(self, batch: Batch, rules: Ruleset, row: Row, now: int) -> dict[str, object]:
        """When a text that did not get out within its hours may leave: the next hours, by today's clock and rules."""
        reopened = {"id": row["id"], "due_at": NEVER, "sent_before": 0, "hours": ""}
        thread = batch.thread_of_phone(row["phone"], row["number"], row["channel"], self._senders.first)
        if thread is None:
            return reopened
        occasion = Occasion(new_id(), now, "due", "", "time")
        turn = Turn(occasion, thread, rules, self._surroundings, self._policy)
        workflow = rules.workflows.get(row["hours"][1:])
        is_marketing = row["hours"].startswith("1")
        window = turn.runs.hours(is_marketing=is_marketing, schedule=workflow.window if workflow else None)
        if window.opens_at >= NEVER:
            return reopened
        return reopened | {"due_at": window.opens_at, "sent_before": window.closes_at, "hours": row["hours"]}

    async def _load(
        self, transaction: Transaction, items: list[_Item], phones: set[str], now: int
    ) -> tuple[Batch, Ruleset]:
        contacts = dumps(sorted({item.contact_id for item in items}))
        numbers = [row["number"] for row in await transaction.rows("phones_of_contacts", contacts=contacts)]
        batch = Batch(transaction, now, self._suppressions, self._windows, self._rules.current)
        await batch.load([], {*numbers, *phones})
        rules = await self._rules.knowing(transaction, batch.workflows)
        batch.with_rules(rules)
        return batch, rules

    def _one(self, batch: Batch, rules: Ruleset, item: _Item) -> bool:
        """One occasion; whether a workflow was started by it."""
        occasion = item.occasion
        thread = batch.thread_of(item.contact_id, item.phone, item.number, item.channel, self._senders.first)
        if thread is None:
            batch.end_run(occasion.detail, "the contact has no phone")
            return False
        around = batch.around(self._surroundings, thread, is_message=False)
        turn = Turn(occasion, thread, rules, around, self._policy)
        try:
            turn.take()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is of this occasion alone
            self._log.error("occasion.failed", what=occasion.event, error=type(error).__name__, exc_info=True)
            turn = Turn(occasion, thread, rules, around, self._policy)
            turn.applied.tell("", "workflow.failed", f"A workflow could not go on: {type(error).__name__}.", "")
            batch.keep(occasion, turn)
            batch.end_run(occasion.detail, f"failed: {type(error).__name__}")
            return False
        batch.keep(occasion, turn)
        self._metrics.dealt(occasion.event)
        self._log.info("occasion.decided", what=occasion.event, contact=item.contact_id, messages=turn.sent)
        return turn.started > 0
