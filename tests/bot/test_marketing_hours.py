"""A text to a marketing list keeps to the hours of whoever gets it, unless it has a time of its own."""

from __future__ import annotations

import pytest

from tests.bot.channels import desk
from tests.bot.service import HOUR, at, clock_of
from tests.server import NUMBER

pytestmark = pytest.mark.slow
ANA, LOS_ANGELES = "+12025550131", "+13105550131"


@pytest.fixture
async def shop(store_url, tmp_path):
    async with desk(store_url, tmp_path) as made:
        for phone in (ANA, LOS_ANGELES):
            await made.make(phone)
        yield made


async def left(shop, phone) -> str:
    """When the one text to a phone left, on its own clock; "" where it has not."""
    zone = "America/New_York" if phone == ANA else "America/Los_Angeles"
    [row] = await shop.messages(phone)
    return clock_of(row["updated_at"], zone) if row["state"] == "sent" else ""


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-03-03 12:00", {ANA: "2026-03-03 12:00", LOS_ANGELES: "2026-03-03 09:00"}),
        ("2026-03-03 02:45", {ANA: "2026-03-03 08:00", LOS_ANGELES: "2026-03-03 08:00"}),
        ("2026-03-03 22:30", {ANA: "2026-03-04 08:00", LOS_ANGELES: "2026-03-03 19:30"}),
    ],
)
async def test_it_waits_for_the_hours_where_they_are(shop, now, expected):
    shop.clock.now = at(now)
    for phone in expected:
        await shop.send(phone, "Sale!", number=NUMBER, channel="sim", bulk=True, is_marketing=True)
    await shop.settle()
    await shop.node.advance(shop.clock.now + 15 * HOUR)
    assert {phone: await left(shop, phone) for phone in expected} == expected


async def test_a_time_that_was_chosen_holds(shop):
    shop.clock.now = at("2026-03-03 12:00")
    chosen = at("2026-03-03 22:00")
    await shop.send(ANA, "Sale!", number=NUMBER, channel="sim", bulk=True, is_marketing=True, send_at=chosen)
    await shop.node.advance(chosen + HOUR)
    assert await left(shop, ANA) == "2026-03-03 22:00"


async def test_a_stop_in_the_night_calls_it_back(shop):
    shop.clock.now = at("2026-03-03 02:45")
    await shop.send(ANA, "Sale!", number=NUMBER, channel="sim", bulk=True, is_marketing=True)
    await shop.text(ANA, "STOP")
    await shop.node.advance(shop.clock.now + 8 * HOUR)
    assert [row["state"] for row in await shop.messages(ANA)] == ["cancelled", "sent"]
