"""Numbers that carriers block: said by `check`, the API and /metrics, and mended by the configuration or by sync."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.bot.conftest import until
from tests.numbers.renting import POOL

SERVICE = "MG" + "0" * 31 + "1"
TOLL_FREE = "+18885550111"
LOCAL = "+14155550120"


async def unregistered(office, channel="twilio"):
    async with office.client.get(f"{office.server.url}/metrics") as answer:
        text = await answer.text()
    match = re.search(rf'^textwright_numbers_unregistered{{channel="{channel}"}} (\S+)$', text, re.M)
    assert match, text
    return float(match[1])


async def numbers(office):
    return {item["number"]: item for item in (await office.admin.get("/numbers"))["items"]}


async def checked(office):
    return (await asyncio.to_thread(office.server.command, "check")).stdout


async def test_an_unregistered_number_is_warned_of_everywhere(open_office):
    office = await open_office()
    item = (await numbers(office))[POOL]
    assert (item["registration"], "is not registered with a 10DLC" in item["warning"]) == ("unregistered", True)
    sim = (await numbers(office))["+12025550100"]
    assert (sim["registration"], sim["warning"]) == ("", None)
    assert (await unregistered(office), await unregistered(office, "sim")) == (1, 0)
    said = await checked(office)
    assert f"{POOL} is not registered with a 10DLC brand and campaign" in said


@pytest.mark.parametrize(
    ("state", "words"),
    [("registered", ""), ("pending", "waits for its registration"), ("rejected", "was refused its registration")],
)
async def test_what_the_configuration_says_of_it_counts(open_office, state, words):
    registration = {"numbers": [POOL], "brand": "B1", "campaign": "C1", "state": state}
    office = await open_office(registrations__main=registration)
    item = (await numbers(office))[POOL]
    assert (item["registration"], item["campaign"]) == (state, "C1")
    assert (words in item["warning"]) if words else item["warning"] is None
    assert await unregistered(office) == (0 if state == "registered" else 1)
    said = await checked(office)
    assert (words in said) if words else ("10DLC" not in said)


async def test_what_the_provider_says_of_it_arrives_with_sync(open_office, rental):
    rental.own(POOL)
    rental.own(LOCAL)
    rental.own(TOLL_FREE)
    rental.pools[SERVICE] = {rental.owned[number]["sid"] for number in (POOL, LOCAL)}
    office = await open_office(twilio={"messaging_service_sid": SERVICE})
    rental.campaigns[SERVICE] = [{"sid": "QE" + "0" * 32, "campaign_status": "IN_PROGRESS", "campaign_id": "CNEW"}]
    for status, state, blocked in (("IN_PROGRESS", "pending", 3), ("VERIFIED", "registered", 1),
                                   ("FAILED", "rejected", 3)):  # fmt: skip
        rental.campaigns[SERVICE][0]["campaign_status"] = status
        assert (await office.admin.call("POST", "/numbers/sync"))[0] == 200
        now = await numbers(office)
        for number in (POOL, LOCAL):
            assert (now[number]["registration"], now[number]["campaign"]) == (state, "CNEW")
            assert (now[number]["warning"] is None) is (state == "registered")
        assert "toll-free verification" in now[TOLL_FREE]["warning"]

        async def is_counted(wanted=blocked):
            return await unregistered(office) == wanted

        await until(is_counted)
    said = await checked(office)
    assert all(number in said for number in (POOL, LOCAL, TOLL_FREE))
