"""Who may do what, for every endpoint that there is; and that every error is problem+json."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest
import structlog
from aiohttp import web
from yarl import URL

from bot.tokens import ROLES, Role
from bot.web.api import ENDPOINTS
from bot.web.auth import COOKIE, CSRF_HEADER
from bot.web.endpoints import PREFIX, Endpoint, Nothing
from bot.web.problems import problems
from tests.web.browser import Caller, signed_in

_RANK: dict[Role, int] = {"read": 0, "staff": 1, "admin": 2}
EACH = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation_id)


def _path(endpoint: Endpoint) -> str:
    return endpoint.path.format(id="nope", number="+12025550142", tag="x", list="nope", workflow="nope", route="nope")


def _url(site, endpoint: Endpoint) -> str:
    return f"{site.server.url}{PREFIX}{_path(endpoint)}"


async def _problem(response, status: int) -> dict:
    """The problem that must be in the response."""
    raw = await response.read()
    assert response.status == status, raw
    assert response.content_type == "application/problem+json"
    problem = orjson.loads(raw)
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert problem["type"] == "about:blank"
    return problem


def test_operation_ids_are_unique():
    ids = [endpoint.operation_id for endpoint in ENDPOINTS]
    assert len(set(ids)) == len(ids) > 20


@EACH
async def test_without_a_token_of_ours_an_endpoint_answers_401(any_site, client, endpoint):
    token = any_site.tokens["admin"]
    for value in (None, "", "Bearer", "Bearer ", f"Basic {token}", token, "Bearer tw_nope", f"Bearer {token}x"):
        headers = {} if value is None else {"Authorization": value}
        async with client.request(endpoint.method, _url(any_site, endpoint), headers=headers) as response:
            await _problem(response, 401)
            assert response.headers["WWW-Authenticate"] == "Bearer"


@EACH
async def test_a_role_below_the_endpoints_is_refused_and_its_own_is_not(any_site, client, endpoint):
    for role in ROLES:
        headers = {"Authorization": f"bearer {any_site.tokens[role]}"}
        async with client.request(endpoint.method, _url(any_site, endpoint), headers=headers) as response:
            if _RANK[role] < _RANK[endpoint.role]:
                problem = await _problem(response, 403)
                assert endpoint.role in problem["detail"]
                assert role in problem["detail"]
            else:
                assert response.status not in (401, 403, 500)


@pytest.fixture(scope="module")
def browsers():
    """A browser of each role, signed in once."""
    return {}


async def _browser(browsers, site, client, role: Role = "admin") -> Caller:
    if role not in browsers:
        browsers[role] = await signed_in(site, client, role)
    return replace(browsers[role], client=client)


@EACH
async def test_by_cookie_a_role_below_the_endpoints_is_refused_and_its_own_is_not(any_site, client, browsers, endpoint):
    for role in ROLES:
        browser = await _browser(browsers, any_site, client, role)
        answer = await browser.ask(endpoint.method, _path(endpoint), {"colour": "red"})
        if _RANK[role] < _RANK[endpoint.role]:
            assert answer.status == 403
            assert f"This needs the role {endpoint.role}; yours is {role}." == answer.json["detail"]
        else:
            assert answer.status not in (401, 403, 500), answer.text


@EACH
async def test_by_cookie_a_change_needs_the_token_that_only_our_own_pages_know(any_site, client, browsers, endpoint):
    browser = await _browser(browsers, any_site, client)
    other = (await signed_in(any_site, client, "admin")).headers[CSRF_HEADER]
    token = browser.headers[CSRF_HEADER]
    wrong = [None, "", "x", token[:-1], token + "x", token.swapcase(), other, "t\u00f6ken"]
    for given in wrong:
        headers = {} if given is None else {"X_CSRF_Token": given}
        answer = await browser.without(CSRF_HEADER).ask(endpoint.method, _path(endpoint), {"colour": "red"}, **headers)
        if endpoint.changes:
            assert answer.status == 403, answer.text
            assert answer.headers["Content-Type"].startswith("application/problem+json")
        else:
            assert answer.status not in (401, 403, 500), answer.text
    # Not even where the body or the query says it.
    inside = browser.without(CSRF_HEADER)
    answer = await inside.ask(endpoint.method, _path(endpoint), {"csrf": token}, {"csrf": token})
    assert (answer.status == 403) is endpoint.changes


@EACH
async def test_by_cookie_a_change_that_a_page_of_another_site_asks_for_is_refused(any_site, client, browsers, endpoint):
    browser = await _browser(browsers, any_site, client)
    for origin in ("cross-site", "same-site", "nonsense", ""):
        answer = await browser.ask(endpoint.method, _path(endpoint), {"colour": "red"}, Sec_Fetch_Site=origin)
        assert (answer.status == 403) is endpoint.changes, (origin, answer.text)
    for origin in ("same-origin", "none"):
        answer = await browser.ask(endpoint.method, _path(endpoint), {"colour": "red"}, Sec_Fetch_Site=origin)
        assert answer.status not in (401, 403, 500), (origin, answer.text)


async def test_a_token_needs_no_page_of_ours_and_comes_before_a_cookie(any_site, client, browsers):
    browser = await _browser(browsers, any_site, client)
    bearer = {"Authorization": f"Bearer {any_site.tokens['read']}"}
    by_token = Caller(any_site, client, bearer)
    answer = await by_token.ask("POST", "/segments", {"body": "Hello"}, Sec_Fetch_Site="cross-site")
    assert answer.status == 200
    both = Caller(any_site, client, {**browser.headers, **bearer})
    assert (await both.ask("GET", "/me")).json == {"name": "the read", "role": "read", "kind": "token"}
    wrong = Caller(any_site, client, {**browser.headers, "Authorization": "Bearer tw_nope"})
    assert (await wrong.ask("GET", "/me")).status == 401


@pytest.mark.parametrize("value", ["", "x", "x" * 43, "x" * 5000, "\u00e9" * 30, "tw_" + "x" * 40])
async def test_a_cookie_that_is_none_of_ours_is_nobody(any_site, client, value):
    caller = Caller(any_site, client, {"Cookie": f"{COOKIE}={value}", CSRF_HEADER: "x"})
    for method, path in (("GET", "/me"), ("POST", "/segments")):
        answer = await caller.ask(method, path, {"body": "Hello"} if method == "POST" else None)
        assert (answer.status, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


@EACH
def test_whatever_changes_something_is_not_for_readers(endpoint):
    """Some only ask; and everybody may change their own password."""
    only_ask = ("explain", "preview_broadcast", "count_segments")
    if endpoint.method != "GET" and endpoint.operation_id not in (*only_ask, "change_own_password"):
        assert endpoint.role != "read"


@EACH
async def test_unknown_query_parameters_are_refused(any_site, client, endpoint):
    headers = {"Authorization": f"Bearer {any_site.tokens['admin']}"}
    url = URL(_url(any_site, endpoint)).with_query(colour="red")
    async with client.request(endpoint.method, url, headers=headers) as response:
        await _problem(response, 422)


@pytest.mark.parametrize(
    "endpoint",
    [endpoint for endpoint in ENDPOINTS if endpoint.body is not Nothing],
    ids=lambda endpoint: endpoint.operation_id,
)
class TestBodies:
    async def test_what_is_no_json_is_400(self, any_site, client, endpoint):
        headers = {"Authorization": f"Bearer {any_site.tokens['admin']}"}
        for body in (b"{", b"\xff", b'{"name": NaN}', b'"\\ud800"'):
            url = _url(any_site, endpoint)
            async with client.request(endpoint.method, url, headers=headers, data=body) as response:
                await _problem(response, 400)

    async def test_json_that_is_no_object_is_422(self, any_site, client, endpoint):
        headers = {"Authorization": f"Bearer {any_site.tokens['admin']}"}
        for body in (b"[]", b"5", b"null", b'"x"', b'{"colour": "red"}'):
            url = _url(any_site, endpoint)
            async with client.request(endpoint.method, url, headers=headers, data=body) as response:
                await _problem(response, 422)

    async def test_a_body_that_is_too_large_is_413(self, any_site, client, endpoint):
        headers = {"Authorization": f"Bearer {any_site.tokens['admin']}"}
        body = orjson.dumps({"name": "x" * 70_000})
        async with client.request(endpoint.method, _url(any_site, endpoint), headers=headers, data=body) as response:
            await _problem(response, 413)


async def test_a_path_that_there_is_not_is_404(any_site, client):
    for path in ("/nope", "/api/v1/nope", "/api/v2/contacts", "/webhooks/nope", "/simulator/nope/sent"):
        method = "POST" if path.startswith("/webhooks") else "GET"
        async with client.request(method, f"{any_site.server.url}{path}") as response:
            await _problem(response, 404)


async def test_a_method_that_a_path_has_not_is_405_and_says_which_it_has(any_site, client):
    for method, path, allowed in (
        ("DELETE", "/api/v1/contacts", {"GET", "HEAD", "POST"}),
        ("PUT", "/api/v1/messages", {"GET", "HEAD", "POST"}),
        ("GET", "/webhooks/sim", {"POST"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ):
        async with client.request(method, f"{any_site.server.url}{path}") as response:
            await _problem(response, 405)
            assert set(response.headers["Allow"].split(",")) == allowed


async def test_a_webhook_that_is_no_json_is_400_and_one_too_large_413(any_site, client):
    url = f"{any_site.server.url}/webhooks/sim"
    async with client.post(url, data=b"{") as response:
        await _problem(response, 400)
    async with client.post(url, data=b"x" * 70_000) as response:
        await _problem(response, 413)


async def test_what_nobody_foresaw_is_500_without_a_word_of_it_and_logged_with_the_declared_path(aiohttp_client):
    async def broken(_request: web.Request) -> web.Response:
        raise RuntimeError("the secret of +12025550142")

    app = web.Application(middlewares=[problems])
    app.add_routes([web.get("/people/{phone}", broken)])
    client = await aiohttp_client(app)
    with structlog.testing.capture_logs() as logs:
        response = await client.get("/people/+12025550142")
    problem = await _problem(response, 500)
    assert "secret" not in problem["detail"]
    (line,) = logs
    assert orjson.loads(orjson.dumps(line)) == {
        "event": "request.failed",
        "log_level": "error",
        "method": "GET",
        "path": "/people/{phone}",
        "exc_info": True,
    }
