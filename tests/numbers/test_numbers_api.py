"""The API of numbers: look, buy, give to somebody, give back, compare with the provider; and who may."""

from __future__ import annotations

import asyncio

import pytest

from tests.numbers.renting import POOL, refused
from tests.web.site import eventually

OWN = "+14155550111"
FOUND = "+14155550120"


async def numbers(office):
    return {item["number"]: item for item in (await office.admin.get("/numbers"))["items"]}


async def bought(office, number=OWN, **more):
    status, made = await office.admin.call("POST", "/numbers", {"number": number, **more})
    assert status == 202, made
    return await office.purchase("done")


@pytest.fixture
async def office(open_office, rental):
    rental.offer(OWN, "+14155550112")
    return await open_office(numbers={"automatic": False})


async def test_a_number_is_looked_for_bought_given_to_somebody_and_taken_away(office, rental):
    found = await office.admin.get("/numbers/available", area_code="415")
    assert {item["number"] for item in found["items"]} == {OWN, "+14155550112"}
    assert (found["items"][0]["locality"], found["items"][0]["channel"]) == ("San Francisco", "twilio")
    done = await bought(office)
    assert (done["found_by"], done["requested_by"]) == ("asked for", done["requested_by"])
    assert rental.owned[OWN]["sms_url"].endswith("/webhooks/twilio")
    ana = await office.user()
    id_ = (await office.of("ana"))["id"]
    status, given = await office.admin.call("PATCH", f"/numbers/{OWN}", {"user": id_})
    assert (status, given["user"], given["source"]) == (200, "ana", "bought")
    # At once, whatever this node has heard.
    assert (await office.is_sent(await office.text(ana)))["number"] == OWN
    assert (await office.of("ana"))["number"] == OWN
    status, given = await office.admin.call("PATCH", f"/numbers/{OWN}", {"user": None})
    assert (status, given["user"]) == (200, None)
    await office.is_sent(await office.text(ana, "From the pool"))
    assert (await office.purchases())[0]["state"] == "done"


async def test_what_is_ours_or_asked_for_already_is_not_bought_again(office, rental):
    answers = await asyncio.gather(*(office.admin.call("POST", "/numbers", {"number": OWN}) for _ in range(6)))
    assert len({made["id"] for status, made in answers if status == 202}) == 1
    await office.purchase("done")
    status, problem = await office.admin.call("POST", "/numbers", {"number": OWN})
    assert (status, "ours already" in problem["detail"]) == (409, True)
    status, problem = await office.admin.call("POST", "/numbers", {"number": POOL})
    assert status == 409
    assert (rental.asked["order"], set(rental.owned)) == (1, {OWN})


async def test_a_number_that_was_asked_for_and_is_gone_is_refused(office, rental):
    status, _ = await office.admin.call("POST", "/numbers", {"number": "+14155550999"})
    assert status == 202
    found = await office.purchase("refused")
    assert "+14155550999 cannot be had" in found["error"]
    assert rental.owned == {}


async def test_a_user_is_bought_a_number(office, rental):
    await office.user()
    user = await office.of("ana")
    status, made = await office.admin.call("POST", f"/users/{user['id']}/line")
    assert (status, made["user"], made["area_code"]) == (202, "ana", "415")
    again = await office.admin.call("POST", "/numbers", {"user": user["id"]})
    assert again[0] in (202, 409)
    done = await office.purchase("done")
    assert done["number"] == OWN
    for path, body in ((f"/users/{user['id']}/line", None), ("/numbers", {"user": user["id"]})):
        status, problem = await office.admin.call("POST", path, body)
        assert (status, problem["detail"]) == (409, "ana has a number already.")
    status, problem = await office.admin.call("POST", "/users/nobody/line")
    assert (status, problem["detail"]) == (404, "There is no such user.")
    for method, path in (("POST", "/numbers"), ("PATCH", f"/numbers/{OWN}")):
        status, problem = await office.admin.call(method, path, {"user": "nobody"})
        assert (status, problem["detail"]) == (422, "user: there is no such user.")
    assert set(rental.owned) == {OWN}


