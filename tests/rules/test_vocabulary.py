"""What messages say about consent, held against tests/cases/rules/consent_phrases.yaml."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.effects import OptIn, OptOut, Reply
from rules.message import Message
from rules.vocabulary import said
from tests.rules import build

CASES = build.case_file("consent_phrases")
BOOK = build.book("version: 1\n")


def sayings(text: str) -> frozenset[str]:
    return frozenset(said(Message(build.facts(text), build.NOON), BOOK.vocabulary))


def words_of(kind: str) -> list[Any]:
    return [
        pytest.param(word, id=f"{provider['name']}-{word}".replace(" ", "-"))
        for provider in CASES["providers"]
        for word in provider.get(kind, ())
    ]


CLOTHING = ["{}", "{}.", "{}!!", " {} \n", "“{}”", "({})", "{} 🛑", "*{}*", "{}\u200b", "{}\ufffc"]


@pytest.mark.parametrize("word", words_of("opt_out"))
def test_a_providers_stop_word_alone_opts_out_in_any_clothing(word: str) -> None:
    for dressed in (clothes.format(case) for clothes in CLOTHING for case in (word, word.upper(), word.title())):
        assert "stop" in sayings(dressed), dressed


@pytest.mark.parametrize("word", words_of("opt_in"))
def test_a_start_word_alone_opts_in(word: str) -> None:
    for dressed in (clothes.format(word.upper()) for clothes in CLOTHING):
        assert sayings(dressed) == {"start"}, dressed


@pytest.mark.parametrize("word", words_of("help"))
def test_a_help_word_alone_asks_for_help(word: str) -> None:
    for dressed in (clothes.format(word.upper()) for clothes in CLOTHING):
        assert sayings(dressed) == {"help"}, dressed


@pytest.mark.parametrize("text", [*CASES["sourced"], *CASES["design"], *CASES["stops"]])
def test_a_request_to_stop_is_understood(text: str) -> None:
    assert sayings(text) & {"stop", "stop_phrase", "wrong_number"}


@pytest.mark.parametrize("text", CASES["wrong_number"])
def test_a_wrong_number_is_understood(text: str) -> None:
    assert "wrong_number" in sayings(text)


@pytest.mark.parametrize("text", [*CASES["must_not_trigger"], *CASES["not_stops"], *CASES["ordinary_answers"]])
def test_other_talk_says_nothing_about_consent(text: str) -> None:
    assert sayings(text) == frozenset()


def test_the_case_file_is_as_large_as_it_should_be() -> None:
    assert len(CASES["stops"]) >= 60
    assert len(CASES["not_stops"]) >= 80


@given(st.text(max_size=200))
def test_no_text_makes_it_fail(text: str) -> None:
    assert sayings(text) <= {"stop", "stop_phrase", "wrong_number", "start", "help"}


@pytest.mark.parametrize("text", ["\ud800", "\x00stop\x00", "\u202estop", "a" * 5000, "stop " * 400, "\n" * 1600])
def test_hostile_text_is_read_to_the_end(text: str) -> None:
    assert isinstance(sayings(text), frozenset)


class TestAStopWordEndsAutomation:
    @pytest.mark.parametrize(
        ("text", "rule"),
        [("STOP", "stop"), ("please stop texting me", "stop_in_words"), ("wrong number", "wrong_number")],
    )
    def test_with_one_confirmation(self, text: str, rule: str) -> None:
        decision = build.rules("rules: [{id: all, when: {always: true}, do: [reply: hi]}]").decide(
            build.facts(text), build.NOON
        )
        assert decision.rule == f"compliance.{rule}"
        out, reply = decision.fired[0].effects
        assert isinstance(out, OptOut)
        assert isinstance(reply, Reply)
        assert reply.kind == "opt_out"

    def test_silently_when_they_are_opted_out_already(self) -> None:
        decision = build.rules("").decide(build.facts("STOP", status="opted_out"), build.NOON)
        assert decision.rule == "compliance.stop_again"
        assert decision.fired[0].effects == ()

    def test_even_when_they_are_blocked_nothing_is_answered(self) -> None:
        for text in ("STOP", "START", "HELP", "hello"):
            decision = build.rules("").decide(build.facts(text, status="blocked"), build.NOON)
            assert decision.rule == "compliance.blocked"
            assert decision.fired[0].effects == ()

    def test_or_waits_for_a_person_where_the_file_says_review(self) -> None:
        decision = build.rules("compliance: {natural_language_stop: review}").decide(
            build.facts("please stop texting me"), build.NOON
        )
        assert decision.rule == "compliance.stop_in_words_review"

    def test_but_review_never_holds_back_the_word_itself(self) -> None:
        decision = build.rules("compliance: {natural_language_stop: review}").decide(build.facts("stop"), build.NOON)
        assert decision.rule == "compliance.stop"


def test_start_opts_in_whoever_was_opted_out() -> None:
    decision = build.rules("").decide(build.facts("START", status="opted_out"), build.NOON)
    assert decision.rule == "compliance.start"
    assert OptIn() in decision.fired[0].effects


def test_yes_does_not_opt_in() -> None:
    decision = build.rules("").decide(build.facts("YES", status="opted_out"), build.NOON)
    assert decision.rule == "compliance.opted_out"


def test_any_message_opts_in_where_the_operator_wants_the_older_behaviour() -> None:
    decision = build.rules("rules: [{id: hi, when: {keyword: hi}, do: [reply: Hello]}]").decide(
        build.facts("hi", status="opted_out", settings=["any_message_opts_in"]), build.NOON
    )
    assert [item.rule for item in decision.fired] == ["compliance.welcome_back", "a.hi"]


@pytest.mark.parametrize("kind", ["short_code", "name", "own"])
def test_machines_are_not_answered(kind: str) -> None:
    decision = build.rules("").decide(build.facts("HELP", sender=kind), build.NOON)
    assert decision.rule == "compliance.not_a_phone"
    assert decision.fired[0].effects == ()


def test_help_says_who_and_how_to_stop() -> None:
    decision = build.rules("").decide(build.facts("HELP"), build.NOON)
    reply = decision.fired[0].effects[0]
    assert isinstance(reply, Reply)
    assert reply.kind == "help"
    assert all(part in reply.text for part in ("Harbor Books", "555-0100", "STOP"))


def test_a_file_may_word_the_help_text() -> None:
    decision = build.rules('compliance: {help: "{{ business.name }}: 24h line. STOP to stop."}').decide(
        build.facts("HELP"), build.NOON
    )
    assert decision.fired[0].effects[0] == Reply("Harbor Books: 24h line. STOP to stop.", kind="help")


def test_a_file_may_add_words() -> None:
    ruleset = build.rules("compliance: {extra_stop_words: [basta], extra_start_words: [back], extra_help_words: [sos]}")
    assert ruleset.decide(build.facts("BASTA!"), build.NOON).rule == "compliance.stop"
    assert ruleset.decide(build.facts("back", status="opted_out"), build.NOON).rule == "compliance.start"
    assert ruleset.decide(build.facts("sos"), build.NOON).rule == "compliance.help"


def test_the_check_without_the_engine_agrees() -> None:
    ruleset = build.rules("")
    assert all(ruleset.asks_to_stop(text) for text in ("STOP", "stop texting me", "wrong number"))
    assert not any(ruleset.asks_to_stop(text) for text in ("hello", "START", "I'll stop by at 5"))
