"""A turn: one occasion carried to its end. Decide, apply, and what follows from that, until nothing does.

A message may put a contact on a list, which starts a workflow, which sends, asks, waits or ends, which is an event
that rules may answer. All of it happens here, in memory and in order; the batch writes it in one transaction.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from bot.apply import Application
from bot.changes import JsonRow
from bot.clock import new_id
from bot.deciding import Surroundings, facts_of, stored_decision
from bot.occasions import Happening, Occasion, Policy
from bot.people import Thread
from bot.runs import Runs
from rules.decide import Decision, Ruleset
from rules.facts import Facts
from rules.message import Message

MAX_OCCASIONS = 50
"""What may follow from one occasion before it is called a loop."""


class LoopError(Exception):
    """Rules and workflows went on setting each other off."""


class Turn:
    """One occasion of one contact. What came of it is in `applied`, `runs`, `decided` and `decisions` (the rows)."""

    def __init__(
        self, occasion: Occasion, thread: Thread, rules: Ruleset, around: Surroundings, policy: Policy
    ) -> None:
        self._occasion = occasion
        self.thread = thread
        self._rules = rules
        self._around = around
        self.applied = Application(occasion, thread, policy)
        self.runs = Runs(thread.runs, thread.past, self.applied, rules, self._read)
        self.decided: list[Decision] = []
        self.decisions: list[JsonRow] = []
        self.started = 0

    @property
    def sent(self) -> int:
        """How many messages it queued."""
        return sum(1 for row in self.applied.added.messages if row["direction"] == "outbound")

    def take(self) -> None:
        """Carry it to its end. Raises LoopError."""
        queue = deque([self._occasion])
        for _ in range(MAX_OCCASIONS):
            if queue:
                self._one(queue.popleft())
            elif not self.runs.next_question():
                return
            queue.extend(self._following(event, detail) for event, detail in self.applied.happened)
            self.applied.happened.clear()
        raise LoopError(f"more than {MAX_OCCASIONS} things followed from one another")

    def _following(self, event: Happening, detail: str) -> Occasion:
        first = self._occasion
        return Occasion(new_id(), first.at, event, detail, first.source, first.arrival)

    def _one(self, occasion: Occasion) -> None:
        match occasion.event:
            case "message":
                self._message(occasion)
            case "due":
                self.runs.due(occasion.detail)
            case "start":
                self.started += self.runs.start(self._rules.book.workflows.get(occasion.detail), occasion.source)
            case "stop":
                self.runs.stop(occasion.detail)
            case "changed":
                self.runs.fields_changed()
            case "woken":
                self.runs.automation_is_back()
            case _:
                self._event(occasion)

    def _message(self, occasion: Occasion) -> None:
        assert occasion.arrival is not None, "a message arrived"
        applied, is_new = self.applied, self.thread.contact is not None and self.thread.contact.is_new
        if self.thread.runs and applied.phone is not None and applied.phone.consent.status == "opted_in":
            self.runs.leave_where_over()
        facts = self._facts(occasion)
        decision = self._rules.decide(facts, occasion.at)
        applied.receive(occasion.arrival, "blocked" if facts.status == "blocked" else "received")
        applied.decided(decision)
        self._keep(occasion, facts, decision)
        if is_new:
            applied.happened.insert(0, ("contact_added", ""))
        self.runs.heed()
        if facts.waiting and facts.mode != "auto":
            self.runs.heard(facts.waiting)
        if facts.waiting:
            for fired in decision.fired:
                for effect in fired.effects:
                    self.runs.answer(facts.waiting, effect)

    def _event(self, occasion: Occasion) -> None:
        """Something happened to the contact: workflows see it first, then rules."""
        if self._is_still_so(occasion):
            self._move_runs(occasion)
        blocked = self.applied.phone is not None and self.applied.phone.consent.blocked
        if occasion.event in self._rules.events and not blocked:
            self._decide_about(replace(occasion, arrival=None), answers=occasion.arrival is not None)

    def _move_runs(self, occasion: Occasion) -> None:
        if occasion.event == "list_joined" and occasion.detail in self._rules.lists:
            for workflow in self._rules.book.workflows.values():
                if workflow.on_join and workflow.list == occasion.detail:
                    self.started += self.runs.start(workflow, occasion.source)
        elif occasion.event == "list_left":
            self.runs.left(occasion.detail)
        elif occasion.event == "opted_out":
            self.runs.end_all("opted out")

    def _is_still_so(self, occasion: Occasion) -> bool:
        """Whether what happened a while ago holds: it may have waited behind many others, and been taken back. Rules
        hear of it all the same; nobody comes into a workflow by it, or out of one."""
        applied = self.applied
        match occasion.event:
            case "list_joined":
                return applied.contact is not None and occasion.detail in applied.contact.lists
            case "list_left":
                return applied.contact is not None and occasion.detail not in applied.contact.lists
            case "opted_out":
                return applied.phone is None or not applied.phone.consent.opted_in
            case "opted_in":
                return applied.phone is not None and applied.phone.consent.opted_in
            case _:
                return True

    def _decide_about(self, occasion: Occasion, *, answers: bool) -> None:
        facts = self._facts(occasion)
        decision = self._rules.decide(facts, occasion.at)
        if decision.matched:
            is_marketing = self._rules.book.lists.get(facts.list) == "marketing"
            window = None if answers else self.runs.hours(is_marketing=is_marketing)
            self.applied.decided(decision, window, str(int(is_marketing)))
            self._keep(occasion, facts, decision)

    def _keep(self, occasion: Occasion, facts: Facts, decision: Decision) -> None:
        self.decided.append(decision)
        self.decisions.append(stored_decision(occasion, facts, decision))

    def _facts(self, occasion: Occasion, *, with_zones: bool = False) -> Facts:
        applied, before = self.applied, self.thread
        # The constructor, not replace(): this is on every message's way, and several times as fast.
        now = Thread(
            applied.contact,
            applied.phone,
            applied.conversation,
            before.automatic,
            before.last_inbound_at,
            tuple(self.runs.active()),
            before.past,
        )
        return facts_of(occasion, now, self._around, with_zones=with_zones)

    def _read(self) -> Message:
        """The occasion as conditions and templates of a workflow see it, and the people as they stand now."""
        return Message(self._facts(self._occasion, with_zones=True), self._occasion.at)
