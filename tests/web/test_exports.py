"""Contacts, messages and the history of consent out over HTTP: as CSV, piece by piece."""

from __future__ import annotations

import asyncio
import csv
import io

import pytest

from bot.csv_columns import FORMULA
from tests.bot.conftest import until
from tests.web.site import make_contact
from tests.web.uploads import chunked, exported, imported, people

pytestmark = pytest.mark.slow

WHATS = ("contacts", "messages", "consent")
FORMULAS = ("=1+1", "+1+1", "-2", "@SUM(A1)", "\t=1", "'=1")


async def test_contacts_are_a_row_for_each_phone_and_can_be_imported_again(admin, new_phone):
    one, two = new_phone(), new_phone()
    fields = {"visit": "2026-05-01", "first_name": "Ana"}
    made = await make_contact(admin, one, name="Ana Lee", lists=["club"], tags=["gold"], fields=fields)
    await admin.call("POST", f"/contacts/{made['id']}/phones", {"number": two, "label": "home"})
    rows = {row["phone"]: row for row in await exported(admin, "contacts") if row["id"] == made["id"]}
    assert set(rows) == {one, two}
    found = rows[one]
    assert (found["name"], found["lists"], found["tags"]) == ("Ana Lee", "club", "gold")
    assert (found["opted_in"], found["evidence"]) == ("yes", "paper form, 1 May")
    assert (found["visit"], found["first_name"], rows[two]["label"]) == ("2026-05-01", "Ana", "home")
    again = io.StringIO(newline="")
    csv.writer(again).writerows([list(found), *(row.values() for row in rows.values())])
    done = await imported(admin, again.getvalue())
    assert (done["state"], done["unchanged"], done["added"], done["wrong"]) == ("done", 2, 0, 0)


async def test_messages_and_consent_are_those_of_a_list_where_one_is_asked_for(admin, texter, new_phone):
    await texter.text("HOURS")
    await texter.wait_for(1)
    await texter.text("STOP")
    member = await admin.contact_of(texter.phone)
    name = f"of {texter.phone}"
    await admin.call("POST", "/lists", {"name": name})
    assert await exported(admin, "messages", list=name) == []
    await admin.call("PUT", f"/lists/{name}/contacts/{member['id']}")
    await make_contact(admin, new_phone())
    messages = await exported(admin, "messages", list=name)
    assert [(row["direction"], row["body"]) for row in messages][:3] == [
        ("inbound", "HOURS"),
        ("outbound", "9 to 5"),
        ("inbound", "STOP"),
    ]
    consent = await exported(admin, "consent", list=name)
    assert [(row["phone"], row["event"]) for row in consent] == [(texter.phone, "created"), (texter.phone, "opted_out")]
    contacts = await exported(admin, "contacts", list=name)
    assert [row["phone"] for row in contacts] == [texter.phone]


async def test_no_cell_is_a_formula(admin, texter, new_phone):
    for text in FORMULAS:
        await make_contact(admin, new_phone(), name=text, fields={"first_name": text})
        await texter.text(text)
    for what in ("contacts", "messages"):
        for row in await exported(admin, what):
            for cell in row.values():
                is_number = cell[:1] in "+-" and cell[1:].isdigit()
                assert is_number or not FORMULA.match(cell) or cell.startswith("'"), cell


@pytest.mark.parametrize("what", WHATS)
async def test_a_list_that_there_is_not_is_a_problem_and_no_file(admin, client, what):
    await admin.call("POST", "/lists", {"name": "silent people", "query": {"silent_for_days": 30}})
    for name in ("nope", "silent people"):
        status, problem = await admin.call("GET", f"/exports/{what}.csv", list=name)
        assert (status, problem["status"]) == (404, 404)
        assert name in problem["detail"]
    status, problem = await admin.call("GET", f"/exports/{what}.csv", list="")
    assert status == 422


@pytest.mark.parametrize("what", WHATS)
async def test_who_took_it_is_in_the_audit_log(admin, what):
    await exported(admin, what, list="club")
    row = (await admin.get("/audit", operation=f"export_{what}"))["items"][0]
    assert (row["actor"], row["target"]) == ("token the admin", f"/exports/{what}.csv")
    assert row["detail"] == {"list": "club"}


@pytest.mark.slow
async def test_many_rows_leave_the_servers_memory_as_it_is_also_where_the_reader_is_slow_or_goes(
    serve, api, client, record_property
):
    server = await serve(rules=SMALL)
    admin = api(server)
    assert (await imported(admin, chunked(people(30_000))))["added"] == 30_000
    await exported(admin, "consent")
    before = server.rss_bytes()
    for what in ("contacts", "consent"):
        url = f"{server.url}/api/v1/exports/{what}.csv"
        async with client.get(url, headers=admin.headers) as response:
            count = 0
            async for chunk in response.content.iter_any():
                count += chunk.count(b"\n")
                await asyncio.sleep(0.002)
            assert count == 30_001
        response = await client.get(url, headers=admin.headers)
        assert await response.content.read(10)
        response.close()
    grown = server.rss_bytes() - before
    record_property("export", {"grown_mb": round(grown / 1e6, 1)})
    print({"grown_mb": round(grown / 1e6, 1)})
    assert grown < 15_000_000

    async def is_well() -> bool:
        return bool((await admin.get("/contacts", limit="1"))["items"])

    await until(is_well, 5)
    assert "Traceback" not in server.log.read_text()


SMALL = 'version: 1\nrules: [{id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}]\n'
