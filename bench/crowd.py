"""Who the staff benchmark is about: 100,000 contacts and what was texted with them, the same every time."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

import orjson

from bench.shop import NUMBER
from bot.criteria import searchable

STEPS = (10_000, 100_000, 1_000_000)
"""Messages in the store."""
CONTACTS, SECOND_PHONES, CONVERSATIONS = 100_000, 10_000, 60_000
RARE_NAME, RARE_TAG, BIG_LIST, SMALL_LIST = "quackenbush", "founder", "everybody", "board"
_LISTS = {BIG_LIST: CONTACTS, SMALL_LIST: 12} | {f"list{n}": 250 * (n + 1) * (n + 1) // 2 for n in range(17)}
_QUERY_LIST = "idle"
_TAGS = {"regular": 50_000, "vip": 5_000, RARE_TAG: 20}
_LONGEST = 200
_FIRST = (
    "James", "Mary", "Robert", "Patricia", "John", "Jennifer", "Michael", "Linda", "David", "Elizabeth", "William",
    "Barbara", "Richard", "Susan", "Joseph", "Jessica", "Thomas", "Karen", "Christopher", "Sarah", "Ana", "José",
    "Élodie", "Søren", "Hannah", "Annika", "Mario", "Marta", "Omar", "Wei", "Yuki", "Fatima", "Olga", "Ivan", "Zoë",
)  # fmt: skip
_LAST = (
    "Smith", "Johnson", "Williams", "Brown", "Jones", "Garcia", "Miller", "Davis", "Rodriguez", "Martinez", "Hernandez",
    "Lopez", "Gonzalez", "Wilson", "Anderson", "Thomas", "Taylor", "Moore", "Jackson", "Martin", "Lee", "Perez",
    "Thompson", "White", "Harris", "Sanchez", "Clark", "Ramirez", "Lewis", "Robinson", "Müller", "Nguyễn", "Kowalski",
)  # fmt: skip
_TEXTS = (
    "Are you open on Sunday?", "Thanks!", "Can I get two of the blue ones, and can they be here by Friday afternoon?",
    "Yes", "What time do you close today", "HOURS", "I will be ten minutes late, sorry", "Is it still there?",
)  # fmt: skip
_ANSWER = "We are open from 9 to 6 on weekdays, and from 10 to 4 on Saturdays. Reply STOP to opt out."
_US, _DAY = 1_000_000, 86_400_000_000
_CHUNK = 20_000
_CONTACT_COLUMNS = ("id", "name", "fields", "source", "created_at", "updated_at", "search")
_PHONE_COLUMNS = (
    "number", "contact_id", "label", "opted_in", "blocked", "do_not_contact", "wrong_number", "created_at",
)  # fmt: skip
_CONSENT_COLUMNS = ("id", "phone", "contact_id", "at", "event", "actor", "reason", "message_id", "before", "after")
_CONVERSATION_COLUMNS = (
    "id", "phone", "number", "channel", "mode", "route", "staff_until", "capped_until", "unread", "last_inbound_at",
    "last_message_at", "created_at", "assigned_to", "waiting_since", "escalated_at",
)  # fmt: skip
_MESSAGE_COLUMNS = (
    "id", "direction", "state", "channel", "number", "phone", "conversation_id", "body", "media", "parts",
    "provider_id", "sent_by", "sent_by_name", "in_reply_to", "exempt_until", "priority", "due_at", "lease_until",
    "attempts", "error", "created_at", "updated_at",
)  # fmt: skip

Insert = Callable[[str, Sequence[str], Sequence[Sequence[Any]]], Awaitable[None]]
"""Put rows into a table."""


@dataclass(frozen=True, slots=True)
class Staged:
    """Some of whom to ask for: conversations, contacts, numbers."""

    short: list[str]
    long: list[str]
    contacts: list[str]
    numbers: list[str]


@dataclass(slots=True)
class _Talk:
    """A conversation, and the texts it has still to get."""

    id: str
    phone: str
    contact: str
    texts: int
    last_inbound_at: int = 0
    last_at: int = 0


class Crowd:
    """Fills a store, step by step."""

    def __init__(self) -> None:
        self._random = Random(1)
        self._now = time.time_ns() // 1000
        self._contacts = [self._id(number) for number in range(CONTACTS)]
        owners = [*range(CONTACTS), *self._random.sample(range(CONTACTS), SECOND_PHONES)]
        areas = ("201", "212", "305", "312", "404", "415", "512", "602", "702", "802", "206", "907")
        self._phones = [
            (f"+1{areas[n % 12]}5{n // 12 % 100:02d}{self._random.randrange(10)}{n // 12:04d}", self._contacts[owner])
            for n, owner in enumerate(owners)
        ]
        self._who = self._random.sample(self._phones, CONVERSATIONS + CONVERSATIONS // 4)
        self._talks = 0
        self._messages = 0

    def _id(self, number: int) -> str:
        """A UUIDv7 of a time that grows with the number."""
        moment = self._now // 1000 - 90 * 86_400_000 + number * 50
        text = f"{moment:012x}7{self._random.randrange(4096):03x}{8 << 60 | self._random.getrandbits(60):016x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    async def add_contacts(self, insert: Insert) -> None:
        """Contacts, phones, lists and tags, and how they came to be."""
        at = self._now - 80 * _DAY
        await _in_chunks(insert, "contacts", _CONTACT_COLUMNS, self._contact_rows(at))
        await _in_chunks(insert, "phones", _PHONE_COLUMNS, self._phone_rows(at))
        await _in_chunks(insert, "consent_events", _CONSENT_COLUMNS, self._consent_rows(at))
        asks = orjson.dumps({"list": "list9", "silent_for_days": 30}).decode()
        lists = [(name, "marketing", "", at) for name in _LISTS] + [(_QUERY_LIST, "marketing", asks, at)]
        await insert("lists", ("name", "purpose", "query", "created_at"), lists)
        for name, size in _LISTS.items():
            members = self._random.sample(self._contacts, size)
            rows = [(name, contact, at, "bench") for contact in members]
            await insert("list_members", ("list", "contact_id", "added_at", "source"), rows)
            events = [(contact, name, "list_joined", "bench", None, "", at) for contact in members]
            columns = ("contact_id", "list", "event", "actor", "message_id", "evidence", "at")
            await insert("list_events", columns, events)
        for tag, size in _TAGS.items():
            tagged = self._random.sample(self._contacts, size)
            await insert(
                "tags", ("contact_id", "tag", "added_at", "source"), [(item, tag, at, "bench") for item in tagged]
            )
            events_ = [(item, tag, "added", "bench", at) for item in tagged]
            await insert("tag_events", ("contact_id", "tag", "event", "actor", "at"), events_)

    def _contact_rows(self, at: int) -> Iterator[tuple[Any, ...]]:
        pick = self._random.choice
        for number, id_ in enumerate(self._contacts):
            # One of four is known by the number alone.
            name = "" if number % 4 == 3 else f"{pick(_FIRST)} {pick(_LAST)}"
            name = f"Zebulon {RARE_NAME.title()}" if number == 2 else name
            fields = {"shoe_size": str(self._random.randint(36, 46)), "town": pick(_LAST)} if number % 2 else {}
            fields = {"shoe_size": "49"} if number % 5000 == 7 else fields
            yield id_, name, orjson.dumps(fields).decode(), "bench", at, at, searchable(name)

    def _phone_rows(self, at: int) -> Iterator[tuple[Any, ...]]:
        chance = self._random.random
        for number, contact in self._phones:
            label = "cell" if chance() < 0.9 else "home"
            yield (
                number, contact, label, int(chance() < 0.92), int(chance() < 0.005), int(chance() < 0.005),
                int(chance() < 0.005), at,
            )  # fmt: skip

    def _consent_rows(self, at: int) -> Iterator[tuple[Any, ...]]:
        for number, (phone, contact) in enumerate(self._phones):
            yield f"e{number}", phone, contact, at, "created", "import", "a form in the shop", None, "{}", "{}"
            if number % 12 == 0:
                yield f"o{number}", phone, contact, at + _US, "opted_out", "contact", "STOP", None, "{}", "{}"

    async def add_messages(self, insert: Insert, up_to: int) -> Staged:
        """So many messages in all, and their conversations."""
        talks: list[_Talk] = []
        left = up_to - self._messages
        while left > 0:
            texts = _LONGEST if self._random.random() < 0.015 else 1 + int(self._random.expovariate(1 / 13.5))
            texts = min(texts, _LONGEST, left)
            phone, contact = self._who[self._talks]
            talks.append(_Talk(f"c{self._talks:06d}", phone, contact, texts))
            self._talks += 1
            left -= texts
        await _in_chunks(insert, "messages", _MESSAGE_COLUMNS, self._message_rows(talks, up_to - self._messages))
        self._messages = up_to
        await _in_chunks(insert, "conversations", _CONVERSATION_COLUMNS, self._conversation_rows(talks))
        some = [talk for talk in talks if talk.texts > 5][:8]
        return Staged(
            short=[talk.id for talk in talks if talk.texts < 10][:8],
            long=[talk.id for talk in talks if talk.texts == _LONGEST][:8],
            contacts=[talk.contact for talk in some],
            numbers=[talk.phone for talk in some],
        )

    def _message_rows(self, talks: list[_Talk], count: int) -> Iterator[tuple[Any, ...]]:
        """The texts of all conversations as they came, over sixty days."""
        turns = [talk for talk in talks for _ in range(talk.texts)]
        self._random.shuffle(turns)
        for place, talk in enumerate(turns):
            at = self._now - 60 * _DAY + place * 60 * _DAY // count
            id_ = f"m{self._messages + place:07d}"
            is_answer = talk.last_inbound_at > 0 and talk.last_inbound_at == talk.last_at
            if not is_answer:
                talk.last_inbound_at = at
            talk.last_at = at
            direction, state = ("outbound", "delivered") if is_answer else ("inbound", "received")
            body = _ANSWER if is_answer else self._random.choice(_TEXTS)
            yield (
                id_, direction, state, "sim", NUMBER, talk.phone, talk.id, body, "[]", 1, f"p{id_}",
                "rule" if is_answer else "", "hours" if is_answer else "", None, 0, 0, at, 0, int(is_answer), None, at,
                at,
            )  # fmt: skip

    def _conversation_rows(self, talks: list[_Talk]) -> Iterator[tuple[Any, ...]]:
        """Of 120 one waits for staff, of 20 one is unread; of 40 one was with staff whose time has passed."""
        for number, talk in enumerate(talks):
            waits, forgotten = number % 120 == 5, number % 40 == 7
            mode, route = ("staff", "desk" if number % 240 == 5 else "sales") if waits or forgotten else ("auto", "")
            until = self._now + 30 * _DAY if waits else self._now - _DAY if forgotten else 0
            mine = "ana" if (waits or forgotten) and number % 3 == 2 else ""
            yield (
                talk.id, talk.phone, NUMBER, "sim", mode, route, until, 0, int(number % 20 == 0), talk.last_inbound_at,
                talk.last_at, self._now - 60 * _DAY, mine, talk.last_inbound_at if waits or forgotten else 0, 0,
            )  # fmt: skip


async def _in_chunks(insert: Insert, table: str, columns: Sequence[str], rows: Iterator[tuple[Any, ...]]) -> None:
    while chunk := list(islice(rows, _CHUNK)):
        await insert(table, columns, chunk)
