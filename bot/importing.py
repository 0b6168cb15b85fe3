"""Contacts from a file: row by row, in batches, with every wrong row named by its line.

Nobody is opted in without evidence, nobody who opted out is opted in again, whoever a row says no of is opted out, and
the same file a second time changes nothing. Memory does not grow with the file.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from bot.changes import Additions, consent_event, dumps, list_event, occurrence, write_additions, write_people
from bot.clock import Clock, new_id
from bot.consent import TAGGED, PhoneConsent, TagChange, block, opt_out, refusal
from bot.contacts import Concerns, people_by_id
from bot.import_rows import ImportedRow, Plan, Record, RowError, RowRefused, checked
from bot.people import Contact, Phone
from bot.rehearsing import Rehearsal
from bot.store.contract import Conflict, Store, Transaction
from bot.suppression import SUPPRESSED, Suppressions
from rules.tags import DO_NOT_CONTACT, WRONG_NUMBER

BATCH_PHONES = 480
"""A batch is full with so many, or with Plan.batch_rows, and the last row's on top. More than 500 locked phones would
stop every other node for as long as the batch takes (store/postgres.py)."""
_OPTED_OUT = "the file says opted out"
_MOST_IDS = 100_000
"""So many ids of a file are remembered: rows of one person need not stand together, as they do in an export, but not
farther apart."""
_ATTEMPTS = 5


@dataclass(slots=True)
class Outcome:
    """How an import went. `kept_out` are phones that stay opted out whatever the file says."""

    rows: int = 0
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    kept_out: int = 0
    errors: list[RowError] = field(default_factory=list)
    error_count: int = 0

    def add(self, other: Outcome, most_errors: int) -> None:
        """Add how one more batch went."""
        for name in ("new", "changed", "unchanged", "kept_out"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for error in other.errors:
            self.add_error(error, most_errors)

    def add_error(self, error: RowError, most: int) -> None:
        """Count an error, and keep it while there are few."""
        self.error_count += 1
        if len(self.errors) < most:
            self.errors.append(error)


async def import_contacts(
    store: Store,
    suppressions: Suppressions,
    concerns: Concerns,
    records: Iterable[Record | RowError],
    plan: Plan,
    clock: Clock,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Import what a reader found (csv_columns.read_csv, vcards.VCards). Each batch is one transaction."""
    outcome = Outcome()
    rows = _rows(records, plan, outcome)
    async with AsyncExitStack() as stack:
        rehearsal = await stack.enter_async_context(Rehearsal.of(store, suppressions)) if plan.dry_run else None
        target = rehearsal.store if rehearsal else store
        for batch in _batches(rows, plan.batch_rows):
            if rehearsal:
                await rehearsal.bring(_numbers(batch))
            outcome.add(await _taken(target, suppressions, concerns, batch, plan, clock), plan.most_errors)
            progress(outcome)
    outcome.errors.sort(key=lambda error: error.line)
    return outcome


async def _taken(
    store: Store, suppressions: Suppressions, concerns: Concerns, rows: list[ImportedRow], plan: Plan, clock: Clock
) -> Outcome:
    """Take a batch, again where another node was in the way. Raises Conflict when it is in the way for ever."""
    for attempt in range(1, _ATTEMPTS + 1):
        outcome = Outcome()
        try:
            async with store.transaction() as transaction:
                await _Batch(transaction, suppressions, concerns, plan, outcome, clock()).take(rows)
        except Conflict:
            if attempt == _ATTEMPTS:
                raise
        else:
            return outcome
    raise AssertionError("the last attempt returns or raises")


def _batches(rows: Iterable[ImportedRow], most: int) -> Iterator[list[ImportedRow]]:
    batch: list[ImportedRow] = []
    phones = 0
    for row in rows:
        batch.append(row)
        phones += len(row.phones) + bool(row.beside)
        if len(batch) >= most or phones >= BATCH_PHONES:
            yield batch
            batch, phones = [], 0
    if batch:
        yield batch


