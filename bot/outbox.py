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
from bot.metrics import Metrics
from bot.receipts import receipt_key, report_failures
from bot.rulebook import Rules
from bot.store.contract import Row, Store, Topic, Transaction
from bot.suppression import Suppressions

LEASE_SECONDS = 30.0
_LEASE_MARGIN_SECONDS = 20.0
_BURST_SECONDS = 1.0
_THROTTLED_SECONDS = 86_400
_SOON = MICROSECONDS // 5
_LATE = 60 * MICROSECONDS
_LOST = "the server stopped while this was being sent: it may or may not have left"


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of one claimed message. `error` None is sent."""

    row: Row
    provider_id: str = ""
    parts: int | None = None
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
    ) -> None:
        super().__init__(store, clock, config.outbox.concurrency)
        self._config = config
        self._rules = rules
        self._adapters = adapters
        self._http = http
        self._suppressions = suppressions
        self._metrics = metrics
        self._lease = round((config.outbox.answer_seconds + _LEASE_MARGIN_SECONDS) * MICROSECONDS)
        self._rates = {
            number: channel.rate_per_second
            for channel in config.channels.values()
            for number in channel.numbers
            if channel.rate_per_second
        }

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
        free_at = await self._free_at(transaction, now) if self._rates else {}
        claimed = await transaction.rows(
            "claim_messages",
            now=now,
            lease_until=now + self._lease,
            limit=limit,
            allowances=dumps([
                {"number": number, "count": self._allowance(number, free, now)} for number, free in free_at.items()
            ]),
        )  # fmt: skip
        rows = [row for row in claimed if row["state"] == "sending"]
        for row in claimed:
            if row["state"] == "cancelled":
                self._log.info("message.cancelled", id=row["id"])
                self.look_again()
        if free_at:
            await self._charge(transaction, rows, free_at, now)
        return sorted(rows, key=lambda row: int(row["seq"]))

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
        return SendOutcome(row, provider_id=sent.provider_id, parts=sent.parts)

    async def settle(self, transaction: Transaction, outcomes: Sequence[SendOutcome]) -> None:
        """See Delivery."""
        now = self._clock()
        sent = [
            {"id": o.row["id"], "channel": o.row["channel"], "provider_id": o.provider_id, "parts": o.parts}
            for o in outcomes
            if o.error is None
        ]
        if sent:
            await transaction.lock_receipts([receipt_key(o["channel"], o["provider_id"]) for o in sent])
        await self._forget_repeated_ids(transaction, sent)
        await transaction.each("settle_sent", sent, now=now)
        late = [o.row for o in outcomes if o.error is None and o.row["run_id"] and now - o.row["created_at"] > _LATE]
        await transaction.each("ask_from_now", [{"id": row["id"]} for row in late], now=now)
        early = await transaction.each("take_early_receipts", [o for o in sent if o["provider_id"]])
        moved = await transaction.each("apply_receipts", _best([dict(row) for row in early]), now=now)
        failed = [self._fate(o.row, o.error, now) for o in outcomes if o.error is not None]
        await transaction.each("settle_otherwise", failed, now=now)
        lost = [{"phone": row["phone"], "error": row["error"] or ""} for row in moved if row["state"] != "delivered"]
        lost += [
            {"phone": o.row["phone"], "error": o.error.code}
            for o, fate in zip([o for o in outcomes if o.error is not None], failed, strict=True)
            if o.error is not None and fate["state"] == "failed"
        ]
        await report_failures(transaction, self._rules.current, lost, now=now)
        told = {(row["channel"], row["provider_id"]) for row in early if row["opted_out"]}
        out = sorted({
            o.row["phone"]
            for o in outcomes
            if isinstance(o.error, OptedOut) or (o.row["channel"], o.provider_id) in told
        })  # fmt: skip
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
        seen = {(row["channel"], row["provider_id"]) for row in await transaction.each("known_outbound", sent)}
        for row in sent:
            key = (row["channel"], row["provider_id"])
            if key in seen:
                self._log.warning("provider.repeated_id", id=row["id"], channel=row["channel"])
                row["provider_id"] = None
            seen.add(key)

    def _fate(self, row: Row, error: SendError, now: int) -> dict[str, object]:
        """The state that a message goes to after an error, and when it is tried again."""
        outbox = self._config.outbox
        state, seconds = "failed", 0.0
        if isinstance(error, Unknown):
            state = "unknown" if outbox.on_unknown == "hold" else "queued"
        elif not isinstance(error, Rejected | OptedOut | Misconfigured):
            state = "queued"
        if state == "queued" and self._gives_up(row, error, now):
            state = "failed"
        if state == "queued":
            seconds = backoff(row["attempts"], outbox.retry_base_seconds, outbox.retry_max_seconds)
            if isinstance(error, Throttled) and error.retry_after is not None:
                seconds = max(error.retry_after, seconds if error.retry_after == 0 else 0.0)
        due_at = now + round(seconds * MICROSECONDS)
        return {"id": row["id"], "state": state, "error": str(error), "due_at": due_at}

    def _gives_up(self, row: Row, error: SendError, now: int) -> bool:
        """Tried often enough; a provider that is only busy is waited for, a day."""
        if isinstance(error, Throttled):
            return now - int(row["created_at"]) > _THROTTLED_SECONDS * MICROSECONDS
        return int(row["attempts"]) >= self._config.outbox.max_attempts

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


def _best(receipts: list[dict[str, str]]) -> list[dict[str, str]]:
    """One receipt per message: the furthest."""
    order = {"sent": 0, "undelivered": 1, "failed": 1, "delivered": 2}
    best: dict[tuple[str, str], dict[str, str]] = {}
    for receipt in sorted(receipts, key=lambda item: order[item["state"]]):
        best[receipt["channel"], receipt["provider_id"]] = receipt
    return list(best.values())
