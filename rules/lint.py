"""What the files may say but should not: reserved words (an error), rules that never win, long texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rules.actions import Action, PlainAction, ReplyAction
from rules.conditions import Always
from rules.effects import AddToList, OptOut
from rules.language import COMPLIANCE, Rule
from rules.normal_form import MAX_ALTERNATIVES, TooManyAlternatives, alternatives
from rules.problems import Problems
from rules.questions import question_rules
from rules.segments import segments
from rules.template import Template
from rules.text_conditions import Exact, Keyword
from rules.vocabulary import Vocabulary
from rules.when import When, leaves
from rules.workflow import AskStep, SendStep, Workflow

MAX_CONDITIONS = 60
"""Conditions in one rule, those inside all, any, none and not together."""

Phrase = tuple[str, ...]


def warn_about(rules: Sequence[Rule], workflows: Sequence[Workflow], words: Vocabulary, problems: Problems) -> None:
    """Look at rules in order of precedence and note what their author should know."""
    business = [rule for rule in rules if rule.band != COMPLIANCE]
    reserved = _reserved(words)
    for rule in business:
        _too_much(rule, problems)
        _reserved_words(rule, reserved, problems)
        _long_replies(rule, problems)
        _consent_by_event(rule, problems)
    _never_wins([rule for rule in business if rule.event == "message"], problems)
    for workflow in workflows:
        for rule in question_rules(workflow):
            _too_much(rule, problems)
            _reserved_words(rule, reserved, problems)
            _long_replies(rule, problems)
            _bare_answers(rule, problems)
        _look_at_steps(workflow, problems)


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


def _reserved(words: Vocabulary) -> dict[Phrase, str]:
    reserved: dict[Phrase, str] = dict.fromkeys(words.stop, "opts a person out")
    reserved |= {(word,): "opts a person out" for word in words.typos}
    reserved |= dict.fromkeys(words.start, "opts a person in")
    return reserved | dict.fromkeys(words.help, "asks for help")


def _reserved_words(rule: Rule, reserved: dict[Phrase, str], problems: Problems) -> None:
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


def _consent_by_event(rule: Rule, problems: Problems) -> None:
    """What only the person's own message may do is not done because something happened to them."""
    for effect in _plain_effects(rule.actions) if rule.event != "message" else ():
        if isinstance(effect, OptOut):
            problems.error(rule.file, rule.line, f"'{rule.id}' opts out without a message of the person's.")
        if isinstance(effect, AddToList) and effect.is_marketing:
            problems.error(
                rule.file,
                rule.line,
                f"'{effect.name}' is a marketing list: only the person's own message adds them. '{rule.id}' has none.",
            )


def _plain_effects(actions: Sequence[Action]) -> Iterator[object]:
    for action in actions:
        if isinstance(action, PlainAction):
            yield from action.effects


def _long_replies(rule: Rule, problems: Problems) -> None:
    for action in rule.actions:
        if isinstance(action, ReplyAction):
            _long_text(action.template, f"the reply of '{rule.id}'", rule.file, rule.line, problems)


def _long_text(template: Template, what: str, file: str, line: int, problems: Problems) -> None:
    text = template.typical
    counted = segments(text)
    if counted.encoding == "UCS-2":
        odd = next(c for c in text if segments(c).encoding == "UCS-2")
        problems.warning(file, line, f"{what} has '{odd}', so a segment holds 70 characters only.")
    if counted.count > 1:
        problems.warning(file, line, f"{what} takes {counted.count} segments.")


def _bare_answers(rule: Rule, problems: Problems) -> None:
    """`keyword: no` takes "No problem, see you then"."""
    for leaf in leaves(rule.when) if rule.when is not None else ():
        for phrase in leaf.phrases if isinstance(leaf, Keyword) else ():
            if phrase in {("no",), ("n",)}:
                example = f"{phrase[0].title()} problem, see you then"
                problems.warning(rule.file, leaf.line, f"'keyword: {phrase[0]}' also takes \"{example}\": use 'exact'.")


def _look_at_steps(workflow: Workflow, problems: Problems) -> None:
    for step in workflow.steps:
        does = step.does
        if isinstance(does, SendStep | AskStep):
            _long_text(does.text, f"the text of '{workflow.id}/{step.id}'", workflow.file, step.line, problems)
        if isinstance(does, AskStep) and does.on_timeout.line == step.line:
            message = f"the question '{step.id}' does not say what to do 'on_timeout'."
            problems.warning(workflow.file, step.line, message)


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
