"""Sending: claim with the consent gate, one message in flight per phone, then exactly what the provider said.

Send errors are one closed set (adapters/errors.py). `Unknown` is never blindly resent: it is held where
staff see it, unless the configuration says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from adapters.contract import Adapter, Outbound
from adapters.errors import Misconfigured, OptedOut, Rejected, SendError, Throttled, Unknown
from adapters.http import Http
from bot.batch import Batch, Windows
from bot.changes import dumps
from bot.clock import MICROSECONDS, NEVER, Clock
from bot.config import Config
from bot.delivery import Delivery, backoff
from bot.failover import Failover
from bot.metrics import Metrics
from bot.parts import furthest, keep_part_ids, weighed
from bot.receipts import receipt_key, report_failures, still_opted_out, tell_of
from bot.rulebook import Rules
from bot.senders import Senders
from bot.store.contract import Row, Store, Topic, Transaction
from bot.suppression import Suppressions

LEASE_SECONDS = 30.0
_LEASE_MARGIN_SECONDS = 20.0
_BURST_SECONDS = 1.0
_LONGEST_WAIT_SECONDS = 86_400
_SOON = MICROSECONDS // 5
_LATE = 60 * MICROSECONDS
_LOST = "the server stopped while this was being sent: it may or may not have left"


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of one claimed message. `error` None is sent."""

    row: Row
    provider_id: str = ""
    parts: int | None = None
    part_ids: tuple[str, ...] = ()
    error: SendError | None = None


