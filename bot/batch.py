"""One batch of the pipeline inside its transaction: what is loaded, how it stands now, what will be written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from bot.changes import (
    Additions,
    JsonRow,
    consent_event,
    dumps,
    forgotten_nonce,
    occurrence,
    write_additions,
    write_people,
)
from bot.clock import MICROSECONDS, new_id
from bot.consent import FLAGGING, PhoneConsent, opt_out, refusal, spent_tags
from bot.deciding import Surroundings
from bot.occasions import Arrival, Occasion
from bot.people import Contact, Conversation, Phone, Run, Thread, conversation_from_row, phone_from_row, run_from_row
from bot.senders import Choose, sticky
from bot.store.contract import Transaction
from bot.suppression import SUPPRESSED, Suppressions
from bot.turn import Turn
from rules.decide import Ruleset

EVERYBODY = "*"
"""The contact of a cooldown that rests for all."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Windows:
    """How far a batch looks back, in seconds: for automatic replies, and for repeats of messages without an id."""

    automatic_seconds: int = 0
    repeat_seconds: int = 0


class Batch:
    """The working set of one transaction. `rules` None is for a batch that decides nothing."""

    def __init__(
        self,
        transaction: Transaction,
        now: int,
        suppressions: Suppressions,
        windows: Windows,
        rules: Ruleset | None = None,
    ) -> None:
        self._transaction = transaction
        self._now = now
        self._suppressions = suppressions
        self._windows = windows
        self._rules = rules
        self._known: dict[Key, str] = {}
        self._latest: dict[str, tuple[str, str]] = {}
        self._suppressed: frozenset[str] = frozenset()
        self._contacts: dict[str, Contact] = {}
        self._phones: dict[str, Phone] = {}
        self._conversations: dict[Key, Conversation] = {}
        self._last_inbound: dict[str, int] = defaultdict(int)
        self._before: tuple[dict[str, Contact], dict[str, Phone], dict[Key, Conversation]] = ({}, {}, {})
        self._automatic: dict[str, int] = defaultdict(int)
        self._answered: dict[str, Mapping[str, int]] = {}
        self._fired: dict[str, dict[str, int]] = defaultdict(dict)
        self._counts: dict[int, dict[str, int]] = {}
        self._runs: dict[str, dict[str, Run]] = defaultdict(dict)
        self._past: dict[str, frozenset[str]] = defaultdict(frozenset)
        self._runs_before: dict[str, Run] = {}
        self._added = Additions()

    async def load(self, arrivals: Sequence[Arrival], phones: Iterable[str] = ()) -> None:
        """Lock the phones, and read all that may be asked about them."""
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
            self._last_inbound[row["phone"]] = max(self._last_inbound[row["phone"]], row["last_inbound_at"])
        unknown = [number for number in numbers if number not in self._phones]
        self._suppressed = await self._suppressions.among(transaction, unknown)
        if self._rules is not None:
            await self._load_history(self._rules, text)
        self._before = (dict(self._contacts), dict(self._phones), dict(self._conversations))

    async def _load_history(self, rules: Ruleset, phones: str) -> None:
        """What the rules ask about the past, and nothing that they do not."""
        since = self._now - self._windows.automatic_seconds * MICROSECONDS
        for row in await self._transaction.rows("count_automatic", phones=phones, since=since):
            self._automatic[row["phone"]] = row["count"]
            self._answered[row["phone"]] = {"help": row["help"], "opt_in": row["opt_in"]}
        if rules.cooldown_keys:
            for row in await self._transaction.rows("load_cooldowns", contacts=dumps([*self._contacts, EVERYBODY])):
                self._fired[row["contact_id"]][row["key"]] = row["fired_at"]
        for window in rules.windows:
            since = self._now - window * MICROSECONDS
            rows = await self._transaction.rows("count_inbound", phones=phones, since=since)
            self._counts[window] = {row["phone"]: row["count"] for row in rows}
        if self._contacts:
            await self._load_runs(rules)

    async def _load_runs(self, rules: Ruleset) -> None:
        """Somebody may be in a workflow that these rules have no more."""
        contacts = sorted(self._contacts)
        for row in await self._transaction.rows("load_runs", contacts=dumps(contacts)):
            run = run_from_row(row)
            self._runs[run.contact_id][run.id] = run
            self._runs_before[run.id] = run
        if rules.book.workflows:
            for row in await self._transaction.rows("load_past_runs", contacts=dumps(contacts)):
                self._past[row["contact_id"]] |= {row["workflow"]}

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

    async def _load_known(self, arrivals: Sequence[Arrival]) -> None:
        keys = [
            {
                "channel": arrival.channel.name,
                "provider_id": arrival.inbound.provider_id,
                "nonce": forgotten_nonce(arrival.inbound.provider_id),
            }
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

    @property
    def workflows(self) -> dict[str, str]:
        """The workflows (with their version) that people are in, and the versions of the files that hold them."""
        return {run.key: run.rules for run in self._runs_before.values()}

    def with_rules(self, rules: Ruleset) -> None:
        """Go on with rules that know them."""
        self._rules = rules

    def known_id(self, arrival: Arrival) -> str | None:
        """Our id of a message that was received before, also earlier in this batch; "" where its contact has been
        deleted since."""
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
        return self._thread(contact, phone, conversation)

    def thread_of(self, contact_id: str, phone: str, number: str, channel: str, first: Choose) -> Thread | None:
        """A contact as it stands now, on one of its phones ("" for the best) and one of our numbers ("" for the one
        that they keep hearing from); None when it is gone. Who never spoke with us hears from `number`, "" for the one
        that `first` chooses."""
        own = [item for item in self._phones.values() if item.contact_id == contact_id]
        wanted = next((item for item in own if item.number == phone), None)
        best = wanted or next((item for item in own if refusal(item.consent) is None), None) or next(iter(own), None)
        if best is None:
            return None
        found = [item for item in self._conversations.values() if item.phone == best.number]
        exact = next((item for item in found if wanted is not None and item.number == number), None)
        conversation = exact or sticky(found)
        if conversation is None:
            if not number:
                number, channel = first(best.number)
            conversation = Conversation(new_id(), best.number, number, channel, created_at=self._now)
        return self._thread(self._contacts.get(contact_id), best, conversation)

    def thread_of_phone(self, number: str, ours: str, channel: str, first: Choose) -> Thread | None:
        """The contact of a phone as it stands now, on that phone and our number; None when it is nobody's."""
        phone = self._phones.get(number)
        return self.thread_of(phone.contact_id, number, ours, channel, first) if phone else None

    def _thread(self, contact: Contact | None, phone: Phone | None, conversation: Conversation) -> Thread:
        return Thread(
            contact,
            phone,
            conversation,
            self._automatic[conversation.phone],
            self._last_inbound[conversation.phone],
            tuple(run for run in self._runs[contact.id].values() if run.state == "active") if contact else (),
            self._past[contact.id] if contact else frozenset(),
            self._answered.get(conversation.phone, {}),
        )

    def around(self, surroundings: Surroundings, thread: Thread, *, is_message: bool) -> Surroundings:
        """The surroundings with what is known of this thread's past."""
        own = self._fired.get(thread.contact.id, {}) if thread.contact else {}
        counts = {
            window: found.get(thread.conversation.phone, 0) + is_message for window, found in self._counts.items()
        }
        last_fired = {**self._fired.get(EVERYBODY, {}), **own}
        asks_country = self._rules is not None and self._rules.asks_country
        return Surroundings(surroundings.business, surroundings.settings, last_fired, counts, asks_country)

    def keep(self, occasion: Occasion, turn: Turn) -> None:
        """Take over what became of one occasion."""
        done, arrival = turn.applied, occasion.arrival
        before = self._phones.get(done.conversation.phone)
        if done.phone and before is None and arrival is not None:
            self._added.consent_events.append(self._created(done.phone, arrival))
            done.phone = replace(done.phone, is_new=False)
        self._added.extend(done.added)
        self._added.decisions.extend(turn.decisions)
        for cooldown in self._cooldowns(turn, occasion.at):
            self._added.cooldowns.append(cooldown)
            self._fired[cooldown["contact_id"]][cooldown["key"]] = occasion.at
        if done.phone and done.contact:
            self._phones[done.phone.number] = done.phone
            self._contacts[done.contact.id] = (
                replace(done.contact, is_new=False) if done.contact.is_new else done.contact
            )
            if turn.runs.by_id:
                self._runs[done.contact.id].update(turn.runs.by_id)
                self._past[done.contact.id] = turn.runs.past
        if arrival is not None or done.added.messages or done.conversation != turn.thread.conversation:
            self._conversations[done.conversation.phone, done.conversation.number] = done.conversation
        self._automatic[done.conversation.phone] = done.automatic
        self._answered[done.conversation.phone] = done.answered
        if arrival is not None:
            self._received(arrival)

    def _received(self, arrival: Arrival) -> None:
        self._last_inbound[arrival.sender] = arrival.at
        self._known[arrival.channel.name, arrival.provider_id] = arrival.id
        self._latest[arrival.sender] = (arrival.content, arrival.id)
        for found in self._counts.values():
            found[arrival.sender] = found.get(arrival.sender, 0) + 1

    def knows(self, number: str) -> bool:
        """Whether a phone is somebody's."""
        return number in self._phones

    def opt_out_by_provider(self, number: str) -> bool:
        """The provider refuses to text a phone because it opted out there. Whether that is news."""
        phone = self._phones.get(number)
        if phone is None or not phone.consent.opted_in:
            return False
        after = opt_out(phone.consent)
        event = consent_event(phone, after, at=self._now, actor="provider", reason="the provider reports an opt-out")
        self._added.consent_events.append(event)
        self._added.silenced.append(number)
        self._added.unreachable.append(number)
        self._added.occurrences.append(
            occurrence(phone.contact_id, "opted_out", "", at=self._now, source="provider", phone=number)
        )
        self._phones[number] = replace(phone, consent=after)
        return True

    def end_run(self, id_: str, outcome: str) -> None:
        """End a run that cannot go on, if there is one of that id."""
        run = self._runs_before.get(id_)
        if run is not None:
            ended = replace(run, state="ended", outcome=outcome, ended_at=self._now, due_at=0)
            self._runs[run.contact_id][id_] = ended
            # Rules may wait for that, and another workflow for its turn to ask.
            self._added.occurrences.append(
                occurrence(run.contact_id, "workflow_ended", run.workflow, at=self._now, source="time")
            )

    async def write(self) -> None:
        """Write everything."""
        await self._take_spent_tags()
        contacts, phones, conversations = self._before
        await write_people(
            self._transaction,
            [(contacts.get(id_), contact) for id_, contact in self._contacts.items()],
            [(phones.get(number), phone) for number, phone in self._phones.items()],
            [(conversations.get(key), conversation) for key, conversation in self._conversations.items()],
            at=self._now,
            source="rule",
            tells_of_tags=False,
        )
        welcome = [
            self._suppressions.hash(number)
            for number, phone in self._phones.items()
            if phone.consent.opted_in and (number in self._suppressed or _was_out(phones.get(number)))
        ]
        if welcome:
            await self._transaction.rows("delete_suppressions", hashes=dumps(welcome))
        await self._write_runs()
        await write_additions(self._transaction, self._added, at=self._now)

    async def _take_spent_tags(self) -> None:
        """A tag goes with the last of its flags; other phones of the contact may still have it."""
        cleared: dict[str, list[PhoneConsent]] = defaultdict(list)
        for number, before in self._before[1].items():
            after = self._phones[number].consent
            if after != before.consent and spent_tags(FLAGGING, [before.consent], [after]):
                cleared[before.contact_id].append(before.consent)
        if not cleared:
            return
        states: dict[str, dict[str, PhoneConsent]] = defaultdict(dict)
        for row in await self._transaction.rows("phones_of_contacts", contacts=dumps([*cleared])):
            phone = self._phones.get(row["number"]) or phone_from_row(row)
            states[phone.contact_id][phone.number] = phone.consent
        for id_, was in cleared.items():
            contact = self._contacts[id_]
            spent = spent_tags(contact.tags, was, states[id_].values())
            self._contacts[id_] = replace(contact, tags=contact.tags - spent)
            row = {"contact_id": id_, "event": "removed", "at": self._now, "source": "contact"}
            self._added.tag_events += [{**row, "tag": tag} for tag in spent]

    async def _write_runs(self) -> None:
        runs = [run for found in self._runs.values() for run in found.values() if run != self._runs_before.get(run.id)]
        if not runs:
            return
        rows = [{name: getattr(run, name) for name in Run.__slots__} for run in runs]
        await self._transaction.each("insert_runs", [row for row in rows if row["id"] not in self._runs_before])
        await self._transaction.each("update_runs", [row for row in rows if row["id"] in self._runs_before])
        await self._transaction.wake("due")

    def _created(self, phone: Phone, arrival: Arrival) -> JsonRow:
        suppressed = phone.number in self._suppressed
        reason = SUPPRESSED if suppressed else f"texted {arrival.number} first"
        made = Phone(phone.number, phone.contact_id, PhoneConsent(opted_in=not suppressed), is_new=True)
        return consent_event(made, made.consent, at=arrival.at, actor="contact", reason=reason, message_id=arrival.id)

    def _cooldowns(self, turn: Turn, at: int) -> Iterable[JsonRow]:
        assert self._rules is not None, "whoever decides has rules"
        contact = turn.applied.contact
        for fired in (fired for decision in turn.decided for fired in decision.fired):
            key = self._rules.cooldown_key(fired.rule)
            if key is not None and (key.endswith(EVERYBODY) or contact is not None):
                own = contact is not None and not key.endswith(EVERYBODY)
                yield {"key": key, "contact_id": contact.id if own and contact else EVERYBODY, "at": at}


def _was_out(before: Phone | None) -> bool:
    return before is not None and not before.consent.opted_in
