"""A step of a workflow that raises is of one contact alone; and what a provider refuses ends what cannot go on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

import bot.due
import bot.runs
from adapters.contract import Inbound, Outbound, Sent
from adapters.errors import OptedOut, Rejected
from adapters.http import Http
from bot.runs import Runs
from bot.store.contract import StoreError
from rules.workflow import Outcome
from tests.bot.conftest import NOBODY
from tests.bot.load import table
from tests.bot.service import HOUR, Service, at, service
from tests.server import NUMBER

pytestmark = pytest.mark.slow

RULES = """
version: 1
name: shop
lists: {course: service, rated: service}
fields: {broken: text}
rules:
  - {id: hours, when: {exact: hours}, do: [{reply: 9 to 5}]}
  - {id: ended, event: workflow_ended, do: [{tag: ended}]}
  - {id: failed, event: delivery_failed, do: [{tag: failed}]}
workflows:
  course:
    list: course
    steps:
      - id: question
        ask: {text: ready?, timeout: 2h, replies: [{when: {exact: ready}}]}
      - id: news
        send: news
      - id: nap
        wait: 1h
      - id: bye
        send: bye
  survey:
    list: rated
    steps:
      - id: stars
        ask: {text: stars?, timeout: 2d, replies: [{when: {number: true}}]}
"""
ANA, BEN = "+12025550123", "+12025550124"


class Trouble(Exception):
    """Nobody expects it."""


@pytest.fixture
async def shop(store_url, tmp_path) -> AsyncIterator[Service]:
    routes = {"routes__staff": NOBODY}
    async with service(store_url, tmp_path, RULES, "2026-03-03 12:00", **routes) as made:
        yield made


@pytest.fixture
def broken(monkeypatch) -> set[str]:
    """Steps that raise, for contacts whose field says so."""
    steps: set[str] = set()
    real = bot.runs.perform

    def perform(workflow: Any, step: Any, message: Any, **more: Any) -> Outcome:
        if step.id in steps and message.facts.contact.fields.get("broken"):
            raise Trouble
        return real(workflow, step, message, **more)

    monkeypatch.setattr(bot.runs, "perform", perform)
    return steps


async def notified(shop: Service) -> list[str]:
    return [row["type"] for row in await table(shop.store, "SELECT type FROM notifications ORDER BY seq")]


async def test_a_message_whose_answer_raises_is_stored_and_told_and_its_batch_mates_go_on(shop, broken):
    broken.add("news")
    await shop.make(ANA, "course", broken="yes")
    await shop.make(BEN, "course")
    await shop.settle()
    channel = shop.config.channels["sim"]
    results = await shop.intake.submit(channel, [Inbound(f"m{phone}", phone, NUMBER, "ready") for phone in (ANA, BEN)])
    await shop.settle()
    assert [result.status for result in results] == ["failed", "received"]
    assert shop.notebook.to(BEN) == ["ready?", "news"]
    assert await notified(shop) == ["message.failed"]
    assert await shop.where(ANA) == {("question", "reply")}, "as if it had not come"
    broken.clear()
    await shop.text(ANA, "ready")
    assert shop.notebook.to(ANA) == ["ready?", "news"]


async def test_stop_counts_whatever_raises(shop, monkeypatch):
    await shop.make(ANA, "course")
    await shop.settle()
    with monkeypatch.context() as patch:
        patch.setattr(Runs, "active", lambda *_: (_ for _ in ()).throw(Trouble()))
        patch.setattr(Runs, "end_all", lambda *_: None)
        await shop.text(ANA, "STOP")
    [phone] = await table(shop.store, "SELECT opted_in FROM phones")
    assert phone["opted_in"] == 0
    await shop.advance(at("2026-03-04 12:00"))
    assert shop.notebook.to(ANA) == ["ready?"]
    assert await shop.runs() == [], "it ends at the latest when it would text"


async def test_a_wait_whose_end_raises_ends_that_run_and_the_others_go_on(shop, broken):
    broken.add("bye")
    ids = {
        (await shop.make(ANA, "course", broken="yes")).contact.id,
        (await shop.make(BEN, "course")).contact.id,
    }
    await shop.settle()
    for phone in (ANA, BEN):
        await shop.text(phone, "ready")
    await shop.advance(shop.clock.now + 2 * HOUR)
    assert shop.notebook.to(ANA) == ["ready?", "news"]
    assert shop.notebook.to(BEN) == ["ready?", "news", "bye"]
    assert [(run["phone"], run["outcome"]) for run in await shop.runs("ended")] == [
        (ANA, "failed: Trouble"),
        (BEN, "finished"),
    ]
    assert await notified(shop) == ["workflow.failed"]
    assert {row["contact_id"] for row in await table(shop.store, "SELECT * FROM tags")} == ids, "the end is told"


async def test_a_run_that_fails_gives_its_turn_to_the_next_question(shop, broken):
    broken.add("news")
    await shop.make(ANA, "course", "rated", broken="yes")
    await shop.settle()
    assert await shop.where(ANA) == {("question", "reply"), ("stars", "turn")}
    await shop.advance(shop.clock.now + 3 * HOUR)
    assert await shop.where(ANA) == {("stars", "reply")}
    assert shop.notebook.to(ANA) == ["ready?", "stars?"]


async def test_joining_that_raises_is_told_and_forgotten(shop, broken):
    broken.add("question")
    await shop.make(ANA, "course", broken="yes")
    await shop.make(BEN, "course")
    await shop.settle()
    assert shop.notebook.to(BEN) == ["ready?"]
    assert (await shop.where(ANA), await notified(shop)) == (set(), ["workflow.failed"])


@pytest.mark.parametrize("error", [OptedOut("unsubscribed", code="21610"), Rejected("landline", code="30006")])
async def test_a_provider_that_refuses_for_good_is_told_to_the_rules_and_an_opt_out_ends_the_workflow(error, shop):
    async def send(message: Outbound, http: Http) -> Sent:
        raise error

    shop.notebook.send = send
    await shop.make(ANA, "course")
    await shop.settle()
    await shop.settle()
    tags = {row["tag"] for row in await table(shop.store, "SELECT tag FROM tags")}
    if isinstance(error, OptedOut):
        assert await shop.where(ANA) == set()
        assert [run["outcome"] for run in await shop.runs("ended")] == ["opted out"]
        assert tags == {"failed", "ended"}
    else:
        assert await shop.where(ANA) == {("question", "reply")}
        assert tags == {"failed"}


async def test_a_batch_that_cannot_be_written_stays_due_and_is_done_once(shop, monkeypatch):
    await shop.make(ANA, "course")
    real, failures = bot.due.Batch.write, iter([True, True, False])

    async def write(batch: Any) -> None:
        await real(batch)
        if next(failures, False):
            raise StoreError("the disk is full")

    monkeypatch.setattr(bot.due.Batch, "write", write)
    for _ in range(2):
        with pytest.raises(StoreError):
            await shop.due.deal()
    await shop.settle()
    assert shop.notebook.to(ANA) == ["ready?"]
    assert len(await shop.runs()) == 1
