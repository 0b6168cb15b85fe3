"""Every condition of the rule language: what it holds, when it is true, and what it saw.

`holds` is the plain reading of the language, used by the reference evaluator and to explain. The compiled
engine (compile.py) reads keyword, exact and contains by table instead, and is held against these files:
this one (the message and the contact), text_conditions.py (what is said) and field_condition.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from rules.facts import ALL_CONTACTS
from rules.message import Message
from rules.reader import source
from rules.schedule import Schedule, local

MISSING = "nothing"


@dataclass(frozen=True)
class Condition:
    """A leaf of a rule's `when`. `line` is not part of what it is: equal conditions are one."""

    name: ClassVar[str] = ""
    line: int = field(default=0, compare=False, kw_only=True)

    def holds(self, message: Message) -> bool:
        """Whether it is true of the message."""
        raise NotImplementedError

    def saw(self, message: Message) -> str:
        """The value that it looked at, for the author."""
        return "this message" if message else MISSING

    @property
    def argument(self) -> str:
        """What the author wrote behind the name."""
        return "true"

    def __str__(self) -> str:
        return f"{self.name}: {self.argument}"


@dataclass(frozen=True)
class Bit(Condition):
    """A condition that is asked for as true or false."""

    wanted: bool

    @property
    def argument(self) -> str:
        """What is wanted."""
        return source(self.wanted)

    def value(self, message: Message) -> bool:
        """What is so."""
        raise NotImplementedError

    def holds(self, message: Message) -> bool:
        """True when it is as wanted."""
        return self.value(message) is self.wanted

    def saw(self, message: Message) -> str:
        """What is so."""
        return source(self.value(message))


@dataclass(frozen=True)
class Empty(Bit):
    """The message has no words."""

    name = "empty"

    def value(self, message: Message) -> bool:
        """A picture without text is empty; so is a message of punctuation only."""
        return not message.folded


@dataclass(frozen=True)
class HasMedia(Bit):
    """The message carries a picture or another file."""

    name = "has_media"

    def value(self, message: Message) -> bool:
        """Whether it does."""
        return bool(message.facts.media)


@dataclass(frozen=True)
class Known(Bit):
    """The sender was a contact before this message."""

    name = "known"

    def value(self, message: Message) -> bool:
        """Whether they were."""
        return message.facts.contact.known


@dataclass(frozen=True)
class FirstMessage(Bit):
    """This is the first message that the contact ever sent."""

    name = "first_message"

    def value(self, message: Message) -> bool:
        """Whether it is."""
        return message.facts.contact.first_message


@dataclass(frozen=True)
class Always(Bit):
    """Always true; with false, a rule that rests."""

    name = "always"

    def value(self, message: Message) -> bool:
        """True."""
        return True


@dataclass(frozen=True)
class AnyOf(Condition):
    """The message has one of these values."""

    values: tuple[str, ...]

    def seen(self, message: Message) -> frozenset[str]:
        """The values that the message has."""
        raise NotImplementedError

    @property
    def argument(self) -> str:
        """The values."""
        return source(self.values)

    def holds(self, message: Message) -> bool:
        """True when one of them is there."""
        return not self.seen(message).isdisjoint(self.values)

    def saw(self, message: Message) -> str:
        """The values that the message has."""
        return source(sorted(self.seen(message))) if self.seen(message) else "none"


@dataclass(frozen=True)
class MediaType(AnyOf):
    """Kinds of media."""

    name = "media_type"

    def seen(self, message: Message) -> frozenset[str]:
        """The kinds that it carries."""
        return message.media_kinds


@dataclass(frozen=True)
class FromCountry(AnyOf):
    """The country of the sender's number."""

    name = "from_country"

    def holds(self, message: Message) -> bool:
        """Whether it is."""
        return message.facts.country in self.values

    def seen(self, message: Message) -> frozenset[str]:
        """That country."""
        return frozenset({message.facts.country} - {""})


@dataclass(frozen=True)
class Channel(AnyOf):
    """The channel that it came by."""

    name = "channel"

    def holds(self, message: Message) -> bool:
        """Whether it is."""
        return message.facts.channel in self.values

    def seen(self, message: Message) -> frozenset[str]:
        """That channel."""
        return frozenset({message.facts.channel})


@dataclass(frozen=True)
class StatusIs(AnyOf):
    """The consent of the sender's phone."""

    name = "status"

    def holds(self, message: Message) -> bool:
        """Whether it is."""
        return message.facts.status in self.values

    def seen(self, message: Message) -> frozenset[str]:
        """That status."""
        return frozenset({message.facts.status})


