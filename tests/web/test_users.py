"""Users and tokens over the API: who may sign in, with which password, and that somebody always may do everything."""

from __future__ import annotations

import asyncio

import pytest

from bot.clock import MICROSECONDS, system_clock
from bot.users import is_right
from tests.web.browser import PASSWORD, Caller, session_of, signed_in, store_of
from tests.web.tables import execute, rows_of


@pytest.fixture
def named(new_phone):
    """A name that nobody has."""
    return f"user{new_phone()}"


async def stored(site, name):
    (row,) = [row for row in await rows_of(site, "users") if row["name"] == name]
    return row


async def test_a_user_is_made_whose_password_is_kept_as_an_argon2id_hash_only(site, admin, named):
    body = {"name": named, "full_name": "Ana Ortiz", "role": "staff", "password": PASSWORD}
    status, made = await admin.call("POST", "/users", body)
    assert status == 201
    assert made == await admin.get(f"/users/{made['id']}")
    assert made in (await admin.get("/users"))["items"]
    assert {name: made[name] for name in ("name", "full_name", "role", "active", "seen_at")} == {
        "name": named, "full_name": "Ana Ortiz", "role": "staff", "active": True, "seen_at": None,
    }  # fmt: skip
    row = await stored(site, named)
    assert row["password"].startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await is_right(row["password"], PASSWORD)
    assert not await is_right(row["password"], PASSWORD + "x")
    assert PASSWORD not in str(await rows_of(site, "users"))


async def test_the_same_password_has_another_hash_for_everybody(site, admin, named):
    for name in (f"{named}a", f"{named}b"):
        assert (await admin.call("POST", "/users", {"name": name, "password": PASSWORD}))[0] == 201
    first, second = await stored(site, f"{named}a"), await stored(site, f"{named}b")
    assert first["password"] != second["password"]
    assert first["role"] == second["role"] == "staff"


async def test_a_name_is_given_once_also_when_two_ask_at_once(admin, named):
    body = {"name": named, "password": PASSWORD}
    answers = await asyncio.gather(*(admin.call("POST", "/users", body) for _ in range(3)))
    assert sorted(status for status, _ in answers) == [201, 409, 409]
    problem = next(problem for status, problem in answers if status == 409)
    assert problem["detail"] == f"There is a user '{named}' already."


@pytest.mark.parametrize("name", ["", "Ana", "ana ortiz", "é", "-ana", "ana\n", "a/b", "ana\u0000", "a" * 101])
async def test_what_cannot_be_signed_in_with_is_no_name(any_site, client, name):
    status, problem = await any_site.api(client).call("POST", "/users", {"name": name, "password": PASSWORD})
    assert (status, problem["errors"][0]["field"] if "errors" in problem else "name") == (422, "name")


@pytest.mark.parametrize("name", ["a", "7", "a.b_c@d+e-f", "a" * 100])
async def test_small_letters_digits_and_email_addresses_are_names(any_site, client, name):
    assert (await any_site.api(client).call("POST", "/users", {"name": name, "password": PASSWORD}))[0] == 201


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short-one", "at least 10 characters"),
        ("x" * 201, "at most 200 characters"),
        ("aaaaaaaaaabb", "the same few characters"),
        ("corner-99", "at least 10 characters"),
        ("CORNERcorner1", "the user's or the business's name"),
        ("penelope-1999", "the user's or the business's name"),
        ("with\u0000a-nothing", "NUL"),
        ("1234567890", "among the first"),
        ("Password-123", "among the first"),
    ],
)
async def test_a_password_that_is_soon_guessed_is_refused_wherever_it_is_given(any_site, client, password, why):
    admin = any_site.api(client)
    users = (await admin.get("/users"))["items"]
    known = next((user for user in users if user["name"] == "penelope"), None)
    if known is None:
        _, known = await admin.call("POST", "/users", {"name": "penelope", "password": PASSWORD})
    async with store_of(any_site) as store:
        own = Caller(any_site, client, await session_of(store, "penelope"))
    asked = [
        await admin.call("POST", "/users", {"name": "penelope", "password": password}),
        await admin.call("PATCH", f"/users/{known['id']}", {"password": password}),
    ]
    answer = await own.ask("POST", "/me/password", {"present": PASSWORD, "password": password})
    for status, problem in [*asked, (answer.status, answer.json)]:
        assert status == 422
        assert why in problem["detail"]
        assert password not in str(problem)
    assert await is_right((await stored(any_site, "penelope"))["password"], PASSWORD)


