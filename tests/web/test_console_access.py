"""Who may open which page of the console and send which form, for every one that there is."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest
from yarl import URL

import bot.web.console
from bot.tokens import ROLES, Role
from bot.web.api import ENDPOINTS
from bot.web.console.routes import ALL_PAGES
from bot.web.endpoints import Endpoint
from tests.web.forms import Visitor, as_fields, as_visitor, visitor
from tests.web.operations import OPERATIONS, World

RANK: Mapping[Role, int] = {"read": 0, "staff": 1, "admin": 2}
CHANGES = [endpoint for endpoint in ENDPOINTS if endpoint.changes]
NAMES = {endpoint.operation_id for endpoint in CHANGES}
TEMPLATES = Path(bot.web.console.__file__).parent / "templates"
EACH_PAGE = pytest.mark.parametrize("page", ALL_PAGES, ids=lambda page: page.path)
EACH_FORM = pytest.mark.parametrize("endpoint", CHANGES, ids=lambda endpoint: endpoint.operation_id)


async def _of_message(world: World) -> Mapping[str, str]:
    texter = await world.texted("HOURS")
    (found,) = (await world.api.get("/messages", phone=texter.phone, direction="inbound"))["items"]
    return {"id": found["id"]}


async def _of_text(world: World) -> Mapping[str, str]:
    to = {"contacts": [await world.contact()]}
    return {"id": (await world.made("/broadcasts", {"to": to, "body": "Hello"}))["id"]}


async def _conversation(world: World) -> Mapping[str, str]:
    return {"id": (await world.conversation())[0]}


async def _contact(world: World) -> Mapping[str, str]:
    return {"id": await world.contact()}


async def _list(world: World) -> Mapping[str, str]:
    return {"list": await world.list()}


async def _import(world: World) -> Mapping[str, str]:
    return (await OPERATIONS["cancel_import"](world)).path


NAMED: Mapping[str, Callable[[World], Awaitable[Mapping[str, str]]]] = {
    "/inbox/{id}": _conversation,
    "/messages/{id}/why": _of_message,
    "/contacts/{id}": _contact,
    "/lists/{list}": _list,
    "/imports/{id}": _import,
    "/texts/{id}": _of_text,
}


@pytest.fixture
def world(any_site, client, new_phone) -> World:
    return World(any_site, client, new_phone)


def assert_sealed(answer) -> None:
    """A browser runs no script and no style of the page itself, sniffs nothing, frames it nowhere and keeps nothing."""
    policy = answer.headers["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "base-uri 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "no-store"
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\son\w+=|\sstyle=", answer.text)


# Pages


@EACH_PAGE
async def test_a_page_needs_a_session_and_its_role(any_site, client, world, page):
    if "{" in page.path:
        assert page.path in NAMED, f"{page.path}: say here what it can name"
    path = page.path.format(**await NAMED[page.path](world)) if "{" in page.path else page.path
    answer = await (await visitor(any_site, client)).open(path + "?a=b")
    target = URL(answer.headers["Location"])
    assert (answer.status, target.path, target.query) == (303, "/login", {"next": str(URL(path + "?a=b"))})
    for role in ROLES:
        answer = await (await visitor(any_site, client, role)).open(path)
        assert answer.status == (200 if RANK[role] >= RANK[page.role] else 403), answer.text
        assert_sealed(answer)


@pytest.mark.parametrize("path", sorted(NAMED))
async def test_a_page_of_what_is_not_there_says_so(any_site, client, path):
    somebody = await visitor(any_site, client, "admin")
    for name in ("nope", "%00", "%F0%9F%93%9A", "..%2F..", "%3Cscript%3E"):
        answer = await somebody.open(path.format(id=name, list=name))
        assert answer.status == 404, answer.text
        assert_sealed(answer)


@pytest.mark.parametrize("path", ["/login", "/login?next=/lists", "/api/docs"])
async def test_a_page_that_needs_no_session_is_sealed_too(any_site, client, path):
    answer = await (await visitor(any_site, client)).open(path)
    assert answer.status == 200
    assert_sealed(answer)


async def test_the_front_is_the_inbox_for_who_is_signed_in_and_the_login_for_others(any_site, client):
    one = await visitor(any_site, client, "read")
    assert (await one.open("/")).headers["Location"] == "/inbox"
    assert (await one.open("/login?next=/lists")).headers["Location"] == "/lists"
    assert (await (await visitor(any_site, client)).open("/")).headers["Location"] == "/login"


@pytest.mark.parametrize(("path", "status"), [("/live", 401), ("/live/waiting", 204), ("/phone", 303)])
async def test_what_changes_is_told_to_nobody_who_is_not_signed_in(any_site, client, path, status):
    assert (await (await visitor(any_site, client)).open(path)).status == status


# Forms


@pytest.fixture
async def people(any_site, client) -> Mapping[Role, Visitor]:
    return {role: await visitor(any_site, client, role) for role in ROLES}


def below(endpoint: Endpoint) -> list[Role]:
    """The roles that may not."""
    return [role for role in ROLES if RANK[role] < RANK[endpoint.role]]


@EACH_FORM
async def test_a_form_is_refused_without_session_token_origin_or_role(any_site, client, people, endpoint):
    name = endpoint.operation_id
    nobody = await (await visitor(any_site, client)).do(name)
    assert (nobody.status, nobody.headers["Location"]) == (303, "/login")
    admin = people["admin"]
    for csrf in ("", "x", admin.csrf[:-1], people["staff"].csrf):
        answer = await admin.post(f"/do/{name}", {"csrf": csrf})
        assert answer.status == 403
        assert "did not come from a page of ours" in answer.text
    for site in ("cross-site", "same-site"):
        answer = await admin.do(name, Sec_Fetch_Site=site)
        assert (answer.status, "page of another site" in answer.text) == (403, True)
    for role in below(endpoint):
        answer = await people[role].do(name)
        assert (answer.status, f"This needs the role {endpoint.role}" in answer.text) == (403, True)


@pytest.mark.parametrize("name", sorted(NAMES & OPERATIONS.keys()))
async def test_whatever_the_api_can_change_a_form_can(any_site, client, world, name):
    asked = await OPERATIONS[name](world)
    admin = await visitor(any_site, client, "admin")
    if asked.by is not None:
        admin = as_visitor(asked.by)
    own = [("return_to", "/settings"), ("done", "It is done.")]
    answer = await admin.do(name, [*as_fields(asked.path, asked.body, asked.query), *own], Sec_Fetch_Site="same-origin")
    if name != "create_token":
        assert (answer.status, answer.headers["Location"]) == (303, "/settings"), answer.text
        assert "It%20is%20done." in answer.headers["Set-Cookie"]
    else:
        assert answer.status == 200
        assert_sealed(answer)


def test_the_templates_name_only_operations_that_there_are():
    named = set()
    for template in TEMPLATES.glob("*.html"):
        text = template.read_text(encoding="utf-8")
        named |= set(re.findall(r'/do/(\w+)"|ui\.(?:form|button)\("(\w+)"', text))
        named |= {("", other) for pair in re.findall(r'ui\.form\("(\w+)" if \w+ else "(\w+)"', text) for other in pair}
    assert {one or other for one, other in named} <= NAMES


@pytest.mark.parametrize("name", ["list_contacts", "get_message", "nothing_of_that_name", "export_contacts"])
async def test_a_form_of_what_changes_nothing_is_not_there(any_site, client, name):
    answer = await (await visitor(any_site, client, "admin")).do(name)
    assert answer.status == 404


@pytest.mark.parametrize("path", ["/texts/new", "/texts/preview", "/segments", "/phone", "/logout"])
async def test_a_form_beside_the_api_needs_the_token_too(any_site, client, path):
    fields = {"body": "Hi", "contacts[]": "x", "to.contacts[]": "x", "everybody": "true"}
    answer = await (await visitor(any_site, client)).post(path, fields)
    assert answer.headers["Location"].partition("?")[0] == "/login"
    answer = await (await visitor(any_site, client, "admin")).post(path, fields)
    assert answer.status == 403 or not answer.text, answer.text
