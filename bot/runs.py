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
from bot.clock import NEVER, new_id
from bot.people import Run
from rules.decide import Ruleset
from rules.effects import Answer, Effect, Repeat, Reply, Send
from rules.message import Message
from rules.quiet_hours import Window, known_state, state_of, window
from rules.reference import holds
from rules.schedule import MICROSECONDS, Schedule
from rules.wall_clock import later
from rules.workflow import (
    MAX_STEPS,
    NEXT,
    AskStep,
    Does,
    Outcome,
    Step,
    Wait,
    WaitsFor,
    WaitUntilStep,
    Workflow,
    due_after,
    moment_of,
    perform,
    taken,
    with_notice,
)  # fmt: skip


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
        self._leaving: dict[str, str] = {}
        self._begun: set[str] = set()
        """Runs that the person's own message has begun in this turn."""

    def active(self, workflow: str = "") -> list[Run]:
        """Those that have not ended; of one workflow, or of all."""
        return [run for run in self.by_id.values() if run.state == "active" and workflow in ("", run.workflow)]

    def end(self, run: Run, outcome: str, *, cut_off: bool = True) -> None:
        """End a run, with a word for how. Where it is `cut_off`, what it has queued before goes no more."""
        self._put(run, state="ended", outcome=outcome, ended_at=self._applied.now, due_at=NEVER)
        self.past |= {run.workflow}
        self._applied.happened.append(("workflow_ended", run.workflow))
        if cut_off:
            self._applied.added.cut_off.append(run.id)

    def end_all(self, outcome: str) -> None:
        """End every run on this phone."""
        for run in self.active():
            if run.phone == self._applied.conversation.phone:
                self.end(run, outcome)

    def left(self, name: str) -> None:
        """End the runs of workflows whose list was left."""
        for run in self._on_list(name):
            self.end(run, f"left {name}")

    def _on_list(self, name: str) -> list[Run]:
        workflows = self._rules.workflows
        return [run for run in self.active() if run.key in workflows and workflows[run.key].list == name]

    def heed(self, walking: str = "") -> None:
        """End what was ended just now, by a stop or by leaving a list, before anything goes on. Rules hear later.

        Whose own step or answer has left the list may still come to the author's own end, but sends and waits no more.
        """
        for event, detail in list(self._applied.happened):
            if event == "stop":
                self.stop(detail)
            elif event == "opted_out":
                self.end_all("opted out")
            elif event == "list_left":
                for run in self._on_list(detail):
                    if run.question or run.id == walking:
                        self._leaving[run.id] = f"left {detail}"
                    else:
                        self.end(run, f"left {detail}")

    def stop(self, workflow: str) -> None:
        """End the runs of a workflow, or all."""
        for run in self.active(workflow):
            self.end(run, "stopped")

    def start(self, workflow: Workflow | None, source: str) -> bool:
        """A new run, where the workflow lets the contact in; whether it did."""
        applied = self._applied
        if workflow is None or applied.contact is None or applied.phone is None:
            return False
        is_asked_for = applied.occasion.arrival is not None
        if workflow.is_marketing and not is_asked_for and workflow.list not in applied.contact.lists:
            return False  # whoever did not join the list has not agreed to what is sent to it
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
        if is_asked_for:
            self._begun.add(run.id)
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
            self.end(run, "took too long", cut_off=False)
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
            does = self._does(run)
            if run.waits_for == "window":
                self._try_again(run)
            elif run.waits_for == "reply" and isinstance(does, AskStep):
                over = max(min(run.due_at, self._over(run, does)), self._applied.now)
                self._put(run, due_at=min(over, run.expires_at))

    def heard(self, question: str) -> None:
        """A message came while automation was silent: staff have read it, and the question's time begins anew."""
        for run in self.active():
            does = self._does(run)
            if run.question == question and isinstance(does, AskStep):
                run = self._put(run, waits_since=self._applied.now)
                self._put(run, due_at=min(max(run.due_at, self._over(run, does)), run.expires_at))

    def _over(self, run: Run, step: AskStep) -> int:
        """When the time of a run's question is over."""
        return later(run.waits_since, step.timeout.days, step.timeout.seconds, self._read().zones[0])

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
            does = self._does(run) if run.waits_for == "time" else None
            if not isinstance(does, WaitUntilStep):
                continue
            due = moment_of(does, self._read())
            if due is None or min(due, run.expires_at) != run.due_at:
                self._try_again(run)

    def _at(self, run: Run) -> tuple[Workflow, int] | None:
        """The workflow and the place of its step; None when the rules know them no more."""
        workflow = self._rules.workflows.get(run.key)
        place = workflow.place(run.step) if workflow is not None else None
        return None if workflow is None or place is None else (workflow, place)

    def _does(self, run: Run) -> Does | None:
        """What the step does that it stands at."""
        at = self._at(run)
        return None if at is None else at[0].steps[at[1]].does

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
        does = workflow.steps[place].does
        due = moment_of(does, self._read()) if isinstance(does, WaitUntilStep) else None
        if due is not None and due > self._applied.now:
            self._wait(run, "time", due)
        else:
            self._walk(run, workflow, workflow.after(place, NEXT))

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
            outcome = perform(workflow, step, self._read(), is_first=run.sent == 0)
            sends = any(isinstance(effect, Reply | Send) for effect in outcome.effects)
            if run.id in self._leaving and (sends or outcome.wait is not None):
                return self.end(run, self._leaving[run.id])
            if sends and not self._may_send(run, workflow, step):
                return None
            run = self._apply(run, workflow, outcome)
            if run.state != "active":
                return None
            if outcome.wait is not None:
                return self._stand_still(replace(run, repeated=0), outcome.wait)
            if outcome.ended is not None:
                return self.end(run, outcome.ended, cut_off=False)
            place = workflow.after(place, outcome.goto)
        run = self.by_id[run.id]
        if run.state == "active":
            self.end(run, "finished" if place is None else "too many steps", cut_off=False)
        return None

    def _stand_still(self, run: Run, wait: Wait) -> None:
        if wait.for_what == "time" and wait.due_at > run.expires_at:
            days = (run.expires_at - run.started_at) // (86_400 * MICROSECONDS)
            note = (
                f"{run.workflow} waits for a moment that is more than its {days} days ahead: it will end before that."
            )
            self._applied.tell("", "workflow.too_far", note, f"{run.workflow}/{run.step}")
        self._wait(run, wait.for_what, wait.due_at)

    def _apply(self, run: Run, workflow: Workflow, outcome: Outcome) -> Run:
        """Apply what a step causes, as the step's own."""
        if not outcome.effects:
            return run
        applied = self._applied
        hours = f"{int(workflow.is_marketing)}{workflow.key if workflow.window else ''}"
        author = Author(f"{run.workflow}/{run.step}", BY_WORKFLOW, self._hours(run, workflow), hours, run.id)
        sent = run.sent
        for effect in outcome.effects:
            if isinstance(effect, Reply) and workflow.is_marketing and not sent:
                effect = replace(effect, text=with_notice(effect.text))
            before = len(applied.added.messages)
            applied.apply(effect, author)
            sent += len(applied.added.messages) - before
        channel = applied.conversation.channel
        self._put(self.by_id[run.id], sent=sent, number=applied.conversation.number, channel=channel)
        self.heed(run.id)
        return self.by_id[run.id]

    def _may_send(self, run: Run, workflow: Workflow, step: Step) -> bool:
        """Whether a step may send now; if not, the run ends, or waits for the moment when it may."""
        applied = self._applied
        refused = consent.refusal(applied.phone.consent if applied.phone else None)
        if refused is not None:
            self.end(run, refused)
        elif applied.mode != "auto":
            self._wait(run, "window", applied.conversation.staff_until)
        elif isinstance(step.does, AskStep) and any(other.question for other in self.active() if other.id != run.id):
            self._wait(run, "turn", NEVER)
        elif not applied.may_text():
            self._wait(run, "window", applied.conversation.capped_until)
        else:
            may = self._hours(run, workflow)
            if may is None or may.opens_at <= applied.now:
                return True
            self._wait(run, "window", may.opens_at)
        return False

    def _hours(self, run: Run, workflow: Workflow) -> Window | None:
        """When a run may send. What answers its question may at once, and what the person's message has begun at any
        hour that the workflow itself allows."""
        if self._answering == run.id or (run.id in self._begun and workflow.window is None):
            return None
        return self.hours(is_marketing=workflow.is_marketing, schedule=workflow.window)

    def hours(self, *, is_marketing: bool, schedule: Schedule | None = None) -> Window:
        """When the business may text this contact by itself; never, where nothing opens within a year."""
        message = self._read()
        facts = message.facts
        region = known_state(facts.contact.fields.get("state", "")) or state_of(facts.phone)
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
    return found or Window(NEVER, NEVER, NEVER)
