"""What stops or slows a purchase: the cap, countries, a dry run, a provider that is down; and what people are told."""

from __future__ import annotations

import asyncio
from collections import deque

import pytest

from tests.bot.conftest import until
from tests.numbers.conftest import nothing_more
from tests.numbers.renting import POOL, refused
from tests.providers.bandwidth import PROVIDER, BandwidthStandIn
from tests.providers.telnyx import PUBLIC_KEY
from tests.web.site import eventually

OWN = "+14155550111"
OTHER = "+14155550112"


async def listed(office) -> str:
    return (await asyncio.to_thread(office.server.command, "numbers", "list")).stdout


@pytest.mark.parametrize("meanwhile", ["wait", "pool"])
async def test_the_cap_of_the_month(open_office, rental, meanwhile):
    rental.offer(OWN, OTHER)
    office = await open_office(numbers={"meanwhile": meanwhile, "monthly_cap": 1})
    ana, ben = await office.user("ana"), await office.user("ben")
    await office.is_sent(await office.text(ana))
    await office.purchase("done")
    id_ = await office.text(ben)
    capped = await office.purchase("open", error="monthly_cap is 1")
    assert (capped["user"], capped["number"]) == ("ben", None)
    assert "monthly_cap is 1" in await listed(office)
    assert len(await office.told("number.trouble")) == 1
    if meanwhile == "pool":
        assert (await office.is_sent(id_))["number"] == POOL
    else:
        message = await office.message(id_)
        assert message["state"] == "held"
        assert "monthly_cap is 1" in message["error"]
    status, problem = await office.admin.call("POST", "/numbers", {"number": OTHER})
    assert (status, "monthly_cap is 1" in problem["detail"]) == (409, True)
    assert len(rental.owned) == 1


async def test_the_cap_holds_when_many_ask_at_once(open_office, rental):
    rental.offer(*(f"+1415555{number}" for number in range(1111, 1131)))
    office = await open_office(numbers={"monthly_cap": 3})
    numbers = sorted(rental.available)[:8]
    answers = await asyncio.gather(
        *(office.admin.call("POST", "/numbers", {"number": number}) for number in numbers),
        *(office.admin.call("POST", "/numbers", {"area_code": "415"}) for _ in range(8)),
    )
    assert {status for status, _ in answers} <= {202, 409}
    await nothing_more(2)
    assert len(rental.owned) == 3


@pytest.mark.parametrize("is_wanted", [False, True])
async def test_a_country_that_is_not_allowed(open_office, rental, is_wanted):
    rental.offer(OWN)
    office = await open_office(numbers={"meanwhile": "wait", **({"countries": ["US", "GB"]} if is_wanted else {})})
    ana = await office.user(code="", cell="+447400123456")
    id_ = await office.text(ana)
    await office.is_sent(id_)
    found = (await office.purchases())[0]
    if is_wanted:
        # Allowed; Twilio's stand-in has none there.
        assert (found["state"], found["error"]) == ("pool", "twilio has no number in GB")
        return
    assert (found["state"], found["user"], found["found_by"]) == ("refused", "ana", "pool")
    assert "No numbers are bought in 'GB'" in found["error"]
    assert "No numbers are bought in 'GB'" in await listed(office)
    assert len(await office.told("number.trouble")) == 1
    assert (rental.asked["search"], rental.sent[0][0]) == (0, POOL)


async def test_what_lies_in_another_country_is_not_bought(open_office, rental):
    """Area codes of +1 are of several countries, and a provider may offer what nobody asked for."""
    office = await open_office(numbers={"automatic": False})
    rental.offer("+14165550123")
    status, problem = await office.admin.call("POST", "/numbers", {"area_code": "416"})
    assert (status, problem["detail"]) == (409, "Area code 416 is not in 'US'.")
    rental.answers["search"] = deque([(200, {}, {"available_phone_numbers": [{"phone_number": "+14165550123"}]})] * 40)
    assert (await office.admin.call("POST", "/numbers", {"area_code": "415"}))[0] == 202
    await office.purchase("pool")
    assert rental.asked["order"] == 0


