"""The starter files that we ship: good, tested to the last rule and step, and short enough to send."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import bot.runs
import rules.workflow
from bot.config import Config, load_config
from bot.trial import world
from bot.verdict import judge
from rules.actions import ReplyAction
from rules.book import RuleBook, SourceFile
from rules.decide import Ruleset
from rules.language import COMPLIANCE
from rules.load import load
from rules.problems import Problems
from rules.questions import question_rules
from rules.segments import segments
from rules.template import Template
from rules.workflow import AskStep, Branch, BranchStep, SendStep, Workflow, with_notice
from tests.server import ROOT, Server

pytestmark = pytest.mark.slow

FOLDER = ROOT / "rules" / "starter"
NAMES = ("campaign", "clinic", "shop")
ALONE_AND_TOGETHER = [*((name,) for name in NAMES), NAMES]

NOT_EXERCISED = {
    "shop.picture": "the tests of a rule file text words; they cannot send a picture",
}
LONGER_THAN_A_SEGMENT: dict[str, str] = {}
"""What the longer texts are called, and why they have to be."""

USUAL = {
    "first_name": "Christopher",
    "shift": "Sat May 1, 9am-noon and 1-4pm",
    "appointment_at": "Wed Dec 30, 12:30 PM",
}
"""What stands where a contact's own words go: long ones, of those that are to be expected."""


