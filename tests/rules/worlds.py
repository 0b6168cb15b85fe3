"""Random rules and random messages: the two worlds that test_differential.py lets meet."""

from __future__ import annotations

from datetime import date, time
from random import Random
from zoneinfo import ZoneInfo

from rules.conditions import ANY_OF, BITS, PHONES, SCHEDULES, Condition
from rules.facts import Contact, Facts
from rules.field_condition import Field
from rules.language import COMPLIANCE, FALLBACK, INTERRUPT, ORDINARY, Rule
from rules.message import Message
from rules.normal_form import TooManyAlternatives, alternatives
from rules.schedule import Hours, Schedule
from rules.text import phrase
from rules.text_conditions import PHRASES, Number, Regex
from rules.when import All, Any, Not, When
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
}
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


class World:
    """Makes rules and messages from one source of chance."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def rules(self, count: int, simple: bool = False) -> list[Rule]:
        """Rules in order of precedence."""
        made = [self._rule(number, simple) for number in range(count)]
        return sorted(made, key=lambda rule: (rule.band, rule.priority))

    def message(self) -> Message:
        """A message; half of its words are words of the rules."""
        random = self.random
        contact = Contact(
            name="Ana Lee",
            known=random.random() < 0.5,
            first_message=random.random() < 0.3,
            lists=frozenset(random.sample(LISTS, random.randint(0, 3))),
            tags=frozenset(random.sample(TAGS, random.randint(0, 2))),
            fields={name: value for name, value in self._fields() if random.random() < 0.6},
        )
        facts = Facts(
            text=self.text(),
            phone=random.choice(PHONE_NUMBERS),
            number=random.choice(PHONE_NUMBERS),
            channel=random.choice([*NAMES, ""]),
            media=tuple(
                random.sample(["image/png", "video/mp4", "text/vcard", "application/pdf"], random.randint(0, 2))
            ),
            status=random.choice(["opted_in", "opted_in", "opted_out", "blocked"]),
            sender=random.choice(["phone", "short_code"]),
            country=random.choice(["US", "CA", ""]),
            contact=contact,
            settings=frozenset(random.sample(VALUES["setting"], random.randint(0, 2))),
        )
        return Message(facts, NOON + random.randrange(0, 14 * DAY, HOUR // 2))

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
        while True:
            when = self._leaf() if simple else self._when(random.choice([1, 1, 2, 3, 4]))
            try:
                alternatives(when)
            except TooManyAlternatives:
                continue
            break
        band = random.choice([COMPLIANCE, INTERRUPT, ORDINARY, ORDINARY, ORDINARY, FALLBACK])
        return Rule(
            id=f"r{number}", file="r.yaml", line=number, band=band, when=None if random.random() < 0.02 else when,
            actions=(), variables={}, zone=UTC, priority=random.choice([1, 500, 500, 999]),
            continues=random.random() < 0.3,
        )  # fmt: skip

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
        kind = random.choice([*PHRASES, *PHRASES, *BITS, *ANY_OF, *PHONES, *SCHEDULES, "regex", "number", "field"])
        if kind in PHRASES:
            return PHRASES[kind](self._phrases())
        if kind in BITS:
            return BITS[kind](random.random() < 0.6)
        if kind in ANY_OF:
            values = VALUES[kind]
            return ANY_OF[kind](tuple(random.sample(values, random.randint(1, len(values)))))
        if kind in PHONES:
            return PHONES[kind]((random.choice(["+1202*", "+12025550123", "*99", "*", "+1*55*3"]),))
        if kind in SCHEDULES:
            return SCHEDULES[kind](random.choice(SCHEDULE_LIST))
        if kind == "regex":
            return Regex((random.choice(PATTERNS),))
        if kind == "number":
            return Number(random.choice([None, 1, 10]), random.choice([None, 12, 100]))
        name, field_type, tests = random.choice(FIELD_TESTS)
        return Field(name, field_type, UTC, tests)  # type: ignore[arg-type]
