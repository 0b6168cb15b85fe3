"""The conditions on what a contact did before, on the workflows that they are in, and on the event itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rules.conditions import MISSING, AnyOf, Condition
from rules.message import Message
from rules.reader import source


@dataclass(frozen=True)
class EventList(AnyOf):
    """The list that was joined or left."""

    name = "list"

    def seen(self, message: Message) -> frozenset[str]:
        """That list."""
        return frozenset({message.facts.list} - {""})


@dataclass(frozen=True)
class InWorkflow(AnyOf):
    """The contact is in one of these workflows; in an event workflow_ended, the one that ended counts too."""

    name = "in_workflow"

    def seen(self, message: Message) -> frozenset[str]:
        """Those workflows."""
        return message.facts.contact.workflows | (frozenset({message.facts.workflow}) - {""})


@dataclass(frozen=True)
class ErrorCode(AnyOf):
    """The provider's code of a failed delivery."""

    name = "error"

    def seen(self, message: Message) -> frozenset[str]:
        """That code."""
        return frozenset({message.facts.error} - {""})


@dataclass(frozen=True)
class Messages(Condition):
    """So many messages came from this phone within so many seconds, this one included."""

    name = "messages"
    within: int
    at_least: int

    def count(self, message: Message) -> int:
        """How many came."""
        return message.facts.counts.get(self.within, 1 if message.facts.event == "message" else 0)

    def holds(self, message: Message) -> bool:
        """True when they were enough."""
        return self.count(message) >= self.at_least

    def saw(self, message: Message) -> str:
        """How many came."""
        return str(self.count(message))

    @property
    def argument(self) -> str:
        """Both numbers."""
        return source({"within": duration(self.within), "at_least": self.at_least})


@dataclass(frozen=True)
class Idle(Condition):
    """The contact's previous message is at least so many seconds old; false of a first message."""

    name = "idle"
    seconds: int

    def holds(self, message: Message) -> bool:
        """True when it is."""
        idle = message.facts.idle_seconds
        return idle is not None and idle >= self.seconds

    def saw(self, message: Message) -> str:
        """How old it is."""
        idle = message.facts.idle_seconds
        return MISSING if idle is None else duration(idle)

    @property
    def argument(self) -> str:
        """How old it has to be."""
        return duration(self.seconds)


@dataclass(frozen=True)
class Waiting(Condition):
    """The contact's open question is this one (made from workflows; no file can ask it)."""

    name = "waiting"
    question: str

    def holds(self, message: Message) -> bool:
        """True when it is."""
        return message.facts.waiting == self.question

    def saw(self, message: Message) -> str:
        """The open question."""
        return message.facts.waiting or "no open question"

    @property
    def argument(self) -> str:
        """The question."""
        return self.question


@dataclass(frozen=True)
class RepeatedLess(Condition):
    """The open question was repeated less often than that (made from workflows; no file can ask it)."""

    name = "repeated_less"
    times: int

    def holds(self, message: Message) -> bool:
        """True when it was."""
        return message.facts.repeated < self.times

    def saw(self, message: Message) -> str:
        """How often it was repeated."""
        return str(message.facts.repeated)

    @property
    def argument(self) -> str:
        """The number of times."""
        return str(self.times)


def duration(seconds: int) -> str:
    """Seconds as an author writes them: 1d12h."""
    parts = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


HISTORY_VALUES: Mapping[str, type[AnyOf]] = {kind.name: kind for kind in (EventList, InWorkflow, ErrorCode)}
