"""One batch of the pipeline inside its transaction: what is loaded, how it stands now, what will be written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from adapters.contract import Receipt
from bot.apply import Application, Arrival
from bot.changes import Additions, JsonRow, consent_event, dumps, write_additions, write_people
from bot.clock import MICROSECONDS, new_id
from bot.consent import PhoneConsent, opt_out
from bot.people import Contact, Conversation, Phone, Thread, conversation_from_row, phone_from_row
from bot.store.contract import Transaction
from bot.suppression import Suppressions
from rules.decide import Decision, Ruleset

_RANK = {"sent": 2, "undelivered": 3, "failed": 3, "delivered": 4}
EVERYBODY = "*"
"""The contact of a cooldown that rests for all."""

Key = tuple[str, str]


def receipt_key(channel: str, provider_id: str) -> str:
    """What the lock of a sent message's receipts is called."""
    return f"{channel}:{provider_id}"


@dataclass(frozen=True, slots=True)
class Windows:
    """How far a batch looks back, in seconds: for automatic replies, and for repeats of messages without an id."""

    automatic_seconds: int = 0
    repeat_seconds: int = 0


class Batch:
    """The working set of one transaction."""

    def __init__(self, transaction: Transaction, now: int, suppressions: Suppressions, windows: Windows) -> None:
        self._transaction = transaction
        self._now = now
        self._suppressions = suppressions
        self._windows = windows
        self._known: dict[Key, str] = {}
        self._latest: dict[str, tuple[str, str]] = {}
        self._suppressed: frozenset[str] = frozenset()
        self._contacts: dict[str, Contact] = {}
        self._phones: dict[str, Phone] = {}
        self._conversations: dict[Key, Conversation] = {}
        self._have_texted: set[str] = set()
        self._before: tuple[dict[str, Contact], dict[str, Phone], dict[Key, Conversation]] = ({}, {}, {})
        self._automatic: dict[str, int] = defaultdict(int)
        self._fired: dict[str, dict[str, int]] = defaultdict(dict)
        self._added = Additions()

    async def apply_receipts(self, receipts: Sequence[tuple[str, Receipt]]) -> list[str]:
        """Move sent messages forward; returns the phones that, says the provider, have opted out."""
        if not receipts:
            return []
        latest: dict[Key, Receipt] = {}
        for channel, receipt in receipts:
            key = (channel, receipt.provider_id)
            if key not in latest or _RANK[receipt.state] > _RANK[latest[key].state]:
                latest[key] = receipt
        opted_out = {(channel, receipt.provider_id) for channel, receipt in receipts if receipt.opted_out}
        rows = [
            {
                "channel": channel,
                "provider_id": id_,
                "state": r.state,
                "error": r.error_code,
                "opted_out": int((channel, id_) in opted_out),
                "at": self._now,
            }
            for (channel, id_), r in latest.items()
        ]
        await self._transaction.lock_receipts([receipt_key(*key) for key in latest])
        known = {
            (row["channel"], row["provider_id"]): row["phone"]
            for row in await self._transaction.each("known_outbound", rows)
        }
        await self._transaction.each("apply_receipts", rows, now=self._now)
        await self._transaction.each(
            "keep_early_receipts", [row for row in rows if (row["channel"], row["provider_id"]) not in known]
        )
        return [known[key] for key in sorted(opted_out) if key in known]

    async def load(
        self,
        arrivals: Sequence[Arrival],
        phones: Sequence[str],
        cooldown_keys: frozenset[str],
    ) -> None:
        """Lock the phones, and read all that their messages may ask about."""
        numbers = sorted({arrival.sender for arrival in arrivals} | set(phones))
        if not numbers:
            return
        transaction = self._transaction
        await transaction.lock_phones(numbers)
        await self._load_known(arrivals)
        text = dumps(numbers)
        for row in await transaction.rows("load_phones", phones=text):
            self._phones[row["number"]] = phone_from_row(row)
            self._contacts[row["contact_id"]] = Contact(row["contact_id"], row["name"], orjson.loads(row["fields"]))
        await self._load_labels()
        for row in await transaction.rows("load_conversations", phones=text):
            self._conversations[row["phone"], row["number"]] = conversation_from_row(row)
            if row["last_inbound_at"]:
                self._have_texted.add(row["phone"])
        await self._load_suppressions([number for number in numbers if number not in self._phones])
        if arrivals:
            for row in await transaction.rows(
                "count_automatic", phones=text, since=self._now - self._windows.automatic_seconds * MICROSECONDS
            ):
                self._automatic[row["phone"]] = row["count"]
        if cooldown_keys:
            await self._load_cooldowns()
        self._before = (dict(self._contacts), dict(self._phones), dict(self._conversations))

    async def _load_labels(self) -> None:
        if not self._contacts:
            return
        names: Mapping[str, dict[str, set[str]]] = {"list": defaultdict(set), "tag": defaultdict(set)}
        for row in await self._transaction.rows("load_labels", contacts=dumps(list(self._contacts))):
            names[row["kind"]][row["contact_id"]].add(row["name"])
        for id_, contact in self._contacts.items():
            lists, tags = names["list"].get(id_), names["tag"].get(id_)
            if lists or tags:
                self._contacts[id_] = replace(contact, lists=frozenset(lists or ()), tags=frozenset(tags or ()))

    async def _load_suppressions(self, unknown: list[str]) -> None:
        hashes = {self._suppressions.hash(number): number for number in unknown}
        if hashes:
            found = await self._transaction.rows("load_suppressions", hashes=dumps(list(hashes)))
            self._suppressed = frozenset(hashes[row["phone_hash"]] for row in found)

    async def _load_cooldowns(self) -> None:
        for row in await self._transaction.rows("load_cooldowns", contacts=dumps([*self._contacts, EVERYBODY])):
            self._fired[row["contact_id"]][row["key"]] = row["fired_at"]

    async def _load_known(self, arrivals: Sequence[Arrival]) -> None:
        keys = [
            {"channel": arrival.channel.name, "provider_id": arrival.inbound.provider_id}
            for arrival in arrivals
            if arrival.inbound.provider_id
        ]
        if keys:
            for row in await self._transaction.rows("known_inbound", keys=dumps(keys)):
                self._known[row["channel"], row["provider_id"]] = row["id"]
        nameless = sorted({arrival.sender for arrival in arrivals if arrival.content})
        if nameless:
            since = self._now - self._windows.repeat_seconds * MICROSECONDS
            for row in await self._transaction.rows("last_inbound", phones=dumps(nameless), since=since):
                self._latest[row["phone"]] = (row["provider_id"].rpartition(":")[0], row["id"])

    def known_id(self, arrival: Arrival) -> str | None:
        """Our id of a message that was received before, also earlier in this batch."""
        if not arrival.content:
            return self._known.get((arrival.channel.name, arrival.provider_id))
        content, id_ = self._latest.get(arrival.sender, ("", ""))
        return id_ if content == arrival.content else None

    def thread(self, arrival: Arrival) -> Thread:
        """The people behind a message as they stand now; an unknown phone is made a contact."""
        phone = self._phones.get(arrival.sender)
        contact = self._contacts.get(phone.contact_id) if phone else None
        if phone is None and arrival.kind == "phone":
            contact = Contact(new_id(), is_new=True, source=f"text on {arrival.channel.name}")
            opted_in = arrival.sender not in self._suppressed
            phone = Phone(arrival.sender, contact.id, PhoneConsent(opted_in=opted_in), is_new=True)
        key = (arrival.sender, arrival.number)
        conversation = self._conversations.get(key) or Conversation(
            new_id(), arrival.sender, arrival.number, arrival.channel.name, created_at=arrival.at
        )
        is_first = arrival.sender not in self._have_texted
        return Thread(contact, phone, conversation, self._automatic[arrival.sender], is_first)

    def last_fired(self, thread: Thread) -> Mapping[str, int]:
        """When rules in cooldown last answered this contact, or anybody."""
        own = self._fired.get(thread.contact.id, {}) if thread.contact else {}
        return {**self._fired.get(EVERYBODY, {}), **own}

    def keep(self, arrival: Arrival, done: Application, decision: Decision | None, rules: Ruleset) -> None:
        """Take over what became of one message."""
        before = self._phones.get(arrival.sender)
        if done.phone and before is None:
            self._added.consent_events.append(self._created(done.phone, arrival))
            done.phone = replace(done.phone, is_new=False)
        self._added.extend(done.added)
        for cooldown in self._cooldowns(done, decision, rules, arrival.at):
            self._added.cooldowns.append(cooldown)
            self._fired[cooldown["contact_id"]][cooldown["key"]] = arrival.at
        if done.phone and done.contact:
            self._phones[done.phone.number] = done.phone
            self._contacts[done.contact.id] = (
                replace(done.contact, is_new=False) if done.contact.is_new else done.contact
            )
        self._conversations[arrival.sender, arrival.number] = done.conversation
        self._have_texted.add(arrival.sender)
        self._automatic[arrival.sender] = done.automatic
        self._known[arrival.channel.name, arrival.provider_id] = arrival.id
        self._latest[arrival.sender] = (arrival.content, arrival.id)

    def opt_out_by_provider(self, number: str) -> None:
        """The provider refuses to text a phone because it opted out there."""
        phone = self._phones.get(number)
        if phone is None or not phone.consent.opted_in:
            return
        after = opt_out(phone.consent)
        event = consent_event(phone, after, at=self._now, actor="provider", reason="the provider reports an opt-out")
        self._added.consent_events.append(event)
        self._added.silenced.append(number)
        self._phones[number] = replace(phone, consent=after)

    async def write(self) -> None:
        """Write everything."""
        contacts, phones, conversations = self._before
        await write_people(
            self._transaction,
            [(contacts.get(id_), contact) for id_, contact in self._contacts.items()],
            [(phones.get(number), phone) for number, phone in self._phones.items()],
            [(conversations.get(key), conversation) for key, conversation in self._conversations.items()],
            at=self._now,
            source="rule",
        )
        welcome = [
            self._suppressions.hash(number)
            for number, phone in self._phones.items()
            if phone.consent.opted_in and (number in self._suppressed or _was_out(phones.get(number)))
        ]
        if welcome:
            await self._transaction.rows("delete_suppressions", hashes=dumps(welcome))
        await write_additions(self._transaction, self._added, at=self._now)

    def _created(self, phone: Phone, arrival: Arrival) -> JsonRow:
        suppressed = phone.number in self._suppressed
        reason = "opted out before the contact was deleted" if suppressed else f"texted {arrival.number} first"
        made = Phone(phone.number, phone.contact_id, PhoneConsent(opted_in=not suppressed), is_new=True)
        return consent_event(made, made.consent, at=arrival.at, actor="contact", reason=reason, message_id=arrival.id)

    @staticmethod
    def _cooldowns(done: Application, decision: Decision | None, rules: Ruleset, at: int) -> Iterable[JsonRow]:
        for fired in decision.fired if decision else ():
            key = rules.cooldown_key(fired.rule)
            if key is not None and (key.endswith(EVERYBODY) or done.contact is not None):
                own = done.contact is not None and not key.endswith(EVERYBODY)
                yield {"key": key, "contact_id": done.contact.id if own and done.contact else EVERYBODY, "at": at}


def _was_out(before: Phone | None) -> bool:
    return before is not None and not before.consent.opted_in
