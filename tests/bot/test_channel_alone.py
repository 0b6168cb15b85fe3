"""A channel that is in no pool and is out: its texts wait for it, for a day."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from adapters.contract import Inbound
from adapters.errors import Throttled
from adapters.simulator import Simulator
from tests.bot.channels import NOT_OURS, REFUSED, desk
from tests.bot.load import table
from tests.bot.service import MICROSECONDS
from tests.server import NUMBER

pytestmark = pytest.mark.slow

ANA = "+12025550131"
HOUR, DAY = 3600, 86_400


@pytest.fixture
async def alone(store_url, tmp_path):
    """Two channels that do not stand in for each other."""
    async with desk(store_url, tmp_path, pools__both=None) as made:
        yield made


async def test_texts_wait_and_leave_when_it_is_back(alone):
    lost = await alone.break_down()
    await alone.pass_time(6 * HOUR, step=60)
    assert {(await alone.message(id_))["state"] for id_ in lost} == {"queued"}, "however often they were tried"
    alone.lines["sim"].failure = None
    await alone.pass_time(900)
    assert {(await alone.message(id_))["state"] for id_ in lost} == {"sent"}
    assert max(Counter(alone.lines["sim"].took).values()) == 1


async def test_what_waited_for_a_day_fails_and_is_seen(store_url, tmp_path):
    rules = """
version: 1
rules: [{id: lost, event: delivery_failed, do: [{tag: lost}]}]
"""
    async with desk(store_url, tmp_path, rules, pools__both=None) as alone:
        lost = await alone.break_down()
        await alone.make(ANA)
        later = alone.clock.now + 2 * DAY * MICROSECONDS
        scheduled = await alone.send(ANA, "on Thursday", number=NUMBER, channel="sim", send_at=later)
        await alone.pass_time(DAY + HOUR, step=120)
        rows = [await alone.message(id_) for id_ in lost]
        assert {row["state"] for row in rows} == {"failed"}
        tagged = await table(alone.store, "SELECT contact_id FROM tags WHERE tag = 'lost'")
        assert len(tagged) == len(lost), "and the rules are told of each"
        assert (await alone.message(scheduled))["state"] == "held"
        await alone.pass_time(DAY + HOUR, step=300)
        alone.lines["sim"].failure = None
        assert (await alone.message(scheduled))["state"] == "queued", "it waits from when it was due"
        await alone.pass_time(900)
        assert (await alone.message(scheduled))["state"] == "sent"


async def test_one_text_that_always_fails_does_not_keep_the_channel_out(alone):
    line = alone.lines["sim"]
    send = line.send

    async def poisoned(message, http):
        line.failure = REFUSED if message.body == "poison" else None
        return await send(message, http)

    line.send = poisoned
    await alone.make(ANA)
    await alone.send(ANA, "poison", number=NUMBER, channel="sim")
    await alone.pass_time(120)
    assert alone.senders.outages.names() == {"sim"}
    for count in range(30):
        await alone.text(f"+1203777{count:04d}", "HOURS")
    await alone.pass_time(180)
    assert not alone.senders.outages.all
    assert len(line.took) == 30


async def test_a_text_that_was_scheduled_long_ago_is_not_given_up_when_the_provider_is_busy_once(alone):
    await alone.make(ANA)
    at = alone.clock.now + 3 * DAY * MICROSECONDS
    id_ = await alone.send(ANA, "later", number=NUMBER, channel="sim", send_at=at)
    alone.lines["sim"].failure = lambda: Throttled("slower", "429", retry_after=30)
    await alone.pass_time(3 * DAY + 60, step=HOUR)
    assert (await alone.message(id_))["state"] == "queued"
    alone.lines["sim"].failure = None
    await alone.pass_time(60)
    assert (await alone.message(id_))["state"] == "sent"


async def test_the_first_texts_that_a_wrong_password_refuses_are_seen_to_fail(alone):
    alone.lines["sim"].failure = NOT_OURS
    ids = []
    for count in range(5):
        await alone.make(f"+1203777{count:04d}")
        ids.append(await alone.send(f"+1203777{count:04d}", "hello", number=NUMBER, channel="sim"))
        await alone.node.outbox.run_until_idle()
    states = [(await alone.message(id_))["state"] for id_ in ids]
    assert states == ["failed", "failed", "queued", "queued", "queued"]


async def test_a_text_that_is_longer_than_the_channel_takes_is_not_tried(alone):
    alone.lines["sim"].capabilities = replace(Simulator.capabilities, max_body=10)
    await alone.make(ANA)
    ids = [await alone.send(ANA, body, number=NUMBER, channel="sim") for body in ("0123456789", "0123456789!")]
    await alone.node.outbox.run_until_idle()
    exact, long = [await alone.message(id_) for id_ in ids]
    assert (exact["state"], long["state"]) == ("sent", "failed")
    assert long["error"] == "it has 11 characters, and sim takes 10"
    assert len(alone.lines["sim"].tried) == 1


async def test_where_the_provider_does_not_say_which_number_was_texted_the_channels_first_answers(alone):
    inbound = Inbound("m1", ANA, "", "HOURS")
    await alone.node.intake.submit(alone.node.config.channels["sim"], [inbound])
    await alone.settle()
    assert (alone.lines["sim"].took, alone.lines["sim"].from_) == ([(ANA, "9 to 5")], [NUMBER])
