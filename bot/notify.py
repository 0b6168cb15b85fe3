"""Telling staff: signed webhooks (Standard Webhooks 1.0.0), tried for a day, then kept as dead letters.

The webhook-id stays the same over all tries, so that a receiver can drop repeats. A receiver may answer
{"reply": "..."} and so text the customer.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp
import orjson
from standardwebhooks.webhooks import Webhook

from bot.changes import dumps
from bot.clock import MICROSECONDS, NEVER, Clock, iso
from bot.config import Config
from bot.delivery import Delivery
from bot.egress import ForbiddenAddress, session
from bot.events import is_event
from bot.metrics import Metrics
from bot.routes import Route
from bot.staff import StaffReply, queue_staff_replies
from bot.store.contract import Row, Store, Topic, Transaction

SCHEDULE_SECONDS = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""When to try again, from the first try on (Standard Webhooks' recommendation), with jitter."""

ANSWER_SECONDS = 15.0
_LEASE_SECONDS = 45.0
_CONCURRENCY = 16
_SHARE = _CONCURRENCY // 4
"""How many a route may have under way on a node: one that does not answer keeps nobody from the others."""
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_REPLY_CHARACTERS = 1600


@dataclass(frozen=True, slots=True)
class NotifyOutcome:
    """What became of one delivery. `error` None is delivered; `final` is not tried again."""

    row: Row
    error: str | None = None
    final: bool = False
    retry_after: float | None = None
    reply: str = ""


class Notifier(Delivery[NotifyOutcome]):
    """The sender of all routes."""

    topic: Topic = "notifications"

    def __init__(self, config: Config, store: Store, metrics: Metrics, clock: Clock) -> None:
        super().__init__(store, clock, _CONCURRENCY)
        self._routes = config.routes
        self._staff_seconds = config.outbox.staff_seconds
        self._metrics = metrics
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def recover(self) -> None:
        """At the start: on a store that is ours alone, every lease is a dead server's."""
        if not self._store.shared:
            async with self._store.transaction() as transaction:
                await transaction.rows("expire_notification_leases", now=self._clock(), leased_until=NEVER)

    async def open(self) -> None:
        """Open the client sessions: a guarded one, and one for routes that may be private."""
        self._sessions = {private: session(allow_private=private, seconds=ANSWER_SECONDS) for private in (False, True)}

    async def close(self) -> None:
        """Close them."""
        for client in self._sessions.values():
            await client.close()

    async def claim(self, transaction: Transaction, limit: int) -> Sequence[Row]:
        """See Delivery. An expired lease is simply tried again: receivers know repeats by the webhook-id."""
        now = self._clock()
        await transaction.rows("expire_notification_leases", now=now, leased_until=now)
        lease = now + round(_LEASE_SECONDS * MICROSECONDS)
        held = Counter(row["route"] for row in self._running.values())
        counts = dumps([{"route": route, "count": count} for route, count in held.items()])
        return await transaction.rows(
            "claim_notifications", now=now, lease_until=lease, limit=limit, share=_SHARE, held=counts
        )

    async def perform(self, row: Row) -> NotifyOutcome:
        """See Delivery."""
        route = self._routes.get(row["route"])
        if route is None:
            return NotifyOutcome(row, f"config.toml has no route '{row['route']}' any more", final=True)
        body = orjson.dumps(
            {"type": row["type"], "timestamp": iso(row["created_at"]), "data": orjson.loads(row["payload"])}
        )
        try:
            async with self._sessions[route.allow_private].post(
                route.url, data=body, headers=self._headers(route, row["id"], body), allow_redirects=False
            ) as response:
                return await self._read(row, response)
        except ForbiddenAddress as error:
            return NotifyOutcome(row, str(error), final=True)
        except aiohttp.ClientConnectorError as error:
            forbidden = isinstance(error.os_error, ForbiddenAddress)
            reason = str(error.os_error) if forbidden else f"no connection ({type(error.os_error).__name__})"
            return NotifyOutcome(row, reason, final=forbidden)
        except aiohttp.InvalidURL:
            return NotifyOutcome(row, "the route's url is no address that can be called", final=True)
        except (TimeoutError, aiohttp.ClientError, OSError) as error:
            return NotifyOutcome(row, f"no answer ({type(error).__name__})")

    @staticmethod
    def _headers(route: Route, id_: str, body: bytes) -> dict[str, str]:
        moment = datetime.now(UTC)
        return {
            "Content-Type": "application/json",
            "User-Agent": "textwright",
            "webhook-id": id_,
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": Webhook(route.secret).sign(id_, moment, body.decode()),
        }

    async def _read(self, row: Row, response: aiohttp.ClientResponse) -> NotifyOutcome:
        if 200 <= response.status < 300:
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _MAX_ANSWER_BYTES:
                    break
            return NotifyOutcome(row, reply="" if is_event(row["id"]) else _reply_in(bytes(body)))
        return NotifyOutcome(
            row,
            f"HTTP {response.status}",
            final=response.status == 410,
            retry_after=_retry_after(response.headers.get("Retry-After", "")),
        )

    async def settle(self, transaction: Transaction, outcomes: Sequence[NotifyOutcome]) -> None:
        """See Delivery. A reply in the answer is queued in the same transaction."""
        now = self._clock()
        rows = [self._fate(outcome, now) for outcome in outcomes]
        await transaction.each("settle_notifications", rows, now=now)
        replies = [
            StaffReply(o.row["conversation_id"], o.reply, f"route {o.row['route']}")
            for o in outcomes
            if o.reply and o.row["conversation_id"]
        ]
        for queued in await queue_staff_replies(transaction, replies, now=now, staff_seconds=self._staff_seconds):
            if queued.reason:
                self._log.warning("reply.refused", reason=queued.reason)
        for outcome, row in zip(outcomes, rows, strict=True):
            state = str(row["state"])
            self._metrics.notified(outcome.row["route"], "retry" if state == "queued" else state)
            self._log.info("notification.tried", id=outcome.row["id"], state=state, error=outcome.error)

    def _fate(self, outcome: NotifyOutcome, now: int) -> dict[str, object]:
        row = outcome.row
        fate = {"id": row["id"], "state": "delivered", "error": outcome.error, "due_at": now}
        if outcome.error is None:
            return fate
        attempts = int(row["attempts"])
        if outcome.final or attempts > len(SCHEDULE_SECONDS):
            return fate | {"state": "dead"}
        planned = SCHEDULE_SECONDS[attempts - 1] - (SCHEDULE_SECONDS[attempts - 2] if attempts > 1 else 0)
        seconds = max(planned * random.uniform(0.9, 1.1), outcome.retry_after or 0.0)
        return fate | {"state": "queued", "due_at": now + round(seconds * MICROSECONDS)}

    async def next_due(self, transaction: Transaction) -> int | None:
        """See Delivery."""
        row = await transaction.row("next_due_notification")
        return row["due_at"] if row else None


def _retry_after(value: str) -> float | None:
    """Seconds to wait, from either form of the header (RFC 9110 10.2.3), a day at the most; None when there is none."""
    if value.isascii() and value.isdigit():
        seconds = float(value[:9])
    else:
        try:
            seconds = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), float(SCHEDULE_SECONDS[-1]))


def _reply_in(body: bytes) -> str:
    """The text to answer with; "" for any answer that asks for nothing."""
    try:
        answer = orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        return ""
    reply = answer.get("reply") if isinstance(answer, dict) else None
    # PostgreSQL takes no NUL: one would stop the settling of everybody's notifications.
    return reply.replace("\0", "").strip()[:_MAX_REPLY_CHARACTERS] if isinstance(reply, str) else ""
