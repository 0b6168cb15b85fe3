"""Carries purchases out (purchases.py): search, order, set up, tell; and gives numbers back.

Each step is one row's claim, its network call with no transaction open, and a transaction that writes what became
of it. A server that dies in between leaves a lease to expire, and the step is taken again: it asks first whether the
number is ours already. The number is written down before it is ordered, there is each number only once, and who was
overtaken while at it writes nothing: so no crash, repeat or second node buys two for one need, or one for two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from adapters import NUMBERS
from adapters.errors import Misconfigured, Rejected, SendError, Throttled
from adapters.http import Http
from adapters.numbers import NumberProvider, Ownership, Setup, Wanted
from bot.alerts import alert
from bot.area_codes import alternatives
from bot.changes import dumps
from bot.clock import MICROSECONDS, Clock
from bot.config import Config
from bot.delivery import Delivery, backoff
from bot.emails import EmailNotSent, send_email
from bot.failover import move_to
from bot.lines import Sender
from bot.purchases import CannotBuy, State, Step, allowed_countries, end_release, hold_cap, number_row, place_of
from bot.receipts import tell_of
from bot.senders import Senders
from bot.store.contract import Row, Store, Topic, Transaction

_LEASE_SECONDS = 120.0
_CONCURRENCY = 4
_MOST_SEARCHES = 40
_MOST_EMAILS = 8
_MOST_STRANDED = 200
_PENDING_SECONDS = 5.0
_CONFIRM_SECONDS = 30.0
_CAPPED_SECONDS = 3600.0
_LONGEST_THROTTLED_SECONDS = 3600.0
_LONGEST_SECONDS = 600.0
_UNDER_WAY = "the provider is working on the order"


@dataclass(frozen=True, slots=True)
class PurchaseOutcome:
    """How a purchase stands after a step: what comes next, and what went wrong ("" for nothing)."""

    row: Row
    step: Step
    state: State = "open"
    number: str = ""
    found_by: str = ""
    passed_over: tuple[str, ...] = ()
    error: str = ""
    wait: float = 0.0


class Buying(Delivery[PurchaseOutcome]):
    """The worker of all purchases."""

    topic: Topic = "numbers"

    def __init__(self, config: Config, store: Store, senders: Senders, http: Http, clock: Clock) -> None:
        super().__init__(store, clock, _CONCURRENCY)
        self._config = config
        self._senders = senders
        self._http = http

    async def recover(self) -> None:
        """At the start: what a dead server was at, and what waits for something that may be mended now, is tried."""
        async with self._store.transaction() as transaction:
            alone = int(not self._store.shared)
            await transaction.rows("recover_purchases", now=self._clock(), alone=alone)

    async def claim(self, transaction: Transaction, limit: int) -> Sequence[Row]:
        """See Delivery."""
        now = self._clock()
        before = now - round(self._config.numbers.wait_hours * 3600 * MICROSECONDS)
        failed = await transaction.rows("fail_unbought", before=before, now=now)
        if failed:
            await tell_of(transaction, failed, now=now)
        await self._let_stranded_go(transaction, now)
        return await transaction.rows("claim_purchases", now=now, lease_until=self._lease(now), limit=limit)

    def _lease(self, now: int) -> int:
        # A step is some requests, each of which may take its time.
        seconds = max(_LEASE_SECONDS, 10 * self._config.outbox.answer_seconds)
        return now + round(seconds * MICROSECONDS)

    async def perform(self, row: Row) -> PurchaseOutcome:
        """See Delivery."""
        now = _standing(row)
        channel = self._config.channels.get(row["channel"])
        if channel is None or channel.adapter not in NUMBERS:
            error = f"config.toml has no channel '{row['channel']}' any more that sells numbers"
            return replace(now, error=error, wait=_LONGEST_SECONDS)
        provider = NUMBERS[channel.adapter](channel.settings)
        try:
            match row["step"]:
                case "search":
                    return await self._search(now, provider)
                case "order" | "confirm":
                    return await self._order(now, provider)
                case "set_up":
                    await provider.set_up(row["number"], self._setup(row), self._http)
                    return replace(now, step="tell")
                case "release":
                    await provider.release(row["number"], self._http)
                    return replace(now, state="released")
                case _:
                    return await self._tell(now)
        except SendError as error:
            return self._failed(now, error)

    def _failed(self, now: PurchaseOutcome, error: SendError) -> PurchaseOutcome:
        """The same step again, after a while."""
        seconds = self._pause(now.row)
        if isinstance(error, Throttled) and error.retry_after is not None:
            seconds = min(max(seconds, error.retry_after), _LONGEST_THROTTLED_SECONDS)
        elif isinstance(error, Misconfigured):
            seconds = _LONGEST_SECONDS
        return replace(now, error=str(error)[:300], wait=seconds)

    def _pause(self, row: Row) -> float:
        return backoff(int(row["attempts"]), self._config.outbox.retry_base_seconds, _LONGEST_SECONDS)

    async def _search(self, now: PurchaseOutcome, provider: NumberProvider) -> PurchaseOutcome:
        """The first number of the nearest place that has one."""
        row = now.row
        places = list(_places(row, provider))[:_MOST_SEARCHES]
        for code, why in places:
            renewed = await self._renewed(now.row)
            if renewed is None:
                return now
            now = replace(now, row=renewed)
            try:
                offers = await provider.search(Wanted(row["country"], code), self._http)
            except SendError as failure:
                return self._failed(now, failure)
            found = next((offer.number for offer in offers if self._may_be(offer.number, now)), None)
            if found is not None:
                return replace(now, step="order", number=found, found_by=why)
        where = f"area code {row['area_code']}, those of the same area, those near it or in the same state"
        error = f"{row['channel']} has no number in {where if row['area_code'] else row['country']}"
        return replace(now, state="pool", found_by="pool", error=error)

    def _may_be(self, number: str, now: PurchaseOutcome) -> bool:
        """Whether this offer may be ordered: a provider may offer what lies in another country than was asked for."""
        country, _ = place_of(number)
        return number not in now.passed_over and (not country or country in allowed_countries(self._config))

    async def _renewed(self, row: Row) -> Row | None:
        """A search may take longer than its lease; None where another node has it now."""
        now = self._clock()
        if row["lease_until"] - now > _LEASE_SECONDS / 2 * MICROSECONDS:
            return row
        async with self._store.transaction() as transaction:
            return await transaction.row(
                "renew_purchase", id=row["id"], lease=row["lease_until"], lease_until=self._lease(now)
            )

    async def _order(self, now: PurchaseOutcome, provider: NumberProvider) -> PurchaseOutcome:
        """Order the number that was chosen, unless an earlier try has done so."""
        row, number = now.row, now.number
        is_repeat = row["attempts"] > 1 or row["step"] == "confirm"
        state = await provider.state_of(number, row["id"], self._http) if is_repeat else "absent"
        if state == "absent" and row["step"] == "confirm":
            return self._passed_over(now)
        if state == "absent" and row["error"] == _UNDER_WAY:
            # The provider took the order, and then gave it up; unless it only looks so for a moment.
            return replace(now, step="confirm", error="the provider did not fulfil the order", wait=_CONFIRM_SECONDS)
        if state == "absent":
            try:
                state = await provider.order(number, row["id"], self._http)
            except Rejected as error:
                # An order of before may still be under way, and then it is ours in a moment.
                self._log.warning("number.refused", purchase=row["id"], code=error.code)
                if is_repeat:
                    return replace(now, step="confirm", error=str(error)[:300], wait=_CONFIRM_SECONDS)
                return self._passed_over(replace(now, error=str(error)[:300]))
        return self._ordered(now, state)

    @staticmethod
    def _ordered(now: PurchaseOutcome, state: Ownership) -> PurchaseOutcome:
        if state == "owned":
            return replace(now, step="set_up", error="")
        return replace(now, error=_UNDER_WAY, wait=_PENDING_SECONDS)

    @staticmethod
    def _passed_over(now: PurchaseOutcome) -> PurchaseOutcome:
        """Somebody else has it: look for another, unless it was that one that was asked for."""
        if now.found_by == "asked for":
            return replace(now, state="refused", error=f"{now.number} cannot be had: {now.error or 'it is gone'}")
        return replace(now, step="search", number="", passed_over=(*now.passed_over, now.number))

    def _setup(self, row: Row) -> Setup:
        base = f"{self._config.server.public_url}/webhooks/{row['channel']}"
        forward_to = self._config.numbers.forward_calls_to
        label = f"textwright {row['requested_by']}"[:60]
        return Setup(base, f"{base}/voice" if forward_to else "", forward_to, label)

    async def _tell(self, now: PurchaseOutcome) -> PurchaseOutcome:
        """Tell whose number it is, by email. That it cannot be told does not take the number back."""
        row = now.row
        async with self._store.snapshot() as transaction:
            user = await transaction.row("user_by_id", id=row["user_id"]) if row["user_id"] else None
        if user is None or not user["email"] or not self._config.email.host:
            return replace(now, state="done")
        business = self._config.business.name
        calls = self._config.numbers.forward_calls_to
        body = (
            f"Hello {user['full_name'] or user['name']},\n\nyour number for texting at {business} is {row['number']}"
            f" ({row['found_by']}).\n" + (f"Calls to it go to {calls}.\n" if calls else "")
        )
        try:
            await send_email(self._config.email, user["email"], f"Your number is {row['number']}", body)
        except EmailNotSent as error:
            said = f"the email to {user['name']} was not sent ({error})"
            if row["attempts"] < _MOST_EMAILS:
                return replace(now, error=said, wait=self._pause(row))
            return replace(now, state="done", error=said)
        return replace(now, state="done")

    async def settle(self, transaction: Transaction, outcomes: Sequence[PurchaseOutcome]) -> None:
        """See Delivery."""
        for outcome in outcomes:
            row, now = outcome.row, self._clock()
            held = await transaction.row("hold_purchase", id=row["id"], lease=row["lease_until"], now=now)
            if held is None:
                self._log.warning("purchase.overtaken", id=row["id"], step=row["step"])
                continue
            # As it is now: its user may have been deleted meanwhile.
            settled = await self._settled(transaction, replace(outcome, row=held))
            await transaction.each("settle_purchases", [self._row(settled)], now=self._clock())
            self._log.info(
                "purchase.step", id=settled.row["id"], was=settled.row["step"], step=settled.step, state=settled.state
            )
        await transaction.wake("numbers")

    async def _settled(self, transaction: Transaction, outcome: PurchaseOutcome) -> PurchaseOutcome:
        """Write what the step means for others; a step may be held back here, by the cap."""
        row, now = outcome.row, self._clock()
        if row["step"] == "search" and outcome.step == "order":
            outcome = await self._may_order(transaction, outcome, now)
        elif row["step"] == "set_up" and outcome.step == "tell":
            # Only now: from a number whose answers would reach nobody, nothing is to leave.
            await self._is_ours(transaction, outcome, now)
            await self._let_texts_go(transaction, row, outcome.number, now)
            data = {"number": row["number"], "channel": row["channel"], "found_by": row["found_by"],
                    "purchase": row["id"], "user": row["user_id"]}  # fmt: skip
            note = f"{row['number']} was bought ({row['found_by']}) and is set up."
            await alert(transaction, self._config, "number.bought", data, note, at=now)
        elif row["step"] == "release" and outcome.state == "released":
            await transaction.rows("number_is_released", number=row["number"], now=now)
        if outcome.state in ("pool", "refused", "dry_run"):
            await self._let_texts_go(transaction, row, "", now)
        if outcome.error:
            await transaction.rows("say_why_waiting", purchase=row["id"], error=outcome.error, now=now)
        if outcome.error not in ("", row["error"], _UNDER_WAY):
            data = {"purchase": row["id"], "step": row["step"], "error": outcome.error, "user": row["user_id"]}
            await alert(transaction, self._config, "number.trouble", data, outcome.error, at=now)
        return outcome

    async def _may_order(self, transaction: Transaction, outcome: PurchaseOutcome, now: int) -> PurchaseOutcome:
        row = outcome.row
        if row["need"].startswith("user:"):
            own = await transaction.row("lines_of_user", user=row["user_id"]) if row["user_id"] else None
            if own is not None or not row["user_id"]:
                said = f"they have {own['number']} already" if own is not None else "the user was deleted"
                return replace(outcome, step="search", state="refused", number="", found_by="", error=said)
        await transaction.lock_names(["purchases"])
        if await transaction.row("who_has_number", number=outcome.number, id=row["id"]) is not None:
            return self._passed_over(outcome)
        try:
            if not row["ordered_at"]:
                await hold_cap(transaction, self._config, now)
        except CannotBuy as error:
            return replace(outcome, step="search", number="", found_by="", error=str(error), wait=_CAPPED_SECONDS)
        if self._config.numbers.dry_run:
            said = f"dry run: {outcome.number} ({outcome.found_by}) would be bought"
            return replace(outcome, state="dry_run", error=said)
        return outcome

    async def _is_ours(self, transaction: Transaction, outcome: PurchaseOutcome, now: int) -> None:
        row = outcome.row
        line = number_row(outcome.number, row["channel"], "bought", label=row["requested_by"], user_id=row["user_id"])
        await transaction.each("upsert_numbers", [line], now=now)
        await end_release(transaction, outcome.number, now)

    async def _let_texts_go(self, transaction: Transaction, row: Row, number: str, now: int) -> None:
        """Queue the texts that waited: from the new number, or from where they would have gone without it."""
        waiting = await transaction.rows("texts_waiting_for", purchase=row["id"])
        chosen = {text["id"]: (number, str(row["channel"])) for text in waiting if number}
        await self._queue(transaction, waiting, chosen, now)

    async def _let_stranded_go(self, transaction: Transaction, now: int) -> None:
        """Texts that were written in the moment in which their purchase ended, which nobody else looks for."""
        stranded = await transaction.rows("stranded_texts", limit=_MOST_STRANDED)
        chosen = {text["id"]: (text["own"], text["own_channel"]) for text in stranded if text["own"]}
        await self._queue(transaction, stranded, chosen, now)

    @staticmethod
    async def _queue(transaction: Transaction, texts: Sequence[Row], chosen: Mapping[str, Sender], now: int) -> None:
        if texts:
            await transaction.each("queue_waiting", [{"id": text["id"]} for text in texts], now=now)
            await move_to(transaction, texts, chosen, now)
            await transaction.wake("outbox")

    def _row(self, outcome: PurchaseOutcome) -> dict[str, Any]:
        row, now = outcome.row, self._clock()
        is_ordering = outcome.step == "order" and outcome.state == "open"
        return {
            "id": row["id"],
            "state": outcome.state,
            "step": outcome.step,
            "number": outcome.number,
            "found_by": outcome.found_by,
            "passed_over": dumps(outcome.passed_over),
            "error": outcome.error,
            "attempts": row["attempts"] if outcome.step == row["step"] else 0,
            "due_at": now + round(outcome.wait * MICROSECONDS),
            "ordered_at": row["ordered_at"] or (now if is_ordering else 0),
        }

    async def next_due(self, transaction: Transaction) -> int | None:
        """See Delivery."""
        row = await transaction.row("next_due_purchase")
        return row["due_at"] if row else None


def _standing(row: Row) -> PurchaseOutcome:
    """A purchase as it stands."""
    passed_over = tuple(orjson.loads(row["passed_over"]))
    return PurchaseOutcome(row, row["step"], number=row["number"], found_by=row["found_by"], passed_over=passed_over)


def _places(row: Row, provider: NumberProvider) -> Iterator[tuple[str, str]]:
    """Where to look, and why there: (area code, in words)."""
    if not row["area_code"] or (provider.countries and row["country"] not in provider.countries):
        yield "", "anywhere in the country"
    else:
        yield from alternatives(row["area_code"])