def _rows(records: Iterable[Record | RowError], plan: Plan, outcome: Outcome) -> Iterator[ImportedRow]:
    first: OrderedDict[str, str] = OrderedDict()
    for record in records:
        outcome.rows += 1
        if isinstance(record, RowError):
            outcome.add_error(record, plan.most_errors)
            continue
        try:
            row = checked(record, plan)
        except RowRefused as error:
            outcome.add_error(RowError(record.line, str(error)), plan.most_errors)
            continue
        if record.id in first:
            row = replace(row, beside=first[record.id])
        elif record.id:
            first[record.id] = row.phones[0][0]
            if len(first) > _MOST_IDS:
                first.popitem(last=False)
        yield row


def _numbers(rows: Sequence[ImportedRow]) -> list[str]:
    """All numbers that the rows are about, in order."""
    return sorted({number for row in rows for number, _ in row.phones} | {row.beside for row in rows} - {""})


_MARKS: Mapping[str, TagChange] = {
    "blocked": lambda state, _: block(state),
    "do_not_contact": TAGGED[DO_NOT_CONTACT],
    "wrong_number": TAGGED[WRONG_NUMBER],
}


def _marked(state: PhoneConsent, marks: Iterable[str]) -> PhoneConsent:
    for mark in marks:
        state = _MARKS[mark](state, "")
    return state


def _said_of(contact: Contact, row: ImportedRow) -> Contact:
    """The contact as the row has it; the very same one where that says nothing new."""
    name, fields = row.name or contact.name, {**contact.fields, **row.fields}
    lists, tags = contact.lists | row.lists, contact.tags | row.tags
    if (name, fields, lists, tags) == (contact.name, contact.fields, contact.lists, contact.tags):
        return contact
    return replace(contact, name=name, fields=fields, lists=lists, tags=tags)