def sources(names: tuple[str, ...]) -> list[SourceFile]:
    return [SourceFile(name, f"{name}.yaml", (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")) for name in names]


def read(names: tuple[str, ...]) -> tuple[RuleBook | None, Problems]:
    problems = Problems()
    return load(sources(names), problems, timezone="America/New_York", routes=(), channels=()), problems


def book_of(*names: str) -> RuleBook:
    book, problems = read(names)
    assert book is not None, problems.items
    return book


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A business with one simulated channel and no routes."""
    problems = Problems()
    found = load_config(Server(tmp_path).config, problems)
    assert not problems.items
    return found


def test_these_are_the_files_that_we_ship():
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("names", ALONE_AND_TOGETHER, ids="+".join)
def test_there_is_no_error_and_no_warning(names):
    book, problems = read(names)
    assert [str(problem) for problem in problems.items] == []
    Ruleset(book).close()


@pytest.mark.parametrize("names", ALONE_AND_TOGETHER, ids="+".join)
async def test_their_tests_pass(names, config):
    book = book_of(*names)
    async with world(config, book) as made:
        verdicts = [await judge(made, book, case, "") for case in book.tests]
    failed = {verdict.case.name: verdict.failure.wrong for verdict in verdicts if verdict.failure}
    assert failed == {}
    assert all(count >= 8 for count in Counter(case.file for case in book.tests).values())


@pytest.mark.parametrize("name", NAMES)
async def test_they_pass_with_an_owners_own_names_hours_and_texts_at_the_top(name, config):
    """What one changes first must not make a test fail: the server would not take the file."""
    [source] = sources((name,))
    top, opened, rest = source.text.partition("\nvars:")
    declared, closed, rest = rest.partition("\nschedules:" if "\nschedules:" in rest else "\nlists:")
    changed = re.sub(r"(?m)^(  \w+:).*$", r"\1 Something else", declared)
    assert changed.count("Something else") >= 4
    problems = Problems()
    book = load([replace(source, text=top + opened + changed + closed + rest)], problems, timezone="America/New_York")
    assert book is not None, problems.items
    async with world(config, book) as made:
        failed = [case.name for case in book.tests if (await judge(made, book, case, "")).failure]
    assert failed == []


@pytest.mark.parametrize("name", NAMES)
def test_the_commands_in_the_comment_at_the_top_say_so_too(name):
    for command in ("check", "test"):
        done = subprocess.run(
            [sys.executable, "-m", "bot", command, str(FOLDER / f"{name}.yaml")],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert "warning" not in done.stdout


@pytest.mark.parametrize("name", NAMES)
async def test_the_tests_of_a_file_reach_every_rule_step_and_way_out(name, config, monkeypatch):
    """Each rule and each answer to a question has fired, each step was done, each branch and timeout was taken."""
    book = book_of(name)
    done: set[str] = set()
    taken: set[int] = set()
    real_perform, real_taken = rules.workflow.perform, rules.workflow.taken

    def perform(workflow: Workflow, step, *arguments, **options):
        done.add(f"{workflow.id}/{step.id}")
        return real_perform(workflow, step, *arguments, **options)

    def take(branch: Branch, *arguments):
        taken.add(id(branch))
        return real_taken(branch, *arguments)

    monkeypatch.setattr(bot.runs, "perform", perform)
    monkeypatch.setattr(bot.runs, "taken", take)
    monkeypatch.setattr(rules.workflow, "taken", take)
    fired: set[str] = set()
    async with world(config, book) as made:
        for case in book.tests:
            await made.begin(case)
            for step in case.steps:
                fired.update((await made.do(case, step)).fired)
    workflows = list(book.workflows.values())
    own = {rule.id for rule in book.rules if rule.band != COMPLIANCE}
    answers = {rule.id for workflow in workflows for rule in question_rules(workflow)}
    assert sorted((own | answers) - fired) == sorted(rule for rule in NOT_EXERCISED if rule.startswith(f"{name}."))
    assert sorted({f"{workflow.id}/{step.id}" for workflow in workflows for step in workflow.steps} - done) == []
    assert [who for workflow in workflows for who, branch in ways_out(workflow) if id(branch) not in taken] == []


def ways_out(workflow: Workflow) -> Iterator[tuple[str, Branch]]:
    """The branches and timeouts of a workflow, which are no rules."""
    for step in workflow.steps:
        if isinstance(step.does, AskStep):
            yield f"{workflow.id}/{step.id}, on_timeout", step.does.on_timeout
        elif isinstance(step.does, BranchStep):
            yield from ((f"{workflow.id}/{step.id}, line {branch.line}", branch) for branch in step.does.branches)


def texts(book: RuleBook) -> Iterator[tuple[str, str]]:
    """Every text that customers can get, filled in, and what it is called."""
    own = [rule for rule in book.rules if rule.band != COMPLIANCE]
    for rule in (*own, *(rule for workflow in book.workflows.values() for rule in question_rules(workflow))):
        for action in rule.actions:
            if isinstance(action, ReplyAction):
                yield rule.id, filled(action.template, rule.variables)
    for workflow in book.workflows.values():
        is_first = workflow.is_marketing
        for step in workflow.steps:
            if isinstance(step.does, SendStep | AskStep):
                text = filled(step.does.text, workflow.variables)
                yield f"{workflow.id}/{step.id}", with_notice(text) if is_first else text
                is_first = False


def filled(template: Template, variables) -> str:
    """The text, with what the file says and with a customer's words of an ordinary length."""
    return "".join(part if isinstance(part, str) else value(part.path, variables) for part in template.parts)


def value(path: str, variables) -> str:
    scope, _, name = path.partition(".")
    return variables[name] if scope == "var" else USUAL.get(name, "x" * 12)


@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_one_plain_segment(name):
    counted = [(who, segments(text)) for who, text in texts(book_of(name))]
    assert len(counted) >= 15
    assert {who for who, found in counted if found.encoding != "GSM-7"} == set()
    long = {who for who, found in counted if found.count > 1}
    assert long == {who for who in LONGER_THAN_A_SEGMENT if who.startswith(f"{name}.")}


@pytest.mark.parametrize("name", NAMES)
async def test_what_the_tests_send_is_one_plain_segment_too(name, config):
    book = book_of(name)
    async with world(config, book) as made:
        for case in book.tests:
            await made.begin(case)
            for step in case.steps:
                for text in (await made.do(case, step)).sent:
                    assert (segments(text).encoding, segments(text).count) == ("GSM-7", 1), text


@pytest.mark.parametrize("name", ["campaign", "shop"])
def test_who_joins_a_marketing_list_is_told_the_terms(name):
    assert any(
        "Msg & data rates may apply. Reply HELP for help, STOP to stop." in text and "msgs/month" in text
        for _, text in texts(book_of(name))
    )


@pytest.mark.parametrize("name", NAMES)
def test_an_owner_finds_the_commands_at_the_top_and_a_word_on_each_rule(name):
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../../rules.schema.json\n")
    top = text.partition("version: 1")[0]
    for command in ("check", "test", "chat", "explain", "schema --output rules.schema.json"):
        assert f"textwright {command}" in top
    rule_lines = text.partition("\nrules:\n")[2].partition("\nworkflows:\n")[0].splitlines()
    for place, line in enumerate(rule_lines):
        if line.startswith("  - id: "):
            assert rule_lines[place + 1].startswith("    description: "), line
