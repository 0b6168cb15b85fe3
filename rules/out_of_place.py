"""What stands where it can do nothing: words where nobody speaks, answers where nobody reads, consent by no message."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rules.actions import Action, PlainAction, ReplyAction
from rules.conditions import Condition, Empty, HasMedia, MediaType
from rules.effects import AddToList
from rules.facts import Event
from rules.history_conditions import ErrorCode, EventList
from rules.language import Rule
from rules.problems import Problems
from rules.text_conditions import Number, Phrases, Regex
from rules.when import When, leaves
from rules.workflow import AskStep, BranchStep, DoStep, Step, Workflow

_OF_A_MESSAGE = (Phrases, Regex, Number, Empty, HasMedia, MediaType)
_OF_EVENTS: Mapping[type[Condition], tuple[Event, ...]] = {
    EventList: ("list_joined", "list_left"),
    ErrorCode: ("delivery_failed",),
}


def out_of_place(rules: Sequence[Rule], workflows: Sequence[Workflow], problems: Problems) -> None:
    """Note what cannot work where it stands."""
    for rule in rules:
        _conditions(rule, problems)
        if rule.event != "message":
            for name in _marketing_lists(rule.actions):
                own = f"'{name}' is a marketing list: only the person's own message adds them."
                problems.error(rule.file, rule.line, f"{own} '{rule.id}' has none.")
            _replies(rule, problems)
    for workflow in workflows:
        for step in workflow.steps:
            for actions, line in quiet_actions(step):
                for name in _marketing_lists(actions):
                    message = f"'{name}' is a marketing list: add to it under the answer itself, which is the evidence."
                    problems.warning(workflow.file, line or step.line, message)
            for branch in step.does.branches if isinstance(step.does, BranchStep) else ():
                _words_in_branch(branch.when, workflow.file, problems)


def quiet_actions(step: Step) -> Iterator[tuple[tuple[Action, ...], int]]:
    """The actions of a step that no message of the person causes, and their lines."""
    match step.does:
        case DoStep(actions):
            yield actions, step.line
        case BranchStep(branches):
            yield from ((branch.actions, branch.line) for branch in branches)
        case AskStep(on_timeout=branch):
            yield branch.actions, branch.line
        case _:
            return


def _conditions(rule: Rule, problems: Problems) -> None:
    for leaf in leaves(rule.when) if rule.when is not None else ():
        events = _OF_EVENTS.get(type(leaf))
        if rule.event != "message" and isinstance(leaf, _OF_A_MESSAGE):
            message = f"'{leaf.name}' looks at a message, and the event '{rule.event}' has none."
            problems.warning(rule.file, leaf.line, message)
        elif events is not None and rule.event not in events:
            problems.warning(rule.file, leaf.line, f"'{leaf.name}' only holds with 'event: {' or '.join(events)}'.")


def _words_in_branch(when: When | None, file: str, problems: Problems) -> None:
    for leaf in leaves(when) if when is not None else ():
        if isinstance(leaf, _OF_A_MESSAGE):
            message = f"'{leaf.name}' looks at a message, and a branch waits for none: put it under an ask's 'replies'."
            problems.warning(file, leaf.line, message)


def _marketing_lists(actions: Sequence[Action]) -> Iterator[str]:
    """The marketing lists that actions add to: what only the person's own message may do."""
    for action in actions:
        for effect in action.effects if isinstance(action, PlainAction) else ():
            if isinstance(effect, AddToList) and effect.is_marketing:
                yield effect.name


def _replies(rule: Rule, problems: Problems) -> None:
    if not any(isinstance(action, ReplyAction) for action in rule.actions):
        return
    if rule.event == "delivery_failed":
        message = (
            f"'{rule.id}' texts a phone that a text just did not reach: that would fail too, and be an event again."
        )
        problems.error(rule.file, rule.line, message)
    elif rule.event == "opted_out":
        problems.warning(rule.file, rule.line, f"'{rule.id}' replies to somebody who opted out: it is never sent.")
