"""What a decision is made from. Plain values: the same facts give the same decision, today and in a replay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["opted_in", "opted_out", "blocked"]
Mode = Literal["auto", "staff"]
SenderKind = Literal["phone", "short_code", "name", "own"]

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
    """One message and everything that a rule may ask about it.

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
