"""Rule files with tests of their own, run as `textwright test` runs them: every step, event, key and expectation.

A test that has to fail is named by what the runner prints: "fails at step 1: expects sent: 2, but got 1 'Hello'".
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from adapters.contract import Receipt
from bot.changes import dumps, write_people
from bot.config import Config, load_config
from bot.people import conversation_from_row
from bot.routes import Route
from bot.trial import World, world
from bot.verdict import Verdict, judge
from rules.book import RuleBook, SourceFile
from rules.expectations import TestCase, TestStep
from rules.load import load
from rules.problems import Problems
from rules.reader import Span
from tests.rules import build

pytestmark = pytest.mark.slow

KINDS = ("steps", "events", "rules", "workflows", "tests")
STORIES = sorted(path for kind in KINDS for path in (build.CASES / kind).glob("*.yaml"))
ZONE = "America/New_York"


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """A business with two routes, two channels and no rule files of its own."""
    path = tmp_path / "config.toml"
    path.write_text(
        f'[business]\nname = "Corner Books"\ntimezone = "{ZONE}"\n[rules]\nfiles = []\n'
        '[channels.main]\nadapter = "simulator"\nnumbers = ["+12025550100"]\n'
    )
    routes = {name: Route(name, "", "", default=name == build.ROUTES[0]) for name in build.ROUTES}
    return replace(load_config(path, Problems()), routes=routes)


def story(path: Path) -> RuleBook:
    """The rule book of one case file; it goes by the name `a`."""
    problems = Problems()
    source = SourceFile("a", path.name, path.read_text(encoding="utf-8"))
    book = load([source], problems, timezone=ZONE, routes=build.ROUTES, channels=build.CHANNELS)
    assert book is not None, [str(problem) for problem in problems.sorted()]
    return book


def told(verdict: Verdict) -> str:
    """How a test went, in the words of the runner."""
    failure = verdict.failure
    if failure is None:
        return ""
    wrong = (f"expects {wanted}, but got {got}" for _, wanted, got in failure.wrong)
    return f"fails at step {failure.place}: {'; '.join(wrong)}"


@pytest.mark.parametrize("path", STORIES, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_a_story_goes_as_it_is_told(path: Path, config: Config) -> None:
    book = story(path)
    assert book.tests
    async with world(config, book) as made:
        for case in book.tests:
            verdict = await judge(made, book, case, config.default_route)
            assert told(verdict) == (case.name if case.name.startswith("fails at") else ""), f"{path}:{case.line}"


async def test_a_message_that_did_not_arrive(config: Config) -> None:
    book = story(build.CASES / "events" / "delivery_failed.yaml")
    async with world(config, book) as made:
        (case,) = book.tests
        assert (await judge(made, book, case, config.default_route)).failure is None
        for code, contact in (("30006", "failed"), ("30003", "bounced")):
            sent = await made.do(case, TestStep("in", 1, "hi"))
            receipt = Receipt(provider_id=made._recorder.sent[-1].id, state="undelivered", error_code=code)
            await made.intake.submit(config.channels["main"], [receipt])
            after = await made.do(case, TestStep("advance", 1, span=Span(0, 60)))
            assert sent.fired == ("a.hi",)
            assert after.fired == ("a.other" if code == "30006" else "a.gone",)
            assert after.contact is not None
            assert contact in after.contact.tags | after.contact.lists
        assert after.notified == ("sales",)


async def close_conversation(made: World, case: TestCase) -> None:
    """Staff close the conversation, as they do through the API."""
    phone = made.number_of(case.contact)
    async with made._store.transaction() as transaction:
        (row,) = await transaction.rows("load_conversations", phones=dumps([phone]))
        before = conversation_from_row(row)
        after = replace(before, mode="auto", staff_until=0)
        await write_people(transaction, [], [], [(before, after)], at=made.now, source="staff")
        woken = {"phone": phone, "event": "woken", "detail": "", "source": "staff", "at": made.now}
        await transaction.each("insert_occurrences_of_phones", [woken])


async def test_a_question_whose_time_went_by_while_a_person_answered_goes_on_when_they_close(config: Config) -> None:
    book = story(build.CASES / "workflows" / "steps.yaml")
    case = book.tests[0]
    texts = ("begin", "person")
    async with world(config, book) as made:
        await made.begin(case)
        for text in texts:
            await made.do(case, TestStep("in", 1, text))
        waiting = await made.do(case, TestStep("advance", 1, span=Span(0, 3 * 3600)))
        assert (waiting.mode, waiting.sent, waiting.runs[0].step) == ("staff", (), "q")
        await close_conversation(made, case)
        after = await made.do(case, TestStep("advance", 1, span=Span(0, 60)))
        assert (after.mode, after.sent) == ("auto", ("Sorry.",))
