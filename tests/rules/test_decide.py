"""Which rule wins, what keeps a rule silent, and how a decision is explained."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.decide import MAX_REPLIES, Decision, Ruleset
from rules.effects import AddTag, OptOut, Reply
from tests.rules import build

REPLY = "do: [{reply: Hello}]"
HI = f"when: {{keyword: hi}}, {REPLY}"
KNOWN = f"when: {{known: true}}, {REPLY}"


def decide(text: str, said: str = "hi", now: int = build.NOON, **facts: object) -> Decision:
    ruleset = build.rules(text)
    try:
        return ruleset.decide(build.facts(said, **facts), now)
    finally:
        ruleset.close()


def fired(text: str, said: str = "hi", **facts: object) -> list[str]:
    return [item.rule.removeprefix("a.") for item in decide(text, said, **facts).fired]


class TestTextsShowWhatWasSetBeforeThem:
    FIELDS = "fields: {n: integer, nick: text}\n"

    @pytest.mark.parametrize(
        ("actions", "expected"),
        [
            ("{increment: {n: 2}}, {reply: \"{{ contact.n | default('0') }}\"}", ["2"]),
            ("{reply: \"{{ contact.n | default('0') }}\"}, {increment: {n: 2}}", ["0"]),
            ("{increment: {n: 1}}, {increment: {n: 1}}, {reply: \"{{ contact.n | default('0') }}\"}", ["2"]),
            ("{set: {nick: '{{ message.text }}'}}, {reply: \"{{ contact.nick | default('-') }}\"}", ["hi"]),
        ],
    )
    def test_in_one_rule(self, actions: str, expected: list[str]) -> None:
        decision = decide(f"{self.FIELDS}rules: [{{id: it, when: {{keyword: hi}}, do: [{actions}]}}]")
        assert [effect.text for effect in decision.fired[0].effects if isinstance(effect, Reply)] == expected

    def test_in_a_rule_after_it(self) -> None:
        text = (
            f"{self.FIELDS}rules: [{{id: one, continue: true, when: {{keyword: hi}}, do: [{{set: {{nick: Bo}}}}]}},"
            " {id: two, when: {always: true}, do: [{reply: \"{{ contact.nick | default('-') }}\"}]}]"
        )
        assert Reply("Bo") in decide(text).fired[1].effects

    def test_an_answer_that_was_saved(self) -> None:
        reply = "{reply: \"Hi {{ contact.nick | default('-') }}\"}"
        ask = f"{{text: Name?, save_as: nick, timeout: 1d, replies: [{{when: {{empty: false}}, do: [{reply}]}}]}}"
        text = f"{self.FIELDS}workflows: {{w: {{steps: [{{id: ask, ask: {ask}}}]}}}}"
        workflow = build.book(f"version: 1\n{text}\n").workflows["a.w"]
        decision = decide(text, "Bo", waiting=workflow.question("ask"))
        assert Reply("Hi Bo") in decision.fired[0].effects


class TestTheFirstMatchWins:
    def test_in_the_order_of_the_file(self) -> None:
        text = f"rules: [{{id: one, {HI}}}, {{id: two, {KNOWN}}}]"
        decision = decide(text)
        assert decision.rule == "a.one"
        assert decision.matched == ("a.one", "a.two")

    def test_by_priority_before_the_order_of_the_file(self) -> None:
        text = f"rules: [{{id: one, {KNOWN}}}, {{id: two, priority: 10, {KNOWN}}}]"
        assert fired(text) == ["two"]

    def test_by_the_order_of_the_files(self) -> None:
        files = [f"version: 1\nrules: [{{id: it, {KNOWN}}}]\n"] * 2
        assert Ruleset(build.book(*files)).decide(build.facts(), build.NOON).rule == "a.it"

    def test_with_interrupts_before_and_fallbacks_after_whatever_their_priority(self) -> None:
        text = (
            f"rules: [{{id: last, fallback: true, priority: 1, {REPLY}}}, {{id: mid, priority: 2, {HI}}},"
            f" {{id: first, interrupt: true, priority: 999, {HI}}}]"
        )
        assert decide(text).matched == ("a.first", "a.mid", "a.last")
        assert fired(text) == ["first"]
        assert fired(text, "other") == ["last"]

    def test_with_compliance_before_everything(self) -> None:
        text = f"rules: [{{id: all, interrupt: true, priority: 1, when: {{always: true}}, {REPLY}}}]"
        assert decide(text, "STOP").rule == "compliance.stop"
        assert decide(text, "hello", status="opted_out").rule == "compliance.opted_out"

    def test_and_nothing_fires_when_nothing_matches(self) -> None:
        assert fired(f"rules: [{{id: one, when: {{keyword: ho}}, {REPLY}}}]") == []

    def test_but_a_rule_that_is_not_enabled_is_not_there(self) -> None:
        assert fired(f"rules: [{{id: one, enabled: false, {HI}}}]") == []


class TestContinue:
    TEXT = (
        "rules: [{id: one, continue: true, when: {known: true}, do: [{tag: seen}]},"
        f" {{id: two, {HI}}}, {{id: three, {HI}}}]"
    )

    def test_lets_the_next_rule_go_on(self) -> None:
        decision = decide(self.TEXT)
        assert [item.rule for item in decision.fired] == ["a.one", "a.two"]
        assert decision.fired[0].effects == (AddTag("seen"),)

    def test_does_not_go_past_an_opt_out(self) -> None:
        out = "{id: one, continue: true, when: {keyword: hi}, do: [{opt_out: true}]}"
        text = f"rules: [{out}, {{id: two, {HI}}}]"
        decision = decide(text)
        assert decision.fired[0].effects == (OptOut(),)
        assert len(decision.fired) == 1


def test_no_message_gets_more_than_three_replies() -> None:
    one = "{id: r%d, continue: true, when: {known: true}, do: [{reply: A}, {reply: B}, {tag: t}]}"
    decision = decide("rules: [" + ", ".join(one % n for n in range(4)) + "]")
    effects = [effect for item in decision.fired for effect in item.effects]
    assert sum(isinstance(effect, Reply) for effect in effects) == MAX_REPLIES
    assert effects.count(AddTag("t")) == 4


class TestCooldown:
    def test_rests_for_the_contact(self) -> None:
        text = f"rules: [{{id: one, cooldown: 2h, {HI}}}, {{id: two, {HI}}}]"
        assert fired(text, last_fired={"a.one": build.NOON - 2 * build.HOUR + 1}) == ["two"]
        assert fired(text, last_fired={"a.one": build.NOON - 2 * build.HOUR}) == ["one"]
        assert fired(text, last_fired={"a.one *": build.NOON}) == ["one"]
        assert fired(text) == ["one"]

    def test_rests_for_everybody(self) -> None:
        text = f"rules: [{{id: one, cooldown: {{per: all, for: 1d}}, {HI}}}]"
        assert fired(text, last_fired={"a.one *": build.NOON - build.HOUR}) == []
        assert fired(text, last_fired={"a.one": build.NOON - build.HOUR}) == ["one"]

    def test_rests_forever(self) -> None:
        text = f"rules: [{{id: one, cooldown: forever, {HI}}}]"
        assert fired(text, last_fired={"a.one": 0}) == []

    def test_says_which_keys_it_asks_for(self) -> None:
        text = (
            f"rules: [{{id: one, cooldown: 2h, {KNOWN}}},"
            f" {{id: two, cooldown: {{per: all, for: 2h}}, {KNOWN}}}, {{id: three, {KNOWN}}}]"
        )
        assert build.rules(text).cooldown_keys == {"a.one", "a.two *"}


class TestActiveDates:
    TEXT = f"timezone: America/New_York\nrules: [{{id: one, active: {{from: 2026-03-03, until: 2026-03-05}}, {HI}}}]"

    @pytest.mark.parametrize(
        ("moment", "is_active"),
        [
            ("2026-03-03 04:59+00:00", False),
            ("2026-03-03 05:00+00:00", True),
            ("2026-03-06 04:59+00:00", True),
            ("2026-03-06 05:00+00:00", False),
        ],
    )
    def test_include_both_ends_on_the_files_wall_clock(self, moment: str, is_active: bool) -> None:
        now = round(datetime.fromisoformat(moment).timestamp() * 1_000_000)
        assert bool(decide(self.TEXT, now=now).fired) is is_active

    def test_may_have_one_end_only(self) -> None:
        assert fired(f"rules: [{{id: one, active: {{from: 2026-03-03}}, {HI}}}]") == ["one"]
        assert fired(f"rules: [{{id: one, active: {{until: 2026-03-02}}, {HI}}}]") == []


class TestStaffMode:
    TEXT = (
        f"rules: [{{id: one, {HI}}}, {{id: urgent, interrupt: true, when: {{keyword: fire}}, {REPLY}}},"
        f" {{id: last, fallback: true, {REPLY}}}]"
    )

    def test_silences_ordinary_rules_and_fallbacks(self) -> None:
        assert fired(self.TEXT, mode="staff") == []

    def test_does_not_silence_interrupts_or_compliance(self) -> None:
        assert fired(self.TEXT, "fire", mode="staff") == ["urgent"]
        assert fired(self.TEXT, "STOP", mode="staff") == ["compliance.stop"]
        assert fired(self.TEXT, "HELP", mode="staff") == ["compliance.help"]


BUSINESS = """
lists: {vip: service}
schedules: {open: {hours: [{days: mon-fri, from: "09:00", to: "18:00"}]}}
rules:
  - {id: seen, continue: true, when: {known: true}, do: [{tag: seen}]}
  - {id: rests, cooldown: 1h, when: {keyword: hi}, do: [{reply: A}]}
  - {id: price, when: {any: [{keyword: price}, {all: [{contains: cost}, {not: {in_list: vip}}]}]}, do: [{reply: B}]}
  - {id: closed, when: {outside: open}, do: [{reply: C}]}
  - {id: last, fallback: true, do: [{reply: D}]}
