"""THE pipeline: what arrived is stored, decided and applied, in one transaction per batch.

Whatever arrives while a commit is under way goes into the next batch together, so one fsync serves many
messages and every statement runs once per batch. Whoever submitted is answered after the commit, not before.
A message whose decision raises is stored as failed and staff are told; its batch-mates go on. If the batch as a
whole cannot be written, its submissions are tried one by one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import structlog

from adapters import ADAPTERS
from adapters.contract import Inbound, Once, Receipt
from adapters.text import is_carrier_stop
from bot.batch import Batch, Windows
from bot.channels import Channel
from bot.clock import MICROSECONDS, Clock, new_id
from bot.config import Config
from bot.consent import opt_out
from bot.deciding import surroundings_of
from bot.lines import Lines
from bot.metrics import Metrics
from bot.occasions import Arrival, Occasion, policy_of
from bot.parts import Event, joined
from bot.people import Thread
from bot.phones import identify_sender, masked
from bot.receipts import apply_receipts, report_failures
from bot.routes import Routes
from bot.rulebook import Rules
from bot.store.contract import Conflict, Store, StoreError, Transaction
from bot.suppression import Suppressions
from bot.turn import Turn
from rules.decide import Ruleset

MAX_BATCH = 128
MAX_WAITING = 10_000
_CONFLICT_TRIES = 5


class Overloaded(Exception):
    """More is waiting than can be held: the provider must try again later."""


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one event: the message's id, and whether it was new."""

    id: str
    status: str


_WAITING = Result("", "waiting")
"""Of a part whose text is not whole yet, and of what came before."""


