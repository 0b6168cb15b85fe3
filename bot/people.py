"""The working set of one transaction: contacts, phones and conversations as they were, and as they shall be.

Values are frozen; a message that fails leaves no half of itself behind, because what it made of them is
dropped as a whole. Only what differs in the end is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from bot.consent import PhoneConsent
from bot.store.contract import Row
from rules.workflow import WaitsFor

Mode = Literal["auto", "staff", "paused"]
RunState = Literal["active", "ended"]


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
    """One phone and one of our numbers. Times are UTC microseconds, 0 for never.

    `waiting_since` is when the person texted whom staff have not answered yet, `escalated_at` when others were told.
    """

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
    assigned_to: str = ""
    waiting_since: int = 0
    escalated_at: int = 0

    def mode_at(self, now: int) -> Mode:
        """Staff mode and a pause end by themselves when their time has passed."""
        return self.mode if self.staff_until > now else "auto"

    def at(self, now: int) -> Conversation:
        """As it stands: once the time of staff has passed, it is nobody's and nobody waits."""
        return self.handed_back() if self.mode == "staff" and self.staff_until <= now else self

    def handed_back(self) -> Conversation:
        """The conversation with automation again."""
        return replace(self, mode="auto", route="", assigned_to="", staff_until=0, waiting_since=0, escalated_at=0)


@dataclass(frozen=True, slots=True)
class Run:
    """A contact's way through a workflow of one version (`rules` is the version of the files that hold it).

    It stands at `step`, and waits there for one thing until `due_at`. `repeated` counts how often its open question
    was repeated, `sent` its messages. Times are UTC microseconds.
    """

    id: str
    contact_id: str
    workflow: str
    version: str
    rules: str
    phone: str
    number: str
    channel: str
    step: str
    source: str
    started_at: int
    expires_at: int
    waits_for: WaitsFor = "time"
    waits_since: int = 0
    due_at: int = 0
    repeated: int = 0
    sent: int = 0
    state: RunState = "active"
    outcome: str = ""
    ended_at: int = 0

    @property
    def key(self) -> str:
        """The workflow and its version."""
        return f"{self.workflow}@{self.version}"

    @property
    def question(self) -> str:
        """The question that is open, as facts call it; "" where none is."""
        return f"{self.key}/{self.step}" if self.state == "active" and self.waits_for == "reply" else ""


@dataclass(frozen=True, slots=True)
class Thread:
    """Everything that one message may change about people. `contact` and `phone` are None for a short code."""

    contact: Contact | None
    phone: Phone | None
    conversation: Conversation
    automatic: int = 0
    """Automatic replies to this phone within the cap's window."""
    last_inbound_at: int = 0
    """When the phone texted us before this; 0 for never."""
    runs: tuple[Run, ...] = ()
    """The workflows that the contact is in, the oldest first."""
    past: frozenset[str] = frozenset()
    """The workflows that the contact was in before."""
    answered: Mapping[str, int] = field(default_factory=dict)
    """When the phone last got an answer of each exemption within the cap's window."""


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


def run_from_row(row: Row) -> Run:
    """A row of `runs`."""
    return Run(**{name: row[name] for name in Run.__slots__})


def conversation_from_row(row: Row) -> Conversation:
    """A row of `conversations`."""
    return Conversation(**{name: row[name] for name in Conversation.__slots__})
