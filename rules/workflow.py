"""Workflows: what they are made of, and what a step does. Pure: a step gives effects, and says what comes next.

A run is a row of the store (bot/runs.py). It stands at a step and waits there for one thing: time to pass, an
answer, its turn to ask, or an hour at which it may send.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import time
from typing import Literal
from zoneinfo import ZoneInfo

from rules.actions import Action
from rules.effects import Effect, Send
from rules.message import Message
from rules.reader import FieldType, Span, parse_date, parse_moment
from rules.reference import holds
from rules.schedule import MICROSECONDS, Schedule, local
from rules.segments import cut
from rules.template import MAX_SEGMENTS, Template
from rules.wall_clock import later, on_day
from rules.when import When

MAX_STEPS = 100
"""Steps of a run without a wait: more is a loop."""

MAX_RUN = Span(90, 0)
"""The longest that a run may take."""

OPT_OUT_NOTICE = "Reply STOP to stop."
_SAYS_HOW_TO_STOP = re.compile(r"\bSTOP\b|(?i:\b(reply|text|txt|send)\W+(\w+\W+){0,3}stop\b)")
NEXT, END = "next", "end"
SKIP = "skip"

Again = Literal["never", "after_end", "restart"]
OnChange = Literal["finish_old", "follow", "cancel"]
WaitsFor = Literal["time", "reply", "turn", "window"]


@dataclass(frozen=True, slots=True)
class Branch:
    """A way out of a question or a branch: if `when` holds (None always does), these actions, then `goto`."""

    when: When | None
    actions: tuple[Action, ...]
    goto: str
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class SendStep:
    """Send a text."""

    text: Template


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What happens to a message that answers nothing: `reply` so many times, then `goto` ("" waits on)."""

    reply: Template | None
    repeat: int
    goto: str


@dataclass(frozen=True, slots=True)
class AskStep:
    """Send a question, and wait for its answer until `timeout` has passed."""

    text: Template
    timeout: Span
    replies: tuple[Branch, ...]
    otherwise: Otherwise | None
    on_timeout: Branch
    save_as: tuple[str, FieldType] | None


@dataclass(frozen=True, slots=True)
class WaitStep:
    """Let time pass."""

    span: Span


@dataclass(frozen=True, slots=True)
class WaitUntilStep:
    """Wait for the moment in a field of the contact, moved by `offset`, at the clock time `at` of that day."""

    field: str
    kind: FieldType
    offset: Span
    at: time | None
    if_past: str
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class BranchStep:
    """Take the first branch that holds."""

    branches: tuple[Branch, ...]


@dataclass(frozen=True, slots=True)
class DoStep:
    """Do actions."""

    actions: tuple[Action, ...]


@dataclass(frozen=True, slots=True)
class GotoStep:
    """Go on elsewhere."""

    goto: str


@dataclass(frozen=True, slots=True)
class EndStep:
    """The run ends, with a word for how."""

    outcome: str


Does = SendStep | AskStep | WaitStep | WaitUntilStep | BranchStep | DoStep | GotoStep | EndStep


@dataclass(frozen=True, slots=True)
class Step:
    """One step. `id` is the author's, or 'step' and its place, from 1."""

    id: str
    does: Does
    is_named: bool
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Workflow:
    """One workflow of one version. `id` is 'file.workflow', `version` a hash of everything that it depends on."""

    id: str
    version: str
    file: str
    line: int
    steps: tuple[Step, ...]
    zone: ZoneInfo
    variables: Mapping[str, str]
    list: str = ""
    on_join: bool = False
    again: Again = "never"
    enroll_when: When | None = None
    exit_when: When | None = None
    window: Schedule | None = None
    max_duration: Span = MAX_RUN
    on_change: OnChange = "finish_old"
    is_marketing: bool = False
    description: str = ""

    @property
    def key(self) -> str:
        """Name and version: 'clinic.appointment@7ac31f02'."""
        return f"{self.id}@{self.version}"

    def place(self, step: str) -> int | None:
        """Where a step stands; None when there is none of that name."""
        return next((place for place, known in enumerate(self.steps) if known.id == step), None)

    def question(self, step: str) -> str:
        """What the open question at a step is called in facts."""
        return f"{self.key}/{step}"

    def conditions(self) -> Iterator[When]:
        """Every condition of it, those of its questions included."""
        found = [self.enroll_when, self.exit_when]
        for step in self.steps:
            if isinstance(step.does, AskStep):
                found += [branch.when for branch in step.does.replies]
            elif isinstance(step.does, BranchStep):
                found += [branch.when for branch in step.does.branches]
        yield from (when for when in found if when is not None)

    def after(self, place: int, goto: str) -> int | None:
        """Where a run goes on; None where it ends."""
        if goto == END:
            return None
        following = place + 1 if goto == NEXT else self.place(goto)
        return following if following is not None and following < len(self.steps) else None


