"""The runs of one contact during a turn: started, answered, woken, walked step by step, parked, ended.

What a step does is pure (rules/workflow.py); what it causes is applied like any rule's effects; where the run then
stands is a frozen row. A run is parked at a step for one thing: `time`, a `reply`, its `turn` to ask (one question
is open per contact), or the `window` in which it may send.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import time
from functools import lru_cache
from zoneinfo import ZoneInfo

from bot import consent
from bot.apply import Application, Author
from bot.changes import BY_WORKFLOW
from bot.clock import new_id
from bot.people import Run
from rules.decide import Ruleset
from rules.effects import Answer, Effect, Repeat
from rules.message import Message
from rules.quiet_hours import Window, state_of, window
from rules.reference import holds
from rules.schedule import Schedule
from rules.wall_clock import later
from rules.workflow import (
    MAX_STEPS,
    NEXT,
    AskStep,
    Outcome,
    SendStep,
    Step,
    WaitsFor,
    WaitUntilStep,
    Workflow,
    due_after,
    moment_of,
    perform,
    taken,
)  # fmt: skip

_NEVER = 2**62


class Runs:
    """The runs of one contact, those that ended in this turn included. `read` gives the facts as they stand now."""

    def __init__(
        self,
        runs: tuple[Run, ...],
        past: frozenset[str],
        applied: Application,
        rules: Ruleset,
        read: Callable[[], Message],
    ) -> None:
        self.by_id: dict[str, Run] = {run.id: run for run in runs}
        self.past = past
        self._applied = applied
        self._rules = rules
        self._read = read
        self._answering = ""

    def active(self, workflow: str = "") -> list[Run]:
        """Those that have not ended; of one workflow, or of all."""
        return [run for run in self.by_id.values() if run.state == "active" and workflow in ("", run.workflow)]

    def end(self, run: Run, outcome: str) -> None:
        """End a run, with a word for how."""
        self._put(run, state="ended", outcome=outcome, ended_at=self._applied.now, due_at=_NEVER)
        self.past |= {run.workflow}
        self._applied.happened.append(("workflow_ended", run.workflow))

    def end_all(self, outcome: str) -> None:
        """End every run on this phone."""
        for run in self.active():
            if run.phone == self._applied.conversation.phone:
                self.end(run, outcome)

    def start(self, workflow: Workflow | None, source: str) -> bool:
        """A new run, where the workflow lets the contact in; whether it did."""
        applied = self._applied
        if workflow is None or applied.contact is None or applied.phone is None:
            return False
        inside = self.active(workflow.id)
        is_late = workflow.again != "restart" if inside else workflow.again == "never" and workflow.id in self.past
        message = self._read()
        unwanted = workflow.enroll_when is not None and not holds(workflow.enroll_when, message)
        if is_late or unwanted or consent.refusal(applied.phone.consent) is not None:
            return False
        for run in inside:
            self.end(run, "restarted")
        run = Run(
            id=new_id(),
            contact_id=applied.contact.id,
            workflow=workflow.id,
            version=workflow.version,
            rules=self._rules.version,
            phone=applied.phone.number,
            number=applied.conversation.number,
            channel=applied.conversation.channel,
            step=workflow.steps[0].id,
            source=source,
            started_at=applied.now,
            expires_at=due_after(workflow.max_duration, message),
        )
        self._walk(self._put(run), workflow, 0)
        return True

    def answer(self, question: str, effect: Effect) -> None:
        """An answer, or what is none, moves the run whose question is this open one; other effects do not."""
        if not isinstance(effect, Answer | Repeat):
            return
        run = next((run for run in self.active() if run.question == question), None)
        at = self._at(run) if run else None
        if run is None or at is None:
            return
        if isinstance(effect, Repeat):
            self._put(run, repeated=run.repeated + 1)
            return
        workflow, place = at
        self._answering = run.id
        self._walk(self._put(run, waits_for="time"), workflow, workflow.after(place, effect.goto))

    def due(self, id_: str) -> None:
        """The time of a run has come, unless something else moved it in the meantime."""
        run = self.by_id.get(id_)
        if run is None or run.state != "active" or run.due_at > self._applied.now:
            return
        at = self._at(run)
        if at is None:
            self.end(run, "its rules are gone")
        elif self._applied.now >= run.expires_at:
            self.end(run, "took too long")
        elif run.waits_for == "reply":
            self._time_out(run, *at)
        elif run.waits_for == "time":
            self._pass_on(run, *at)
        else:
            self._walk(run, *at)

    def next_question(self) -> bool:
        """Give the run that waits longest its turn to ask, if no question is open; whether one had it."""
        parked = [run for run in self.active() if run.waits_for == "turn"]
        if not parked or any(run.question for run in self.active()):
            return False
        self._try_again(min(parked, key=lambda run: run.waits_since))
        return True

    def automation_is_back(self) -> None:
        """The conversation was handed back: whoever waited for that goes on, and unanswered questions time out."""
        for run in self.active():
            at = self._at(run)
            step = at[0].steps[at[1]].does if at else None
            if run.waits_for == "window":
                self._try_again(run)
            elif run.waits_for == "reply" and isinstance(step, AskStep):
                now = self._read()
                over = later(run.waits_since, step.timeout.days, step.timeout.seconds, now.zones[0])
                self._put(run, due_at=max(min(run.due_at, over), now.now))

    def leave_where_over(self) -> None:
        """End what a message has made pointless, before it is decided about."""
        for run in self.active():
            at = self._at(run)
            if at is not None and self._is_over(at[0]):
                self.end(run, "exit")

    def fields_changed(self) -> None:
        """Whoever waits for a moment in a field may have to wait longer, or no more: a moment that is now past, or
        gone, is what `if_past` is for."""
        for run in self.active():
            at = self._at(run) if run.waits_for == "time" else None
            if at is None or not isinstance(at[0].steps[at[1]].does, WaitUntilStep):
                continue
            due = self._moment(at[0].steps[at[1]])
            if due is None or min(due, run.expires_at) != run.due_at:
                self._try_again(run)

    def _at(self, run: Run) -> tuple[Workflow, int] | None:
        """The workflow and the place of its step; None when the rules know them no more."""
        workflow = self._rules.workflows.get(run.key)
        place = workflow.place(run.step) if workflow is not None else None
        return None if workflow is None or place is None else (workflow, place)

    def _put(self, run: Run, **changes: object) -> Run:
        run = replace(run, **changes)  # type: ignore[arg-type]
        self.by_id[run.id] = run
        return run

    def _wait(self, run: Run, for_what: WaitsFor, due_at: int) -> None:
        is_same = run.waits_for == for_what == "turn"
        since = run.waits_since if is_same else self._applied.now
        self._put(run, waits_for=for_what, waits_since=since, due_at=min(due_at, run.expires_at))

    def _try_again(self, run: Run) -> None:
        """Perform the step that it stands at. On another phone than this turn's, the clock sees to it at once."""
        at = self._at(run)
        if run.phone != self._applied.conversation.phone:
            self._put(run, waits_for="window", due_at=self._applied.now)
        elif at is not None:
            self._walk(run, *at)

    def _time_out(self, run: Run, workflow: Workflow, place: int) -> None:
        step = workflow.steps[place].does
        if self._applied.mode != "auto":
            self._put(run, due_at=min(self._applied.conversation.staff_until, run.expires_at))
        elif self._is_over(workflow):
            self.end(run, "exit")
        elif isinstance(step, AskStep):
            outcome = taken(step.on_timeout, self._read(), workflow)
            self._apply(self._put(run, waits_for="time"), workflow, outcome)
            self._walk(run, workflow, workflow.after(place, outcome.goto))
        else:  # followed to a version in which the step asks no more
            self._walk(self._put(run, waits_for="time"), workflow, workflow.after(place, NEXT))

    def _pass_on(self, run: Run, workflow: Workflow, place: int) -> None:
        due = self._moment(workflow.steps[place])
        if due is not None and due > self._applied.now:
            self._wait(run, "time", due)
        else:
            self._walk(run, workflow, workflow.after(place, NEXT))

    def _moment(self, step: Step) -> int | None:
        return moment_of(step.does, self._read()) if isinstance(step.does, WaitUntilStep) else None

    def _is_over(self, workflow: Workflow) -> bool:
        return workflow.exit_when is not None and holds(workflow.exit_when, self._read())

    def _walk(self, run: Run, workflow: Workflow, place: int | None) -> None:
        """Do step after step, until one waits or the run ends."""
        for _ in range(MAX_STEPS):
            if place is None or self.by_id[run.id].state != "active":
                break
            step = workflow.steps[place]
            run = self._put(self.by_id[run.id], step=step.id)
            if self._is_over(workflow):
                return self.end(run, "exit")
            if isinstance(step.does, SendStep | AskStep) and not self._may_send(run, workflow, step):
                return None
            outcome = perform(workflow, step, self._read(), is_first=run.sent == 0)
            run = self._apply(run, workflow, outcome)
            if outcome.wait is not None:
                return self._wait(replace(run, repeated=0), outcome.wait.for_what, outcome.wait.due_at)
            if outcome.ended is not None:
                return self.end(run, outcome.ended)
            place = workflow.after(place, outcome.goto)
        if self.by_id[run.id].state == "active":
            self.end(self.by_id[run.id], "finished" if place is None else "too many steps")
        return None

    def _apply(self, run: Run, workflow: Workflow, outcome: Outcome) -> Run:
        """Apply what a step causes, as the step's own."""
        if not outcome.effects:
            return run
        applied = self._applied
        author = Author(f"{run.workflow}/{run.step}", BY_WORKFLOW, self._hours(run, workflow))
        before = len(applied.added.messages)
        for effect in outcome.effects:
            applied.apply(effect, author)
        return self._put(
            self.by_id[run.id],
            sent=run.sent + len(applied.added.messages) - before,
            number=applied.conversation.number,
            channel=applied.conversation.channel,
        )

    def _may_send(self, run: Run, workflow: Workflow, step: Step) -> bool:
        """Whether a step may send now; if not, the run ends, or waits for the moment when it may."""
        applied = self._applied
        refused = consent.refusal(applied.phone.consent if applied.phone else None)
        if refused is not None:
            self.end(run, refused)
        elif applied.mode != "auto":
            self._wait(run, "window", applied.conversation.staff_until)
        elif isinstance(step.does, AskStep) and any(other.question for other in self.active() if other.id != run.id):
            self._wait(run, "turn", _NEVER)
        else:
            may = self._hours(run, workflow)
            if may is None or may.opens_at <= applied.now:
                return True
            self._wait(run, "window", may.opens_at)
        return False

    def _hours(self, run: Run, workflow: Workflow) -> Window | None:
        """When a run may send. What answers its question may at once, and what a message caused at any hour that the
        workflow itself allows."""
        if self._answering == run.id or (self._applied.occasion.arrival is not None and workflow.window is None):
            return None
        return self.hours(is_marketing=workflow.is_marketing, schedule=workflow.window)

    def hours(self, *, is_marketing: bool, schedule: Schedule | None = None) -> Window:
        """When the business may text this contact by itself; never, where nothing opens within a year."""
        message = self._read()
        facts = message.facts
        region = facts.contact.fields.get("state", "").upper() or state_of(facts.phone)
        narrowed = self._rules.book.quiet_hours
        return _hours(message.now, message.zones, region, is_marketing, schedule, narrowed)


@lru_cache(64)
def _hours(
    now: int,
    zones: tuple[ZoneInfo, ...],
    region: str,
    marketing: bool,
    schedule: Schedule | None,
    narrowed: tuple[time, time] | None,
) -> Window:
    """The same for everybody of a batch who lives in the same place."""
    found = window(now, zones, region=region, marketing=marketing, schedule=schedule, narrowed=narrowed)
    return found or Window(_NEVER, _NEVER, _NEVER)
