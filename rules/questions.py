"""The open questions of workflows, as rules: their replies are band 2, what answers nothing is band 4.

So the engine weighs a customer's text against a question and the ordinary rules in one go, old versions of a
workflow included, as long as somebody is in them: the version is part of the question's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from rules.actions import Action, ReplyAction
from rules.effects import Answer, Effect, Repeat, SetField
from rules.history_conditions import RepeatedLess, Waiting
from rules.language import OTHERWISE, REPLY, Rule
from rules.message import Message
from rules.reader import FieldType, parse_date, parse_moment
from rules.text import fold
from rules.when import All, Not, When
from rules.workflow import AskStep, Otherwise, Step, Workflow

_MAX_SAVED = 500
_YES = frozenset({"yes", "y", "yeah", "yep", "ok", "okay", "true", "1", "sure", "👍"})
_NO = frozenset({"no", "n", "nope", "false", "0", "👎"})


def question_rules(workflow: Workflow) -> Iterator[Rule]:
    """The rules of all questions of a workflow."""
    for step in workflow.steps:
        if isinstance(step.does, AskStep):
            yield from _replies(workflow, step, step.does)
            if step.does.otherwise is not None:
                yield from _otherwise(workflow, step, step.does.otherwise)


def _replies(workflow: Workflow, step: Step, ask: AskStep) -> Iterator[Rule]:
    waiting = Waiting(workflow.question(step.id), line=step.line)
    for number, branch in enumerate(ask.replies, 1):
        saving: tuple[Action, ...] = (_save(ask.save_as, workflow),) if ask.save_as else ()
        when: When = waiting if branch.when is None else All((waiting, branch.when))
        actions = (*saving, *branch.actions, _always(Answer(step.id, branch.goto)))
        yield _rule(workflow, f"{step.id}/{number}", branch.line or step.line, REPLY, when, actions)


def _otherwise(workflow: Workflow, step: Step, otherwise: Otherwise) -> Iterator[Rule]:
    waiting = Waiting(workflow.question(step.id), line=step.line)
    below = RepeatedLess(otherwise.repeat, line=step.line)
    if otherwise.reply is not None and otherwise.repeat:
        actions: tuple[Action, ...] = (ReplyAction(otherwise.reply), _always(Repeat(step.id)))
        yield _rule(workflow, f"{step.id}/otherwise", step.line, OTHERWISE, All((waiting, below)), actions)
    if otherwise.goto:
        when: When = All((waiting, Not(below))) if otherwise.reply is not None and otherwise.repeat else waiting
        actions = (_always(Answer(step.id, otherwise.goto)),)
        yield _rule(workflow, f"{step.id}/enough", step.line, OTHERWISE, when, actions)


def _rule(workflow: Workflow, name: str, line: int, band: int, when: When, actions: tuple[Action, ...]) -> Rule:
    return Rule(
        id=f"{workflow.id}/{name}",
        file=workflow.file,
        line=line,
        band=band,
        when=when,
        actions=actions,
        variables=workflow.variables,
        zone=workflow.zone,
    )


def _always(effect: Effect) -> Action:
    return lambda _message, _variables: [effect]


def _save(save_as: tuple[str, FieldType], workflow: Workflow) -> Action:
    name, kind = save_as

    def save(message: Message, _variables: Mapping[str, str]) -> list[Effect]:
        value = _CANONICAL[kind](message, workflow)
        return [] if value is None else [SetField(name, value)]

    return save


def _truth(message: Message, _workflow: Workflow) -> str | None:
    """The whole message only: "no problem, I'll come" is no no."""
    words = fold(message.facts.text).symbols
    return "true" if words and _YES.issuperset(words) else "false" if words and _NO.issuperset(words) else None


def _whole(message: Message, _workflow: Workflow) -> str | None:
    number = message.number
    return str(int(number)) if number is not None and number == int(number) else None


def _day(message: Message, _workflow: Workflow) -> str | None:
    found = parse_date(message.facts.text.strip())
    return None if found is None else found.isoformat()


def _moment(message: Message, workflow: Workflow) -> str | None:
    text = message.facts.text.strip()
    return text if parse_moment(text, workflow.zone) is not None else None


_CANONICAL: Mapping[FieldType, Callable[[Message, Workflow], str | None]] = {
    "text": lambda message, _workflow: message.facts.text.strip()[:_MAX_SAVED] or None,
    "integer": _whole,
    "boolean": _truth,
    "date": _day,
    "datetime": _moment,
}
"""What an answer is as a value of each type; None, where it is none, leaves the field as it was."""
