"""Workflows, notes and list histories over the API."""

from __future__ import annotations

import asyncio

import pytest

WORKFLOW = "/workflows/rules.care"


@pytest.fixture
async def person(admin, texter):
    await texter.text("HOURS")
    return await admin.contact_of(texter.phone)


async def _run_of(admin, contact, state="active"):
    """The newest run of a contact, once it is there."""
    async with asyncio.timeout(10):
        while True:
            runs = (await admin.get(f"/contacts/{contact['id']}/runs", state=state))["items"]
            if runs:
                return runs[0]
            await asyncio.sleep(0.02)


async def test_a_workflow_is_shown_with_its_steps_and_the_people_at_them(admin, person):
    await admin.call("PUT", f"{WORKFLOW}/contacts/{person['id']}")
    run = await _run_of(admin, person)
    assert (run["workflow"], run["step"], run["waits_for"], run["sent"]) == ("rules.care", "step1", "time", 0)
    drip, workflow = (await admin.get("/workflows"))["items"]
    assert (drip["id"], drip["list"], drip["on_change"]) == ("rules.drip", "club", "finish_old")
    assert (workflow["id"], workflow["list"]) == ("rules.care", None)
    assert [(step["id"], step["kind"]) for step in workflow["steps"]] == [
        ("step1", "wait"), ("hello", "send"), ("step3", "end"),
    ]  # fmt: skip
    assert workflow["steps"][0]["people"] >= 1
    assert workflow["people"] >= workflow["steps"][0]["people"]


async def test_staff_start_and_end_a_workflow_for_a_contact(admin, person):
    status, _ = await admin.call("PUT", f"/workflows/care/contacts/{person['id']}")
    assert status == 204
    run = await _run_of(admin, person)
    assert run["source"].startswith("staff ")
    status, _ = await admin.call("DELETE", f"/workflows/care/contacts/{person['id']}")
    assert status == 204
    ended = await _run_of(admin, person, "ended")
    assert (ended["id"], ended["outcome"]) == (run["id"], "stopped")
    assert run["id"] in {item["id"] for item in (await admin.get(f"{WORKFLOW}/runs", state="ended"))["items"]}


async def test_nobody_is_put_into_a_marketing_workflow_who_is_not_on_its_list(admin, person):
    status, problem = await admin.call("PUT", f"/workflows/drip/contacts/{person['id']}")
    assert (status, problem["detail"]) == (409, "This workflow is for the marketing list 'club': they are not on it.")


async def test_joining_many_enrols_them_and_says_who_is_unknown(admin, person):
    nobody = "01900000-0000-7000-8000-000000000000"
    status, answer = await admin.call("POST", "/lists/club/contacts", {"contacts": [person["id"], nobody]})
    assert (status, answer) == (200, {"joined": 1, "already": 0, "unknown": [nobody]})
    assert (await _run_of(admin, person))["workflow"] == "rules.drip"
    _, again = await admin.call("POST", "/lists/club/contacts", {"contacts": [person["id"]]})
    assert again == {"joined": 0, "already": 1, "unknown": []}
    (event,) = (await admin.get(f"/contacts/{person['id']}/lists"))["items"]
    assert (event["list"], event["event"]) == ("club", "list_joined")


async def test_an_enrolment_of_a_list_shows_its_progress(admin, person):
    status, made = await admin.call("POST", f"{WORKFLOW}/enrolments", {"list": "All Contacts"})
    assert (status, made["done"], made["finished_at"]) == (202, 0, None)
    async with asyncio.timeout(10):
        while True:
            enrolment = await admin.get(f"/enrolments/{made['id']}")
            if enrolment["finished_at"]:
                break
            await asyncio.sleep(0.02)
    assert enrolment["done"] >= enrolment["total"] >= 1
    assert (await _run_of(admin, person))["workflow"] == "rules.care"
    assert made["id"] in {item["id"] for item in (await admin.get("/enrolments"))["items"]}


@pytest.mark.parametrize("path", ["/workflows/nope/runs", "/enrolments/nope", "/contacts/nope/runs"])
async def test_what_is_not_there_is_404(admin, path):
    status, problem = await admin.call("GET", path)
    assert (status, problem["title"]) == (404, "Not Found")


async def test_a_note_is_kept_with_who_wrote_it(admin, person):
    status, note = await admin.call("POST", f"/contacts/{person['id']}/notes", {"body": "Prefers mornings."})
    assert (status, note["body"], note["author"]) == (201, "Prefers mornings.", "staff the admin")
    assert (await admin.get(f"/contacts/{person['id']}/notes"))["items"] == [note]
    assert (await admin.call("POST", f"/contacts/{person['id']}/notes", {"body": " "}))[0] == 422


async def test_a_list_that_is_on_its_way_in_is_not_sent_in_twice(admin):
    while True:  # the first may be done before the second is asked for
        first, second = await asyncio.gather(
            *(admin.call("POST", f"{WORKFLOW}/enrolments", {"list": "All Contacts"}) for _ in range(2))
        )
        if 409 in (first[0], second[0]):
            break
        await asyncio.sleep(0.05)
    taken = first if first[0] == 202 else second
    if taken[0] == 202:
        stopped = await admin.call("DELETE", f"/enrolments/{taken[1]['id']}")
        assert stopped[1]["finished_at"] is not None


async def test_a_declared_field_takes_values_of_its_type_only(admin, person):
    status, problem = await admin.call("PATCH", f"/contacts/{person['id']}", {"fields": {"visit": "12/24/2026"}})
    assert (status, problem["errors"][0]["field"]) == (422, "fields.visit")
    status, changed = await admin.call("PATCH", f"/contacts/{person['id']}", {"fields": {"visit": "2026-12-24"}})
    assert (status, changed["fields"]["visit"]) == (200, "2026-12-24")
