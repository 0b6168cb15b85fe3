"""Random rules and random messages: the two worlds that test_differential.py lets meet."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, time
from random import Random
from zoneinfo import ZoneInfo

from rules.actions import Action, PlainAction
from rules.book import RuleBook
from rules.conditions import ANY_OF, BITS, PHONES, SCHEDULES, Condition
from rules.effects import AddTag, Effect, OptOut, Reply
from rules.facts import Contact, Event, Facts
from rules.field_condition import Field
from rules.history_conditions import HISTORY_VALUES, Idle, Messages
from rules.language import COMPLIANCE, FALLBACK, INTERRUPT, ORDINARY, Cooldown, Rule
from rules.message import Message
from rules.normal_form import TooManyAlternatives, alternatives
from rules.reader import FOREVER, Span
from rules.schedule import Hours, Schedule
from rules.template import compile_template
from rules.text import phrase
from rules.text_conditions import PHRASES, Number, Regex
from rules.when import All, Any, Not, When
from rules.workflow import AskStep, Branch, Otherwise, SendStep, Step, Workflow
from tests.rules import build
from tests.rules.build import DAY, HOUR, NOON

WORDS = [
    "price", "hours", "book", "blue", "red", "order", "menu", "12", "7", "naïve",
    "ยา", "दवा", "약", "straße", "👍", "🛑",
]  # fmt: skip
LISTS, TAGS, NAMES = ["vip", "club", "staff", "All Contacts"], ["hot", "cold"], ["main", "second", "third"]
PHONE_NUMBERS = ["+12025550123", "+12025550199", "+447700900123", "72345", "Harbor"]
VALUES = {
    "media_type": ["image", "video", "audio", "contact", "other"],
    "from_country": ["US", "CA", "GB"],
    "channel": NAMES,
    "status": ["opted_in", "opted_out", "blocked"],
    "in_list": LISTS,
    "not_in_list": LISTS,
    "tag": TAGS,
    "sender": ["phone", "short_code", "name", "own"],
    "setting": ["any_message_opts_in", "natural_language_review"],
    "list": LISTS[:3],
    "in_workflow": ["r.one", "r.two", "r.three"],
    "error": ["30003", "30005"],
}
EVENTS: list[Event] = ["list_joined", "list_left", "contact_added", "opted_in", "delivery_failed", "workflow_ended"]
WINDOWS = [60, 600, 86_400]
PATTERNS = ["order #?[0-9]+", "^p", r"\bblue\b", "[0-9]{2}", "é", "(a|b)+$"]
UTC = ZoneInfo("UTC")
ZONE = ZoneInfo("America/New_York")
SCHEDULE_LIST = [
    Schedule("open", ZONE, (Hours(frozenset(range(5)), time(9), time(18)),)),
    Schedule("night", UTC, (Hours(frozenset(range(7)), time(22), time(4)),), frozenset({date(2026, 3, 4)})),
]
FIELD_TESTS = [
    ("age", "integer", (("gte", ("18",)),)),
    ("age", "integer", (("is", ("18",)), ("exists", ("true",)))),
    ("age", "integer", (("not", ("18", "40")),)),
    ("colour", "text", (("in", ("Red", "blue")),)),
    ("colour", "text", (("exists", ("false",)),)),
    ("born", "date", (("lt", ("2026-03-04",)),)),
    ("visit", "datetime", (("within_next", ("86400",)),)),
    ("member", "boolean", (("is", ("true",)),)),
]
_TEXT = compile_template("Well?", UTC, (), ())


class World:
    """Makes rules and messages from one source of chance."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._questions: list[str] = []
        self._ids: list[str] = []

    def rules(self, count: int, simple: bool = False) -> list[Rule]:
        """Rules in order of precedence."""
        made = [self._rule(number, simple) for number in range(count)]
        self._ids = [rule.id for rule in made]
        return sorted(made, key=lambda rule: (rule.band, rule.priority))

    def book(self, count: int) -> tuple[RuleBook, list[Workflow]]:
        """A rule book with workflows that ask, and workflows of earlier versions that somebody is still in."""
        names = VALUES["in_workflow"]
        now = [self._workflow(name, "0000000a") for name in names]
        before = [self._workflow(name, "0000000b") for name in names[:2]]
        rules = tuple(self.rules(count))
        self._questions = [flow.question(step.id) for flow in (*now, *before) for step in flow.steps]
        flows = {flow.id: flow for flow in now}
        return replace(build.book("version: 1\n"), rules=rules, workflows=flows), before

    def message(self) -> Message:
        """A message or an event; half of a message's words are words of the rules."""
        random = self.random
        event: Event = random.choice(EVENTS) if random.random() < 0.2 else "message"
        is_message = event == "message"
        media = random.sample(["image/png", "video/mp4", "text/vcard", "application/pdf"], random.randint(0, 2))
        facts = Facts(
            text=self.text() if is_message else "",
            phone=random.choice(PHONE_NUMBERS),
            number=random.choice(PHONE_NUMBERS),
            channel=random.choice([*NAMES, ""]),
            media=tuple(media) if is_message else (),
            status=random.choice(["opted_in", "opted_in", "opted_out", "blocked"]),
            mode=random.choice(["auto", "auto", "auto", "staff", "paused"]),
            sender=random.choice(["phone", "short_code"]),
            country=random.choice(["US", "CA", ""]),
            contact=self._contact(),
            settings=frozenset(random.sample(VALUES["setting"], random.randint(0, 2))),
            event=event,
            list=random.choice(LISTS[:3]) if event in ("list_joined", "list_left") else "",
            error=random.choice([*VALUES["error"], ""]) if event == "delivery_failed" else "",
            workflow=random.choice(VALUES["in_workflow"]) if event == "workflow_ended" else "",
            waiting=random.choice([*self._questions, "", "r.one@gone/q0"]),
            repeated=random.choice([0, 0, 1, 2]),
            counts={window: random.randint(1, 5) for window in WINDOWS if random.random() < 0.8},
            idle_seconds=random.choice([None, 1, 59, 60, 86_400]),
            last_fired={key: NOON - random.randrange(0, 3 * HOUR) for key in self._rested()},
        )
        return Message(facts, NOON + random.randrange(0, 14 * DAY, HOUR // 2))

    def _contact(self) -> Contact:
        random = self.random
        return Contact(
            name="Ana Lee",
            known=random.random() < 0.5,
            first_message=random.random() < 0.3,
            lists=frozenset(random.sample(LISTS, random.randint(0, 3))),
            tags=frozenset(random.sample(TAGS, random.randint(0, 2))),
            fields={name: value for name, value in self._fields() if random.random() < 0.6},
            workflows=frozenset(random.sample(VALUES["in_workflow"], random.randint(0, 2))),
        )

    def _rested(self) -> list[str]:
        ids = self.random.sample(self._ids, min(len(self._ids), 8))
        return [f"{id_}{self.random.choice(['', ' *'])}" for id_ in ids]

    def text(self) -> str:
        """A customer's text."""
        random = self.random
        words = random.choices(
            [*WORDS, "please", "the", "of", "Price!", "12.5", ""], k=random.choice([0, 1, 1, 2, 3, 5, 12])
        )
        return random.choice([" ", ", ", " - ", "\n"]).join(words)

    def _fields(self) -> list[tuple[str, str]]:
        pick = self.random.choice
        return [
            ("age", pick(["17", "18", "40", "old", "--5"])),
            ("colour", pick(["RED", "green", ""])),
            ("born", pick(["2026-03-01", "2026-03-05", "never"])),
            ("visit", pick(["2026-03-04 10:00", "2026-03-09T10:00:00+00:00", "soon"])),
            ("member", pick(["true", "false", "yes"])),
        ]

    def _rule(self, number: int, simple: bool) -> Rule:
        random = self.random
        when = self._leaf() if simple else self._possible([1, 1, 2, 3, 4])
        rests = Cooldown(random.choice(["contact", "all"]), random.choice([3600, 7200, FOREVER]))
        return Rule(
            id=f"r{number}", file="r.yaml", line=number,
            band=random.choice([COMPLIANCE, INTERRUPT, ORDINARY, ORDINARY, ORDINARY, FALLBACK]),
            when=None if random.random() < 0.02 else when,
            actions=self._actions(number), variables={}, zone=UTC, priority=random.choice([1, 500, 500, 999]),
            event=random.choice(EVENTS) if random.random() < 0.2 else "message",
            continues=random.random() < 0.3, cooldown=rests if random.random() < 0.3 else None,
            active_from=date(2026, 3, 6) if random.random() < 0.1 else None,
            active_until=date(2026, 3, 9) if random.random() < 0.1 else None,
        )  # fmt: skip

    def _actions(self, number: int) -> tuple[Action, ...]:
        choices: list[Effect] = [Reply(f"Hello {number}"), Reply("More"), AddTag("seen"), OptOut()]
        effects = self.random.choices(choices, weights=[6, 6, 4, 1], k=self.random.randint(1, 3))
        return tuple(PlainAction((effect,)) for effect in effects)

    def _workflow(self, name: str, version: str) -> Workflow:
        pick = self.random.choice
        steps = []
        for number in range(2):
            replies = tuple(Branch(self._possible([1, 2, 3]), (), "next") for _ in range(pick([1, 2, 3])))
            otherwise = Otherwise(pick([_TEXT, None]), pick([0, 1, 2]), pick(["next", ""]))
            does = AskStep(_TEXT, Span(0, 60), replies, pick([otherwise, None]), Branch(None, (), "next"), None)
            steps.append(Step(f"q{number}", does, True))
        return Workflow(name, version, "r.yaml", 1, (*steps, Step("last", SendStep(_TEXT), True)), UTC, {})

    def _possible(self, depths: list[int]) -> When:
        """A condition that is not too much for one rule."""
        while True:
            when = self._when(self.random.choice(depths))
            try:
                alternatives(when)
            except TooManyAlternatives:
                continue
            return when

    def _when(self, depth: int) -> When:
        if depth == 1:
            return self._leaf()
        parts = tuple(self._when(depth - 1) for _ in range(self.random.randint(1, 3)))
        kind = self.random.choice(["all", "any", "none", "not"])
        if kind == "all":
            return All(parts)
        if kind == "any":
            return Any(parts)
        return Not(Any(parts)) if kind == "none" else Not(parts[0])

    def _phrases(self) -> tuple[tuple[str, ...], ...]:
        texts = (
            " ".join(self.random.choices(WORDS, k=self.random.choice([1, 1, 1, 2, 3])))
            for _ in range(self.random.choice([1, 1, 2, 6]))
        )
        return tuple(dict.fromkeys(phrase(text) for text in texts))

    def _leaf(self) -> Condition:
        random = self.random
        others = ["regex", "number", "field", "messages", "idle"]
        kind = random.choice([*PHRASES, *PHRASES, *BITS, *VALUES, *PHONES, *SCHEDULES, *others])
        if kind in PHRASES:
            return PHRASES[kind](self._phrases())
        if kind in BITS:
            return BITS[kind](random.random() < 0.6)
        if kind in VALUES:
            values = VALUES[kind]
            return {**ANY_OF, **HISTORY_VALUES}[kind](tuple(random.sample(values, random.randint(1, len(values)))))
        if kind in PHONES:
            return PHONES[kind]((random.choice(["+1202*", "+12025550123", "*99", "*", "+1*55*3"]),))
        if kind in SCHEDULES:
            return SCHEDULES[kind](random.choice(SCHEDULE_LIST))
        if kind == "regex":
            return Regex((random.choice(PATTERNS),))
        if kind == "messages":
            return Messages(random.choice(WINDOWS), random.randint(1, 4))
        if kind == "idle":
            return Idle(random.choice([60, 86_400]))
        if kind == "number":
            return Number(random.choice([None, 1, 10]), random.choice([None, 12, 100]))
        name, field_type, tests = random.choice(FIELD_TESTS)
        return Field(name, field_type, UTC, tests)  # type: ignore[arg-type]
