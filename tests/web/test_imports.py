"""Contacts in from a file over HTTP: it is read by a process of its own, one file after the other."""

from __future__ import annotations

import asyncio
import stat

import aiohttp
import pytest

from bot.import_jobs import MOST_FILES
from bot.web.auth import CSRF_HEADER
from tests.server import Api
from tests.web.browser import signed_in
from tests.web.conftest import DESK_SECRET
from tests.web.site import eventually, make_contact
from tests.web.uploads import HEADER, OPEN, chunked, ended, exported, imported, people, upload

pytestmark = pytest.mark.slow

MANY = 20_000
COUNTS = ("rows", "added", "changed", "unchanged", "wrong", "kept_out")


def counts(found: dict) -> tuple[int, ...]:
    return tuple(found[name] for name in COUNTS)


def files_of(server) -> list:
    folder = server.folder / "imports"
    return sorted(folder.iterdir()) if folder.is_dir() else []


class TestAFile:
    async def test_comes_in_with_who_brought_it_and_once(self, admin, new_phone):
        one, two = new_phone(), new_phone()
        text = (
            f"name,mobile,lists,opted in,evidence,visit,shoe size\nAna,{one},club,yes,form 7,2026-05-01,42\nBo,{two}\n"
        )
        status, made = await upload(admin, text, name="C:\\May\\spring.csv")
        assert (status, made["state"], made["name"]) == (202, "waiting", "spring.csv")
        assert (made["by"], made["dry_run"], made["problem"], made["errors"]) == ("the admin", False, None, [])
        found = await ended(admin, made["id"])
        assert (found["state"], counts(found)) == ("done", (2, 2, 0, 0, 0, 0))
        assert (found["ignored"], found["problem"]) == (["shoe size"], None)
        ana = await admin.contact_of(one)
        assert (ana["name"], ana["lists"], ana["fields"]) == ("Ana", ["All Contacts", "club"], {"visit": "2026-05-01"})
        assert ana["source"] == "staff the admin import spring.csv"
        assert (ana["phones"][0]["opted_in"], (await admin.phone(two))["opted_in"]) == (True, False)
        (event,) = (await admin.get(f"/contacts/{ana['id']}/consent"))["items"]
        assert (event["actor"], event["reason"]) == ("staff the admin import spring.csv", "form 7")
        assert counts(await imported(admin, text)) == (2, 0, 0, 2, 0, 0)
        assert await admin.contact_of(one) == ana
        assert files_of(admin.server) == []

    async def test_is_in_the_audit_log_and_in_the_list_of_files(self, admin, new_phone):
        await imported(admin, f"phone\n{new_phone()}\n")
        found = await imported(admin, f"phone\n{new_phone()}\n", name="audited.csv", evidence="by telephone")
        (row, *_) = (await admin.get("/audit", operation="create_import"))["items"]
        assert (row["actor"], row["target"]) == ("token the admin", "/imports")
        assert row["detail"]["query"] == {"name": "audited.csv", "evidence": "by telephone"}
        page = await admin.get("/imports", limit="1")
        assert page["items"] == [found]
        older = await admin.get("/imports", limit="1", cursor=page["next"])
        assert older["items"][0]["created_at"] <= found["created_at"]

    async def test_says_which_rows_are_wrong_by_their_lines(self, admin, new_phone):
        text = (
            f"phone,opted in,lists,evidence,tags\n{new_phone()},,,,vip\n12,,,,\n{new_phone()},yes,,,\n"
            f"{new_phone()},,nope,,\n{new_phone()},yes,,\u200b,\n"
        )
        found = await imported(admin, text)
        assert counts(found) == (5, 1, 0, 0, 4, 0)
        assert found["errors"] == [
            {"line": 3, "message": "'12' is no phone number."},
            {"line": 4, "message": "opting in needs evidence: where and when did the person agree?"},
            {"line": 5, "message": "there is no list 'nope'."},
            {"line": 6, "message": "opting in needs evidence: where and when did the person agree?"},
        ]
        many = await imported(admin, "phone\n" + "x\n" * 300)
        assert (many["wrong"], [error["line"] for error in many["errors"]]) == (300, list(range(2, 102)))

    async def test_changes_nothing_in_a_dry_run_and_says_the_same(self, admin, new_phone):
        phone = new_phone()
        text = f"phone,name\n{phone},Ana\nx,Bo\n"
        dry = await imported(admin, text, dry_run="true")
        assert (dry["state"], dry["dry_run"]) == ("done", True)
        assert (await admin.get("/contacts", q=phone))["items"] == []
        real = await imported(admin, text)
        assert (counts(real), real["errors"]) == (counts(dry), dry["errors"])

    async def test_has_its_columns_mapped_and_everybody_put_on_lists(self, admin, new_phone):
        phone = new_phone()
        text = f"who,reach,came\nAna,{phone},2026-01-02\n"
        mapping = "who=name\n reach=phone \n\ncame=field:visit"
        found = await imported(admin, text, map=mapping, lists="club, ", opted_in="true", evidence="the fair")
        assert counts(found) == (1, 1, 0, 0, 0, 0)
        contact = await admin.contact_of(phone)
        assert (contact["name"], contact["fields"]) == ("Ana", {"visit": "2026-01-02"})
        assert contact["lists"] == ["All Contacts", "club"]
        assert contact["phones"][0]["opted_in"]

    async def test_of_vcards_comes_in_too(self, admin, new_phone):
        phone = new_phone()
        card = f"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Zoë Lee\r\nTEL;TYPE=CELL:{phone}\r\nNOTE:x\r\nEND:VCARD\r\n"
        found = await imported(admin, card.encode(), name="people.vcf")
        assert (counts(found), found["ignored"]) == ((1, 1, 0, 0, 0, 0), ["NOTE"])
        assert (await admin.contact_of(phone))["name"] == "Zoë Lee"

    async def test_does_not_take_back_what_people_said(self, admin, texter, new_phone):
        await texter.text("STOP")
        gone = await make_contact(admin, new_phone())
        number = gone["phones"][0]["number"]
        await admin.call("PATCH", f"/contacts/{gone['id']}/phones/{number}", {"opted_in": False})
        assert (await admin.call("DELETE", f"/contacts/{gone['id']}", confirm="true"))[0] == 204
        text = f"phone\n{texter.phone}\n{number}\n"
        found = await imported(admin, text, opted_in="true", evidence="paper forms")
        assert counts(found) == (2, 1, 0, 1, 0, 2)
        assert not (await admin.phone(texter.phone))["opted_in"]
        assert not (await admin.phone(number))["opted_in"]

    async def test_comes_from_a_form_of_the_console_too(self, site, admin, client, new_phone):
        boss, phone = await signed_in(site, client, "staff"), new_phone()
        form = aiohttp.FormData(
            {"csrf": boss.headers[CSRF_HEADER], "query.lists": "club", "return_to": "/imports/{id}"}
        )
        form.add_field("file", f"phone\n{phone}\n".encode(), filename="spring.csv", content_type="text/csv")
        url = f"{site.server.url}/do/create_import"
        async with client.post(url, data=form, headers=boss.headers, allow_redirects=False) as response:
            assert response.status == 303, await response.text()
            found = await ended(admin, response.headers["Location"].removeprefix("/imports/"))
        assert (found["state"], found["name"], found["by"]) == ("done", "spring.csv", boss.name)
        assert (await admin.contact_of(phone))["source"] == f"staff {boss.name} import spring.csv"


