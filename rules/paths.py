"""Where the steps of a workflow lead: to steps that are not there, round in circles, past steps nobody reaches."""

from __future__ import annotations

from collections.abc import Iterator

from rules.problems import did_you_mean
from rules.reader import Reader
from rules.workflow import (
    END,
    NEXT,
    SKIP,
    AskStep,
    BranchStep,
    EndStep,
    GotoStep,
    SendStep,
    Step,
    WaitStep,
    WaitUntilStep,
    Workflow,
)  # fmt: skip


def check_paths(reader: Reader, workflow: Workflow) -> None:
    """Note every step that is wrong: unknown targets and loops without a wait are errors, dead ends warnings."""
    known = {step.id for step in workflow.steps}
    for step in workflow.steps:
        for goto, line in targets(step):
            if goto not in known and goto not in (NEXT, END):
                hint = did_you_mean(goto, known) or " A goto names a step's id, next or end."
                reader.problems.error(reader.file, line, f"unknown step '{goto}'.{hint}")
    if any(goto not in known and goto not in (NEXT, END) for step in workflow.steps for goto, _ in targets(step)):
        return
    _loops(reader, workflow)
    _unreachable(reader, workflow)
    for step in workflow.steps:
        _holds_people(reader, workflow, step)


def targets(step: Step) -> Iterator[tuple[str, int]]:
    """Where a step may lead, and the line that says so."""
    match step.does:
        case AskStep(replies=replies, otherwise=otherwise, on_timeout=on_timeout):
            yield from ((branch.goto, branch.line) for branch in replies)
            if otherwise is not None and otherwise.goto:
                yield otherwise.goto, step.line
            yield on_timeout.goto, on_timeout.line
        case BranchStep(branches):
            yield from ((branch.goto, branch.line) for branch in branches)
            if all(branch.when is not None for branch in branches):
                yield NEXT, step.line
        case WaitUntilStep(if_past=if_past):
            yield NEXT, step.line
            if if_past != SKIP:
                yield if_past, step.line
        case GotoStep(goto):
            yield goto, step.line
        case EndStep():
            yield END, step.line
        case _:
            yield NEXT, step.line


def _following(workflow: Workflow, place: int) -> set[int]:
    found = (workflow.after(place, goto) for goto, _ in targets(workflow.steps[place]))
    return {following for following in found if following is not None}


def _stands_still(workflow: Workflow, place: int, following: int) -> bool:
    """Whether a run waits on its way from one step to the other. A wait_until whose moment is past does not."""
    does = workflow.steps[place].does
    return isinstance(does, WaitStep | AskStep) or (
        isinstance(does, WaitUntilStep) and following == place + 1 and does.if_past not in (SKIP, NEXT)
    )


def _loops(reader: Reader, workflow: Workflow) -> None:
    """A step that comes round to itself without a wait or a question (they would all happen in one instant)."""
    straight = {
        place: {to for to in _following(workflow, place) if not _stands_still(workflow, place, to)}
        for place in range(len(workflow.steps))
    }
    for place, step in enumerate(workflow.steps):
        seen: set[int] = set()
        ahead = set(straight[place])
        while ahead:
            at = ahead.pop()
            if at == place:
                reader.problems.error(
                    reader.file, step.line, f"'{step.id}' leads back to itself without a wait or an ask: a loop."
                )
                return
            if at not in seen:
                seen.add(at)
                ahead |= straight[at]


def _unreachable(reader: Reader, workflow: Workflow) -> None:
    reached: set[int] = set()
    ahead = {0} if workflow.steps else set()
    while ahead:
        place = ahead.pop()
        reached.add(place)
        ahead |= _following(workflow, place) - reached
    for place, step in enumerate(workflow.steps):
        if place not in reached:
            reader.problems.warning(reader.file, step.line, f"the step '{step.id}' is never reached.")


def _holds_people(reader: Reader, workflow: Workflow, step: Step) -> None:
    """With `follow`, people are found again by the ids of the steps that they stand at."""
    stands = isinstance(step.does, WaitStep | WaitUntilStep | AskStep | SendStep)
    if workflow.on_change == "follow" and stands and not step.is_named:
        message = "with 'on_change: follow' every step that people can stand at needs an 'id'."
        reader.problems.error(reader.file, step.line, message)
