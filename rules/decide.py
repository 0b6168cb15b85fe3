"""decide(facts, now) -> Decision: the heart of the server, and pure. And explain, the same with every reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from rules.book import RuleBook
from rules.conditions import FromCountry
from rules.effects import Effect, OptOut, Reply
from rules.engine import Engine, EngineError
from rules.facts import Event, Facts
from rules.history_conditions import Messages, Waiting
from rules.language import BAND_NAMES, COMPLIANCE, INTERRUPT, OTHERWISE, REPLY, Rule
from rules.message import Message
from rules.questions import question_rules
from rules.reference import holds, matches
from rules.vocabulary import said
from rules.when import All, Any, Not, When, leaves
from rules.workflow import Workflow

MAX_REPLIES = 3
"""Automatic replies to one message at the most."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Fired:
    """A rule that fired, and what it caused."""

    rule: str
    effects: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about a message, by which version of the rules.

    `matched` are the ids of the rules whose condition was true, in order of precedence; `fired` those that won.
    """

    version: str
    matched: tuple[str, ...]
    fired: tuple[Fired, ...]

    @property
    def rule(self) -> str | None:
        """The first rule that fired."""
        return self.fired[0].rule if self.fired else None


@dataclass(frozen=True, slots=True)
class Reason:
    """One condition of a rule: what was asked, whether it held, and the value that it saw."""

    depth: int
    text: str
    held: bool
    saw: str


@dataclass(frozen=True, slots=True)
class Tried:
    """One rule and why it did or did not win."""

    rule: str
    file: str
    line: int
    band: str
    outcome: str
    fired: bool
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with every rule that was tried for it, in order."""

    decision: Decision
    tried: tuple[Tried, ...]