class TestRefusedAtOnce:
    @pytest.mark.parametrize(
        ("text", "query", "detail"),
        [
            ("", {}, "no column holds phone numbers"),
            ("name\nAna\n", {}, "no column holds phone numbers: name one with map COLUMN=phone."),
            ("phone\n1\n", {"map": "fone=phone"}, "the file has no column 'fone'. Did you mean 'phone'?"),
            ("phone\n1\n", {"map": "phone=fone"}, "a column cannot become 'fone'. Did you mean 'phone'?"),
            ("phone\n1\n", {"map": "phone"}, "map is COLUMN=TARGET, not 'phone'."),
            ("BEGIN:VCARD\n", {"map": "a=b"}, "map is for CSV: vCards have no columns."),
            ("phone\n1\n", {"lists": "clubb"}, "There is no list 'clubb'. Did you mean 'club'?"),
            ("phone\n1\n", {"opted_in": "true"}, "Opting in needs evidence: where and when did the people agree?"),
            ("phone\n1\n", {"opted_in": "maybe"}, "opted_in: "),
            ("," * 1_000_000, {}, "no column holds phone numbers"),
        ],
    )
    async def test_is_a_file_that_cannot_be_imported(self, admin, text, query, detail):
        before = await admin.get("/imports")
        status, problem = await upload(admin, text, **query)
        assert (status, problem["status"]) == (422, 422)
        assert detail in problem["detail"]
        assert await admin.get("/imports") == before
        assert files_of(admin.server) == []

    async def test_is_an_import_that_there_is_not_or_that_is_over(self, admin, new_phone):
        assert (await admin.call("GET", "/imports/nope"))[0] == 404
        assert (await admin.call("POST", "/imports/nope/cancel"))[0] == 404
        found = await imported(admin, f"phone\n{new_phone()}\n")
        status, problem = await admin.call("POST", f"/imports/{found['id']}/cancel")
        assert (status, problem["detail"]) == (409, "It is over already.")


