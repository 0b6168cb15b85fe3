"""What a decision is made from. Plain values: the same facts give the same decision, today and in a replay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["opted_in", "opted_out", "blocked"]
Mode = Literal["auto", "staff", "paused"]
SenderKind = Literal["phone", "short_code", "name", "own"]
Event = Literal[
    "message", "list_joined", "list_left", "contact_added", "opted_in", "opted_out", "delivery_failed",
    "workflow_ended", "due",
]  # fmt: skip
"""What made us decide. `due` is no event of the rule language: it is time that came for a workflow."""

ALL_CONTACTS = "All Contacts"


@dataclass(frozen=True, slots=True)
class Contact:
    """Who texted. `known` is false when this message is what made them a contact."""

    name: str = ""
    known: bool = False
    first_message: bool = True
    lists: frozenset[str] = frozenset()
    tags: frozenset[str] = frozenset()
    fields: Mapping[str, str] = field(default_factory=dict)
    workflows: frozenset[str] = frozenset()
    """The workflows that the contact is in, by full name."""

    @property
    def first_name(self) -> str:
        """The field of that name, else the first word of the name."""
        return self.fields.get("first_name") or (self.name.split() or [""])[0]


@dataclass(frozen=True, slots=True)
class Business:
    """Whose server this is."""

    name: str = ""
    contact: str = ""
    country: str = "US"
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Facts:
    """One message, or one event of a contact's, and everything that a rule may ask about it.

    `phone` and `number` are E.164 (or a short code or name as the provider gave it); `media` are MIME
    types; `country` is ISO 3166-1 alpha-2, "" where unknown; `last_fired` maps a rule id to when it last
    answered this contact (or, under "rule_id *", anybody), in UTC microseconds; `settings` names the
    configuration switches that the built-in rules look at.
    """

    text: str
    phone: str
    number: str = ""
    channel: str = ""
    media: tuple[str, ...] = ()
    status: Status = "opted_in"
    mode: Mode = "auto"
    sender: SenderKind = "phone"
    country: str = ""
    contact: Contact = field(default_factory=Contact)
    business: Business = field(default_factory=Business)
    last_fired: Mapping[str, int] = field(default_factory=dict)
    settings: frozenset[str] = frozenset()
    carrier_stopped: bool = False
    """The provider itself took this message for an opt-out, whatever its words (a custom word, say)."""
    event: Event = "message"
    list: str = ""
    """The list of a list_joined or list_left."""
    error: str = ""
    """The provider's code of a delivery_failed."""
    workflow: str = ""
    """The full name of the workflow of a workflow_ended."""
    waiting: str = ""
    """The open question of the contact, 'file.workflow@version/step'; "" where none is."""
    repeated: int = 0
    """How often that question was repeated."""
    counts: Mapping[int, int] = field(default_factory=dict)
    """Messages from this phone in the last so many seconds, this one included."""
    idle_seconds: int | None = None
    """Since the contact's previous message; None when there was none."""
    zones: tuple[str, ...] = ()
    """IANA time zones that the phone may be in, the likeliest first; none where nobody asked."""
