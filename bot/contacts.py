"""What staff do with people: make, change, tag, list, opt in, block and delete them. Every change of consent is
in the history, with who and why."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from bot import consent, events
from bot.changes import (
    Additions,
    consent_event,
    dumps,
    forgotten_nonce,
    list_event,
    occurrence,
    write_additions,
    write_people,
)
from bot.clock import MICROSECONDS, new_id
from bot.consent import TAGGED, UNTAGGED, PhoneConsent, TagChange, why_tagged
from bot.people import Contact, Phone, phone_from_row
from bot.store.contract import Row, Transaction
from bot.suppression import SUPPRESSED, Suppressions
from rules.facts import ALL_CONTACTS
from rules.tags import DO_NOT_CONTACT, OPT_IN, tag_name

Concerns = Callable[[str, str], bool]
"""Whether anything waits for an event of that name, about that list or phone: Ruleset.concerns."""

_KNOWN_AGAIN = 30 * 86_400 * MICROSECONDS
"""How long what a deleted contact sent is known again."""


class Taken(Exception):
    """A number belongs to another contact, whose id is the message."""


class Missing(Exception):
    """There is no such contact, phone or list."""


@dataclass(frozen=True, slots=True)
class Person:
    """A contact with its phones."""

    contact: Contact
    phones: tuple[Phone, ...]
    created_at: int
    updated_at: int


@dataclass(slots=True)
class Editing:
    """A person under the hand of a member of staff. `by` is who, for the history."""

    person: Person
    by: str
    now: int
    suppressions: Suppressions
    concerns: Concerns
    added: Additions

    @classmethod
    async def begin(
        cls, transaction: Transaction, suppressions: Suppressions, concerns: Concerns, id_: str, by: str, now: int
    ) -> Editing:
        """Lock the person and their phones, and load them. `concerns` says of which changes rules and workflows
        are to hear. Raises Missing."""
        numbers = [row["number"] for row in await transaction.rows("phones_of_contacts", contacts=dumps([id_]))]
        if numbers:
            await transaction.lock_phones(numbers)
        await transaction.lock_contacts([id_])
        found = await people_by_id(transaction, [id_])
        if not found:
            raise Missing("There is no such contact.")
        return cls(found[0], by, now, suppressions, concerns, Additions())

    async def write(self, transaction: Transaction, before: Person) -> None:
        """Write what differs from `before`. A tag goes with the last of its flags."""
        states = ([phone.consent for phone in person.phones] for person in (before, self.person))
        self._set(tags=self.person.contact.tags - consent.spent_tags(self.person.contact.tags, *states))
        old_contact, contact = before.contact, self.person.contact
        if (old_contact.name, old_contact.fields) != (contact.name, contact.fields):
            self.person = replace(self.person, updated_at=self.now)
        after = self.person
        old = {phone.number: phone for phone in before.phones}
        await write_people(
            transaction,
            [(before.contact, after.contact)],
            [(old.get(phone.number), phone) for phone in after.phones],
            [],
            at=self.now,
            source=self.by,
        )
        welcome = [
            self.suppressions.hash(phone.number)
            for phone in after.phones
            if phone.consent.opted_in and (phone.number not in old or not old[phone.number].consent.opted_in)
        ]
        if welcome:
            await transaction.rows("delete_suppressions", hashes=dumps(welcome))
        self._note_changes(old_contact, contact)
        await write_additions(transaction, self.added, at=self.now)

    def _note_changes(self, before: Contact, after: Contact) -> None:
        """The history of lists, and what rules and workflows are to hear of."""
        for event, names in (("list_joined", after.lists - before.lists), ("list_left", before.lists - after.lists)):
            for name in sorted(names):
                self.added.list_events.append(list_event(after.id, name, event, at=self.now, actor=self.by))
                self._happened(event, name)
        if before.fields != after.fields:
            self._happened("changed", "")

    def _happened(self, event: str, detail: str, phone: str = "") -> None:
        if self.concerns(event, detail):
            row = occurrence(self.person.contact.id, event, detail, at=self.now, source=self.by, phone=phone)
            self.added.occurrences.append(row)

    def change(self, number: str, change: Callable[[PhoneConsent], PhoneConsent], reason: str) -> None:
        """Change a phone's consent or label. Raises Missing, and consent.Refused."""
        phone = next((phone for phone in self.person.phones if phone.number == number), None)
        if phone is None:
            raise Missing("The contact has no such phone.")
        after = change(phone.consent)
        if after == phone.consent:
            return
        self.added.consent_events.append(consent_event(phone, after, at=self.now, actor=self.by, reason=reason))
        if consent.refusal(after) is not None:
            self.added.unreachable.append(number)
        if phone.consent.opted_in and not after.opted_in:
            self.added.silenced.append(number)
            self._happened("opted_out", "", number)
        elif after.opted_in and not phone.consent.opted_in:
            self._happened("opted_in", "", number)
        changed = replace(phone, consent=after)
        phones = tuple(changed if item.number == number else item for item in self.person.phones)
        self.person = replace(self.person, phones=phones)

    def tag(self, tag: str, reason: str) -> None:
        """Tag; three tags act on the consent of every phone. Raises consent.Refused."""
        self._set(tags=self.person.contact.tags | {tag})
        numbers = [phone.number for phone in self.person.phones]
        self._each_phone(TAGGED.get(tag), numbers, why_tagged(tag, reason), reason)

    async def untag(self, transaction: Transaction, tag: str) -> None:
        """Untag, and take back what the tag did, if it was on. Opt-in opts out whom nothing else has opted in since."""
        if tag not in self.person.contact.tags:
            self._without(tag)
            return
        self._without(tag)
        numbers = [phone.number for phone in self.person.phones]
        if tag == OPT_IN:
            rows = await transaction.rows("why_opted_in", phones=dumps(numbers))
            numbers = [row["phone"] for row in rows if row["reason"].startswith(why_tagged(tag))]
        self._each_phone(UNTAGGED.get(tag), numbers, f"untagged {tag}", "")

    def _without(self, tag: str) -> None:
        """The tag goes in any wording: earlier versions kept some that are one of the three as plain tags."""
        self._set(tags=frozenset(name for name in self.person.contact.tags if tag not in (name, tag_name(name))))

    def _each_phone(self, change: TagChange | None, numbers: Sequence[str], why: str, reason: str) -> None:
        if change is not None:
            for number in numbers:
                self.change(number, lambda state: change(state, reason), why)

    def join(self, name: str) -> None:
        """Put on a list."""
        self._set(lists=self.person.contact.lists | {name})

    def leave(self, name: str) -> None:
        """Take off a list; the person stays a contact."""
        self._set(lists=self.person.contact.lists - {name})

    def rename(self, name: str | None, fields: Mapping[str, str | None] | None) -> None:
        """Change the name and fields; a field set to None goes."""
        contact = self.person.contact
        merged = {**contact.fields, **(fields or {})}
        self._set(
            name=contact.name if name is None else name,
            fields={key: value for key, value in merged.items() if value is not None},
        )

    def _set(self, **values: object) -> None:
        self.person = replace(self.person, contact=replace(self.person.contact, **values))  # type: ignore[arg-type]