class Outbox(Delivery[SendOutcome]):
    """The sender of all channels."""

    topic: Topic = "outbox"

    def __init__(
        self,
        config: Config,
        store: Store,
        rules: Rules,
        adapters: Mapping[str, Adapter],
        http: Http,
        suppressions: Suppressions,
        metrics: Metrics,
        clock: Clock,
        senders: Senders,
    ) -> None:
        super().__init__(store, clock, config.outbox.concurrency)
        self._config = config
        self._rules = rules
        self._adapters = adapters
        self._http = http
        self._suppressions = suppressions
        self._metrics = metrics
        self._lease = round((config.outbox.answer_seconds + _LEASE_MARGIN_SECONDS) * MICROSECONDS)
        self._lines = senders.lines
        self._outages = senders.outages
        self._failover = Failover(config, senders)
        self._rates: Mapping[str, float] = {}

    async def recover(self) -> None:
        """At the start: on a store that is ours alone, every lease is a dead server's."""
        async with self._store.transaction() as transaction:
            now = self._clock()
            await self._expire(transaction, now, leased_until=now if self._store.shared else NEVER)

    async def _expire(self, transaction: Transaction, now: int, leased_until: int) -> None:
        hold = self._config.outbox.on_unknown == "hold"
        state = "unknown" if hold else "queued"
        for row in await transaction.rows(
            "expire_leases", now=now, leased_until=leased_until, state=state, error=_LOST if hold else None
        ):
            self._log.warning("message.unknown", id=row["id"])

    async def claim(self, transaction: Transaction, limit: int) -> Sequence[Row]:
        """See Delivery. Gate 2 is in the claim's own SQL: what it does not let through is cancelled there."""
        now = self._clock()
        if self._store.shared:
            await transaction.rows("lock_claims")
        await self._expire(transaction, now, leased_until=now)
        await transaction.rows("promote_held", now=now)
        if await transaction.rows("hold_overdue", now=now, forever=NEVER):
            await transaction.wake("due")
        if self._outages.all:
            await self._fail_stale(transaction, now)
            tried = [row["channel"] for row in self._outages.allowances(now) if row["count"]]
            await self._failover.take_over(transaction, self._outages.names(), tried, now)
        await self._failover.leave_gone(transaction, now)
        self._rates = self._rates_of_lines()
        free_at = await self._free_at(transaction, now) if self._rates else {}
        allowed = self._outages.allowances(now)
        claimed = await transaction.rows(
            "claim_messages",
            now=now,
            lease_until=now + self._lease,
            limit=limit,
            allowances=dumps([
                {"number": number, "count": self._allowance(number, free, now)} for number, free in free_at.items()
            ]),
            channels=dumps(allowed),
        )  # fmt: skip
        rows = [row for row in claimed if row["state"] == "sending"]
        if allowed:
            await self._outages.trying(transaction, [row["channel"] for row in rows], now + self._lease)
        for row in claimed:
            if row["state"] == "cancelled":
                self._log.info("message.cancelled", id=row["id"])
                self.look_again()
        if free_at:
            await self._charge(transaction, rows, free_at, now)
        return sorted(rows, key=lambda row: int(row["seq"]))

    def _rates_of_lines(self) -> Mapping[str, float]:
        """How many texts a second each number may send, where its channel says so."""
        rates = {channel.name: channel.rate_per_second for channel in self._config.channels.values()}
        return {line.number: rates[line.channel] for line in self._lines.all if rates[line.channel]}

    async def _fail_stale(self, transaction: Transaction, now: int) -> None:
        """What waited for a day for a channel that is out is not sent any more."""
        failed = await transaction.rows(
            "fail_stale",
            channels=dumps(sorted(self._outages.names())),
            before=now - _LONGEST_WAIT_SECONDS * MICROSECONDS,
            error="its channel was out for a day",
            now=now,
        )
        if failed:
            await tell_of(transaction, failed, now=now)
            lost = [{"phone": row["phone"], "error": row["error"]} for row in failed]
            await report_failures(transaction, self._rules.current, lost, now=now)

    async def _free_at(self, transaction: Transaction, now: int) -> dict[str, int]:
        known = {row["number"]: row["free_at"] for row in await transaction.rows("sender_rates")}
        return {number: max(known.get(number, 0), now) for number in self._rates}

    def _allowance(self, number: str, free_at: int, now: int) -> int:
        """How many messages the number may send now: a bucket that holds one second's worth, at least one."""
        rate = self._rates[number]
        room = max(_BURST_SECONDS, 1 / rate) - (free_at - now) / MICROSECONDS
        return max(0, int(room * rate + 1e-9))

    async def _charge(self, transaction: Transaction, rows: Sequence[Row], free_at: dict[str, int], now: int) -> None:
        counts: dict[str, int] = {}
        for row in rows:
            if row["number"] in self._rates:
                counts[row["number"]] = counts.get(row["number"], 0) + 1
        charged = [
            {"number": number, "free_at": free_at[number] + round(count / self._rates[number] * MICROSECONDS)}
            for number, count in counts.items()
        ]
        await transaction.each("set_sender_rates", charged)

    async def perform(self, row: Row) -> SendOutcome:
        """See Delivery."""
        channel = row["channel"]
        adapter = self._adapters.get(channel)
        if adapter is None:
            error = Misconfigured(f"config.toml has no channel '{channel}' any more")
            return SendOutcome(row, error=error)
        most = adapter.capabilities.max_body
        if len(row["body"]) > most:
            return SendOutcome(row, error=Rejected(f"it has {len(row['body'])} characters, and {channel} takes {most}"))
        public_url = self._config.server.public_url
        message = Outbound(
            id=row["id"],
            sender=row["number"],
            recipient=row["phone"],
            body=row["body"],
            media=tuple(media["url"] for media in orjson.loads(row["media"])),
            receipt_url=f"{public_url}/webhooks/{channel}" if public_url else "",
        )
        try:
            sent = await adapter.send(message, self._http)
        except SendError as error:
            return SendOutcome(row, error=error)
        except (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
            self._log.error("adapter.failed", id=row["id"], channel=channel, exc_info=True)
            return SendOutcome(row, error=Unknown(f"the adapter failed ({type(error).__name__})"))
        # Where each part has an id there are as many: a receipt for the first is not one for all of them.
        parts = len(sent.part_ids) or sent.parts
        return SendOutcome(row, provider_id=sent.provider_id, parts=parts, part_ids=sent.part_ids)

    async def settle(self, transaction: Transaction, outcomes: Sequence[SendOutcome]) -> None:
        """See Delivery."""
        now = self._clock()
        await self._outages.settle(transaction, [(o.row, o.error) for o in outcomes], now)
        sent = [
            {"id": o.row["id"], "channel": o.row["channel"], "provider_id": o.provider_id, "parts": o.parts}
            for o in outcomes
            if o.error is None
        ]
        in_parts = [
            {"channel": o.row["channel"], "provider_id": o.provider_id, "part_ids": o.part_ids}
            for o in outcomes
            if len(o.part_ids) > 1
        ]
        may_have_receipts = [*sent, *({**o, "provider_id": id_} for o in in_parts for id_ in o["part_ids"])]
        if sent:
            names = {receipt_key(o["channel"], o["provider_id"]) for o in may_have_receipts}
            await transaction.lock_names(sorted(names))
        await self._forget_repeated_ids(transaction, sent)
        left = {row["id"]: row["state"] for row in await transaction.each("settle_sent", sent, now=now)}
        await keep_part_ids(transaction, in_parts, now=now)
        late = [o.row for o in outcomes if o.error is None and o.row["run_id"] and now - o.row["created_at"] > _LATE]
        await transaction.each("ask_from_now", [{"id": row["id"]} for row in late], now=now)
        asked = [{"channel": o["channel"], "provider_id": o["provider_id"]} for o in may_have_receipts]
        taken = await transaction.each("take_early_receipts", [row for row in asked if row["provider_id"]])
        early = await weighed(transaction, [{**row, "number": 0, "total": 0} for row in taken], now=now)
        moved = await transaction.each("apply_receipts", furthest(early), now=now)
        failed = [self._fate(o.row, o.error, now) for o in outcomes if o.error is not None]
        await transaction.each("settle_otherwise", failed, now=now)
        refused = {o.row["id"] for o in outcomes if isinstance(o.error, Misconfigured)}
        again = {fate["id"] for fate in failed if fate["state"] == "queued"} & refused
        await self._failover.move(transaction, [o.row for o in outcomes if o.row["id"] in again], now)
        fates = {fate["id"]: fate for fate in failed}
        settled = [
            {**o.row, "state": "sent", "error": None, **fates.get(o.row["id"], {})}
            for o in outcomes
            if left.get(o.row["id"], "sent") == "sent"
        ]
        await tell_of(transaction, [*settled, *moved], now=now)
        lost = [{"phone": row["phone"], "error": row["error"] or ""} for row in moved if row["state"] != "delivered"]
        lost += [
            {"phone": o.row["phone"], "error": o.error.code}
            for o, fate in zip([o for o in outcomes if o.error is not None], failed, strict=True)
            if o.error is not None and fate["state"] == "failed"
        ]
        await report_failures(transaction, self._rules.current, lost, now=now)
        told = {(row["channel"], row["provider_id"]) for row in early if row["opted_out"]}
        by_receipt = [o.row for o in outcomes if (o.row["channel"], o.provider_id) in told]
        by_answer = {o.row["phone"] for o in outcomes if isinstance(o.error, OptedOut)}
        out = sorted(by_answer.union(await still_opted_out(transaction, by_receipt)))
        if out:
            batch = Batch(transaction, now, self._suppressions, Windows())
            await batch.load([], out)
            for phone in out:
                batch.opt_out_by_provider(phone)
            await batch.write()
        for outcome in outcomes:
            self._report(outcome)

    async def _forget_repeated_ids(self, transaction: Transaction, sent: list[dict[str, Any]]) -> None:
        """A provider that gives an id twice must not stop the outbox: the later message goes without one."""
        seen = {
            (row["channel"], row["provider_id"]): row["id"] for row in await transaction.each("known_outbound", sent)
        }
        for row in sent:
            key = (row["channel"], row["provider_id"])
            if seen.setdefault(key, row["id"]) != row["id"]:
                self._log.warning("provider.repeated_id", id=row["id"], channel=row["channel"])
                row["provider_id"] = None

    def _fate(self, row: Row, error: SendError, now: int) -> dict[str, object]:
        """The state that a message goes to after an error, and when it is tried again."""
        outbox = self._config.outbox
        state, seconds = "failed", 0.0
        if isinstance(error, Unknown):
            state = "unknown" if outbox.on_unknown == "hold" else "queued"
        elif isinstance(error, Misconfigured):
            # It is not the text that is wrong: another channel may take it, or this one when it is back.
            is_out = row["channel"] in self._outages.all
            state = "queued" if is_out or self._failover.can_move(row) else "failed"
        elif not isinstance(error, Rejected | OptedOut):
            state = "queued"
        if state == "queued" and self._gives_up(row, error, now):
            state = "failed"
        if state == "queued":
            seconds = backoff(row["attempts"], outbox.retry_base_seconds, outbox.retry_max_seconds)
            if isinstance(error, Throttled) and error.retry_after is not None:
                seconds = max(error.retry_after, seconds if error.retry_after == 0 else 0.0)
        rests_until = now + round(seconds * MICROSECONDS) if state == "queued" else 0
        return {"id": row["id"], "state": state, "error": str(error), "rests_until": rests_until}

    def _gives_up(self, row: Row, error: SendError, now: int) -> bool:
        """Tried often enough; a provider that is only busy, or a channel that is out, is waited for, a day."""
        if int(row["attempts"]) < self._config.outbox.max_attempts:
            return False
        waits = isinstance(error, Throttled) or row["channel"] in self._outages.all
        return not waits or now - int(row["due_at"]) > _LONGEST_WAIT_SECONDS * MICROSECONDS

    def _report(self, outcome: SendOutcome) -> None:
        row, error = outcome.row, outcome.error
        self._metrics.sent(row["channel"], error.outcome if error else "sent")
        if error is None:
            self._log.info("message.sent", id=row["id"], channel=row["channel"])
        else:
            self._log.warning(
                "message.not_sent", id=row["id"], channel=row["channel"], outcome=error.outcome, code=error.code
            )

    async def next_due(self, transaction: Transaction) -> int | None:
        """See Delivery."""
        row = await transaction.row("next_due_message", soon=self._clock() + _SOON)
        return row["due_at"] if row else None