class _Batch:
    """One batch of rows in its transaction: set-based reading, one difference, set-based writing."""

    def __init__(
        self,
        transaction: Transaction,
        suppressions: Suppressions,
        concerns: Concerns,
        plan: Plan,
        outcome: Outcome,
        now: int,
    ) -> None:
        self._transaction = transaction
        self._suppressions = suppressions
        self._concerns = concerns
        self._plan = plan
        self._outcome = outcome
        self._now = now
        self._contacts: dict[str, Contact] = {}
        self._phones: dict[str, Phone] = {}
        self._unwanted: set[str] = set()
        """Contacts with a phone that is marked Do Not Contact."""
        self._suppressed: frozenset[str] = frozenset()
        self._lists: frozenset[str] = frozenset()
        self._added = Additions()

    async def take(self, rows: Sequence[ImportedRow]) -> None:
        """Deal with the rows, in order."""
        await self._load(rows)
        contacts, phones = dict(self._contacts), dict(self._phones)
        for row in rows:
            try:
                self._one(row)
            except RowRefused as error:
                self._outcome.add_error(RowError(row.line, str(error)), len(rows))
        await write_people(
            self._transaction,
            [(contacts.get(id_), contact) for id_, contact in self._contacts.items()],
            [(phones.get(number), phone) for number, phone in self._phones.items()],
            [],
            at=self._now,
            source=self._plan.by,
        )
        await write_additions(self._transaction, self._added, at=self._now)

    async def _load(self, rows: Sequence[ImportedRow]) -> None:
        numbers = _numbers(rows)
        await self._transaction.lock_phones(numbers)
        found = await self._transaction.rows("load_phones", phones=dumps(numbers))
        people = await people_by_id(self._transaction, sorted({row["contact_id"] for row in found}))
        self._contacts = {person.contact.id: person.contact for person in people}
        self._phones = {phone.number: phone for person in people for phone in person.phones}
        self._unwanted = {phone.contact_id for phone in self._phones.values() if phone.consent.do_not_contact}
        unknown = [number for number in numbers if number not in self._phones]
        self._suppressed = await self._suppressions.among(self._transaction, unknown)
        self._lists = frozenset(row["name"] for row in await self._transaction.rows("list_names"))

    def _one(self, row: ImportedRow) -> None:
        for name in row.lists - self._lists:
            raise RowRefused(f"there is no list '{name}'.")
        owners = {self._phones[number].contact_id for number, _ in row.phones if number in self._phones}
        if len(owners) > 1:
            raise RowRefused("its numbers belong to several contacts.")
        if not owners and row.beside in self._phones:
            owners.add(self._phones[row.beside].contact_id)
        before = self._contacts[owners.pop()] if owners else None
        contact = before or Contact(new_id(), is_new=True, source=self._plan.by)
        after = _said_of(contact, row)
        is_changed = after is not before
        for number, label in row.phones:
            is_changed |= self._phone(number, label, contact.id, row)
        self._contacts[after.id] = after
        if before is None:
            self._happened(after.id, "contact_added", "")
        elif before.fields != after.fields:
            self._happened(after.id, "changed", "")
        for name in sorted(after.lists - contact.lists):
            evidence = row.evidence if row.opted_in else ""
            self._added.list_events.append(
                list_event(after.id, name, "list_joined", at=self._now, actor=self._plan.by, evidence=evidence)
            )
            self._happened(after.id, "list_joined", name)
        if before is None:
            self._outcome.new += 1
        elif is_changed:
            self._outcome.changed += 1
        else:
            self._outcome.unchanged += 1

    def _phone(self, number: str, label: str, contact_id: str, row: ImportedRow) -> bool:
        """A phone; whether that changed anything. One that is known is never opted in: a file cannot take back what
        the person said."""
        known = self._phones.get(number)
        if known is not None:
            self._outcome.kept_out += row.opted_in and not known.consent.opted_in
            return self._mark(known, row)
        is_suppressed = number in self._suppressed
        marks = set(row.refusals)
        if contact_id in self._unwanted:
            marks.add("do_not_contact")  # said of a person, so it holds for each new number too
        state = _marked(PhoneConsent(opted_in=row.opted_in and not is_suppressed, label=label), marks)
        phone = Phone(number, contact_id, state, is_new=True)
        self._outcome.kept_out += row.opted_in and is_suppressed
        reason = SUPPRESSED if is_suppressed else row.evidence or "imported"
        self._added.consent_events.append(consent_event(phone, state, at=self._now, actor=self._plan.by, reason=reason))
        self._keep(Phone(number, contact_id, state))
        return True

    def _keep(self, phone: Phone) -> None:
        self._phones[phone.number] = phone
        if phone.consent.do_not_contact:
            self._unwanted.add(phone.contact_id)

    def _mark(self, phone: Phone, row: ImportedRow) -> bool:
        """Put the row's marks on a phone that is known, and its no; whether that changed it."""
        state = _marked(phone.consent, row.refusals)
        reason = row.evidence or "imported"
        if row.opted_out and state.opted_in:
            state, reason = opt_out(state), _OPTED_OUT
        if state == phone.consent:
            return False
        self._added.consent_events.append(consent_event(phone, state, at=self._now, actor=self._plan.by, reason=reason))
        if refusal(state) is not None:
            self._added.unreachable.append(phone.number)
        if phone.consent.opted_in and not state.opted_in:
            self._added.silenced.append(phone.number)
            self._happened(phone.contact_id, "opted_out", "", phone.number)
        self._keep(replace(phone, consent=state))
        return True

    def _happened(self, contact_id: str, event: str, detail: str, phone: str = "") -> None:
        if self._concerns(event, detail):
            row = occurrence(contact_id, event, detail, at=self._now, source=self._plan.by, phone=phone)
            self._added.occurrences.append(row)