@dataclass(slots=True)
class _Submission:
    channel: Channel
    events: Sequence[Event]
    at: int
    once: Once | None
    done: asyncio.Future[list[Result]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Intake:
    """Takes what the webhooks parsed. Run `work()` as a task."""

    def __init__(
        self,
        config: Config,
        store: Store,
        rules: Rules,
        suppressions: Suppressions,
        metrics: Metrics,
        clock: Clock,
        lines: Lines,
        routes: Routes | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._rules = rules
        self._suppressions = suppressions
        self._metrics = metrics
        self._clock = clock
        self._waiting: list[_Submission] = []
        self._arrived = asyncio.Event()
        self._log = structlog.get_logger("intake")
        self._policy = policy_of(config, routes)
        self._windows = Windows(config.outbox.auto_reply_window_seconds, config.outbox.dedupe_window_seconds)
        self._surroundings = surroundings_of(config)
        self._lines = lines
        # Where config.toml alone says that the carrier answers STOP, the adapter cannot tell: the carriers' words do.
        self._told_to_confirm = {
            name
            for name, channel in config.channels.items()
            if channel.carrier_confirms_opt_out and not ADAPTERS[channel.adapter].capabilities.carrier_confirms_opt_out
        }

    async def submit(self, channel: Channel, events: Sequence[Event], once: Once | None = None) -> list[Result]:
        """Deal with one request's events; returns when they are committed, with a result for each inbound message.

        `once` is what a repeat of the request is known by: then nothing of it counts again.
        Raises Overloaded before anything is stored, StoreError when nothing could be.
        """
        if not events:
            return []
        if len(self._waiting) >= MAX_WAITING:
            raise Overloaded
        submission = _Submission(channel, events, self._clock(), once)
        self._waiting.append(submission)
        self._arrived.set()
        return await asyncio.shield(submission.done)

    async def work(self) -> None:
        """Deal with batch after batch, until cancelled; a batch that has begun is finished first."""
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._waiting:
                batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
                dealing = asyncio.ensure_future(self._deal_with(batch))
                try:
                    await asyncio.shield(dealing)
                except asyncio.CancelledError:
                    await dealing
                    raise

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    async def _deal_with(self, submissions: list[_Submission]) -> None:
        try:
            self._answer(submissions, await self._commit(submissions))
        except Exception as error:  # noqa: BLE001 - the pipeline outlives any batch; the submitters are told
            if len(submissions) == 1:
                told = str(error) if isinstance(error, StoreError) else type(error).__name__
                self._log.error("batch.failed", error=told, exc_info=not isinstance(error, StoreError))
                failure = error if isinstance(error, StoreError) else StoreError(type(error).__name__)
                _fail(submissions, failure)
                return
            self._log.warning("batch.split", size=len(submissions), error=type(error).__name__)
            for submission in submissions:
                await self._deal_with([submission])

    async def _commit(self, submissions: list[_Submission]) -> list[list[Result]]:
        for remaining in reversed(range(_CONFLICT_TRIES)):
            try:
                async with self._store.transaction() as transaction:
                    return await self._process(transaction, submissions)
            except Conflict:
                if not remaining:
                    raise
        raise AssertionError("unreachable")

    def _answer(self, submissions: list[_Submission], results: list[list[Result]]) -> None:
        for submission, result in zip(submissions, results, strict=True):
            if not submission.done.done():
                submission.done.set_result(result)

    async def _process(self, transaction: Transaction, submissions: list[_Submission]) -> list[list[Result]]:
        now = self._clock()
        repeated = await self._repeated(transaction, submissions, now)
        flat_events = [(s.channel.name, e) for s in submissions if id(s) not in repeated for e in s.events]
        repeat_seconds = self._config.outbox.join_seconds + self._config.outbox.dedupe_window_seconds
        whole = iter(await joined(transaction, flat_events, now=now, repeat_seconds=repeat_seconds))
        arrivals: list[list[Arrival | None]] = []
        receipts = []
        for submission in submissions:
            arrivals.append([])
            for given in submission.events:
                event = None if id(submission) in repeated else next(whole)
                if isinstance(event, Receipt):
                    receipts.append((submission.channel.name, event))
                elif not isinstance(given, Receipt):
                    arrivals[-1].append(self._arrival(submission, event) if isinstance(event, Inbound) else None)
        batch = Batch(transaction, now, self._suppressions, self._windows, self._rules.current)
        opted_out, failed = await apply_receipts(transaction, receipts, now=now)
        flat = [arrival for items in arrivals for arrival in items if arrival is not None]
        await batch.load(flat, opted_out)
        await report_failures(transaction, self._rules.current, failed, now=now)
        # From here to the decisions nothing is waited for: a reload would close these rules.
        rules = await self._rules.knowing(transaction, batch.workflows)
        batch.with_rules(rules)
        for phone in opted_out:
            batch.opt_out_by_provider(phone)
        results = [[self._one(batch, rules, item) if item else _WAITING for item in items] for items in arrivals]
        await batch.write()
        self._metrics.batch(len(flat))
        return results

    async def _repeated(self, transaction: Transaction, submissions: list[_Submission], now: int) -> frozenset[int]:
        """Which of them (by `id`) came before, in this batch or an earlier one."""
        firsts: dict[tuple[str, str], _Submission] = {}
        repeated = set()
        for submission in submissions:
            if submission.once is not None:
                key = (submission.channel.name, submission.once.nonce)
                if firsts.setdefault(key, submission) is not submission:
                    repeated.add(id(submission))
        rows = [
            {"channel": channel, "nonce": nonce, "until": now + s.once.seconds * MICROSECONDS}
            for (channel, nonce), s in firsts.items()
            if s.once is not None
        ]
        new = {(row["channel"], row["nonce"]) for row in await transaction.each("remember_nonces", rows)}
        repeated |= {id(submission) for key, submission in firsts.items() if key not in new}
        if repeated:
            self._log.info("webhook.repeated", count=len(repeated))
        return frozenset(repeated)

    def _arrival(self, submission: _Submission, inbound: Inbound) -> Arrival:
        country = self._config.business.country
        sender, kind = identify_sender(inbound.sender, country)
        number, _ = identify_sender(inbound.recipient, country)
        if not number:  # a provider that does not say which of ours was texted
            number = next(iter(self._lines.of_channel(submission.channel.name)), "")
        if "\0" in inbound.body:  # no text has one, and PostgreSQL takes none
            inbound = replace(inbound, body=inbound.body.replace("\0", ""))
        if submission.channel.name in self._told_to_confirm and is_carrier_stop(inbound.body):
            inbound = replace(inbound, carrier_action="stop")
        return Arrival(
            id=new_id(),
            channel=submission.channel,
            inbound=inbound,
            sender=sender,
            kind="own" if sender in self._lines else kind,
            number=number,
            at=submission.at,
            content="" if inbound.provider_id else _content(inbound),
        )

    def _one(self, batch: Batch, rules: Ruleset, arrival: Arrival) -> Result:
        known = batch.known_id(arrival)
        if known is not None:
            self._metrics.received(arrival.channel.name, "duplicate")
            self._log.info("message.duplicate", id=known, channel=arrival.channel.name)
            return Result(known, "duplicate")
        occasion = Occasion(arrival.id, arrival.at, source=f"message {arrival.id}", arrival=arrival)
        thread = batch.thread(arrival)
        surroundings = batch.around(self._surroundings, thread, is_message=True)
        turn = Turn(occasion, thread, rules, surroundings, self._policy)
        status = "received"
        try:
            turn.take()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is of this message alone
            status = "failed"
            self._log.error("message.failed", id=arrival.id, error=type(error).__name__, exc_info=True)
            turn = self._failed(occasion, thread, rules, error)
        batch.keep(occasion, turn)
        rule = turn.decided[0].rule if turn.decided else None
        self._metrics.received(arrival.channel.name, status)
        self._log.info(
            "message.decided", id=arrival.id, channel=arrival.channel.name, phone=masked(arrival.sender), rule=rule
        )
        return Result(arrival.id, status)

    def _failed(self, occasion: Occasion, thread: Thread, rules: Ruleset, error: Exception) -> Turn:
        """The message alone, marked failed; what it says about consent counts all the same."""
        turn = Turn(occasion, thread, rules, self._surroundings, self._policy)
        application, arrival = turn.applied, occasion.arrival
        assert arrival is not None, "a message arrived"
        if application.phone and application.phone.consent.blocked:
            application.receive(arrival, "blocked", error=type(error).__name__)
            return turn
        application.receive(arrival, "failed", error=type(error).__name__)
        stops = arrival.inbound.carrier_action == "stop" or rules.asks_to_stop(arrival.inbound.body)
        if application.phone and application.contact and stops:
            application.change_consent(opt_out(application.phone.consent), "contact", "word check")
            turn.runs.end_all("opted out")
        application.tell("", "message.failed", f"This message could not be decided: {type(error).__name__}.", "")
        return turn


def _content(inbound: Inbound) -> str:
    """A hash of everything that a message says."""
    parts = (inbound.sender, inbound.recipient, inbound.body, *(media.url for media in inbound.media))
    return f"content:{hashlib.sha256(chr(0).join(parts).encode(errors='replace')).hexdigest()[:32]}"


def _fail(submissions: list[_Submission], error: StoreError) -> None:
    for submission in submissions:
        if not submission.done.done():
            submission.done.set_exception(error)