async def test_without_a_public_url_nothing_is_bought(open_office, rental):
    rental.offer(OWN)
    office = await open_office(numbers={"meanwhile": "wait"}, server={"public_url": ""})
    ana = await office.user()
    for _ in range(2):
        await office.is_sent(await office.text(ana))
    (found,) = await office.purchases()
    assert (found["state"], "public_url" in found["error"]) == ("refused", True)
    assert "public_url" in await listed(office)
    assert len(await office.told("number.trouble")) == 1
    user = await office.of("ana")
    for path, body in ((f"/users/{user['id']}/line", None), ("/numbers", {"number": OWN})):
        status, problem = await office.admin.call("POST", path, body)
        assert (status, "public_url" in problem["detail"]) == (409, True)
    assert rental.owned == {}


async def test_a_channel_that_sells_none(open_office, rental):
    office = await open_office(numbers={"channel": "sim"})
    await office.is_sent(await office.text(await office.user()))
    (found,) = await office.purchases()
    assert (found["state"], "sells no numbers" in found["error"]) == ("refused", True)


async def test_a_channel_that_could_not_set_up_what_it_orders(open_office, rental):
    """Telnyx tells of texts by messaging profile: a number without one would be paid for, and deaf."""
    channel = {"adapter": "telnyx", "numbers": ["+13035550199"], "api_key": "KEY", "public_key": PUBLIC_KEY}
    office = await open_office(numbers={"channel": "tx"}, channels__tx=channel | {"api_base": "http://127.0.0.1:9"})
    await office.text(await office.user())
    (found,) = await office.purchases()
    assert (found["state"], "'messaging_profile_id'" in found["error"]) == ("refused", True)


async def test_a_dry_run_buys_nothing_and_says_what_it_would(open_office, rental):
    rental.offer(OWN)
    office = await open_office(numbers={"meanwhile": "wait", "dry_run": True})
    ana = await office.user()
    id_ = await office.text(ana)
    assert (await office.is_sent(id_))["number"] == POOL
    found = await office.purchase("dry_run")
    assert found["error"] == f"dry run: {OWN} (area code) would be bought"
    assert f"dry run: {OWN}" in await listed(office)
    status, problem = await office.admin.call("POST", "/numbers", {"number": OWN})
    assert (status, "Dry run" in problem["detail"]) == (409, True)
    assert (rental.asked["order"], rental.owned) == (0, {})


@pytest.mark.parametrize("meanwhile", ["wait", "pool"])
async def test_a_provider_that_is_not_there(open_office, rental, meanwhile):
    rental.offer(OWN)
    office = await open_office(numbers={"meanwhile": meanwhile})
    ana, phone = await office.user(), await office.somebody()
    await rental.stop()
    id_ = await office.text(ana, "Hello", phone)
    found = await office.purchase("open", error="no connection to the provider")
    assert found["step"] == "search"
    message = await office.message(id_)
    if meanwhile == "wait":
        assert message["state"] == "held"
        assert "no connection" in message["error"]
    await rental.start()
    await office.is_sent(id_, 30)
    assert (await office.purchase("done", seconds=30))["number"] == OWN
    assert rental.sent[0][0] == (OWN if meanwhile == "wait" else POOL)


@pytest.mark.parametrize("step", ["search", "order", "set_up"])
@pytest.mark.parametrize(
    "trouble",
    ["hangs", "500", "429"],
)
async def test_trouble_that_passes_buys_one_number_in_the_end(open_office, rental, step, trouble):
    rental.offer(OWN, OTHER)
    answers = {"500": refused(20500, "broken", 500), "429": refused(20429, "slow down", 429)}
    if trouble == "hangs":
        rental.before.add(step)
    else:
        rental.always[step] = answers[trouble]
    office = await open_office(numbers={"meanwhile": "wait"})
    id_ = await office.text(await office.user())
    words = "no answer" if trouble == "hangs" else f"20{trouble}"
    found = await office.purchase("open", error=words)
    assert found["step"] == step
    rental.go_on()
    rental.always.clear()
    await office.is_sent(id_, 30)
    assert set(rental.owned) == {OWN}


async def test_retry_after_is_kept(open_office, rental):
    rental.offer(OWN)
    answer = refused(20429, "slow down", 429)
    rental.always["search"] = (429, {"Retry-After": "3600"}, answer[2])
    office = await open_office(numbers={"meanwhile": "wait"})
    await office.text(await office.user())
    await office.purchase("open", error="20429")
    await nothing_more(2)
    assert rental.asked["search"] == 1