async def test_who_calls_is_told_who_they_are(site, client, admin):
    browser = await signed_in(site, client, "staff")
    assert (await browser.ask("GET", "/me")).json == {"name": browser.name, "role": "staff", "kind": "user"}
    assert await admin.get("/me") == {"name": "the admin", "role": "admin", "kind": "token"}


async def test_a_user_who_is_changed_may_what_they_may_now_at_once(site, client, admin):
    browser = await signed_in(site, client, "staff")
    id_ = (await stored(site, browser.name))["id"]
    note = ("POST", "/lists", {"name": f"of {browser.name}"})
    status, changed = await admin.call("PATCH", f"/users/{id_}", {"role": "read", "full_name": "Bo"})
    assert (status, changed["role"], changed["full_name"]) == (200, "read", "Bo")
    assert (await browser.ask(*note)).status == 403
    await admin.call("PATCH", f"/users/{id_}", {"role": "staff"})
    assert (await browser.ask(*note)).status == 201
    assert (await admin.get(f"/users/{id_}"))["full_name"] == "Bo"


@pytest.mark.parametrize("how", ["deactivated", "deleted", "given a new password"])
async def test_a_user_who_is_no_more_what_they_were_is_signed_out_everywhere(site, client, admin, how):
    browser = await signed_in(site, client, "staff")
    async with store_of(site) as store:
        other = Caller(site, client, await session_of(store, browser.name))
    id_ = (await stored(site, browser.name))["id"]
    method, body = {
        "deactivated": ("PATCH", {"active": False}),
        "deleted": ("DELETE", None),
        "given a new password": ("PATCH", {"password": "another-otter-43"}),
    }[how]
    assert (await other.ask("GET", "/me")).status == 200
    assert (await admin.call(method, f"/users/{id_}", body))[0] in (200, 204)
    for caller in (browser, other):
        assert (await caller.ask("GET", "/me")).status == 401
    assert id_ not in {row["user_id"] for row in await rows_of(site, "sessions")}
    if how == "deactivated":
        # Whoever comes back signs in again.
        assert (await admin.call("PATCH", f"/users/{id_}", {"active": True}))[1]["active"] is True
        assert (await browser.ask("GET", "/me")).status == 401


async def test_a_browser_that_was_left_alone_for_too_long_is_signed_out(site, client):
    """[console] idle_hours and session_days, which are 12 and 7."""
    hour = 3600 * MICROSECONDS
    for column, age, status in (
        ("seen_at", 11 * hour, 200),
        ("seen_at", 13 * hour, 401),
        ("created_at", 167 * hour, 200),
        ("created_at", 169 * hour, 401),
    ):
        browser = await signed_in(site, client, "read")
        id_ = (await stored(site, browser.name))["id"]
        await execute(site, f"UPDATE sessions SET {column} = {system_clock() - age} WHERE user_id = '{id_}'")
        assert (await browser.ask("GET", "/me")).status == status, (column, age)


async def test_one_changes_ones_own_password_and_is_signed_out_everywhere(site, client, admin):
    browser = await signed_in(site, client, "read")
    wrong = await browser.ask("POST", "/me/password", {"present": "not-this-one", "password": "another-otter-43"})
    assert (wrong.status, wrong.json["errors"]) == (422, [{"field": "present", "detail": "wrong"}])
    assert (await browser.ask("GET", "/me")).status == 200
    done = await browser.ask("POST", "/me/password", {"present": PASSWORD, "password": "another-otter-43"})
    assert (done.status, done.json["name"]) == (200, browser.name)
    assert (await browser.ask("GET", "/me")).status == 401
    assert await is_right((await stored(site, browser.name))["password"], "another-otter-43")
    (row,) = (await admin.get("/audit", actor=f"user {browser.name}"))["items"]
    assert row["detail"] == {"body": {"present": "(not shown)", "password": "(not shown)"}}


