"""What the files may say but should not: reserved words (an error), rules that never win, long texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rules.actions import Action, ReplyAction
from rules.grammar import EVENTS
from rules.language import COMPLIANCE, REPLY, Rule
from rules.normal_form import MAX_ALTERNATIVES, TooManyAlternatives, alternatives
from rules.out_of_place import out_of_place, quiet_actions
from rules.problems import Problems
from rules.questions import question_rules
from rules.segments import segments
from rules.shadowed import never_wins
from rules.text_conditions import Exact, Keyword
from rules.vocabulary import Vocabulary
from rules.when import leaves
from rules.workflow import AskStep, SendStep, Step, Workflow, with_notice

MAX_CONDITIONS = 60
"""Conditions in one rule, those inside all, any, none and not together."""

Phrase = tuple[str, ...]
_BARE: Mapping[Phrase, str] = {("no",): "No problem, see you then", ("n",): "N.Y. is fine"}


def warn_about(rules: Sequence[Rule], workflows: Sequence[Workflow], words: Vocabulary, problems: Problems) -> None:
    """Look at rules in order of precedence and note what their author should know."""
    business = [rule for rule in rules if rule.band != COMPLIANCE]
    reserved = _reserved(words)
    for rule in business:
        _too_much(rule, problems)
        _reserved_words(rule, reserved, problems)
        _long_replies(rule.actions, f"the reply of '{rule.id}'", rule.file, rule.line, problems)
    for event in EVENTS:
        never_wins([rule for rule in business if rule.event == event], problems)
    out_of_place(business, workflows, problems)
    for workflow in workflows:
        for rule in question_rules(workflow):
            _too_much(rule, problems)
            _reserved_words(rule, reserved, problems)
            _long_replies(rule.actions, f"the reply of '{rule.id}'", rule.file, rule.line, problems)
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


def _long_replies(actions: Iterable[Action], what: str, file: str, line: int, problems: Problems) -> None:
    for action in actions:
        if isinstance(action, ReplyAction):
            _long_text(action.template.typical, what, file, line, problems)


def _long_text(text: str, what: str, file: str, line: int, problems: Problems) -> None:
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
            if phrase in _BARE:
                message = f"'keyword: {phrase[0]}' also takes \"{_BARE[phrase]}\": use 'exact'."
                problems.warning(rule.file, leaf.line, message)


def _look_at_steps(workflow: Workflow, problems: Problems) -> None:
    is_first = workflow.is_marketing
    for step in workflow.steps:
        does, what = step.does, f"the text of '{workflow.id}/{step.id}'"
        if isinstance(does, SendStep | AskStep):
            text = with_notice(does.text.typical) if is_first else does.text.typical
            _long_text(text, what, workflow.file, step.line, problems)
            is_first = False
        if isinstance(does, AskStep):
            _look_at_question(workflow, step, does, problems)
        for actions, line in quiet_actions(step):
            _long_replies(actions, f"the reply of '{workflow.id}/{step.id}'", workflow.file, line, problems)


def _look_at_question(workflow: Workflow, step: Step, ask: AskStep, problems: Problems) -> None:
    if not ask.on_timeout.line:
        message = f"the question '{step.id}' does not say what to do 'on_timeout'."
        problems.warning(workflow.file, step.line, message)
    own = f"{workflow.id}/{step.id}/"
    replies = [rule for rule in question_rules(workflow) if rule.band == REPLY and rule.id.startswith(own)]
    whens = [branch.when for branch in ask.replies]
    never_wins([replace(rule, when=when) for rule, when in zip(replies, whens, strict=True)], problems)
