"""Contacts from a CSV file: row by row, in batches, with every wrong row named by its line.

Nobody is opted in without evidence, nobody who opted out is opted in again, and the same file a second time changes
nothing. Memory does not grow with the file.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from zoneinfo import ZoneInfo

from bot.changes import Additions, consent_event, dumps, list_event, occurrence, write_additions, write_people
from bot.clock import Clock, new_id
from bot.consent import DO_NOT_CONTACT, OPT_IN, TAGGED, WRONG_NUMBER, Label, PhoneConsent, TagChange, block
from bot.contacts import Concerns, people_by_id
from bot.csv_columns import PHONE_LABELS, REFUSALS, Columns
from bot.people import Contact, Phone
from bot.phones import parse_phone
from bot.store.contract import Store, Transaction
from bot.suppression import SUPPRESSED, Suppressions
from rules.facts import ALL_CONTACTS
from rules.reader import FieldType, is_value

BATCH_ROWS = 500
MAX_NAME = 200
_TRUE = frozenset({"1", "true", "yes", "y", "x", "on", "opted_in", "subscribed"})
_FALSE = frozenset({"", "0", "false", "no", "n", "off", "opted_out", "unsubscribed"})
_LABELS: tuple[Label, ...] = ("cell", "home", "work", "other")


@dataclass(frozen=True, slots=True)
class RowError:
    """A row that was left out, and why. `line` counts from 1, the header included."""

    line: int
    message: str


@dataclass(frozen=True, slots=True)
class ImportedRow:
    """One row, read. `phones` are (E.164, label)."""

    line: int
    name: str
    phones: tuple[tuple[str, str], ...]
    lists: frozenset[str]
    tags: frozenset[str]
    fields: Mapping[str, str]
    opted_in: bool
    evidence: str
    refusals: frozenset[str] = frozenset()
    """Of REFUSALS: what the phones are marked as. A file may put such a mark, and never take one away."""


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

    def add_error(self, error: RowError, most: int) -> None:
        """Count an error, and keep it while there are few."""
        self.error_count += 1
        if len(self.errors) < most:
            self.errors.append(error)


@dataclass(frozen=True, slots=True)
class Plan:
    """What holds for all rows of an import. `by` is who, for the history."""

    columns: Columns
    country: str
    by: str
    lists: frozenset[str] = frozenset()
    kinds: Mapping[str, FieldType] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))
    opted_in: bool = False
    evidence: str = ""
    dry_run: bool = False
    most_errors: int = 1000


class RowRefused(Exception):
    """A row that cannot be taken; the message says why."""


class _DryRun(Exception):
    """Takes a batch back."""


async def import_contacts(
    store: Store,
    suppressions: Suppressions,
    concerns: Concerns,
    lines: Iterable[str],
    plan: Plan,
    clock: Clock,
    progress: Callable[[Outcome], None] = lambda _: None,
) -> Outcome:
    """Import the rows that follow the header (`lines` begin with it). Each batch is one transaction."""
    outcome = Outcome()
    rows = _rows(lines, plan, outcome)
    while batch := list(islice(rows, BATCH_ROWS)):
        try:
            async with store.transaction() as transaction:
                await _Batch(transaction, suppressions, concerns, plan, outcome, clock()).take(batch)
                if plan.dry_run:
                    raise _DryRun
        except _DryRun:
            pass
        progress(outcome)
    outcome.errors.sort(key=lambda error: error.line)
    return outcome


def _rows(lines: Iterable[str], plan: Plan, outcome: Outcome) -> Iterator[ImportedRow]:
    reader = csv.reader(lines)
    next(reader, None)
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            outcome.add_error(RowError(reader.line_num, f"not readable as CSV: {error}."), plan.most_errors)
            continue
        if not any(cell.strip() for cell in cells):
            continue
        outcome.rows += 1
        try:
            yield read_row(reader.line_num, cells, plan)
        except RowRefused as error:
            outcome.add_error(RowError(reader.line_num, str(error)), plan.most_errors)


def read_row(line: int, cells: Sequence[str], plan: Plan) -> ImportedRow:
    """Read one row. Raises RowRefused."""

    def cell(target: str) -> str:
        places = plan.columns.targets.get(target, ())
        return next((_clean(cells[place]) for place in places if place < len(cells) and cells[place].strip()), "")

    phones: dict[str, str] = {}
    label = cell("label").lower()
    if label and label not in _LABELS:
        raise RowRefused(f"'{label}' is no label of a phone: cell, home, work or other.")
    for target, own in PHONE_LABELS.items():
        text = cell(target)
        if text:
            phone = parse_phone(text, plan.country)
            if phone is None:
                raise RowRefused(f"'{text[:40]}' is no phone number.")
            phones.setdefault(phone, label or own if target == "phone" else own)
    if not phones:
        raise RowRefused("there is no phone number.")
    said = cell("opted_in").lower()
    if said not in _TRUE | _FALSE:
        raise RowRefused(f"'{said[:40]}' is neither yes nor no.")
    opted_in, evidence = said in _TRUE or plan.opted_in, cell("evidence") or plan.evidence
    if opted_in and not evidence:
        raise RowRefused("opting in needs evidence: where and when did the person agree?")
    name = cell("name")
    if len(name) > MAX_NAME:
        raise RowRefused(f"the name has {len(name)} characters; {MAX_NAME} is the most.")
    fields = {
        key: _clean(cells[place])
        for key, place in plan.columns.fields.items()
        if place < len(cells) and cells[place].strip()
    }
    lists = (plan.lists | _several(cell("lists"))) - {ALL_CONTACTS}
    tags = _several(cell("tags")) - {OPT_IN}
    for key, value in fields.items():
        if key in plan.kinds and not is_value(value, plan.kinds[key], plan.zone):
            raise RowRefused(f"'{value[:40]}' is no {plan.kinds[key]} for '{key}'.")
    marks = {name for name in REFUSALS if cell(name).lower() in _TRUE}
    marks |= {tag.replace("-", "_") for tag in tags & {DO_NOT_CONTACT, WRONG_NUMBER}}
    people = tuple(phones.items())
    return ImportedRow(line, name, people, lists, tags, fields, opted_in, evidence[:500], frozenset(marks))


def _several(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(";") if part.strip())


def _clean(text: str) -> str:
    """A cell. Spreadsheets take what begins with = + - @ for a formula, so an export puts ' before it."""
    text = text.strip().replace("\0", "")[:1000]
    return text[1:] if text[:1] == "'" and text[1:2] in tuple("=+-@") else text


