"""The console's forms as plain HTTP: how fields become a call, where one goes afterwards, and what is said there."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

import pytest
from multidict import MultiDict

from adapters.simulator import Simulator
from bot.services import SERVICES
from bot.web.console.forms import Form, read_form
from bot.web.console.phone import is_open_to_try
from bot.web.problems import Problem
from tests.web.forms import Visitor, visitor

ELSEWHERE = (
    "//evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "https://evil.example",
    "https:evil.example",
    "javascript:alert(1)",
    "/\t/evil.example",
    "/\n/evil.example",
    " //evil.example",
    "/{id}/evil.example",
    "evil.example",
    "",
)
MARKUP = "<img src=x onerror=alert(1)>'\"{{7*7}}"


# How fields become a call

READ: dict[str, tuple[list[tuple[str, str]], Form]] = {
    "places": (
        [("path.id", "7"), ("query.confirm", "true"), ("name", "Ana"), ("to.contact", "c1")],
        Form({"id": "7"}, {"confirm": "true"}, {"name": "Ana", "to": {"contact": "c1"}}),
    ),
    "a body's place that is called like a query": (
        [("body.query.tag", "vip"), ("body", "Hello")],
        Form(body={"query": {"tag": "vip"}, "body": "Hello"}),
    ),
    "the form's own fields are none of the call's": (
        [("csrf", "x"), ("once", "y"), ("return_to", "/"), ("done", "Ok"), ("if_match", '"1"')],
        Form(),
    ),
    "the last of several": ([("a", "1"), ("a", "2")], Form(body={"a": "2"})),
    "a list of all": ([("a[]", "1"), ("a[]", "2"), ("b[]", "")], Form(body={"a": ["1", "2"], "b": [""]})),
    "lines": ([("media[lines]", " https://a \r\n\r\nhttps://b\n")], Form(body={"media": ["https://a", "https://b"]})),
    "no lines": ([("media[lines]", " \n")], Form(body={"media": []})),
    "blank means left out": ([("a?", " "), ("b?", "x"), ("query.c?", "")], Form(body={"b": "x"})),
    "blank means null": ([("fields.a~", ""), ("fields.b~", "x")], Form(body={"fields": {"a": None, "b": "x"}})),
    "blank means blank": ([("a", "")], Form(body={"a": ""})),
    "a borrowed name": (
        [("new", " shoe "), ("fields.{new}?", "38")],
        Form(body={"fields": {"shoe": "38"}}),
    ),
    "a borrowed name that is blank": ([("new", ""), ("fields.{new}?", "38")], Form()),
    "a borrowed name that would lead elsewhere": ([("new", "a.b"), ("fields.{new}?", "38")], Form()),
    "numbered rows": (
        [("phones.0.number", "1"), ("phones.1.number", "2"), ("phones.1.label", "home")],
        Form(body={"phones": [{"number": "1"}, {"number": "2", "label": "home"}]}),
    ),
    "a row of which the main thing is blank": (
        [("phones.0.number?", ""), ("phones.0.label", "cell"), ("phones.1.number?", "2"), ("phones.1.label", "home")],
        Form(body={"phones": [{"number": "2", "label": "home"}]}),
    ),
    "rows in the order of their numbers": (
        [("a.10", "k"), ("a.2", "c"), ("a.0", "a")],
        Form(body={"a": ["a", "c", "k"]}),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", READ)
def test_fields_become_a_call(case):
    fields, form = READ[case]
    assert read_form(MultiDict(fields)) == form


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("2027-03-05T15:00", {"at": "2027-03-05T15:00:00-05:00"}),
        ("2027-07-05T15:00", {"at": "2027-07-05T15:00:00-04:00"}),
        ("2027-03-05T15:00:00Z", {"at": "2027-03-05T15:00:00+00:00"}),
        ("tomorrow", {"at": "tomorrow"}),
    ],
)
def test_a_time_is_on_the_clock_of_the_business(text, expected):
    assert read_form(MultiDict([("at@", text)]), ZoneInfo("America/New_York")).body == expected


@pytest.mark.parametrize("fields", [[("a", "1"), ("a.b", "2")], [("a.b", "1"), ("a.b.c", "2")]])
def test_a_form_that_says_two_things_of_one_place_is_refused(fields):
    with pytest.raises(Problem, match="two things"):
        read_form(MultiDict(fields))


@pytest.mark.parametrize(
    "fields",
    [[("?", "x")], [("~", "")], [("[]", "x")], [("", "x")], [("a{", "x")], [("{none}", "x")], [(".", "x")],
     [("..", "x")], [("path", "x")], [("path.", "x")], [("a[].b", "x")], [("0", "x")], [("²", "x"), ("1", "y")],
     [("a.²", "x")], [("phones.0", "x"), ("phones.0.number?", "")], [("phones", "x"), ("phones.0.number?", "")]],
    ids=str,
)  # fmt: skip
async def test_a_name_that_nobody_would_write_harms_nothing(any_site, client, fields):
    answer = await (await visitor(any_site, client, "admin")).do("create_contact", fields)
    assert answer.status == 422, answer.text


async def test_what_is_missing_in_the_path_is_said(any_site, client):
    answer = await (await visitor(any_site, client, "staff")).do("delete_contact", {"query.confirm": "true"})
    assert (answer.status, "id is missing." in answer.text) == (422, True)


# Where one goes afterwards


@pytest.fixture
async def staff(any_site, client) -> Visitor:
    return await visitor(any_site, client, "staff")


@pytest.mark.parametrize("target", ELSEWHERE)
async def test_a_form_leads_nowhere_else(staff, target):
    answer = await staff.do("count_segments", {"body": "x", "return_to": target})
    assert (answer.status, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize("target", [target for target in ELSEWHERE if "{id}" not in target])
async def test_signing_in_leads_nowhere_else(staff, target):
    nobody = Visitor(staff.url, staff.client)
    page = await nobody.open("/login?" + urlencode({"next": target}))
    assert 'name="next" value="/"' in page.text
    assert (await staff.open("/login?" + urlencode({"next": target}))).headers["Location"] == "/"


@pytest.mark.parametrize("target", ["/contacts?q=a%20b", "/lists/a%2Fb", "/"])
async def test_a_form_leads_to_a_path_of_ours_as_it_is(staff, target):
    answer = await staff.do("count_segments", {"body": "x", "return_to": target})
    assert answer.headers["Location"] == target


async def test_a_form_leads_to_what_it_made(staff, new_phone):
    fields = {"name": "Ana", "phones.0.number": new_phone(), "return_to": "/contacts/{id}"}
    answer = await staff.do("create_contact", fields)
    assert "Ana" in (await staff.open(answer.headers["Location"])).text


async def test_what_is_said_afterwards_is_text_said_once_and_keeps_its_direction(staff):
    said = MARKUP + "\u202e turned\u2066"
    answer = await staff.do("count_segments", {"body": "x", "return_to": "/lists", "done": said})
    (cookie,) = answer.headers.getall("Set-Cookie")
    assert "HttpOnly" in cookie
    pair = cookie.partition(";")[0]
    headers = {"Cookie": f"{staff.headers['Cookie']}; {pair}"}
    page = await Visitor(staff.url, staff.client, headers).open("/lists")
    assert "&lt;img src=x onerror=alert(1)&gt;" in page.text
    assert "{{7*7}} turned" in page.text
    assert "<img" not in page.text
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page.text)
    assert 'textwright_flash=""' in page.headers["Set-Cookie"]


async def test_what_is_wrong_is_said_as_text(staff):
    answer = await staff.do("join_list", {"path.id": "x", "path.list": MARKUP})
    assert answer.status == 404
    answer = await staff.do("create_contact", {MARKUP: "x"}, HX_Request="true")
    assert answer.headers["HX-Retarget"] == "#notice"
    assert "<img" not in answer.text


# Twice


async def test_a_form_that_is_sent_twice_is_carried_out_once(staff, new_phone):
    fields = {"name": "Once", "phones.0.number": new_phone(), "once": "abc123", "return_to": "/contacts/{id}"}
    places = {(await staff.do("create_contact", fields)).headers["Location"] for _ in range(2)}
    assert len(places) == 1
    note = {"path.id": places.pop().rpartition("/")[2], "body": "Rang twice", "once": "def456", "return_to": "/"}
    for _ in range(2):
        assert (await staff.do("add_note", note)).status == 303
    path = f"/contacts/{note['path.id']}"
    assert (await staff.open(path)).text.count("Rang twice") == 1
    await staff.do("add_note", {**note, "once": "ghi789"})
    assert (await staff.open(path)).text.count("Rang twice") == 2


async def test_a_form_that_was_refused_can_be_mended_and_sent_again(staff, new_phone):
    fields = {"name": "Mended", "phones.0.number": "12345", "once": "jkl", "return_to": "/contacts/{id}"}
    assert (await staff.do("create_contact", fields)).status == 422
    assert (await staff.do("create_contact", {**fields, "phones.0.number": new_phone()})).status == 303


# Signing in


async def test_a_form_of_another_site_signs_nobody_in(any_site, client):
    nobody = await visitor(any_site, client)
    fields = {"name": "mallory", "password": "does not matter"}
    for site in ("cross-site", "same-site"):
        answer = await nobody.post("/login", fields, Sec_Fetch_Site=site)
        assert (answer.status, "Set-Cookie" in answer.headers) == (403, False)
    assert (await nobody.post("/login", fields, Sec_Fetch_Site="same-origin")).status == 401


# The phone without signing in


async def test_the_phone_is_open_on_a_fresh_server_that_only_this_machine_reaches(serve, client):
    server = await serve()
    nobody = Visitor(server.url, client)
    for path in ("/phone", "/live/waiting"):
        assert (await nobody.open(path)).status in (200, 204)
    assert (await nobody.open("/")).headers["Location"] == "/phone"
    assert (await nobody.open("/phone", Host=f"localhost:{server.port}")).status == 200
    for host in ("evil.example", f"evil.example:{server.port}", "127.0.0.1.evil.example", "localhost.evil.example"):
        assert (await nobody.open("/phone", Host=host)).headers["Location"] == "/login?next=/phone"
        assert (await nobody.post("/phone", {"body": "HOURS"}, Host=host)).headers["Location"] == "/login?next=/phone"
        assert (await nobody.open("/live", Host=host)).status == 401
    sent = {"body": "HOURS", "channel": "sim", "from": "+12025550123"}
    assert (await nobody.post("/phone", sent, Sec_Fetch_Site="cross-site")).status == 403
    assert (await nobody.post("/phone", sent)).status == 303
    assert "HOURS" in (await nobody.open("/phone")).text
    for path in ("/inbox", "/contacts", "/settings"):
        assert (await nobody.open(path)).status == 303
    server.command("user", "create", "ana", "--role", "read", "--password-stdin", stdin="quiet-otter-42\n")
    assert (await nobody.open("/phone")).headers["Location"] == "/login?next=/phone"
    assert (await nobody.open("/")).headers["Location"] == "/login"


def asked_of(
    *, adapter: Any, token: str = "", is_loopback: bool = True, host: str | None = "127.0.0.1", users: int = 0
) -> Any:
    """A request of a server like that."""

    class Snapshot:
        async def __aenter__(self) -> Snapshot:
            return self

        async def __aexit__(self, *_: object) -> None:
            """Nothing is open."""

        async def row(self, _name: str) -> dict[str, int]:
            return {"count": users}

    channel = SimpleNamespace(settings={"token": token} if token else {})
    services = SimpleNamespace(
        config=SimpleNamespace(channels={"one": channel}, server=SimpleNamespace(is_loopback=is_loopback)),
        adapters={"one": adapter},
        store=SimpleNamespace(snapshot=Snapshot),
    )
    return SimpleNamespace(app={SERVICES: services}, url=SimpleNamespace(host=host))


@pytest.mark.parametrize(
    ("why_not", "changed"),
    [
        ("", {}),
        ("", {"host": "localhost"}),
        ("", {"host": "::1"}),
        ("a real provider", {"adapter": object()}),
        ("the simulator has a token to protect", {"token": "secret"}),
        ("others reach the server", {"is_loopback": False}),
        ("another name", {"host": "evil.example"}),
        ("no name", {"host": None}),
        ("there is a user", {"users": 1}),
    ],
)
async def test_it_is_open_only_where_nothing_is_to_be_protected(why_not, changed):
    simulator = Simulator.__new__(Simulator)
    request = asked_of(**{"adapter": simulator, **changed})
    assert await is_open_to_try(request) is not bool(why_not)
