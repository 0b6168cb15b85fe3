"""The pipeline in this process: a message that cannot be decided or written, and its batch-mates."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from adapters.contract import Inbound, WebhookRequest
from bot.app import running
from bot.batch import Batch
from bot.services import Services
from bot.store.contract import StoreError
from rules.decide import Decision, Ruleset
from rules.facts import Facts
from tests.bot.conftest import NOBODY, configured
from tests.bot.test_pipeline import RULES
from tests.server import NUMBER

pytestmark = pytest.mark.slow

POISON = "boom"


class Oddity(Exception):
    """Nobody expects it."""


@pytest.fixture(params=[ValueError, AssertionError, Oddity], ids=lambda kind: kind.__name__)
def poisoned(request, monkeypatch) -> None:
    """Deciding about a text with the poison in it raises."""
    decide = Ruleset.decide

    def fragile(self: Ruleset, facts: Facts, now: int) -> Decision:
        if POISON in facts.text:
            raise request.param(POISON)
        return decide(self, facts, now)

    monkeypatch.setattr(Ruleset, "decide", fragile)


async def rows(services: Services, query: str, **parameters: Any) -> list[dict[str, Any]]:
    async with services.store.snapshot() as transaction:
        return [dict(row) for row in await transaction.rows(query, **parameters)]


async def messages_of(services: Services, phone: str) -> list[dict[str, Any]]:
    found = await rows(services, "page_messages", phone=phone, state=None, direction=None, cursor=2**62, limit=100)
    return found[::-1]


@pytest.mark.usefixtures("poisoned")
async def test_a_message_that_cannot_be_decided_is_stored_as_failed_and_its_batch_mates_go_on(store_url, tmp_path):
    config, book = configured(tmp_path, store_url, rules=RULES, routes__desk=NOBODY)
    ana, ben = "+12025557001", "+12025557002"
    texts = [(ana, "HOURS"), (ana, POISON), (ben, POISON), (ben, "n 0"), (ana, "n 0")]
    batch = [Inbound(f"p{i}", phone, NUMBER, text) for i, (phone, text) in enumerate(texts)]
    async with running(config, book) as services:
        async with asyncio.timeout(10):
            results = await services.intake.submit(config.channels["sim"], batch)
            again = await services.intake.submit(config.channels["sim"], batch[1:2])
        assert [result.status for result in results] == ["received", "failed", "failed", "received", "received"]
        assert again[0].status == "duplicate"
        stored = [(m["direction"], m["state"], m["body"]) for m in await messages_of(services, ana)]
        assert [item for item in stored if item[0] == "inbound"] == [
            ("inbound", "received", "HOURS"), ("inbound", "failed", POISON), ("inbound", "received", "n 0"),
        ]  # fmt: skip
        assert [item[2] for item in stored if item[0] == "outbound"] == ["We are open 9 to 6.", "0 after n 0"]
        told = await rows(services, "page_notifications", state=None, cursor=2**62, limit=100)
        assert [item["type"] for item in told] == ["message.failed", "message.failed"]
        [phone] = await rows(services, "load_phones", phones=json.dumps([ben]))
        assert phone["opted_in"] == 1


@pytest.mark.usefixtures("poisoned")
async def test_a_stop_that_cannot_be_decided_opts_out_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.bot.test_batch_failures.POISON", "STOP")
    config, book = configured(tmp_path, rules=RULES, routes__desk=NOBODY)
    ana = "+12025557001"
    async with running(config, book) as services, asyncio.timeout(10):
        [result] = await services.intake.submit(config.channels["sim"], [Inbound("s", ana, NUMBER, "STOP")])
        assert result.status == "failed"
        [phone] = await rows(services, "load_phones", phones=json.dumps([ana]))
        assert phone["opted_in"] == 0


@pytest.mark.usefixtures("poisoned")
async def test_a_blocked_phone_stays_unheard_also_when_deciding_fails(tmp_path):
    config, book = configured(tmp_path, rules=RULES, routes__desk=NOBODY)
    ana = "+12025557001"
    async with running(config, book) as services, asyncio.timeout(10):
        sim = config.channels["sim"]
        await services.intake.submit(sim, [Inbound("1", ana, NUMBER, "HOURS")])
        async with services.store.transaction() as transaction:
            [row] = await transaction.rows("load_phones", phones=json.dumps([ana]))
            flags = {"opted_in": 0, "blocked": 1, "do_not_contact": 0, "wrong_number": 0, "label": "cell", "at": 0}
            await transaction.each("upsert_phones", [{"number": ana, "contact_id": row["contact_id"], **flags}])
        await services.intake.submit(sim, [Inbound("2", ana, NUMBER, POISON)])
        assert (await messages_of(services, ana))[-1]["state"] == "blocked"
        assert await rows(services, "page_notifications", state=None, cursor=2**62, limit=100) == []
        [talk] = await rows(services, "load_conversations", phones=json.dumps([ana]))
        assert talk["unread"] == 1


async def test_a_batch_that_cannot_be_written_is_tried_one_by_one_and_only_the_guilty_is_refused(
    tmp_path, monkeypatch
):  # fmt: skip
    config, book = configured(tmp_path, rules=RULES)
    write = Batch.write

    async def fragile(self: Batch) -> None:
        await write(self)
        if any(row["body"] == POISON for row in self._added.messages):
            raise Oddity

    monkeypatch.setattr(Batch, "write", fragile)
    async with running(config, book) as services, asyncio.timeout(10):
        sim = config.channels["sim"]
        bodies = ["HOURS", POISON, "n 0"]
        sent = [
            services.intake.submit(sim, [Inbound(f"w{i}", f"+1202555700{i}", NUMBER, body)])
            for i, body in enumerate(bodies)
        ]
        good, bad, also_good = await asyncio.gather(*sent, return_exceptions=True)
        assert isinstance(bad, StoreError)
        assert [result[0].status for result in (good, also_good)] == ["received", "received"]
        assert await messages_of(services, "+12025557001") == [], "what is refused is not stored"
        monkeypatch.setattr(Batch, "write", write)
        [later] = await services.intake.submit(sim, [Inbound("w1", "+12025557001", NUMBER, POISON)])
        assert later.status == "received", "the pipeline goes on"


async def test_a_batch_that_has_begun_is_finished_when_the_server_stops(tmp_path, monkeypatch):
    config, book = configured(tmp_path, rules=RULES)
    write, begun = Batch.write, asyncio.Event()

    async def slow(self: Batch) -> None:
        begun.set()
        await asyncio.sleep(0.2)
        await write(self)

    monkeypatch.setattr(Batch, "write", slow)
    async with running(config, book) as services:
        submitted = asyncio.create_task(
            services.intake.submit(config.channels["sim"], [Inbound("1", "+12025557001", NUMBER, "HOURS")])
        )
        await begun.wait()
    async with asyncio.timeout(5):
        assert [result.status for result in await submitted] == ["received"]


async def test_a_text_with_nul_or_half_a_character_is_stored_and_answered(store_url, tmp_path):
    config, book = configured(tmp_path, store_url, rules=RULES)
    texts = {"n\0 x": "n x", "n \ud83d": "n \ufffd", "n \udcff y": "n \ufffd y"}
    ana = "+12025557001"
    async with running(config, book) as services, asyncio.timeout(10):
        for body in texts:
            raw = json.dumps({"id": body, "from": ana, "to": NUMBER, "body": body}).encode()
            events = services.adapters["sim"].parse(WebhookRequest("", {}, raw))
            [result] = await services.intake.submit(config.channels["sim"], events)
            assert result.status == "received"
        stored = await messages_of(services, ana)
    assert [row["body"] for row in stored if row["direction"] == "inbound"] == list(texts.values())
    replies = [row["body"] for row in stored if row["direction"] == "outbound"]
    assert replies == [f"{position} after {body}" for position, body in enumerate(texts.values())]
