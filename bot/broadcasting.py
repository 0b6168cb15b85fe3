"""Broadcasts: one text to many, queued batch by batch, each batch one transaction.

Who gets it was written down when it was sent (broadcast_recipients); what becomes of each is written beside them. So a
crash or another node can neither lose a recipient nor text one twice, and nobody's own message waits for all of them.
"""

from __future__ import annotations

import asyncio
import time

import orjson
import structlog

from bot.changes import JsonRow
from bot.clock import Clock
from bot.config import Config
from bot.contacts import best_phone, people_by_id
from bot.delivery import first_of
from bot.personal import Personal
from bot.rulebook import Rules
from bot.senders import Senders
from bot.staff import Draft, queue_drafts
from bot.store.contract import Row, Store, StoreError, Transaction
from rules.template import Template, TemplateError

BATCH = 100
_LOOK_SECONDS = 5.0
_RETRY_SECONDS = 1.0
_MAX_REST_SECONDS = 0.1


class Broadcaster:
    """Queues what broadcasts are to send. Run `work()` as a task."""

    def __init__(
        self,
        config: Config,
        store: Store,
        rules: Rules,
        senders: Senders,
        channels_without_media: frozenset[str],
        clock: Clock,
    ) -> None:
        self._config = config
        self._store = store
        self._rules = rules
        self._senders = senders
        self._limits = channels_without_media
        self._clock = clock
        self._look_again = asyncio.Event()
        self._log = structlog.get_logger("broadcasts")
        store.on_wake("broadcasts", self._look_again.set)

    async def work(self, draining: asyncio.Event) -> None:
        """Queue batch after batch until `draining` is set."""
        while not draining.is_set():
            self._look_again.clear()
            seconds, started = _LOOK_SECONDS, time.monotonic()
            try:
                if await self.deal():
                    # For as long as it took, everybody else comes first.
                    seconds = min(_MAX_REST_SECONDS, time.monotonic() - started)
                    await asyncio.sleep(seconds)
                    continue
            except Exception as error:  # noqa: BLE001 - the worker outlives any failure; who waits still waits
                is_ours = not isinstance(error, StoreError)
                self._log.error("broadcast.failed", error=type(error).__name__, exc_info=is_ours)
                seconds = _RETRY_SECONDS
            await first_of(self._look_again, draining, seconds=seconds)

    async def deal(self) -> bool:
        """Queue one batch; False when there was nothing to do, or another node is doing it. Whoever makes a batch fail
        is refused alone, and the others go on."""
        try:
            return await self._batch(BATCH)
        except (StoreError, asyncio.CancelledError):
            raise
        except Exception:  # noqa: BLE001 - whatever it is, it is of one recipient
            self._log.error("broadcast.batch_failed", exc_info=True)
            return await self._batch(1)

    async def _batch(self, limit: int) -> bool:
        async with self._store.snapshot() as transaction:
            if await transaction.row("open_broadcast") is None:
                return False
        async with self._store.transaction() as transaction:
            if not await transaction.try_lock("broadcasts"):
                return False
            found = await transaction.row("open_broadcast")
            if found is None:
                return False
            broadcast = await transaction.row("hold_broadcast", id=found["id"])
            if broadcast is None:
                return True  # called back in this moment; there may be another
            rows = await transaction.rows("waiting_recipients", broadcast=broadcast["id"], limit=limit)
            if rows:
                ids = [row["contact_id"] for row in rows]
                try:
                    settled = await self._queue(transaction, broadcast, ids)
                except Exception as error:
                    if limit > 1 or isinstance(error, StoreError):
                        raise
                    settled = [_settled(broadcast, ids[0], "refused", reason=f"failed: {type(error).__name__}")]
                await transaction.each("settle_recipients", settled)
            if len(rows) < limit:
                await transaction.rows("finish_broadcast", id=broadcast["id"], now=self._clock())
                self._log.info("broadcast.queued", id=broadcast["id"], recipients=broadcast["total"])
        return True

    async def _queue(self, transaction: Transaction, broadcast: Row, ids: list[str]) -> list[JsonRow]:
        """One draft for each that has a phone for it, and what became of all of them."""
        now, personal = self._clock(), Personal(self._config, self._rules.current.book)
        audience = orjson.loads(broadcast["audience"])
        template: Template | None = None
        try:
            template = personal.compiled(broadcast["body"]) if audience.get("template") else None
        except TemplateError as error:
            return [_settled(broadcast, id_, "refused", reason=str(error)) for id_ in ids]
        drafts: list[Draft] = []
        chosen: list[str] = []
        settled = []
        for person in await people_by_id(transaction, ids):
            phone, reason = best_phone(person)
            if phone is None:
                settled.append(_settled(broadcast, person.contact.id, "refused", reason=reason))
                continue
            body = personal.render(template, person, phone, now) if template else broadcast["body"]
            drafts.append(self._draft(broadcast, phone, body, is_marketing=bool(audience.get("marketing"))))
            chosen.append(person.contact.id)
        results = await queue_drafts(
            transaction, drafts, now=now, first=self._senders.first, usable=self._senders.usable, limits=self._limits
        )
        for id_, result in zip(chosen, results, strict=True):
            state = "queued" if result.id else "refused"
            settled.append(_settled(broadcast, id_, state, result.phone, result.reason or "", result.id))
        return settled

    @staticmethod
    def _draft(broadcast: Row, phone: str, body: str, *, is_marketing: bool) -> Draft:
        return Draft(
            phone=phone,
            body=body,
            media=tuple(orjson.loads(broadcast["media"])),
            by=broadcast["author"],
            number=broadcast["number"],
            channel=broadcast["channel"],
            send_at=broadcast["send_at"],
            bulk=True,
            is_marketing=is_marketing,
        )


def _settled(
    broadcast: Row, contact: str, state: str, phone: str = "", reason: str = "", message: str | None = None
) -> JsonRow:
    return {
        "broadcast_id": broadcast["id"],
        "contact_id": contact,
        "state": state,
        "phone": phone,
        "reason": reason,
        "message_id": message,
    }