async def people_by_id(transaction: Transaction, ids: Sequence[str]) -> list[Person]:
    """The contacts of these ids, in that order, with phones, lists and tags; unknown ids are left out."""
    if not ids:
        return []
    text = dumps(list(ids))
    rows = {row["id"]: row for row in await transaction.rows("contacts_by_id", ids=text)}
    phones: dict[str, list[Phone]] = {}
    for row in await transaction.rows("phones_of_contacts", contacts=text):
        phones.setdefault(row["contact_id"], []).append(phone_from_row(row))
    labels: dict[tuple[str, str], set[str]] = {}
    for row in await transaction.rows("load_labels", contacts=text):
        labels.setdefault((row["kind"], row["contact_id"]), set()).add(row["name"])
    return [
        Person(
            Contact(
                id_,
                rows[id_]["name"],
                orjson.loads(rows[id_]["fields"]),
                frozenset(labels.get(("list", id_), ())),
                frozenset(labels.get(("tag", id_), ())),
                source=rows[id_]["source"],
            ),
            tuple(phones.get(id_, ())),
            rows[id_]["created_at"],
            rows[id_]["updated_at"],
        )
        for id_ in ids
        if id_ in rows
    ]


def best_phone(person: Person | None) -> tuple[str | None, str]:
    """The first phone that may be texted; else the one whose refusal says most, as a selection is counted (the query
    refusals_of_selected); None without any."""
    if person is None:
        return None, "there is no such contact"
    if not person.phones:
        return None, "the contact has no phone"
    return min(person.phones, key=lambda phone: _weight(phone.consent)).number, ""