@pytest.mark.slow
class TestOnAServerOfItsOwn:
    @pytest.fixture
    async def server(self, serve, store_url):
        desk = {"url": "http://127.0.0.1:9/desk", "secret": DESK_SECRET, "events": ["contact.created", "list.joined"]}
        return await serve(store_url, rules=RULES, console={"max_upload_bytes": 4_000_000}, routes__desk=desk)

    @pytest.fixture
    async def quiet(self, serve, store_url):
        """One where nobody hears of it."""
        return await serve(store_url, rules=RULES.partition("  - {id: new")[0])

    async def test_what_is_too_large_is_refused_and_not_kept(self, server, api, client):
        admin = api(server)
        status, problem = await upload(admin, chunked(people(100_000)))
        assert (status, problem["detail"]) == (413, "The file has more than 4000000 bytes.")
        assert files_of(server) == []
        assert (await admin.get("/imports"))["items"] == []

    async def test_files_are_read_one_after_the_other_and_those_that_wait_are_private(self, server, api):
        admin = api(server)
        made = [(await upload(admin, chunked(people(3000, first=n * 3000))))[1] for n in range(3)]
        waiting = files_of(server)
        assert waiting
        assert {stat.S_IMODE(path.stat().st_mode) for path in waiting} == {0o600}
        assert stat.S_IMODE((server.folder / "imports").stat().st_mode) == 0o700
        seen: set[int] = set()
        items = [{"state": "waiting"}]
        while any(found["state"] in OPEN for found in items):
            items = (await admin.get("/imports"))["items"]
            assert sum(found["state"] == "running" for found in items) <= 1
            seen |= {found["rows"] for found in items if found["state"] == "running"}
            await asyncio.sleep(0.1)
        assert [found["id"] for found in items] == [one["id"] for one in made][::-1]
        assert {(found["state"], counts(found)) for found in items} == {("done", (3000, 3000, 0, 0, 0, 0))}
        assert any(0 < rows < 3000 for rows in seen), "progress is told"
        assert files_of(server) == []

    async def test_cancelled_it_stops_and_so_do_those_that_wait(self, quiet, api):
        admin = api(quiet)
        first, second = [(await upload(admin, chunked(people(MANY))))[1]["id"] for _ in range(2)]

        async def runs():
            return (await admin.get(f"/imports/{first}"))["rows"]

        await eventually(runs, "progress", 20)
        for id_ in (second, first):
            status, found = await admin.call("POST", f"/imports/{id_}/cancel")
            assert (status, found["state"]) == (200, "cancelled")
            assert "cancelled by admin-" in found["problem"]

        async def gone():
            return not files_of(quiet)

        await eventually(gone, "the files' end", 5)
        assert (await admin.get(f"/imports/{second}"))["rows"] == 0
        assert (await admin.call("POST", f"/imports/{first}/cancel"))[0] == 409
        known = len(await exported(admin, "contacts"))
        assert 0 < known < MANY
        await asyncio.sleep(0.5)
        assert len(await exported(admin, "contacts")) == known
        found = await imported(admin, HEADER + "Bo,+12025550123\n")
        assert found["state"] == "done", "and the next file is read"

    async def test_rules_and_routes_hear_of_it_at_once(self, server, api):
        admin = api(server)
        await imported(admin, "phone,lists\n+12025550123,club\n")

        async def heard():
            contact = await admin.contact_of("+12025550123")
            return {"new", "member"} <= set(contact["tags"])

        await eventually(heard, "the tags of the rules", 4)
        events = {item["type"] for item in (await admin.get("/notifications", limit="500"))["items"]}
        assert {"contact.created", "list.joined"} <= events

    async def test_stopped_with_the_server_it_says_so_and_a_second_upload_completes_it(self, quiet, api):
        admin = api(quiet)
        ids = [(await upload(admin, chunked(people(MANY))))[1]["id"] for _ in range(2)]
        await rows_in(admin, ids[0])
        assert await quiet.stop() == 0
        assert files_of(quiet) == []
        await quiet.start()
        await interrupted_and_completed(admin, ids)

    async def test_after_kill_9_it_says_so_and_a_second_upload_completes_it(self, quiet, api):
        admin = api(quiet)
        ids = [(await upload(admin, chunked(people(MANY))))[1]["id"] for _ in range(2)]
        await rows_in(admin, ids[0])
        quiet.kill()
        assert len(files_of(quiet)) == 2
        (quiet.folder / "imports" / "notes.txt").write_text("not ours")
        await quiet.start()
        assert [path.name for path in files_of(quiet)] == ["notes.txt"]
        await interrupted_and_completed(admin, ids)

    async def test_an_upload_that_breaks_off_is_not_kept(self, server, api):
        admin = api(server)

        async def broken():
            yield HEADER.encode()
            await asyncio.sleep(0.2)
            raise ConnectionResetError

        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await upload(admin, broken())

        async def gone():
            return not files_of(server)

        await eventually(gone, "the file's end", 5)
        assert (await admin.get("/imports"))["items"] == []
        assert "Traceback" not in server.log.read_text()

    async def test_a_server_that_stops_does_not_wait_for_an_upload(self, server, api):
        admin = api(server)

        async def slow():
            yield HEADER.encode()
            await asyncio.sleep(60)

        uploading = asyncio.create_task(upload(admin, slow()))
        await asyncio.sleep(0.5)
        assert len(files_of(server)) == 1
        async with asyncio.timeout(10):
            assert await server.stop() == 0
        assert files_of(server) == []
        uploading.cancel()
        await asyncio.gather(uploading, return_exceptions=True)

    async def test_not_more_files_wait_than_may(self, server, api):
        admin = api(server)
        await upload(admin, chunked(people(MANY)))
        statuses = [(await upload(admin, HEADER))[0] for _ in range(MOST_FILES)]
        assert statuses == [202] * (MOST_FILES - 1) + [409]
        for item in (await admin.get("/imports"))["items"]:
            await admin.call("POST", f"/imports/{item['id']}/cancel")

        async def gone():
            return not files_of(server)

        await eventually(gone, "the files' end", 10)
        assert (await upload(admin, HEADER))[0] == 202


RULES = """
version: 1
lists: {club: marketing}
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}
  - {id: new, event: contact_added, do: [{tag: new}]}
  - {id: member, event: list_joined, when: {list: club}, do: [{tag: member}]}
"""


async def rows_in(admin: Api, id_: str) -> None:
    async def some():
        return (await admin.get(f"/imports/{id_}"))["rows"]

    await eventually(some, "progress", 20)


async def interrupted_and_completed(admin: Api, ids: list[str]) -> None:
    for id_ in ids:
        found = await admin.get(f"/imports/{id_}")
        assert found["state"] == "failed"
        assert found["problem"] == "the server stopped while this was read; import the file again"
    status, made = await upload(admin, chunked(people(MANY)))
    assert status == 202
    found = await ended(admin, made["id"], 180)
    assert (found["state"], found["rows"], found["wrong"]) == ("done", MANY, 0)
    assert 0 < found["added"] < MANY
    assert found["added"] + found["changed"] + found["unchanged"] == MANY
    rows = await exported(admin, "contacts")
    assert len({row["id"] for row in rows}) == len({row["phone"] for row in rows}) == len(rows) == MANY
    consent = await exported(admin, "consent")
    assert len(consent) == MANY, "each phone's consent was written down once"