@dataclass(frozen=True)
class Sender(AnyOf):
    """What sort of sender it is (built-in rules only)."""

    name = "sender"

    def holds(self, message: Message) -> bool:
        """Whether it is."""
        return message.facts.sender in self.values

    def seen(self, message: Message) -> frozenset[str]:
        """That sort."""
        return frozenset({message.facts.sender})


@dataclass(frozen=True)
class Setting(AnyOf):
    """A switch of the configuration is on (built-in rules only)."""

    name = "setting"

    def holds(self, message: Message) -> bool:
        """Whether it is."""
        return not message.facts.settings.isdisjoint(self.values)

    def seen(self, message: Message) -> frozenset[str]:
        """The switches that are on."""
        return message.facts.settings


@dataclass(frozen=True)
class InList(AnyOf):
    """The contact is on one of these lists."""

    name = "in_list"

    def holds(self, message: Message) -> bool:
        """True when they are on one."""
        return ALL_CONTACTS in self.values or not message.facts.contact.lists.isdisjoint(self.values)

    def seen(self, message: Message) -> frozenset[str]:
        """The contact's lists; everybody is on All Contacts."""
        return message.facts.contact.lists | {ALL_CONTACTS}


@dataclass(frozen=True)
class NotInList(InList):
    """The contact is on none of these lists."""

    name = "not_in_list"

    def holds(self, message: Message) -> bool:
        """True when they are on none."""
        return not super().holds(message)


@dataclass(frozen=True)
class Tagged(AnyOf):
    """The contact has one of these tags."""

    name = "tag"

    def holds(self, message: Message) -> bool:
        """Whether it is."""
        return not message.facts.contact.tags.isdisjoint(self.values)

    def seen(self, message: Message) -> frozenset[str]:
        """The contact's tags."""
        return message.facts.contact.tags


@dataclass(frozen=True)
class PhonePattern(Condition):
    """A number matches one of these patterns, in which * stands for any digits."""

    patterns: tuple[str, ...]

    def phone(self, message: Message) -> str:
        """The number to look at."""
        raise NotImplementedError

    def holds(self, message: Message) -> bool:
        """True when one matches."""
        return any(_phone_matches(self.phone(message), pattern) for pattern in self.patterns)

    def saw(self, message: Message) -> str:
        """The number, its middle hidden: explanations are shown around."""
        phone = self.phone(message)
        return f"{phone[:5]}…{phone[-2:]}" if len(phone) > 8 else phone

    @property
    def argument(self) -> str:
        """The patterns."""
        return source(self.patterns)


def _phone_matches(phone: str, pattern: str) -> bool:
    head, *middle, tail = pattern.split("*") if "*" in pattern else (pattern, "")
    if "*" not in pattern:
        return phone == pattern
    if len(phone) < len(head) + len(tail) or not phone.startswith(head) or not phone.endswith(tail):
        return False
    rest = phone[len(head) : len(phone) - len(tail)]
    for part in middle:
        _, found, rest = rest.partition(part) if part else ("", "*", rest)
        if not found:
            return False
    return True


@dataclass(frozen=True)
class From(PhonePattern):
    """The sender's number."""

    name = "from"

    def phone(self, message: Message) -> str:
        """That number."""
        return message.facts.phone


@dataclass(frozen=True)
class To(PhonePattern):
    """The number of ours that was texted."""

    name = "to"

    def phone(self, message: Message) -> str:
        """That number."""
        return message.facts.number


@dataclass(frozen=True)
class During(Condition):
    """A schedule is open."""

    name = "during"
    schedule: Schedule

    def holds(self, message: Message) -> bool:
        """True when it is open now."""
        return message.is_open(self.schedule)

    def saw(self, message: Message) -> str:
        """The clock there."""
        return local(message.now, self.schedule.zone).strftime("%a %Y-%m-%d %H:%M %Z")

    @property
    def argument(self) -> str:
        """The schedule."""
        return self.schedule.name


@dataclass(frozen=True)
class Outside(During):
    """A schedule is closed."""

    name = "outside"

    def holds(self, message: Message) -> bool:
        """True when it is closed now."""
        return not super().holds(message)


BITS: Mapping[str, type[Bit]] = {kind.name: kind for kind in (Empty, HasMedia, Known, FirstMessage, Always)}
ANY_OF: Mapping[str, type[AnyOf]] = {
    kind.name: kind for kind in (MediaType, FromCountry, Channel, StatusIs, InList, NotInList, Tagged, Sender, Setting)
}
PHONES: Mapping[str, type[PhonePattern]] = {kind.name: kind for kind in (From, To)}
SCHEDULES: Mapping[str, type[During]] = {kind.name: kind for kind in (During, Outside)}