async def test_a_token_has_no_password(admin):
    status, problem = await admin.call("POST", "/me/password", {"present": PASSWORD, "password": "another-otter-43"})
    assert (status, problem["detail"]) == (409, "A token has no password.")


@pytest.mark.parametrize("path", ["/users/nope", "/tokens/nope"])
async def test_who_is_not_there_is_404(admin, path):
    assert (await admin.call("DELETE", path))[0] == 404
    if path.startswith("/users"):
        assert (await admin.call("GET", path))[0] == (await admin.call("PATCH", path, {}))[0] == 404


class TestTheLastAdmin:
    @pytest.fixture
    async def admins(self, site, client, admin):
        """Two admins, and nobody else is one."""
        ids = [(await stored(site, (await signed_in(site, client, "admin")).name))["id"] for _ in range(2)]
        others = [row for row in await rows_of(site, "users") if row["role"] == "admin" and row["id"] not in ids]

        async def become(role):
            async with store_of(site) as store, store.transaction() as transaction:
                for row in others:
                    values = {"id": row["id"], "full_name": row["full_name"], "active": row["active"], "now": 1}
                    await transaction.rows("change_user", **values, role=role)

        await become("read")
        yield ids
        await become("admin")

    @pytest.mark.parametrize(
        ("method", "body"), [("PATCH", {"role": "staff"}), ("PATCH", {"active": False}), ("DELETE", None)]
    )
    async def test_the_last_admin_stays_one(self, admin, admins, method, body):
        first, last = admins
        assert (await admin.call(method, f"/users/{first}", body))[0] in (200, 204)
        status, problem = await admin.call(method, f"/users/{last}", body)
        assert (status, problem["detail"]) == (409, "This is the last admin. Make another one first.")
        assert (await admin.get(f"/users/{last}"))["role"] == "admin"
        # All else may be changed of them.
        changes = {"full_name": "Last", "role": "admin", "active": True, "password": "another-otter-43"}
        assert (await admin.call("PATCH", f"/users/{last}", changes))[0] == 200

    async def test_two_admins_cannot_both_go_at_once(self, admin, admins):
        demote = {"role": "staff"}
        answers = await asyncio.gather(*(admin.call("PATCH", f"/users/{id_}", demote) for id_ in admins * 3))
        left = [user for user in (await admin.get("/users"))["items"] if user["role"] == "admin" and user["active"]]
        assert len(left) == 1
        assert {status for status, _ in answers} == {200, 409}


class TestTokens:
    async def test_a_token_is_shown_once_and_only_its_hash_is_kept(self, site, client, admin, named):
        status, made = await admin.call("POST", "/tokens", {"name": named, "role": "read"})
        assert status == 201
        assert made["created_by"] == "token the admin"
        caller = Caller(site, client, {"Authorization": f"Bearer {made['secret']}"})
        assert (await caller.ask("GET", "/me")).json == {"name": named, "role": "read", "kind": "token"}
        (shown,) = [item for item in (await admin.get("/tokens"))["items"] if item["name"] == named]
        assert (shown["id"], shown["secret"]) == (made["id"], None)
        assert shown["seen_at"] is not None
        for table in ("tokens", "audit", "idempotency_keys"):
            assert made["secret"] not in str(await rows_of(site, table))

    async def test_a_revoked_token_is_nobodys_at_once(self, site, client, admin, named):
        _, made = await admin.call("POST", "/tokens", {"name": named})
        caller = Caller(site, client, {"Authorization": f"Bearer {made['secret']}"})
        assert (await caller.ask("GET", "/me")).status == 200
        assert (await admin.call("DELETE", f"/tokens/{made['id']}"))[0] == 204
        assert (await caller.ask("GET", "/me")).status == 401
        assert (await admin.call("POST", "/tokens", {"name": named}))[0] == 201

    async def test_a_tokens_name_is_given_once_also_when_two_ask_at_once(self, admin, named):
        answers = await asyncio.gather(*(admin.call("POST", "/tokens", {"name": named}) for _ in range(3)))
        assert sorted(status for status, _ in answers) == [201, 409, 409]
