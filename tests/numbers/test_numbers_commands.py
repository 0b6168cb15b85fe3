"""textwright numbers search|buy|release|list|sync, beside a server on the same store and without one."""

from __future__ import annotations

import asyncio

import pytest

from tests.numbers.renting import POOL, refused
from tests.web.site import eventually

# A command is a process of its own, and there are many.
pytestmark = pytest.mark.slow

OWN, OTHER = "+14155550111", "+14155550112"
FOUND = "+14155550120"


@pytest.fixture
async def office(open_office, rental):
    rental.offer(OWN, OTHER)
    return await open_office(numbers={"automatic": False})


async def numbers(office, *arguments, code=0):
    """The standard output and errors of a command that ends so."""
    done = await asyncio.to_thread(office.server.command, "numbers", *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


async def test_search(office, rental):
    said = await numbers(office, "search", "--area-code", "415", "--limit", "1")
    assert said == f"{OWN}  San Francisco, CA\n"
    assert "no number in area code 212" in await numbers(office, "search", "--area-code", "212", code=1)
    rental.offer("+18885550111")
    assert "+18885550111" in await numbers(office, "search", "--toll-free")
    rental.always["search"] = refused(20003, "Authenticate", 401)
    assert "20003" in await numbers(office, "search", code=1)
    assert "sells no numbers" in await numbers(office, "search", "--channel", "sim", code=1)
    assert "is none of config.toml" in await numbers(office, "search", "--channel", "nope", code=1)


@pytest.mark.parametrize("is_running", [True, False], ids=["beside a server", "without a server"])
async def test_buy_list_and_release(office, rental, is_running):
    if not is_running:
        await office.server.stop()
    assert await numbers(office, "buy", OWN) == f"{OWN}  twilio  asked for\n"
    assert rental.owned[OWN]["sms_url"].endswith("/webhooks/twilio")
    assert OTHER in await numbers(office, "buy", "--area-code", "415")
    listed = await numbers(office, "list")
    assert all(number in listed for number in (POOL, OWN, OTHER))
    # Asked for twice is bought once; what was bought for another need is ours.
    assert await numbers(office, "buy", OWN) == f"{OWN}  twilio  asked for\n"
    assert "is ours already" in await numbers(office, "buy", OTHER, code=1)
    assert rental.asked["order"] == 2
    assert "given back at" in await numbers(office, "release", OWN)
    assert "to be given back" in await numbers(office, "list")
    assert set(rental.owned) == {OWN, OTHER}
    assert await numbers(office, "release", OWN, "--now") == f"{OWN} is given back.\n"
    assert set(rental.owned) == {OTHER}
    assert "no number that was bought or found" in await numbers(office, "release", OWN, code=1)
    assert "config.toml" in await numbers(office, "release", POOL, code=1)
    assert "is no phone number" in await numbers(office, "release", "nonsense", code=1)
    if not is_running:
        await office.server.start()

    async def is_known():
        items = (await office.admin.get("/numbers"))["items"]
        return {item["number"] for item in items} == {POOL, OTHER, "+12025550100"}

    await eventually(is_known, "the server knows")
    audit = (await office.admin.get("/audit"))["items"]
    found = [row["operation"] for row in audit if row["actor"] == "command line"]
    assert found.count("buy_number") == 3
    assert found.count("release_number") == 2
    # The server that runs texts from it.
    phone = await office.somebody()
    await asyncio.sleep(6)
    status, sent = await office.admin.call("POST", "/messages", {"to": {"phone": phone}, "body": "x", "from": OTHER})
    assert (status, sent["queued"]) == (202, 1)


async def test_buy_for_a_user(office, rental):
    await office.user()
    assert OWN in await numbers(office, "buy", "--user", "ana")
    assert (await office.admin.get("/numbers"))["items"]
    assert (await office.of("ana"))["id"]
    listed = await numbers(office, "list")
    assert "of ana" in listed
    # Who has one gets no second.
    assert OWN in await numbers(office, "buy", "--user", "ana")
    assert set(rental.owned) == {OWN}
    assert "There is no user 'nobody'" in await numbers(office, "buy", "--user", "nobody", code=1)


async def test_buy_exactly_this_one_for_a_user(office, rental):
    await office.user()
    assert OTHER in await numbers(office, "buy", OTHER, "--user", "ana")
    assert set(rental.owned) == {OTHER}
    assert "of ana" in await numbers(office, "list")


async def test_buy_what_cannot_be_had(office, rental):
    assert "cannot be had" in await numbers(office, "buy", "+14155550999", code=1)
    assert "No numbers are bought in 'GB'" in await numbers(office, "buy", "--country", "gb", code=1)
    rental.always["search"] = refused(20003, "Authenticate", 401)
    assert "20003" in await numbers(office, "buy", "--area-code", "415", code=1)
    assert "on its way: search" in await numbers(office, "list")
    assert rental.owned == {}


async def test_two_commands_and_a_server_buy_each_number_once(office, rental):
    both = await asyncio.gather(*(numbers(office, "buy", OWN) for _ in range(2)), return_exceptions=True)
    assert any(isinstance(said, str) and OWN in said for said in both), both
    assert (set(rental.owned), rental.asked["order"]) == ({OWN}, 1)


async def test_sync(office, rental):
    rental.own(FOUND)
    assert await numbers(office, "sync") == f"twilio: 1 numbers\n  found {FOUND}\n"
    assert await numbers(office, "sync") == "twilio: 1 numbers\n"
    del rental.owned[FOUND]
    assert await numbers(office, "sync") == f"twilio: 0 numbers\n  gone  {FOUND}\n"
    rental.always["look"] = refused(20003, "Authenticate", 401)
    assert "20003" in await numbers(office, "sync", code=1)
