"""A receipt that says that its receiver opted out, and whoever has come back since."""

from __future__ import annotations

import pytest

from adapters.contract import Receipt, Sent
from tests.bot.channels import HANGS, desk
from tests.bot.load import table
from tests.server import NUMBER

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


class TestOfATextWhoseAnswerWasLost:
    """The provider repeats our own id: by that it is known."""

    async def _lost(self, shop, failure=HANGS) -> str:
        await shop.make(ANA)
        shop.lines["sim"].failure = failure
        id_ = await shop.send(ANA, "hello", number=NUMBER, channel="sim")
        await shop.settle()
        return id_

    async def test_it_opts_out(self, shop):
        id_ = await self._lost(shop)
        await tell(shop, Receipt("theirs", "failed", "4775", opted_out=True, reference=id_))
        assert not await is_opted_in(shop)
        row = await shop.message(id_)
        assert (row["state"], row["error"], row["provider_id"]) == ("failed", "4775", "theirs")

    async def test_a_text_that_arrived_is_no_longer_unknown_nor_sent_again(self, shop):
        id_ = await self._lost(shop)
        assert (await shop.message(id_))["state"] == "unknown"
        for state in ("delivered", "sent"):
            await tell(shop, Receipt("theirs", state, reference=id_))
        assert (await shop.message(id_))["state"] == "delivered"

    @pytest.mark.parametrize("lost", [True, False])
    async def test_it_may_come_before_the_answer_would(self, shop, lost):
        async def send(message, http):
            said = Receipt("theirs", "delivered", reference=message.id)
            await shop.node.intake.submit(shop.node.config.channels["sim"], [said])
            if lost:
                raise HANGS()
            return Sent("theirs", parts=2)

        shop.lines["sim"].send = send
        await shop.make(ANA)
        id_ = await shop.send(ANA, "hello", number=NUMBER, channel="sim")
        await shop.settle()
        row = await shop.message(id_)
        assert (row["state"], row["provider_id"], row["parts"]) == ("delivered", "theirs", 1 if lost else 2)

    async def test_another_channel_or_a_text_that_never_left_is_not_meant(self, shop):
        id_ = await self._lost(shop)
        spare = shop.node.config.channels["spare"]
        await shop.node.intake.submit(spare, [Receipt("theirs", "delivered", reference=id_)])
        assert (await shop.message(id_))["state"] == "unknown"
        later = await shop.send(ANA, "later", send_at=shop.clock.now + 10**12)
        await tell(shop, Receipt("other", "delivered", reference=later))
        assert (await shop.message(later))["state"] == "held"
