"""A receipt that says that its receiver opted out, and whoever has come back since."""

from __future__ import annotations

import pytest

from adapters.contract import Receipt
from tests.bot.channels import desk
from tests.bot.load import table

ANA = "+12025550131"


@pytest.fixture
async def shop(store_url, tmp_path):
    async with desk(store_url, tmp_path) as made:
        yield made


async def receipt_for_last(shop):
    """The provider says of the last text to Ana that she opted out; that receipt, to say it again."""
    said = Receipt((await shop.messages(ANA))[-1]["provider_id"], "failed", "21610", opted_out=True)
    await tell(shop, said)
    return said


async def tell(shop, receipt):
    await shop.node.intake.submit(shop.node.config.channels["sim"], [receipt])
    await shop.settle()


async def is_opted_in(shop):
    [row] = await table(shop.store, f"SELECT opted_in FROM phones WHERE number = '{ANA}'")
    return bool(row["opted_in"])


async def test_that_comes_again_opts_nobody_out_who_has_come_back(shop):
    """Not every provider signs a time: what was posted once can be posted at any time."""
    await shop.text(ANA, "HOURS")
    said = await receipt_for_last(shop)
    assert not await is_opted_in(shop)
    shop.clock.now += 1
    await shop.text(ANA, "START")
    assert await is_opted_in(shop)
    await tell(shop, said)
    assert await is_opted_in(shop)


async def test_of_a_text_of_after_that_counts(shop):
    await shop.text(ANA, "HOURS")
    await receipt_for_last(shop)
    shop.clock.now += 1
    await shop.text(ANA, "START")
    shop.clock.now += 1
    await shop.text(ANA, "HOURS")
    await receipt_for_last(shop)
    assert not await is_opted_in(shop)
