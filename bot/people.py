"""The working set of one transaction: contacts, phones and conversations as they were, and as they shall be.

Values are frozen; a message that fails leaves no half of itself behind, because what it made of them is
dropped as a whole. Only what differs in the end is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from bot.consent import PhoneConsent
from bot.store.contract import Row

Mode = Literal["auto", "staff"]


@dataclass(frozen=True, slots=True)
class Contact:
    """A person. `is_new` marks one who is made in this transaction; `source` says by what."""

    id: str
    name: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    lists: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    is_new: bool = False
    source: str = ""


@dataclass(frozen=True, slots=True)
class Phone:
    """A number of a contact."""

    number: str
    contact_id: str
    consent: PhoneConsent
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Conversation:
    """One phone and one of our numbers. Times are UTC microseconds, 0 for never."""

    id: str
    phone: str
    number: str
    channel: str
    created_at: int
    mode: Mode = "auto"
    route: str = ""
    staff_until: int = 0
    capped_until: int = 0
    unread: int = 0
    last_inbound_at: int = 0
    last_message_at: int = 0

    def mode_at(self, now: int) -> Mode:
        """Staff mode ends by itself when its time has passed."""
        return "staff" if self.mode == "staff" and self.staff_until > now else "auto"


@dataclass(frozen=True, slots=True)
class Thread:
    """Everything that one message may change about people. `contact` and `phone` are None for a short code."""

    contact: Contact | None
    phone: Phone | None
    conversation: Conversation
    automatic: int = 0
    """Automatic replies to this phone within the cap's window."""
    is_first: bool = True
    """Whether the phone never texted us before."""


def phone_from_row(row: Row) -> Phone:
    """A row of `load_phones`."""
    consent = PhoneConsent(
        opted_in=bool(row["opted_in"]),
        blocked=bool(row["blocked"]),
        do_not_contact=bool(row["do_not_contact"]),
        wrong_number=bool(row["wrong_number"]),
        label=row["label"],
    )
    return Phone(row["number"], row["contact_id"], consent)


def conversation_from_row(row: Row) -> Conversation:
    """A row of `conversations`."""
    return Conversation(
        id=row["id"],
        phone=row["phone"],
        number=row["number"],
        channel=row["channel"],
        created_at=row["created_at"],
        mode=row["mode"],
        route=row["route"],
        staff_until=row["staff_until"],
        capped_until=row["capped_until"],
        unread=row["unread"],
        last_inbound_at=row["last_inbound_at"],
        last_message_at=row["last_message_at"],
    )