@dataclass(frozen=True, slots=True)
class Wait:
    """A run stands still, until `due_at` (UTC microseconds) at the latest."""

    for_what: WaitsFor
    due_at: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step did: effects, and then it waits, goes on at `goto`, or has `ended` with a word for how."""

    effects: tuple[Effect, ...] = ()
    goto: str = NEXT
    wait: Wait | None = None
    ended: str | None = None


def perform(workflow: Workflow, step: Step, message: Message, *, is_first: bool) -> Outcome:
    """Do a step, now. `is_first` is true as long as the run has sent nothing."""
    match step.does:
        case SendStep(text):
            return Outcome((Send(_text(workflow, text, message, is_first)),))
        case AskStep(text, timeout):
            wait = Wait("reply", due_after(timeout, message))
            return Outcome((Send(_text(workflow, text, message, is_first), asks=True),), wait=wait)
        case WaitStep(span):
            return Outcome(wait=Wait("time", due_after(span, message)))
        case WaitUntilStep(if_past=if_past):
            due = moment_of(step.does, message)
            if due is not None and due > message.now:
                return Outcome(wait=Wait("time", due))
            return Outcome(goto=NEXT if if_past == SKIP else if_past)
        case BranchStep(branches):
            branch = next((branch for branch in branches if holds(branch.when, message)), None)
            return taken(branch, message, workflow) if branch else Outcome()
        case DoStep(actions):
            return Outcome(effects_of(actions, message, workflow))
        case GotoStep(goto):
            return Outcome(goto=goto)
        case EndStep(outcome):
            return Outcome(ended=outcome)


def taken(branch: Branch, message: Message, workflow: Workflow) -> Outcome:
    """A branch that is taken."""
    return Outcome(effects_of(branch.actions, message, workflow), branch.goto)


def effects_of(actions: tuple[Action, ...], message: Message, workflow: Workflow) -> tuple[Effect, ...]:
    """What actions cause."""
    return tuple(effect for action in actions for effect in action(message, workflow.variables))


def due_after(span: Span, message: Message) -> int:
    """A duration from now, on the contact's clock."""
    return later(message.now, span.days, span.seconds, message.zones[0])


def moment_of(step: WaitUntilStep, message: Message) -> int | None:
    """The moment that a `wait_until` waits for; None where the field holds none that a calendar has.

    A moment without an offset is on the file's clock, as in every condition; `at` and a date are on the contact's.
    """
    try:
        return _moment_of(step, message)
    except OverflowError:
        return None


def _moment_of(step: WaitUntilStep, message: Message) -> int | None:
    text = message.facts.contact.fields.get(step.field, "")
    zone = message.zones[0]
    if step.kind == "datetime":
        found = parse_moment(text, step.zone)
        moment = None if found is None else round(found.timestamp() * MICROSECONDS)
    else:
        day = parse_date(text)
        moment = None if day is None else on_day(day, step.at or time(), zone)
    if moment is None:
        return None
    if step.at is not None:
        shifted = later(moment, step.offset.days, 0, zone)
        return later(on_day(local(shifted, zone).date(), step.at, zone), 0, step.offset.seconds, zone)
    return later(moment, step.offset.days, step.offset.seconds, zone)


def _text(workflow: Workflow, template: Template, message: Message, is_first: bool) -> str:
    text = template.render(message, workflow.variables)
    return with_notice(text) if is_first and workflow.is_marketing else text


def with_notice(text: str) -> str:
    """The first text of a marketing workflow says how to opt out (47 CFR 64.1200, CTIA)."""
    if _SAYS_HOW_TO_STOP.search(text):
        return text
    return f"{cut(text, MAX_SEGMENTS - 1).rstrip()} {OPT_OUT_NOTICE}"
