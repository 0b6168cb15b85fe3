"""What every endpoint that changes something has in common, asked of each: the audit log, ETags, Idempotency-Keys."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from bot.web.api import ENDPOINTS
from bot.web.endpoints import Endpoint
from tests.web.browser import PASSWORD, Answered, Caller, by_token, signed_in
from tests.web.operations import MEDIA, OPERATIONS, TEXT, Asked, World
from tests.web.tables import rows_of

CHANGING = [endpoint for endpoint in ENDPOINTS if endpoint.changes and not endpoint.upload]
WITH_KEY = [endpoint for endpoint in CHANGING if endpoint.takes_key]
GUARDED = [endpoint for endpoint in ENDPOINTS if endpoint.if_match]


def each(endpoints: list[Endpoint]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("endpoint", endpoints, ids=lambda endpoint: endpoint.operation_id)


@pytest.fixture
def world(site, client, new_phone):
    return World(site, client, new_phone)


@pytest.fixture
async def boss(site, client):
    """A browser of an admin who has done nothing yet."""
    return await signed_in(site, client, "admin")


async def send(endpoint: Endpoint, asked: Asked, caller: Caller, **headers: str) -> Answered:
    caller = asked.by or caller
    path = endpoint.path.format(**asked.path)
    return await caller.ask(endpoint.method, path, asked.body, asked.query, **headers)


def resource(endpoint: Endpoint, asked: Asked) -> str:
    """The path of what the request changes."""
    path = endpoint.path
    for whole in ("/contacts/{id}", "/conversations/{id}", "/routes/{route}"):
        path = whole if whole in path else path
    return path.format(**asked.path)


async def deeds(api, name: str) -> list[dict]:
    """What a user did, by the audit log, the oldest first."""
    return (await api.get("/audit", actor=f"user {name}"))["items"][::-1]


def test_every_operation_that_changes_something_has_a_request_to_be_tested_with():
    assert {endpoint.operation_id for endpoint in CHANGING} == set(OPERATIONS)


@each(CHANGING)
async def test_a_change_is_in_the_audit_log_once_with_who_did_what_to_which_thing_and_no_secret(world, boss, endpoint):
    asked = await OPERATIONS[endpoint.operation_id](world)
    answer = await send(endpoint, asked, boss, Idempotency_Key=f"key of {boss.name}")
    assert answer.status == (endpoint.status if endpoint.response else 204), answer.text
    name = (asked.by or boss).name
    rows = await deeds(world.api, name)
    if not endpoint.is_audited:
        assert rows == []
        return
    (row,) = rows
    assert (row["actor"], row["operation"]) == (f"user {name}", endpoint.operation_id)
    for secret in (PASSWORD, TEXT, MEDIA, (answer.json or {}).get("secret") or PASSWORD):
        assert secret not in str(row)
    kept = str(await rows_of(world.site, "idempotency_keys"))
    assert all(secret not in kept for secret in (PASSWORD, "argon2", "tw_"))


async def test_what_is_refused_is_not_in_the_audit_log(any_site, client):
    api, boss = any_site.api(client), await signed_in(any_site, client, "admin")
    names = {"id": "nope", "number": "+12025550142", "tag": "x", "list": "nope", "workflow": "nope", "route": "nope"}
    done = []
    for endpoint in CHANGING:
        answer = await boss.ask(endpoint.method, endpoint.path.format(**names), {"colour": "red"})
        done += [endpoint.operation_id] if answer.status < 400 else []
    # They take nothing that could be wrong.
    assert set(done) <= {"reload_rules", "sync_own_numbers"}
    assert [row["operation"] for row in await deeds(api, boss.name)] == done


@each(GUARDED)
async def test_a_change_of_what_somebody_else_changed_meanwhile_is_refused_and_changes_nothing(world, boss, endpoint):
    asked = await OPERATIONS[endpoint.operation_id](world)
    path = resource(endpoint, asked)
    before = await boss.ask("GET", path)
    for stale in ('"stale"', '"a", "b"', f"W/{before.headers['ETag']}", "stale"):
        answer = await send(endpoint, asked, boss, If_Match=stale)
        assert answer.status == 412, answer.text
        assert answer.headers["Content-Type"].startswith("application/problem+json")
    after = await boss.ask("GET", path)
    assert (after.text, after.headers["ETag"]) == (before.text, before.headers["ETag"])
    assert await deeds(world.api, boss.name) == []


@pytest.mark.parametrize("tag", ["*", "one of many"])
@each(GUARDED)
async def test_a_change_of_what_is_as_it_was_seen_passes_and_tells_the_new_etag(world, boss, endpoint, tag):
    asked = await OPERATIONS[endpoint.operation_id](world)
    path = resource(endpoint, asked)
    right = await boss.etag(path)
    answer = await send(endpoint, asked, boss, If_Match="*" if tag == "*" else f'"old", {right} , "new"')
    assert answer.status < 300, answer.text
    if answer.text:
        assert answer.headers["ETag"] == await boss.etag(path)
    again = await send(endpoint, asked, boss, If_Match=right)
    assert again.status in (404, 412), "it is not as it was, or not there any more"


@pytest.mark.parametrize("endpoint", [e for e in ENDPOINTS if e.has_etag and "{" not in e.path], ids=lambda e: e.path)
async def test_what_has_not_changed_is_not_sent_again(boss, endpoint):
    first = await boss.ask("GET", endpoint.path)
    tag = first.headers["ETag"]
    for known in (tag, f"W/{tag}", f'"old", {tag}'):
        again = await boss.ask("GET", endpoint.path, If_None_Match=known)
        assert (again.status, again.text, again.headers["ETag"]) == (304, "", tag)
    other = await boss.ask("GET", endpoint.path, If_None_Match='"old"')
    assert (other.status, other.text) == (200, first.text)


async def test_a_contact_has_another_etag_when_anything_of_it_has_changed(world, boss):
    id_ = await world.contact()
    path, seen = f"/contacts/{id_}", set()
    number = world.phone()
    changes = [
        ("PATCH", path, {"name": "Bo"}),
        ("PUT", f"{path}/tags/vip", None),
        ("PUT", f"/lists/club/contacts/{id_}", None),
        ("POST", f"{path}/phones", {"number": number}),
        ("PATCH", f"{path}/phones/{number}", {"opted_in": True, "reason": "asked"}),
    ]
    for method, where, body in changes:
        before = await boss.etag(path)
        assert (await boss.ask(method, where, body)).status < 300
        known = await boss.ask("GET", path, If_None_Match=before)
        assert known.status == 200
        seen |= {before, known.headers["ETag"]}
    assert len(seen) == len(changes) + 1


async def test_of_two_who_change_the_same_at_once_with_if_match_one_is_refused(world, boss):
    answer = await world.made("/answers", {"name": f"race of {boss.name}", "body": TEXT})
    name = await world.list()
    user = await world.made("/users", {"name": f"race.{boss.name}", "password": PASSWORD})
    for path, method, bodies in (
        (f"/contacts/{await world.contact()}", "PATCH", [{"name": str(number)} for number in range(6)]),
        (f"/answers/{answer['id']}", "PUT", [{"name": answer["name"], "body": str(number)} for number in range(6)]),
        (f"/users/{user['id']}", "PATCH", [{"full_name": str(number)} for number in range(6)]),
        (f"/lists/{name}", "PATCH", [{"purpose": "marketing"}] * 6),
    ):
        tag = await boss.etag(path)
        answers = await asyncio.gather(*(boss.ask(method, path, body, If_Match=tag) for body in bodies))
        assert sorted(answer.status for answer in answers) == [200, 412, 412, 412, 412, 412], path


class TestIdempotencyKeys:
    @each(WITH_KEY)
    async def test_what_is_sent_twice_under_one_key_is_done_once_and_answered_twice(self, world, boss, endpoint):
        asked = await OPERATIONS[endpoint.operation_id](world)
        key = f"key of {boss.name}"
        first = await send(endpoint, asked, boss, Idempotency_Key=key)
        assert first.status < 300, first.text
        assert "Idempotent-Replayed" not in first.headers
        second = await send(endpoint, asked, boss, Idempotency_Key=key)
        assert (second.status, second.text) == (first.status, first.text)
        assert second.headers["Idempotent-Replayed"] == "true"
        assert second.headers.get("ETag") == first.headers.get("ETag")
        assert len(await deeds(world.api, boss.name)) == int(endpoint.is_audited)

    async def test_what_is_sent_many_times_at_once_under_one_key_is_done_once(self, world, boss):
        customer = await world.texted("HOURS")
        await customer.wait_for(1)
        body = {"to": {"phone": customer.phone}, "body": TEXT}
        answers = await asyncio.gather(
            *(boss.ask("POST", "/messages", body, Idempotency_Key=f"at once {boss.name}") for _ in range(8))
        )
        assert {(answer.status, answer.text) for answer in answers} == {(202, answers[0].text)}
        assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
        assert (await customer.wait_for(2))[1:] == [TEXT]
        assert await customer.quiet() == ["9 to 5", TEXT]

    async def test_another_request_under_the_same_key_is_refused(self, world, boss):
        id_, other = await world.contact(), await world.contact()
        key = {"Idempotency_Key": "a note"}
        note = {"body": TEXT}
        assert (await boss.ask("POST", f"/contacts/{id_}/notes", note, **key)).status == 201
        for path, body in (
            (f"/contacts/{id_}/notes", {"body": TEXT + "!"}),
            (f"/contacts/{other}/notes", note),
            ("/lists", {"name": f"list of {boss.name}"}),
        ):
            answer = await boss.ask("POST", path, body, **key)
            assert (answer.status, "Idempotency-Key" in answer.json["detail"]) == (422, True)
        assert len((await world.api.get(f"/contacts/{id_}/notes"))["items"]) == 1
        assert (await world.api.get(f"/contacts/{other}/notes"))["items"] == []

    async def test_one_callers_key_is_not_anothers(self, world, boss, site, client):
        id_ = await world.contact()
        # A token may have a user's name.
        _, token = await world.api.call("POST", "/tokens", {"name": boss.name})
        callers = [boss, await signed_in(site, client, "staff"), by_token(world.api, site)]
        callers.append(Caller(site, client, {"Authorization": f"Bearer {token['secret']}"}))
        for caller in callers:
            path = f"/contacts/{id_}/notes"
            answer = await caller.ask("POST", path, {"body": TEXT}, Idempotency_Key=f"same {boss.name}")
            assert (answer.status, "Idempotent-Replayed" in answer.headers) == (201, False)
        assert len((await world.api.get(f"/contacts/{id_}/notes"))["items"]) == len(callers)

    async def test_a_failure_is_not_kept(self, world, boss):
        name = f"later {boss.name}"
        body = {"name": "Ana", "phones": [{"number": world.phone()}], "lists": [name]}
        key = {"Idempotency_Key": f"failed {boss.name}"}
        assert (await boss.ask("POST", "/contacts", body, **key)).status == 422
        await world.list(name=name)
        answer = await boss.ask("POST", "/contacts", body, **key)
        assert (answer.status, "Idempotent-Replayed" in answer.headers) == (201, False)
        assert (await boss.ask("POST", "/contacts", body, **key)).headers["Idempotent-Replayed"] == "true"

    async def test_an_answer_with_a_secret_is_not_kept(self, world, boss):
        body = {"name": f"secret {boss.name}"}
        key = {"Idempotency_Key": f"secret {boss.name}"}
        first = await boss.ask("POST", "/tokens", body, **key)
        assert (first.status, first.json["secret"][:3]) == (201, "tw_")
        assert (await boss.ask("POST", "/tokens", body, **key)).status == 409
        assert first.json["secret"] not in str(await rows_of(world.site, "idempotency_keys"))

    @pytest.mark.parametrize("key", ["", "x" * 256, "h\u00e9"])
    async def test_what_cannot_be_a_key_is_refused(self, world, boss, key):
        answer = await boss.ask("POST", "/lists", {"name": "never made"}, Idempotency_Key=key)
        assert answer.status == 422
        assert (await world.api.call("GET", "/lists/never made"))[0] == 404

    async def test_nothing_of_a_deleted_person_is_kept_under_a_key(self, world, boss):
        customer = await world.texted("HOURS")
        contact = await world.api.contact_of(customer.phone)
        (conversation,) = (await world.api.get("/conversations", phone=customer.phone))["items"]
        number, path = world.phone(), f"/contacts/{contact['id']}"
        asked = [
            (f"{path}/phones", {"number": number}),
            (f"{path}/notes", {"body": f"{TEXT} for {contact['id']}"}),
            (f"/conversations/{conversation['id']}/messages", {"body": f"{TEXT} for {contact['id']}"}),
            ("/messages", {"to": {"phone": customer.phone}, "body": "Hello"}),
        ]
        for place, (where, body) in enumerate(asked):
            answer = await boss.ask("POST", where, body, Idempotency_Key=f"{place} {boss.name}")
            assert answer.status in (201, 202), answer.text
        assert (await boss.ask("DELETE", path, query={"confirm": "true"})).status == 204
        kept = str(await rows_of(world.site, "idempotency_keys"))
        for secret in (number, customer.phone, contact["id"]):
            assert secret not in kept
        again = await boss.ask("POST", asked[0][0], asked[0][1], Idempotency_Key=f"0 {boss.name}")
        assert again.status >= 400, "nobody is there whom it could be about"


async def test_the_audit_log_is_paged_and_filtered(world, boss):
    id_ = await world.contact()
    for name in ("one", "two", "three"):
        assert (await boss.ask("PATCH", f"/contacts/{id_}", {"name": name})).status == 200
    await boss.ask("PUT", f"/contacts/{id_}/tags/vip")
    found, cursor = [], None
    while True:
        query = {"actor": f"user {boss.name}", "contact": id_, "operation": "change_contact", "limit": "2"}
        page = (await boss.ask("GET", "/audit", query=query | ({"cursor": cursor} if cursor else {}))).json
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [row["detail"] for row in found] == [{"body": {"name": name}} for name in ("three", "two", "one")]
    assert len(orjson.dumps((await boss.ask("GET", "/audit", query={"actor": "nobody"})).json["items"])) == 2
    assert (await boss.ask("GET", "/audit", query={"cursor": "nope"})).status == 422