async def test_a_number_that_is_given_back_is_answered_for_its_quarantine_and_chosen_no_more(
    open_office, rental, store_url
):
    rental.offer(OWN, "+14155550112")
    office = await open_office(store_url, numbers={"meanwhile": "wait"}, rules=HOURS)
    ana, phone = await office.user(), await office.somebody()
    await office.is_sent(await office.text(ana, "Hello", phone))
    await office.purchase("done")
    status, made = await office.admin.call("DELETE", f"/numbers/{OWN}")
    assert (status, made["state"], made["step"]) == (200, "open", "release")
    item = (await numbers(office))[OWN]
    assert (item["state"], item["user"]) == ("quarantined", None)
    assert item["release_at"] > "2026-12"
    # Twice is once, and does not put it off.
    status, again = await office.admin.call("DELETE", f"/numbers/{OWN}")
    assert (status, again["id"]) == (200, made["id"])
    assert (await numbers(office))[OWN]["release_at"] == item["release_at"]
    # It is still answered.
    text = {"MessageSid": "SM" + "2" * 32, "From": phone, "To": OWN, "Body": "HOURS", "NumMedia": "0"}
    assert (await office.call_webhook(text))[0] == 200
    await eventually(lambda: _sent(rental, (OWN, phone, "9 to 5")), "it is answered")
    # Who had it gets another with the next text.
    await office.is_sent(await office.text(ana, "Hello again"))
    done = await office.purchase("done")
    assert (done["number"], rental.sent[-1][0]) == ("+14155550112", "+14155550112")
    # Now: it goes at once.
    status, now = await office.admin.call("DELETE", f"/numbers/{OWN}", now="true")
    assert (status, now["id"]) == (200, made["id"])

    async def is_gone():
        return OWN not in rental.owned and OWN not in await numbers(office)

    await eventually(is_gone, "it is given back")
    status, _ = await office.admin.call("DELETE", f"/numbers/{OWN}")
    assert status == 404
    # Bought again, it can be given back again.
    rental.offer(OWN)
    await bought(office)
    status, _ = await office.admin.call("DELETE", f"/numbers/{OWN}", now="true")
    assert status == 200
    await eventually(is_gone, "it is given back again")


async def test_a_number_that_was_lost_in_quarantine_and_is_bought_again_stays(open_office, rental):
    rental.offer(OWN)
    office = await open_office(numbers={"automatic": False, "quarantine_days": 2 / 86_400})
    await bought(office)
    status, _ = await office.admin.call("DELETE", f"/numbers/{OWN}")
    assert status == 200
    del rental.owned[OWN]
    assert (await office.admin.call("POST", "/numbers/sync"))[1]["items"][0]["gone"] == [OWN]
    rental.offer(OWN)
    await bought(office)
    await asyncio.sleep(2.5)
    assert (await numbers(office))[OWN]["state"] == "active"
    assert set(rental.owned) == {OWN}


async def test_a_number_that_is_given_back_is_given_to_nobody(office):
    await bought(office)
    await office.admin.call("DELETE", f"/numbers/{OWN}")
    await office.user()
    status, problem = await office.admin.call("PATCH", f"/numbers/{OWN}", {"user": (await office.of("ana"))["id"]})
    assert (status, "given back" in problem["detail"]) == (409, True)


HOURS = 'version: 1\nrules:\n  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}\n'


async def _sent(rental, text):
    return text in rental.sent


async def test_a_number_of_the_configuration_is_not_given_back(office):
    status, problem = await office.admin.call("DELETE", f"/numbers/{POOL}", now="true")
    assert (status, "config.toml" in problem["detail"]) == (409, True)
    status, problem = await office.admin.call("DELETE", "/numbers/+14155550999")
    assert status == 404


async def test_the_number_of_a_deleted_user_goes_into_quarantine_and_that_of_another_stays(
    open_office, rental, store_url
):
    rental.offer(OWN)
    office = await open_office(store_url, numbers={"automatic": False})
    rental.own(FOUND)
    await office.admin.call("POST", "/numbers/sync")
    for name in ("ana", "ben"):
        await office.user(name)
    ana, ben = await office.of("ana"), await office.of("ben")
    await office.admin.call("POST", f"/users/{ana['id']}/line")
    await office.purchase("done")
    assert (await office.admin.call("PATCH", f"/numbers/{FOUND}", {"user": ben["id"]}))[0] == 200
    for user in (ana, ben):
        assert await office.change(f"/users/{user['id']}", "DELETE") == 204
    now = await numbers(office)
    assert (now[OWN]["state"], now[OWN]["user"]) == ("quarantined", None)
    assert (now[FOUND]["state"], now[FOUND]["user"]) == ("active", None)
    assert OWN in rental.owned


