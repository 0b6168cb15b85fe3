"""The compiled engine against the plain reading of the rules: the same matches, in the same order, always."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime
from random import Random

import durable_rules_engine as durable
import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rules.conditions import BITS
from rules.decide import Decision, Fired, Ruleset
from rules.effects import OptOut, Reply
from rules.engine import Engine, EngineError
from rules.language import ORDINARY, REPLY, Rule
from rules.message import Message
from rules.reference import holds, matches
from rules.text_conditions import PHRASES
from rules.when import All, Any
from tests.rules import build
from tests.rules.worlds import UTC, WORDS, World


def agree(world: World, rules: list[Rule], messages: int) -> int:
    """Hold them against each other; how many rules matched altogether."""
    found = 0
    with closing(Engine(rules)) as engine:
        for _ in range(messages):
            message = world.message()
            expected = matches(rules, message)
            assert engine.matches(message) == expected, message
            found += len(expected)
    return found


@pytest.mark.parametrize("seed", range(24))
def test_random_rules_match_as_they_read(seed: int) -> None:
    world = World(seed)
    assert agree(world, world.rules(world.random.randint(1, 60)), 100) > 0


@pytest.mark.parametrize("seed", range(3))
def test_many_rules_match_as_they_read_over_many_shards(seed: int) -> None:
    world = World(1000 + seed)
    rules = world.rules(500 + 100 * seed, simple=seed == 2)
    with closing(Engine(rules)) as engine:
        assert len(engine._shards) > 3
    assert agree(world, rules, 40) > 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**32), count=st.integers(1, 12), text=st.text(max_size=60))
def test_any_text_matches_as_it_reads(seed: int, count: int, text: str) -> None:
    world = World(seed)
    rules = world.rules(count)
    with closing(Engine(rules)) as engine:
        for asked in (text, f"{world.random.choice(WORDS)} {text}", "".join(world.random.choices([*WORDS, text], k=4))):
            message = Message(build.facts(asked), build.NOON)
            assert engine.matches(message) == matches(rules, message)


def decides(seed: int, rules: int, messages: int) -> int:
    """Hold a rule set with open questions, old versions among them, against the plain reading of it; how many fired."""
    world = World(seed)
    book, before = world.book(rules)
    fired = 0
    with closing(Ruleset(book, before)) as ruleset:
        for _ in range(messages):
            message = world.message()
            assert ruleset._engine.matches(message) == matches(ruleset.rules, message), message
            decision = ruleset.decide(message.facts, message.now)
            assert decision == plain_decision(ruleset.rules, message, ruleset.version), message
            fired += len(decision.fired)
    return fired


def plain_decision(rules: Sequence[Rule], message: Message, version: str) -> Decision:
    """What is decided, written down once more as the language says it: bands, then priority, then order."""
    facts, now = message.facts, message.now
    ordered = sorted(enumerate(rules), key=lambda item: (item[1].band, item[1].priority, item[0]))
    matched = [rule for _, rule in ordered if rule.event == facts.event and holds(rule.when, message)]
    fired: list[Fired] = []
    replies = 0
    for rule in matched:
        last = facts.last_fired.get(f"{rule.id} *" if rule.cooldown and rule.cooldown.per == "all" else rule.id)
        seconds = rule.cooldown.seconds if rule.cooldown else 0
        rests = rule.cooldown and last is not None and (seconds < 0 or now < last + seconds * 1_000_000)
        today = datetime.fromtimestamp(now // 1_000_000, UTC).date()
        dates = (rule.active_from or date.min) <= today <= (rule.active_until or date.max)
        if rests or not dates or (facts.mode != "auto" and rule.band >= REPLY):
            continue
        effects = []
        for effect in (effect for action in rule.actions for effect in action(message, {})):
            replies += isinstance(effect, Reply)
            if replies <= 3 or not isinstance(effect, Reply):
                effects.append(effect)
        fired.append(Fired(rule.id, tuple(effects)))
        if not rule.continues or OptOut() in effects:
            break
    return Decision(version, tuple(rule.id for rule in matched), tuple(fired))


@pytest.mark.parametrize("seed", range(12))
def test_random_rules_decide_as_they_read(seed: int) -> None:
    assert decides(seed, 5 * seed + 3, 60) > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_a_hundred_thousand_messages_are_decided_as_the_rules_read(seed: int) -> None:
    assert decides(10_000 + seed, (5, 20, 60, 120)[seed % 4], 1000) > 0


def test_a_message_of_every_known_word_matches_every_rule() -> None:
    words = [f"word{number}" for number in range(180)]
    rules = [rule(number, PHRASES["contains"](((word,),))) for number, word in enumerate(words)]
    rules += [rule(180 + n, PHRASES["contains_all"](((words[n],), (words[n + 1],)))) for n in range(120)]
    message = Message(build.facts(" ".join(words)[:1600]), build.NOON)
    with closing(Engine(rules)) as engine:
        assert engine.matches(message) == list(range(300))


def test_a_hundred_identical_rules_and_many_true_flags_stay_below_the_engines_limits() -> None:
    flags = [BITS["known"](True), BITS["has_media"](False), BITS["empty"](False)]
    rules = [rule(number, All(tuple(flags))) for number in range(700)]
    rules += [
        rule(700 + n, Any(tuple(PHRASES["substring"]((("w" + str(n + k),),)) for k in range(8)))) for n in range(200)
    ]
    message = Message(build.facts(" ".join(f"w{n}" for n in range(300))), build.NOON)
    with closing(Engine(rules)) as engine:
        assert engine.matches(message) == matches(rules, message) == list(range(900))


HOSTILE = [
    "", "\0" * 1600, "\ud800\udfff", "\U0010ffff", "a\u0301" * 800, "\u202e stop",
    '"}],"ev":"x",{"', "\\" * 100, "👩‍👩‍👧" * 200,
    "{{ price }}", "\u0000price",
    "＂price＂", "𝗽𝗿𝗶𝗰𝗲", "ＰＲＩＣＥ", "፩", "²", "٣", "−7", "1" * 1600, "\ufeffprice", "p\u0335rice",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_hostile_text_matches_as_it_reads(seed: int) -> None:
    world = World(500 + seed)
    rules = world.rules(60)
    random = Random(seed)
    noise = ["".join(chr(random.randrange(0x110000)) for _ in range(random.randint(1, 200))) for _ in range(15)]
    with closing(Engine(rules)) as engine:
        for text in [*HOSTILE, *noise]:
            message = Message(build.facts(text), build.NOON)
            assert engine.matches(message) == matches(rules, message)


class TestAFailingEngine:
    @pytest.fixture
    def ruleset(self) -> Iterator[Ruleset]:
        ruleset = build.rules("rules: [{id: hi, when: {keyword: hi}, do: [reply: Hello]}]")
        yield ruleset
        ruleset.close()

    @pytest.mark.parametrize("error", [durable.error("303"), MemoryError("full"), EngineError("does not stop")])
    def test_is_answered_for_by_the_plain_reading_and_works_again(
        self, ruleset: Ruleset, error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        expected = ruleset.decide(build.facts("hi"), build.NOON)
        shard_type = type(ruleset._engine._shards[0])

        def fail(*_: object) -> list[str]:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(shard_type, "match", fail)
            with pytest.raises(EngineError):
                ruleset._engine._shards[0].rebuild()
            assert ruleset.decide(build.facts("hi"), build.NOON) == expected
        assert "the plain reading answers" in caplog.text
        ruleset.decide(build.facts("hi"), build.NOON)
        caplog.clear()
        assert ruleset.decide(build.facts("hi"), build.NOON) == expected
        assert not caplog.text

    def test_is_rebuilt_for_the_next_message(
        self, ruleset: Ruleset, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        asked: list[object] = []
        real = durable.assert_fact

        def fail_once(handle: object, text: str) -> object:
            asked.append(text)
            if len(asked) == 1:
                raise durable.error("error code: 303")
            return real(handle, text)

        monkeypatch.setattr("rules.engine.durable.assert_fact", fail_once)
        assert ruleset.decide(build.facts("hi"), build.NOON).rule == "a.hi"
        assert "303" in caplog.text
        caplog.clear()
        assert ruleset.decide(build.facts("hi"), build.NOON).rule == "a.hi"
        assert not caplog.text


@pytest.mark.slow
def test_reloading_400_rules_300_times_gives_the_memory_back() -> None:
    rules = World(7).rules(400)
    message = World(8).message()
    process = psutil.Process()

    def reload() -> None:
        with closing(Engine(rules)) as engine:
            engine.matches(message)

    for _ in range(20):
        reload()
    before = process.memory_info().rss
    for _ in range(300):
        reload()
    assert process.memory_info().rss - before < 5_000_000


def rule(number: int, when: All | Any | object) -> Rule:
    return Rule(f"r{number}", "r.yaml", number, ORDINARY, when, (), {}, UTC)  # type: ignore[arg-type]