class Ruleset:
    """Loaded and compiled rules. Close it when another takes its place.

    `kept` are workflows of earlier versions that somebody is still in: their questions go on being answered.
    """

    def __init__(self, book: RuleBook, kept: Iterable[Workflow] = ()) -> None:
        self.book = book
        self.workflows: Mapping[str, Workflow] = {
            workflow.key: workflow for workflow in (*kept, *book.workflows.values())
        }
        questions = (rule for workflow in self.workflows.values() for rule in question_rules(workflow))
        self.rules = tuple(sorted((*book.rules, *questions), key=lambda rule: (rule.band, rule.priority)))
        self._engine = Engine(self.rules)
        self._opened: dict[tuple[int, int], bool] = {}
        asked = [leaf for when in self._conditions() for leaf in leaves(when)]
        self.asks_country = any(isinstance(leaf, FromCountry) for leaf in asked)
        """Whether any rule looks at the country of the sender, which is costly to find."""
        self.windows = frozenset(leaf.within for leaf in asked if isinstance(leaf, Messages))
        """The windows, in seconds, in which somebody's messages are counted."""
        self.events: frozenset[Event] = frozenset(rule.event for rule in self.rules) - {"message"}
        """The events, "message" aside, that any rule waits for."""
        self.lists = frozenset(workflow.list for workflow in self.workflows.values()) - {""}
        """The lists whose coming and going concerns a workflow."""
        self._cooldown_keys = {rule.id: key for rule in self.rules if (key := rule.cooldown_key())}

    def _conditions(self) -> Iterator[When]:
        yield from (rule.when for rule in self.rules if rule.when is not None)
        for workflow in self.workflows.values():
            yield from workflow.conditions()

    def concerns(self, happening: str, detail: str) -> bool:
        """Whether anything waits for such a happening: an event, or what moves workflows."""
        if happening in self.events or happening == "start":
            return True
        if happening in ("list_joined", "list_left"):
            return detail in self.lists
        return happening in ("opted_out", "changed", "woken") and bool(self.workflows)

    @property
    def version(self) -> str:
        """The hash of the rule files."""
        return self.book.version

    @property
    def cooldown_keys(self) -> frozenset[str]:
        """The keys that `Facts.last_fired` may be asked for."""
        return frozenset(self._cooldown_keys.values())

    def cooldown_key(self, rule: str) -> str | None:
        """The key under which a rule's cooldown is kept; None when it has none."""
        return self._cooldown_keys.get(rule)

    def close(self) -> None:
        """Give the engine's memory back."""
        self._engine.close()

    def decide(self, facts: Facts, now: int) -> Decision:
        """Decide about a message at `now` (UTC microseconds)."""
        return self._decide(Message(self._with_settings(facts), now, self._opened))

    def explain(self, facts: Facts, now: int) -> Explanation:
        """Decide, and say of every rule why it did or did not fire."""
        message = Message(self._with_settings(facts), now, self._opened)
        decision = self._decide(message)
        return Explanation(decision, tuple(self._tried(message, decision)))

    def asks_to_stop(self, text: str) -> bool:
        """Whether a text is an opt-out by the words alone: the check that works when all else has failed."""
        message = Message(Facts(text=text, phone=""), 0)
        return not said(message, self.book.vocabulary).isdisjoint({"stop", "stop_phrase", "wrong_number"})

    def _with_settings(self, facts: Facts) -> Facts:
        if not self.book.natural_language_review:
            return facts
        settings = facts.settings | {"natural_language_review"}
        values = {name: getattr(facts, name) for name in Facts.__slots__} | {"settings": settings}
        return Facts(**values)

    def _decide(self, message: Message) -> Decision:
        try:
            matched = self._engine.matches(message)
        except EngineError as error:
            _log.error("the engine failed, the plain reading answers: %s", error)
            matched = matches(self.rules, message)
        rules = [self.rules[index] for index in matched]
        fired: list[Fired] = []
        replies, seen = 0, message
        for rule in rules:
            if self._why_silent(rule, message) is not None:
                continue
            effects: list[Effect] = []
            for action in rule.actions:
                for effect in action(seen, rule.variables):
                    seen = seen.after(effect)
                    replies += isinstance(effect, Reply)
                    if replies <= MAX_REPLIES or not isinstance(effect, Reply):
                        effects.append(effect)
            fired.append(Fired(rule.id, tuple(effects)))
            if not rule.continues or any(isinstance(effect, OptOut) for effect in effects):
                break
        return Decision(self.version, tuple(rule.id for rule in rules), tuple(fired))

    @staticmethod
    def _why_silent(rule: Rule, message: Message) -> str | None:
        """Why a rule whose condition is true counts as not matched."""
        if not rule.is_active(message.now):
            return "its dates do not include today"
        if message.facts.mode != "auto" and rule.band not in (COMPLIANCE, INTERRUPT):
            paused = message.facts.mode == "paused"
            return "automation is paused" if paused else "a person has taken over this conversation"
        key = rule.cooldown_key()
        if key and rule.cooldown and not rule.cooldown.is_over(message.facts.last_fired.get(key), message.now):
            return "it answered a short while ago and rests (cooldown)"
        return None

    def _tried(self, message: Message, decision: Decision) -> Iterator[Tried]:
        fired = {item.rule for item in decision.fired}
        winner: str | None = None
        for rule in self.rules:
            if rule.event != message.facts.event or not _concerns(rule, message):
                continue
            if winner is not None:
                yield self._trace(rule, message, f"not tried: {winner} had won", fired=False, reasons=())
                continue
            reasons = tuple(_reasons(rule.when, message)) if rule.when is not None else ()
            if rule.id in fired:
                outcome = "fired" if not rule.continues else "fired, and let the next rules go on"
                if not rule.continues or (rule.id == decision.fired[-1].rule and self._ends(decision)):
                    winner = rule.id
            elif holds(rule.when, message):
                outcome = f"matched, but {self._why_silent(rule, message) or 'did not fire'}"
            else:
                outcome = "did not match"
            yield self._trace(rule, message, outcome, fired=rule.id in fired, reasons=reasons)

    @staticmethod
    def _ends(decision: Decision) -> bool:
        return any(isinstance(effect, OptOut) for effect in decision.fired[-1].effects)

    @staticmethod
    def _trace(rule: Rule, message: Message, outcome: str, *, fired: bool, reasons: tuple[Reason, ...]) -> Tried:
        return Tried(rule.id, rule.file, rule.line, BAND_NAMES[rule.band], outcome, fired, reasons)


def _concerns(rule: Rule, message: Message) -> bool:
    """Questions that are not open are many, and no answer to "why?"."""
    if rule.band not in (REPLY, OTHERWISE) or rule.when is None:
        return True
    asked = next(leaves(rule.when))
    return isinstance(asked, Waiting) and asked.question == message.facts.waiting


def _reasons(when: When, message: Message, depth: int = 0) -> Iterator[Reason]:
    if isinstance(when, All | Any | Not):
        name = {All: "all of", Any: "any of", Not: "not"}[type(when)]
        yield Reason(depth, name, holds(when, message), "")
        for part in (when.part,) if isinstance(when, Not) else when.parts:
            yield from _reasons(part, message, depth + 1)
    else:
        yield Reason(depth, str(when), when.holds(message), when.saw(message))