async def test_texts_that_waited_too_long_fail_where_it_can_be_seen(open_office, rental):
    rental.always["search"] = refused(20003, "Authenticate", 401)
    office = await open_office(numbers={"meanwhile": "wait", "wait_hours": 2 / 3600})
    id_ = await office.text(await office.user())

    async def has_failed():
        return (await office.message(id_))["state"] == "failed"

    await until(has_failed, 20)
    message = await office.message(id_)
    assert "no number could be bought for it" in message["error"]
    assert "20003" in message["error"]
    # Later the number is there; what failed is not sent after all.
    rental.always.clear()
    rental.offer(OWN)
    await office.server.stop()
    await office.server.start()
    await office.purchase("done")
    await nothing_more()
    assert rental.sent == []


async def test_a_user_who_is_deleted_meanwhile_gets_no_number(open_office, rental):
    rental.offer(OWN)
    rental.always["search"] = refused(20500, "broken", 500)
    office = await open_office(numbers={"meanwhile": "wait"})
    id_ = await office.text(await office.user())
    await office.purchase("open", error="20500")
    user = await office.of("ana")
    assert await office.change(f"/users/{user['id']}", "DELETE") == 204
    rental.always.clear()
    found = await office.purchase("refused", seconds=30)
    assert found["error"] == "the user was deleted"
    assert rental.owned == {}
    assert (await office.is_sent(id_))["number"] == POOL


async def test_a_user_who_is_deleted_while_it_is_set_up_leaves_a_number_for_everybody(open_office, rental):
    rental.offer(OWN)
    rental.always["set_up"] = refused(20500, "broken", 500)
    office = await open_office(numbers={"meanwhile": "wait"})
    id_ = await office.text(await office.user())
    await office.purchase("open", error="20500")
    user = await office.of("ana")
    assert await office.change(f"/users/{user['id']}", "DELETE") == 204
    rental.always.clear()
    assert (await office.purchase("done", seconds=30))["number"] == OWN
    await office.is_sent(id_)
    numbers = {item["number"]: item for item in (await office.admin.get("/numbers"))["items"]}
    assert (numbers[OWN]["user"], numbers[OWN]["source"]) == (None, "bought")


async def test_who_is_given_a_number_while_one_is_looked_for_gets_no_second(open_office, rental):
    rental.offer(OWN)
    rental.always["search"] = refused(20500, "broken", 500)
    office = await open_office(numbers={"meanwhile": "wait"})
    ana = await office.user()
    id_ = await office.text(ana)
    await office.purchase("open", error="20500")
    user = await office.of("ana")
    status, given = await office.admin.call("PATCH", f"/numbers/{POOL}", {"user": user["id"]})
    assert (status, given["user"]) == (200, "ana")
    rental.always.clear()
    await office.purchase("refused", error=f"they have {POOL} already", seconds=30)
    assert (await office.is_sent(id_))["number"] == POOL
    assert rental.owned == {}


async def test_an_order_that_the_provider_takes_and_gives_up_is_not_made_again(open_office):
    """Bandwidth answers that it has received the order; whether it fulfils it, it says later."""
    async with BandwidthStandIn(PROVIDER.settings) as provider:
        provider.slow_orders = True
        for key, kind in (("application_id", "Messaging-V2"), ("voice_application_id", "Voice-V2")):
            provider.applications[PROVIDER.settings[key]] = {"ServiceType": kind, "AppName": "Desk"}
        channel = {"adapter": "bandwidth", "numbers": ["+13035550199"], **PROVIDER.settings}
        channel |= {"api_base": provider.url, "numbers_api_base": provider.url}
        office = await open_office(numbers={"meanwhile": "wait", "channel": "bw"}, channels__bw=channel)
        ana = await office.user(code="303")
        id_ = await office.text(ana, "hello")
        await until(lambda: provider.orders, 20)
        refused = provider.orders[0]["number"]
        provider.orders[0]["status"] = "FAILED"
        provider.available = {refused: ("CO", "DENVER"), **provider.available}  # and offers it once more
        await until(lambda: len(provider.orders) > 1, 40)
        assert provider.orders[1]["number"] != refused
        provider.owned[provider.orders[1]["number"]] = "Inservice"
        provider.orders[1]["status"] = "COMPLETE"
        await eventually(lambda: _left_from(office, id_, provider.orders[1]["number"]), "it leaves", 40)
        assert len(provider.orders) == 2


async def _left_from(office, id_, number):
    message = await office.message(id_)
    return message["number"] == number and message["state"] == "sent"