"""


@pytest.fixture(scope="module")
def business() -> Ruleset:
    return build.rules(BUSINESS.lstrip())


class TestExplain:
    def test_names_every_rule_with_its_file_and_line(self, business: Ruleset) -> None:
        explained = business.explain(build.facts("price"), build.NOON)
        assert [tried.rule for tried in explained.tried] == [rule.id for rule in business.book.rules]
        assert {(tried.file, tried.line) for tried in explained.tried if tried.rule == "a.price"} == {("a.yaml", 7)}

    def test_shows_each_condition_with_the_value_that_it_saw(self, business: Ruleset) -> None:
        explained = business.explain(build.facts("what does it cost"), build.NOON)
        tried = next(tried for tried in explained.tried if tried.rule == "a.price")
        assert [(reason.depth, reason.text, reason.held, reason.saw) for reason in tried.reasons] == [
            (0, "any of", True, ""),
            (1, "keyword: price", False, "'what does it cost'"),
            (1, "all of", True, ""),
            (2, "contains: cost", True, "'what does it cost'"),
            (2, "not", True, ""),
            (3, "in_list: vip", False, "All Contacts"),
        ]

    def test_says_what_became_of_each_rule(self, business: Ruleset) -> None:
        facts = build.facts("hi", last_fired={"a.rests": build.NOON - 1})
        outcomes = {tried.rule: tried.outcome for tried in business.explain(facts, build.NOON).tried}
        assert outcomes["a.seen"] == "fired, and let the next rules go on"
        assert outcomes["a.rests"] == "matched, but it answered a short while ago and rests (cooldown)"
        assert outcomes["a.price"] == "did not match"
        assert outcomes["a.last"] == "fired"

    def test_does_not_try_the_rules_after_the_winner(self, business: Ruleset) -> None:
        tried = {item.rule: item for item in business.explain(build.facts("price"), build.NOON).tried}
        assert tried["a.price"].fired
        for name in ("a.closed", "a.last"):
            assert tried[name].outcome == "not tried: a.price had won"
            assert tried[name].reasons == ()

    def test_hides_the_middle_of_a_phone_number(self) -> None:
        ruleset = build.rules(f"rules: [{{id: one, when: {{from: '+1202*'}}, {REPLY}}}]")
        explained = ruleset.explain(build.facts(), build.NOON)
        saw = next(reason.saw for tried in explained.tried if tried.rule == "a.one" for reason in tried.reasons)
        assert saw == "+1202…23"

    @settings(max_examples=60, deadline=None)
    @given(
        text=st.one_of(
            st.sampled_from(["hi", "price", "cost", "STOP", "HELP", "wrong number", "START"]), st.text(max_size=30)
        ),
        status=st.sampled_from(["opted_in", "opted_out", "blocked"]),
        mode=st.sampled_from(["auto", "staff"]),
        hours=st.integers(0, 200),
    )
    def test_decides_as_decide_does(self, business: Ruleset, text: str, status: str, mode: str, hours: int) -> None:
        facts = build.facts(text, status=status, mode=mode, last_fired={"a.rests": build.NOON})
        now = build.NOON + hours * build.HOUR
        explained = business.explain(facts, now)
        assert explained.decision == business.decide(facts, now)
        assert [tried.rule for tried in explained.tried if tried.fired] == [
            item.rule for item in explained.decision.fired
        ]


def test_equal_facts_make_equal_decisions(business: Ruleset) -> None:
    facts = build.facts("price")
    assert business.decide(facts, build.NOON) == business.decide(facts, build.NOON)
