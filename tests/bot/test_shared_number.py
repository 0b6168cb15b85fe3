"""One number on two channels: it moves to another account, or two accounts may send from it."""

from __future__ import annotations

import pytest

from adapters.contract import Inbound
from tests.bot.channels import desk
from tests.bot.load import table
from tests.server import NUMBER

pytestmark = pytest.mark.slow
ANA = "+12025550131"


@pytest.fixture
async def shared(store_url, tmp_path):
    section = {"adapter": "simulator", "numbers": [NUMBER]}
    async with desk(store_url, tmp_path, channels__sim=section, channels__spare=section) as made:
        yield made


async def text(shop, channel, id_, body="HOURS"):
    [outcome] = await shop.node.intake.submit(shop.node.config.channels[channel], [Inbound(id_, ANA, NUMBER, body)])
    await shop.settle()
    return outcome.status


async def test_what_comes_again_is_known_whichever_they_last_spoke_through(shared):
    told = [("sim", "a1"), ("spare", "b1"), ("spare", "b1"), ("sim", "a2"), ("sim", "a1"), ("sim", "a2")]
    assert [await text(shared, *one) for one in told] == [
        "received", "received", "duplicate", "received", "duplicate", "duplicate",
    ]  # fmt: skip
    assert len(await shared.messages(ANA)) == 3


async def test_a_start_that_comes_again_undoes_no_stop(shared):
    for channel, id_, word in (("sim", "a1", "STOP"), ("spare", "b1", "START"), ("spare", "b2", "STOP")):
        await text(shared, channel, id_, word)
    assert await text(shared, "spare", "b1", "START") == "duplicate"
    [row] = await table(shared.store, f"SELECT opted_in FROM phones WHERE number = '{ANA}'")
    assert not row["opted_in"]


async def test_what_came_while_texts_left_through_the_other_is_known_again(shared):
    await text(shared, "sim", "a1")
    await shared.break_down()
    await shared.send(ANA, "by the spare one", number=NUMBER, channel="sim")
    await shared.settle()
    assert [await text(shared, "sim", "a2") for _ in range(2)] == ["received", "duplicate"]
