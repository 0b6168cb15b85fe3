"""Who may do what, for every endpoint that there is; and that every error is problem+json."""

from __future__ import annotations

import orjson
import pytest
import structlog
from aiohttp import web
from yarl import URL

from bot.tokens import ROLES, Role
from bot.web.api import ENDPOINTS
from bot.web.endpoints import PREFIX, Endpoint, Nothing
from bot.web.problems import problems

_RANK: dict[Role, int] = {"read": 0, "staff": 1, "admin": 2}
EACH = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation_id)


def _url(site, endpoint: Endpoint) -> str:
    path = endpoint.path.format(id="nope", number="+12025550142", tag="x", list="nope", workflow="nope")
    return f"{site.server.url}{PREFIX}{path}"


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


@EACH
def test_whatever_changes_something_is_not_for_readers(endpoint):
    """explain only asks."""
    if endpoint.method != "GET" and endpoint.operation_id != "explain":
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
