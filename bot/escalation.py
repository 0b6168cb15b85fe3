"""Escalation: somebody waits for staff longer than their route allows, and another route is told, once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from bot.changes import JsonRow, dumps, notification
from bot.clock import MICROSECONDS, Clock, iso
from bot.delivery import first_of
from bot.routes import Route, Routes
from bot.store.contract import Row, Store, StoreError, Transaction

LOOK_SECONDS = 5.0
_MOST = 200


class Escalation:
    """Tells the second routes. Run `work()` as a task."""

    def __init__(self, store: Store, routes: Routes, clock: Clock) -> None:
        self._store = store
        self._all = routes
        self._routes = [route for route in routes.all.values() if route.escalate_minutes]
        self._clock = clock
        self._log = structlog.get_logger("escalation")

    async def work(self, draining: asyncio.Event) -> None:
        """Look every few seconds until `draining` is set."""
        while not draining.is_set() and self._routes:
            try:
                for route in self._routes:
                    await self.deal(route)
            except StoreError as error:
                self._log.error("escalation.failed", error=type(error).__name__)
            await first_of(draining, seconds=LOOK_SECONDS)

    async def deal(self, route: Route) -> int:
        """Tell of everybody who waits too long on a route; how many they are."""
        now = self._clock()
        asked = {"route": route.name, "before": now - route.escalate_minutes * 60 * MICROSECONDS, "now": now}
        async with self._store.snapshot() as transaction:
            late = await transaction.rows("unanswered_since", **asked, limit=_MOST)
        if not late:
            return 0
        async with self._store.transaction() as transaction:
            await transaction.lock_phones([row["phone"] for row in late])
            # Somebody may have answered meanwhile, or another node told of it.
            rows = await transaction.rows("escalate", ids=dumps([row["id"] for row in late]), route=route.name, now=now)
            told = await self._notifications(transaction, route, rows, now)
            await transaction.each("insert_notifications", told)
            transaction.conversations_changed(row["id"] for row in rows)
            if told:
                await transaction.wake("notifications")
        return len(rows)

    async def _notifications(
        self, transaction: Transaction, route: Route, rows: Sequence[Row], now: int
    ) -> list[JsonRow]:
        phones = dumps([row["phone"] for row in rows])
        names = {row["number"]: row for row in await transaction.rows("names_of_phones", phones=phones)}
        target = self._all.told(route.escalate_to, now)
        told = []
        for row in rows:
            person = names.get(row["phone"])
            minutes = (now - row["waiting_since"]) // (60 * MICROSECONDS)
            data: JsonRow = {
                "conversation": {name: row[name] for name in ("id", "phone", "number", "channel", "mode")},
                "contact": {"id": person["id"], "name": person["name"]} if person else None,
                "message": None,
                "route": route.name,
                "rule": "",
                "note": f"Nobody on {route.name} has answered for {minutes} minutes.",
                "waiting_since": iso(row["waiting_since"]),
            }
            told.append(notification(target, "conversation.escalated", data, at=now, conversation_id=row["id"]))
        return told
