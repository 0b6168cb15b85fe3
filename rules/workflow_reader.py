"""How a workflow is read from a file, and what is wrong with its steps."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import get_args

from rules.actions import Action, read_actions, read_template
from rules.expectations import ENDED, NO_RUN
from rules.grammar import ASK_KEYS, BRANCH_KEYS, ENROLL_KEYS, OTHERWISE_KEYS, STEPS, WAIT_UNTIL_KEYS, WORKFLOW_KEYS
from rules.nodes import Node
from rules.paths import check_paths
from rules.reader import Reader, Span
from rules.schedule import Schedule
from rules.vocabulary import Vocabulary
from rules.when import When, read_when
from rules.workflow import (
    END,
    MAX_RUN,
    NEXT,
    SKIP,
    Again,
    AskStep,
    Branch,
    BranchStep,
    Does,
    DoStep,
    EndStep,
    GotoStep,
    OnChange,
    Otherwise,
    SendStep,
    Step,
    WaitStep,
    WaitUntilStep,
    Workflow,
)  # fmt: skip

MAX_WORKFLOW_STEPS = 200
_TAKEN = (NEXT, END, SKIP, ENDED, NO_RUN)
"""What no step may be called, because a goto, an if_past or a test means something else by it."""

_VARIABLE = re.compile(r"\bvar\.([A-Za-z][\w-]*)")


def read_workflow(reader: Reader, name: str, node: Node, words: Vocabulary) -> Workflow | None:
    """Read one workflow; None, with the reasons noted, where nothing of it can be used."""
    quiet = replace(reader, has_message=False)
    keys = reader.mapping(node, WORKFLOW_KEYS, "workflow key")
    if "steps" not in keys:
        if keys or node.is_empty:
            reader.error(node, f"the workflow '{name}' needs 'steps'.")
        return None
    steps = _Steps(reader, quiet, words).read(keys["steps"])
    enroll = reader.mapping(keys["enroll"], ENROLL_KEYS, "enroll key") if "enroll" in keys else {}
    lists = reader.declared.lists
    found = reader.declared_name(keys["list"], lists, "list", "Declare it under 'lists:'.") if "list" in keys else ""
    on_join = _on_join(reader, keys, enroll)
    again = reader.choice(enroll["again"], get_args(Again), "again") if "again" in enroll else None
    on_change = reader.choice(keys["on_change"], get_args(OnChange), "on_change") if "on_change" in keys else None
    window = None
    if "send_window" in keys:
        schedules = reader.declared.schedules
        opens = reader.declared_name(keys["send_window"], schedules, "schedule", "Declare it under 'schedules:'.")
        window = schedules[opens] if opens else None
    workflow = Workflow(
        id=f"{reader.name_of_file}.{name}",
        version=_version(reader, node),
        file=reader.file,
        line=node.line,
        steps=steps,
        zone=reader.zone,
        variables=reader.declared.vars,
        list=found or "",
        on_join=on_join,
        again=next((known for known in get_args(Again) if known == again), "never" if on_join else "after_end"),
        enroll_when=read_when(quiet, enroll["when"], words) if "when" in enroll else None,
        exit_when=read_when(reader, keys["exit_when"], words) if "exit_when" in keys else None,
        window=window,
        max_duration=_max_duration(reader, keys.get("max_duration")),
        on_change=next((known for known in get_args(OnChange) if known == on_change), "finish_old"),
        is_marketing=bool(found) and lists.get(found or "") == "marketing",
        description=(reader.text(keys["description"], "description") or "") if "description" in keys else "",
    )
    check_paths(reader, workflow)
    return workflow


def _on_join(reader: Reader, keys: dict[str, Node], enroll: dict[str, Node]) -> bool:
    if "on" not in enroll:
        return "list" in keys
    on = reader.choice(enroll["on"], ["list_joined", "manual"], "on")
    if on == "list_joined" and "list" not in keys:
        reader.error(enroll["on"], "'on: list_joined' needs the workflow's 'list'.")
    return on == "list_joined"


def _max_duration(reader: Reader, node: Node | None) -> Span:
    span = reader.span(node, "max_duration") if node is not None else None
    if node is not None and span is not None and span.days * 86_400 + span.seconds > MAX_RUN.days * 86_400:
        reader.error(node, f"a run takes {MAX_RUN.days}d at the most.")
    return span or MAX_RUN


def _version(reader: Reader, node: Node) -> str:
    """A hash of the workflow's text and of the variables and schedules that it names: what its people live by."""
    texts = list(_texts(node))
    declared = reader.declared
    variables = sorted({name for text in texts for name in _VARIABLE.findall(text)} & declared.vars.keys())
    schedules = sorted(set(texts) & declared.schedules.keys())
    parts = [
        *texts,
        str(reader.zone),
        *(f"{name}={declared.vars[name]}" for name in variables),
        *(_schedule_text(declared.schedules[name]) for name in schedules),
        *(f"{name}:{declared.lists[name]}" for name in sorted(set(texts) & declared.lists.keys())),
    ]
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:8]


