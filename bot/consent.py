"""Consent: one state machine for every way in which it changes, and one guard for every message out.

It belongs to a phone, not to a person. The table of states is in docs; this is that table as code, and pure.
Gate 1 is `refusal`, when a message is queued. Gate 2 is in the claim's own SQL, mostly the column `phones.sendable`;
a test holds the two against each other over all their states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from bot.naming import said
from rules.tags import DO_NOT_CONTACT, OPT_IN, WRONG_NUMBER

Status = Literal["opted_in", "opted_out", "blocked"]
Label = Literal["cell", "home", "work", "other"]
Exemption = Literal["", "opt_out", "opt_in", "help"]

CONFIRMATION_SECONDS = 300
"""How long the one opt-out confirmation may still leave (47 CFR 64.1200(a)(12))."""

OPT_IN_SECONDS = 3600
"""How long the confirmation of START may still leave whatever the phone's label; a STOP in between cancels it."""

HELP_SECONDS = 3600
"""How long a HELP answer may still leave; later it would puzzle whoever asked."""


class Refused(Exception):
    """A change of consent that the state does not allow; the message says what to do first."""


class NeedsReason(Refused):
    """Opting a phone in needs a reason, and none was given."""


@dataclass(frozen=True, slots=True)
class PhoneConsent:
    """The consent of one phone."""

    opted_in: bool = True
    blocked: bool = False
    do_not_contact: bool = False
    wrong_number: bool = False
    label: str = "cell"

    @property
    def status(self) -> Status:
        """As rules see it: blocked comes before opted out."""
        if self.blocked:
            return "blocked"
        return "opted_in" if self.opted_in else "opted_out"

    def as_json(self) -> dict[str, Any]:
        """For the history."""
        return {
            "opted_in": self.opted_in,
            "blocked": self.blocked,
            "do_not_contact": self.do_not_contact,
            "wrong_number": self.wrong_number,
        }


def refusal(consent: PhoneConsent | None, exemption: Exemption = "") -> str | None:
    """Why a message may not be sent to the phone; None when it may. `consent` None: not a contact's phone."""
    if consent is None:
        return "the phone belongs to no contact"
    if consent.blocked:
        return "the phone is blocked"
    if exemption in ("opt_out", "help"):
        return None
    if not consent.opted_in:
        return "the phone is opted out"
    if consent.do_not_contact:
        return "the phone is marked Do Not Contact"
    if consent.wrong_number:
        return "the phone is marked Wrong Number"
    if consent.label != "cell" and exemption != "opt_in":
        return f"the phone is labelled {consent.label}, not cell"
    return None


def opt_out(consent: PhoneConsent, *, wrong_number: bool = False) -> PhoneConsent:
    """STOP, in any wording, or the provider's word for it."""
    return replace(consent, opted_in=False, wrong_number=consent.wrong_number or wrong_number)


def opt_in_by_text(consent: PhoneConsent) -> PhoneConsent:
    """START: whoever has the phone now wants our messages, so flags that staff set from afar fall too."""
    if consent.blocked:
        return consent
    return replace(consent, opted_in=True, do_not_contact=False, wrong_number=False)


def opt_in_by_any_text(consent: PhoneConsent) -> PhoneConsent:
    """The older behaviour, by configuration: an ordinary text opts in, and says nothing of what staff marked."""
    return consent if consent.blocked else replace(consent, opted_in=True)


def opt_in_by_staff(consent: PhoneConsent, reason: str) -> PhoneConsent:
    """Staff have a consent from elsewhere: the reason says which. Raises Refused while blocked, and
    NeedsReason."""
    if consent.blocked:
        raise Refused("The phone is blocked. Unblock it first.")
    if not said(reason):
        raise NeedsReason("Opting a phone in needs a reason: where and when did the person agree?")
    return replace(consent, opted_in=True)


def block(consent: PhoneConsent) -> PhoneConsent:
    """A blocked phone is opted out as well."""
    return replace(consent, blocked=True, opted_in=False)


def unblock(consent: PhoneConsent) -> PhoneConsent:
    """It stays opted out: being heard again is not being texted again."""
    return replace(consent, blocked=False)


TagChange = Callable[[PhoneConsent, str], PhoneConsent]
"""What putting on or taking off a tag does to a phone; the text is the reason that was given."""

TAGGED: Mapping[str, TagChange] = {
    WRONG_NUMBER: lambda state, _: replace(state, wrong_number=True),
    DO_NOT_CONTACT: lambda state, _: replace(state, do_not_contact=True),
    OPT_IN: opt_in_by_staff,
}
UNTAGGED: Mapping[str, TagChange] = {
    WRONG_NUMBER: lambda state, _: replace(state, wrong_number=False),
    DO_NOT_CONTACT: lambda state, _: replace(state, do_not_contact=False),
    OPT_IN: lambda state, _: opt_out(state),
}


def spent_tags(tags: frozenset[str], before: Iterable[PhoneConsent], after: Iterable[PhoneConsent]) -> frozenset[str]:
    """The tags of a contact whose flag a phone of theirs had, and none has any more."""
    had, have = list(before), list(after)
    return frozenset(
        tag
        for tag in tags & FLAGGING
        if any(UNTAGGED[tag](state, "") != state for state in had)
        and all(UNTAGGED[tag](state, "") == state for state in have)
    )


def why_tagged(tag: str, reason: str = "") -> str:
    """What the history says of a phone that a tag acted on; by it the tag knows later what it did."""
    return f"tagged {tag}{f': {reason}' if reason else ''}"


FLAGGING = frozenset({WRONG_NUMBER, DO_NOT_CONTACT})
"""The tags that are a flag of each phone."""


def event_name(before: PhoneConsent, after: PhoneConsent) -> str:
    """What a change is called in the history."""
    changes = (
        ("blocked", "unblocked", before.blocked, after.blocked),
        ("opted_in", "opted_out", before.opted_in, after.opted_in),
        ("wrong_number", "wrong_number_cleared", before.wrong_number, after.wrong_number),
        ("do_not_contact", "do_not_contact_cleared", before.do_not_contact, after.do_not_contact),
        ("labelled", "labelled", before.label, after.label),
    )
    for on, off, old, new in changes:
        if old != new:
            return on if new else off
    return "created"
