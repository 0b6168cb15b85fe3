"""What a decision causes: data, returned by deciding and applied in one place (bot/apply.py)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")

ReplyKind = Literal["reply", "opt_out", "opt_in", "help"]
"""`opt_out`, `opt_in` and `help` are the compliance answers, which the consent gate lets through."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer the sender. `media` are public URLs."""

    text: str
    media: tuple[str, ...] = ()
    kind: ReplyKind = "reply"


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell staff. `route` names one of config.toml's; "" is the default route."""

    route: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Handoff:
    """Give the conversation to staff: automation is silent until they close it or `seconds` have passed.

    `seconds` is None for the configured default.
    """

    route: str
    note: str = ""
    seconds: int | None = None


@dataclass(frozen=True, slots=True)
class AddToList:
    """Put the contact on a list; joining a marketing list is kept with its evidence."""

    name: str
    is_marketing: bool = False


@dataclass(frozen=True, slots=True)
class RemoveFromList:
    """Take the contact off a list; they stay a contact."""

    name: str


@dataclass(frozen=True, slots=True)
class AddTag:
    """Tag the contact."""

    name: str


@dataclass(frozen=True, slots=True)
class RemoveTag:
    """Untag the contact."""

    name: str


@dataclass(frozen=True, slots=True)
class SetField:
    """Set a field of the contact; values are kept as text in their type's canonical form."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class IncrementField:
    """Add to an integer field; a missing field counts as 0."""

    name: str
    by: int


def field_changed(
    effect: SetField | IncrementField, name: str, fields: Mapping[str, str]
) -> tuple[str, Mapping[str, str]]:
    """The name and fields of a contact after an effect; what is no whole number counts as 0."""
    if isinstance(effect, IncrementField):
        value = fields.get(effect.name, "0")
        counted = (int(value) if _WHOLE_NUMBER.fullmatch(value) else 0) + effect.by
        return name, {**fields, effect.name: str(counted)}
    return (effect.value, fields) if effect.name == "name" else (name, {**fields, effect.name: effect.value})


@dataclass(frozen=True, slots=True)
class OptOut:
    """The sender's phone is opted out; `wrong_number` flags that the person who consented is not there."""

    wrong_number: bool = False


@dataclass(frozen=True, slots=True)
class OptIn:
    """The sender's phone is opted in (built-in rules only); `keeps_flags` leaves what staff marked as it is."""

    keeps_flags: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Block the sender's phone."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pause:
    """Automation is silent for this conversation for so many seconds (FOREVER until staff close it)."""

    seconds: int


@dataclass(frozen=True, slots=True)
class AddNote:
    """A note for staff, kept with the contact."""

    text: str


@dataclass(frozen=True, slots=True)
class StartWorkflow:
    """Start a workflow, by full name."""

    workflow: str


@dataclass(frozen=True, slots=True)
class StopWorkflow:
    """Stop a workflow, by full name; "" stops all that the contact is in."""

    workflow: str


@dataclass(frozen=True, slots=True)
class Send:
    """A text that a workflow sends. `asks` is true for a question, which then waits for its answer."""

    text: str
    asks: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The open question was answered: its run goes on at `goto` (a step, "next" or "end")."""

    step: str
    goto: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """The open question was not answered by this, said so, and waits on."""

    step: str


Effect = (
    Reply
    | Notify
    | Handoff
    | AddToList
    | RemoveFromList
    | AddTag
    | RemoveTag
    | SetField
    | IncrementField
    | OptOut
    | OptIn
    | Block
    | Pause
    | AddNote
    | StartWorkflow
    | StopWorkflow
    | Send
    | Answer
    | Repeat
)