_MARKS: Mapping[str, TagChange] = {
    "blocked": lambda state, _: block(state),
    "do_not_contact": TAGGED[DO_NOT_CONTACT],
    "wrong_number": TAGGED[WRONG_NUMBER],
}


def _marked(state: PhoneConsent, marks: Iterable[str]) -> PhoneConsent:
    for mark in marks:
        state = _MARKS[mark](state, "")
    return state


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
                self._outcome.add_error(RowError(row.line, str(error)), self._plan.most_errors)
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
        numbers = sorted({number for row in rows for number, _ in row.phones})
        await self._transaction.lock_phones(numbers)
        found = await self._transaction.rows("load_phones", phones=dumps(numbers))
        people = await people_by_id(self._transaction, sorted({row["contact_id"] for row in found}))
        self._contacts = {person.contact.id: person.contact for person in people}
        self._phones = {phone.number: phone for person in people for phone in person.phones}
        unknown = [number for number in numbers if number not in self._phones]
        self._suppressed = await self._suppressions.among(self._transaction, unknown)
        self._lists = frozenset(row["name"] for row in await self._transaction.rows("list_names"))

    def _one(self, row: ImportedRow) -> None:
        for name in row.lists - self._lists:
            raise RowRefused(f"there is no list '{name}'.")
        owners = {self._phones[number].contact_id for number, _ in row.phones if number in self._phones}
        if len(owners) > 1:
            raise RowRefused("its numbers belong to several contacts.")
        before = self._contacts[owners.pop()] if owners else None
        contact = before or Contact(new_id(), is_new=True, source=self._plan.by)
        after = replace(
            contact,
            name=row.name or contact.name,
            fields={**contact.fields, **row.fields},
            lists=contact.lists | row.lists,
            tags=contact.tags | row.tags,
        )
        is_changed = after != before
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
        """A phone that is known keeps its consent: a file cannot take back what the person said."""
        known = self._phones.get(number)
        if known is not None:
            self._outcome.kept_out += row.opted_in and not known.consent.opted_in
            return self._mark(known, row)
        is_suppressed = number in self._suppressed
        marks = set(row.refusals)
        if any(phone.consent.do_not_contact for phone in self._phones.values() if phone.contact_id == contact_id):
            marks.add("do_not_contact")  # said of a person, so it holds for each new number too
        state = _marked(PhoneConsent(opted_in=row.opted_in and not is_suppressed, label=label), marks)
        phone = Phone(number, contact_id, state, is_new=True)
        self._outcome.kept_out += row.opted_in and is_suppressed
        reason = SUPPRESSED if is_suppressed else row.evidence or "imported"
        self._added.consent_events.append(consent_event(phone, state, at=self._now, actor=self._plan.by, reason=reason))
        self._phones[number] = replace(phone, is_new=False)
        return True

    def _mark(self, phone: Phone, row: ImportedRow) -> bool:
        """Put the row's marks on a phone that is known; whether that changed it."""
        state = _marked(phone.consent, row.refusals)
        if state == phone.consent:
            return False
        self._added.consent_events.append(
            consent_event(phone, state, at=self._now, actor=self._plan.by, reason=row.evidence or "imported")
        )
        if phone.consent.opted_in and not state.opted_in:
            self._added.silenced.append(phone.number)
        self._phones[phone.number] = replace(phone, consent=state)
        return True

    def _happened(self, contact_id: str, event: str, detail: str) -> None:
        if self._concerns(event, detail):
            self._added.occurrences.append(occurrence(contact_id, event, detail, at=self._now, source=self._plan.by))