def _weight(state: PhoneConsent) -> int:
    said = (consent.refusal(state) is None, state.blocked, not state.opted_in, state.do_not_contact, state.wrong_number)
    return said.index(True) if True in said else len(said)


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A contact to make. `phones` are (E.164, label); `evidence` is needed to opt in."""

    name: str
    phones: tuple[tuple[str, str], ...]
    lists: frozenset[str]
    tags: frozenset[str]
    fields: Mapping[str, str]
    opted_in: bool
    evidence: str


async def create(
    transaction: Transaction, suppressions: Suppressions, concerns: Concerns, new: NewPerson, by: str, now: int
) -> Person:
    """Make a contact; tags that act on consent do. A suppressed number is never opted in by this.

    Raises Taken, Missing and consent.NeedsReason."""
    numbers = [number for number, _ in new.phones]
    await transaction.lock_phones(numbers)
    for row in await transaction.rows("load_phones", phones=dumps(numbers)):
        raise Taken(row["contact_id"])
    for name in new.lists - {ALL_CONTACTS}:
        if (await known_list(transaction, name))["query"]:
            raise Missing(f"Who is on the list '{name}' follows from its query.")
    suppressed = await suppressions.among(transaction, numbers)
    contact = Contact(
        new_id(), new.name, dict(new.fields), new.lists - {ALL_CONTACTS}, new.tags, is_new=True, source=by
    )
    added = Additions()
    phones = []
    for number, label in new.phones:
        state = _tagged(PhoneConsent(opted_in=new.opted_in, label=label), new)
        if number in suppressed:
            state = consent.opt_out(state)
        phone = Phone(number, contact.id, state, is_new=True)
        by_tag = OPT_IN in new.tags and not new.opted_in
        reason = SUPPRESSED if number in suppressed else why_tagged(OPT_IN, new.evidence) if by_tag else new.evidence
        added.consent_events.append(consent_event(phone, state, at=now, actor=by, reason=reason))
        phones.append(phone)
    await write_people(transaction, [(None, contact)], [(None, phone) for phone in phones], [], at=now, source=by)
    for name in sorted(contact.lists):
        added.list_events.append(list_event(contact.id, name, "list_joined", at=now, actor=by, evidence=new.evidence))
    happened = [("contact_added", ""), *(("list_joined", name) for name in sorted(contact.lists))]
    added.occurrences += [
        occurrence(contact.id, event, detail, at=now, source=by)
        for event, detail in happened
        if concerns(event, detail)
    ]
    await write_additions(transaction, added, at=now)
    return Person(contact, tuple(phones), now, now)


def _tagged(state: PhoneConsent, new: NewPerson) -> PhoneConsent:
    for tag in sorted(new.tags & TAGGED.keys()):
        state = TAGGED[tag](state, new.evidence)
    return state


async def add_phone(transaction: Transaction, editing: Editing, number: str, label: str) -> None:
    """Give a person one more phone, not opted in. Raises Taken."""
    await transaction.lock_phones([number])
    for row in await transaction.rows("load_phones", phones=dumps([number])):
        raise Taken(row["contact_id"])
    # Do Not Contact is said of a person, so it holds for each new number too; Wrong Number does not.
    is_not_wanted = DO_NOT_CONTACT in editing.person.contact.tags
    state = PhoneConsent(opted_in=False, do_not_contact=is_not_wanted, label=label)
    phone = Phone(number, editing.person.contact.id, state, is_new=True)
    editing.added.consent_events.append(
        consent_event(phone, phone.consent, at=editing.now, actor=editing.by, reason="added by staff")
    )
    editing.person = replace(editing.person, phones=(*editing.person.phones, phone))


async def delete(transaction: Transaction, editing: Editing) -> None:
    """Delete a person from everywhere. Whoever was not to be texted stays so, as a keyed hash."""
    person = editing.person
    await _forget(transaction, editing, person.phones, person.contact.id)
    await transaction.rows("forget_cooldowns", contact=person.contact.id)
    await transaction.rows("forget_audit", contact=person.contact.id)
    await transaction.rows("forget_events", contact=person.contact.id)
    await transaction.rows("delete_contact", id=person.contact.id)
    data = {"contact": {"id": person.contact.id}, "by": editing.by}
    await events.publish(transaction, lambda: [events.event("contact.deleted", data, at=editing.now)])


async def forget_phone(transaction: Transaction, editing: Editing, number: str) -> None:
    """Take a phone off a person, with all that was texted with it. Raises Missing."""
    gone = [phone for phone in editing.person.phones if phone.number == number]
    if not gone:
        raise Missing("The contact has no such phone.")
    await _forget(transaction, editing, gone)
    await transaction.rows("delete_phone", number=number)
    await transaction.rows("forget_number_in_audit", contact=editing.person.contact.id, number=number)
    editing.person = replace(
        editing.person, phones=tuple(phone for phone in editing.person.phones if phone.number != number)
    )


async def _forget(transaction: Transaction, editing: Editing, phones: Sequence[Phone], contact: str = "") -> None:
    numbers = [phone.number for phone in phones]
    text = dumps(numbers)
    kept = [
        {"phone_hash": editing.suppressions.hash(phone.number), "at": editing.now, "reason": phone.consent.status}
        for phone in phones
        if consent.refusal(replace(phone.consent, label="cell")) is not None
    ]
    await transaction.each("insert_suppressions", kept)
    hashes = [{"phone": number, "phone_hash": f"hash:{editing.suppressions.hash(number)}"} for number in numbers]
    await transaction.each("forget_consent_numbers", hashes)
    # Not every provider signs a time: a START that was sent once more would opt them in again.
    rows = await transaction.rows("inbound_ids", phones=text, since=editing.now - _KNOWN_AGAIN)
    until = editing.now + _KNOWN_AGAIN
    nonces = [{"channel": r["channel"], "nonce": forgotten_nonce(r["provider_id"]), "until": until} for r in rows]
    await transaction.each("remember_nonces", nonces)
    await transaction.rows("forget_idempotent_answers", contact=contact, phones=text)
    for query in ("forget_decisions", "forget_notifications", "forget_messages", "forget_conversations"):
        await transaction.rows(query, phones=text)


async def known_list(transaction: Transaction, name: str) -> Row:
    """The list; All Contacts is one, and by no query. Raises Missing unless there is such a list."""
    row = await transaction.row("list_named", name=name)
    if row is None and name != ALL_CONTACTS:
        raise Missing(f"There is no list '{name}'.")
    return row or {"name": name, "query": ""}