def _schedule_text(schedule: Schedule) -> str:
    """A schedule in one way of many: sets have no order that lasts from one process to the next."""
    hours = (f"{sorted(line.days)} {line.since} {line.until}" for line in schedule.hours)
    return f"{schedule.name} {schedule.zone} {' '.join(hours)} {sorted(schedule.closed)}"


def _texts(node: Node) -> Iterator[str]:
    if node.kind == "text":
        yield node.text
    for item in node.items:
        yield "-"
        yield from _texts(item)
    for key, value in node.pairs:
        yield f"{key.text}:"
        yield from _texts(value)
    if node.kind != "text":
        yield "."


class _Steps:
    """Reads the steps of one workflow. What comes of a message may speak of it, the rest (`quiet`) may not."""

    def __init__(self, reader: Reader, quiet: Reader, words: Vocabulary) -> None:
        self._reader = reader
        self._quiet = quiet
        self._words = words

    def read(self, node: Node) -> tuple[Step, ...]:
        """All steps, in order; places count from 1."""
        reader = self._reader
        items = reader.items(node, "steps")
        if len(items) > MAX_WORKFLOW_STEPS:
            reader.error(node, f"a workflow has {MAX_WORKFLOW_STEPS} steps at the most, this one {len(items)}.")
            return ()
        steps = []
        seen: dict[str, int] = {}
        for place, item in enumerate(items, 1):
            step = self._step(item, place)
            if step is None:
                continue
            if step.id in seen:
                reader.error(item, f"the step '{step.id}' is there already, in line {seen[step.id]}.")
            seen.setdefault(step.id, item.line)
            steps.append(step)
        return tuple(steps)

    def _step(self, node: Node, place: int) -> Step | None:
        reader = self._reader
        keys = reader.mapping(node, ["id", *STEPS], "step")
        kinds = [key for key in keys if key != "id"]
        if len(kinds) != 1:
            if keys or node.is_empty:
                which = f"has {' and '.join(kinds)}" if kinds else "has none"
                reader.error(node, f"a step is one of {', '.join(STEPS)}; this one {which}.")
            return None
        name = reader.name(keys["id"], "step") if "id" in keys else f"step{place}"
        if name in _TAKEN:
            reader.error(keys["id"], f"'{name}' has a meaning of its own where steps are named. Use another id.")
        does = _READERS[kinds[0]](self, keys[kinds[0]])
        return Step(name, does, "id" in keys, line=node.line) if does is not None and name is not None else None

    def send(self, node: Node) -> Does | None:
        """send: TEXT."""
        text = read_template(self._quiet, node, "send")
        return SendStep(text) if text else None

    def ask(self, node: Node) -> Does | None:
        """ask: {text, timeout, replies, otherwise?, on_timeout?, save_as?}."""
        reader = self._reader
        keys = reader.mapping(node, ASK_KEYS, "ask key")
        missing = [key for key in ("text", "timeout", "replies") if key not in keys]
        if missing:
            if keys or node.is_empty:
                reader.error(node, f"'ask' needs '{missing[0]}'.")
            return None
        text = read_template(self._quiet, keys["text"], "the question")
        timeout = reader.span(keys["timeout"], "timeout")
        replies = tuple(branch for item in reader.items(keys["replies"], "replies") if (branch := self._reply(item)))
        on_timeout = Branch(None, (), NEXT)
        if "on_timeout" in keys:
            given = reader.mapping(keys["on_timeout"], ["do", "goto"], "on_timeout key")
            actions = read_actions(self._quiet, given["do"]) if "do" in given else ()
            on_timeout = Branch(None, actions, self._target(given.get("goto")), line=keys["on_timeout"].line)
        otherwise = self._otherwise(keys["otherwise"]) if "otherwise" in keys else None
        save_as = None
        if "save_as" in keys:
            fields = reader.declared.fields
            found = reader.declared_name(keys["save_as"], fields, "field", "Declare it under 'fields:'.")
            save_as = (found, fields[found]) if found else None
        if text is None or timeout is None:
            return None
        return AskStep(text, timeout, replies, otherwise, on_timeout, save_as)

    def _reply(self, node: Node) -> Branch | None:
        keys = self._reader.mapping(node, BRANCH_KEYS, "reply key")
        if "when" not in keys:
            if keys or node.is_empty:
                self._reader.error(node, "a reply needs a 'when'. What answers nothing goes under 'otherwise'.")
            return None
        when = read_when(self._reader, keys["when"], self._words)
        return self._branch(self._reader, node, keys, when) if when is not None else None

    def _branch(self, reader: Reader, node: Node, keys: dict[str, Node], when: When | None) -> Branch:
        actions: tuple[Action, ...] = read_actions(reader, keys["do"]) if "do" in keys else ()
        return Branch(when, actions, self._target(keys.get("goto")), line=node.line)

    def _otherwise(self, node: Node) -> Otherwise | None:
        reader = self._reader
        keys = reader.mapping(node, OTHERWISE_KEYS, "otherwise key")
        reply = read_template(reader, keys["reply"], "otherwise") if "reply" in keys else None
        repeat = reader.integer(keys["repeat"], "repeat", 0, 10) if "repeat" in keys else 1
        if "reply" not in keys and "goto" not in keys and (keys or node.is_empty):
            reader.error(node, "'otherwise' needs a 'reply', a 'goto', or both.")
        goto = self._target(keys["goto"]) if "goto" in keys else ""
        return Otherwise(reply, 1 if repeat is None else repeat, goto)

    def wait(self, node: Node) -> Does | None:
        """wait: DURATION."""
        span = self._reader.span(node, "wait")
        if span is not None and span.is_forever:
            self._reader.error(node, "a wait has an end. For an answer that may take its time use 'ask'.")
        return WaitStep(span) if span else None

    def wait_until(self, node: Node) -> Does | None:
        """wait_until: {field, offset?, at?, if_past?}."""
        reader = self._reader
        keys = reader.mapping(node, WAIT_UNTIL_KEYS, "wait_until key")
        if "field" not in keys:
            if keys or node.is_empty:
                reader.error(node, "'wait_until' needs a 'field' that holds a date or datetime.")
            return None
        fields = reader.declared.fields
        found = reader.declared_name(keys["field"], fields, "field", "Declare it under 'fields:'.")
        kind = fields[found] if found else "date"
        if kind not in ("date", "datetime"):
            reader.error(keys["field"], f"'wait_until' needs a date or datetime field; '{found}' is {kind}.")
        offset = reader.span(keys["offset"], "offset", signed=True) if "offset" in keys else Span(0, 0)
        at = reader.clock(keys["at"], "at") if "at" in keys else None
        if_past = SKIP
        if "if_past" in keys:
            if_past = SKIP if keys["if_past"].text == SKIP else self._target(keys["if_past"])
        return WaitUntilStep(found, kind, offset or Span(0, 0), at, if_past, reader.zone) if found else None

    def branch(self, node: Node) -> Does | None:
        """branch: [{when, do?, goto?}..., {else: STEP}]."""
        branches = []
        items = self._reader.items(node, "branch")
        for place, item in enumerate(items):
            keys = self._reader.mapping(item, [*BRANCH_KEYS, "else"], "branch key")
            if "else" in keys:
                if place < len(items) - 1 or len(keys) > 1:
                    self._reader.error(item, "'else' is the last branch, and stands alone.")
                branches.append(Branch(None, (), self._target(keys["else"]), line=item.line))
            elif "when" not in keys and (keys or item.is_empty):
                self._reader.error(item, "a branch needs a 'when', or is the last one, {else: STEP}.")
            elif "when" in keys:
                when = read_when(self._quiet, keys["when"], self._words)
                if when is not None:
                    branches.append(self._branch(self._quiet, item, keys, when))
        return BranchStep(tuple(branches)) if branches else None

    def do(self, node: Node) -> Does | None:
        """do: [action...]."""
        return DoStep(read_actions(self._quiet, node))

    def goto(self, node: Node) -> Does | None:
        """goto: STEP."""
        return GotoStep(self._target(node))

    def end(self, node: Node) -> Does | None:
        """end: TEXT."""
        text = self._reader.text(node, "end")
        return EndStep(text) if text else None

    def _target(self, node: Node | None) -> str:
        return NEXT if node is None else self._reader.text(node, "goto") or NEXT


_READERS: dict[str, Callable[[_Steps, Node], Does | None]] = {
    "send": _Steps.send,
    "ask": _Steps.ask,
    "wait": _Steps.wait,
    "wait_until": _Steps.wait_until,
    "branch": _Steps.branch,
    "do": _Steps.do,
    "goto": _Steps.goto,
    "end": _Steps.end,
}
