"""What the files may say but should not: reserved words (an error), rules that never win, long texts."""

from __future__ import annotations

from collections.abc import Sequence

from rules.actions import ReplyAction
from rules.conditions import Always
from rules.language import COMPLIANCE, Rule
from rules.normal_form import MAX_ALTERNATIVES, TooManyAlternatives, alternatives
from rules.problems import Problems
from rules.segments import segments
from rules.text_conditions import Exact, Keyword
from rules.vocabulary import Vocabulary
from rules.when import When, leaves

MAX_CONDITIONS = 60
"""Conditions in one rule, those inside all, any, none and not together."""

Phrase = tuple[str, ...]


def warn_about(rules: Sequence[Rule], words: Vocabulary, problems: Problems) -> None:
    """Look at rules in order of precedence and note what their author should know."""
    business = [rule for rule in rules if rule.band != COMPLIANCE]
    for rule in business:
        _too_much(rule, problems)
        _reserved_words(rule, words, problems)
        _long_texts(rule, problems)
    _never_wins(business, problems)


def _too_much(rule: Rule, problems: Problems) -> None:
    """More than the engine takes in one rule (counted first: a normal form of thousands takes minutes)."""
    count = sum(1 for _ in leaves(rule.when)) if rule.when is not None else 0
    if count > MAX_CONDITIONS:
        problems.error(
            rule.file,
            rule.line,
            f"'{rule.id}' has {count} conditions; {MAX_CONDITIONS} is the most: split this rule.",
        )
        return
    try:
        alternatives(rule.when)
    except TooManyAlternatives:
        problems.error(
            rule.file,
            rule.line,
            f"the 'when' of '{rule.id}' makes more than {MAX_ALTERNATIVES} alternatives: split this rule.",
        )


def _reserved_words(rule: Rule, words: Vocabulary, problems: Problems) -> None:
    reserved: dict[Phrase, str] = dict.fromkeys(words.stop, "opts a person out")
    reserved |= {(word,): "opts a person out" for word in words.typos}
    reserved |= dict.fromkeys(words.start, "opts a person in")
    reserved |= dict.fromkeys(words.help, "asks for help")
    for leaf in leaves(rule.when) if rule.when is not None else ():
        if not isinstance(leaf, Keyword | Exact):
            continue
        for phrase in leaf.phrases:
            if phrase in reserved:
                problems.error(
                    rule.file,
                    leaf.line,
                    f"'{' '.join(phrase)}' is reserved: it {reserved[phrase]}. Use another word.",
                )


def _long_texts(rule: Rule, problems: Problems) -> None:
    for action in rule.actions:
        if not isinstance(action, ReplyAction):
            continue
        text = action.template.typical
        counted = segments(text)
        if counted.encoding == "UCS-2":
            odd = next(c for c in text if segments(c).encoding == "UCS-2")
            problems.warning(
                rule.file,
                rule.line,
                f"the reply of '{rule.id}' has '{odd}', so a segment holds 70 characters only.",
            )
        if counted.count > 1:
            problems.warning(rule.file, rule.line, f"the reply of '{rule.id}' takes {counted.count} segments.")


def _never_wins(rules: Sequence[Rule], problems: Problems) -> None:
    taken: dict[Phrase, Rule] = {}
    catch_all: Rule | None = None
    for rule in rules:
        if catch_all is not None:
            problems.warning(rule.file, rule.line, f"'{rule.id}' never wins: '{catch_all.id}' always does, before it.")
            continue
        phrases = _only_phrases(rule.when)
        first = next((taken[phrase] for phrase in phrases if phrase in taken), None)
        if phrases and first is not None and all(phrase in taken for phrase in phrases):
            problems.warning(rule.file, rule.line, f"'{rule.id}' never wins: '{first.id}' has its words, before it.")
        if rule.continues or rule.cooldown or rule.active_from or rule.active_until:
            continue
        if rule.when is None or (isinstance(rule.when, Always) and rule.when.wanted):
            catch_all = rule
        if isinstance(rule.when, Keyword):
            taken.update({phrase: rule for phrase in phrases if phrase not in taken})


def _only_phrases(when: When | None) -> tuple[Phrase, ...]:
    return when.phrases if isinstance(when, Keyword | Exact) else ()