async def test_numbers_that_were_bought_elsewhere_are_found_and_those_that_are_gone_are_let_go(
    open_office, rental, store_url
):
    office = await open_office(store_url, numbers={"automatic": False})
    rental.own(FOUND, friendly_name="front desk")
    rental.own("+14155550121")
    status, page = await office.admin.call("POST", "/numbers/sync")
    assert status == 200
    assert page["items"] == [
        {"channel": "twilio", "total": 2, "found": [FOUND, "+14155550121"], "gone": [], "error": None}
    ]
    # Twice finds nothing new.
    assert (await office.admin.call("POST", "/numbers/sync"))[1]["items"][0]["found"] == []
    phone = await office.somebody()
    text = {"MessageSid": "SM" + "3" * 32, "From": phone, "To": FOUND, "Body": "HELP", "NumMedia": "0"}
    assert (await office.call_webhook(text))[0] == 200
    await eventually(lambda: _answered(rental, FOUND, phone), "it is answered from it")
    status, sent = await office.admin.call(
        "POST", "/messages", {"to": {"phone": phone}, "body": "from it", "from": FOUND}
    )
    assert (status, sent["queued"]) == (202, 1)
    await eventually(lambda: _sent(rental, (FOUND, phone, "from it")), "it is texted from")
    del rental.owned[FOUND]
    assert (await office.admin.call("POST", "/numbers/sync"))[1]["items"][0]["gone"] == [FOUND]
    assert FOUND not in await numbers(office)
    assert len(await office.told("number.trouble")) == 1
    status, _ = await office.admin.call("POST", "/messages", {"to": {"phone": phone}, "body": "x", "from": FOUND})
    assert status == 422
    rental.always["look"] = refused(20003, "Authenticate", 401)
    answer = (await office.admin.call("POST", "/numbers/sync"))[1]["items"][0]
    assert ("20003" in answer["error"], answer["gone"]) == (True, [])
    assert "+14155550121" in await numbers(office)


async def _answered(rental, number, phone):
    return any(text[:2] == (number, phone) for text in rental.sent)


async def test_a_number_that_is_bought_while_the_provider_is_asked_is_not_taken_for_gone(office, rental):
    rental.after.add("look")
    asking = asyncio.create_task(office.admin.call("POST", "/numbers/sync"))
    await rental.hangs("look")
    rental.go_on()
    await bought(office)
    assert (await asking)[0] == 200
    assert (await office.admin.call("POST", "/numbers/sync"))[1]["items"][0]["gone"] == []
    assert OWN in await numbers(office)


async def test_a_number_that_is_not_set_up_yet_is_not_found_as_everybodys(office, rental):
    rental.before.add("set_up")
    await office.admin.call("POST", "/numbers", {"number": OWN})
    await rental.hangs("set_up")
    assert (await office.admin.call("POST", "/numbers/sync"))[1]["items"][0]["found"] == []
    assert OWN not in await numbers(office)
    rental.go_on()
    await office.purchase("done")
    assert (await numbers(office))[OWN]["source"] == "bought"


async def test_two_channels_of_one_account_do_not_take_each_others_numbers(open_office, rental):
    rental.offer(OWN)
    second = {"adapter": "twilio", "account_sid": "AC" + "0" * 31 + "7", "auth_token": "the token of the account"}
    office = await open_office(
        numbers={"automatic": False}, channels__second={**second, "numbers": [], "api_base": rental.url}
    )
    await bought(office)
    for _ in range(2):
        page = (await office.admin.call("POST", "/numbers/sync"))[1]
        assert [(item["found"], item["gone"]) for item in page["items"]] == [([], []), ([], [])]
        assert (await numbers(office))[OWN]["channel"] == "twilio"


@pytest.mark.parametrize("role", ["read", "staff"])
async def test_only_admins_buy_give_back_and_compare(office, role, client, rental):
    api = office.site.api(client, role)
    for method, path, body in (
        ("GET", "/numbers/available", None), ("POST", "/numbers", {"number": OWN}), ("POST", "/numbers/sync", None),
        ("PATCH", f"/numbers/{POOL}", {"user": None}), ("DELETE", f"/numbers/{POOL}", None),
        ("POST", "/users/x/line", None),
    ):  # fmt: skip
        status, problem = await api.call(method, path, body)
        assert (status, "admin" in problem["detail"]) == (403, True), path
    assert (await api.call("GET", "/numbers"))[0] == 200
    assert (await api.call("GET", "/purchases"))[0] == (200 if role == "staff" else 403)
    assert rental.asked.total() == 0


async def test_who_bought_and_gave_back_is_in_the_audit_log(office):
    await bought(office)
    await office.admin.call("POST", "/numbers/sync")
    await office.admin.call("DELETE", f"/numbers/{OWN}")
    rows = (await office.admin.get("/audit"))["items"]
    found = [row["operation"] for row in rows if row["operation"].endswith(("_number", "_numbers"))]
    assert found == ["release_number", "sync_own_numbers", "buy_number"]
    assert all("admin" in row["actor"] for row in rows[:3])


async def test_nothing_to_look_at(open_office, rental):
    office = await open_office(twilio={"numbers": []}, channels__sim={"numbers": []})
    status, problem = await office.admin.call("GET", "/purchases/nope")
    assert (status, problem["detail"]) == (404, "There is no such purchase.")
    rental.always["search"] = refused(20500, "broken", 500)
    status, problem = await office.admin.call("GET", "/numbers/available")
    assert (status, "20500" in problem["detail"]) == (424, True)
    status, problem = await office.admin.call("GET", "/numbers/available", channel="sim")
    assert (status, "sells no numbers" in problem["detail"]) == (409, True)
