"""Signing in, on both engines and with a clock of our own: sessions, their limits, and what wrong passwords lead to."""

from __future__ import annotations

import asyncio

import pytest
from argon2 import PasswordHasher

from bot.clock import MICROSECONDS
from bot.store.open import open_store
from bot.users import (
    SignInRefused,
    add_user,
    end_session,
    find_session,
    hash_password,
    is_right,
    sign_in,
    weakness,
)  # fmt: skip
from tests.web.browser import PASSWORD

NOW = 1_790_000_000 * MICROSECONDS
MINUTE, HOUR, DAY = 60 * MICROSECONDS, 3600 * MICROSECONDS, 86_400 * MICROSECONDS
HOME, AWAY = "192.0.2.1", "198.51.100.7"
LIMITS = {"idle_hours": 12.0, "days": 7.0}
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
NOT = "That is not a user's name and password."


@pytest.fixture
async def store(store_url, tmp_path):
    async with open_store(store_url, tmp_path) as opened:
        await made(opened, "ana")
        yield opened


async def made(store, name):
    """A user whose password costs little to check, for there are many to be checked."""
    hash_ = CHEAP.hash(PASSWORD)
    async with store.transaction() as transaction:
        await add_user(transaction, name, "", "staff", hash_, NOW)


async def refused(store, name="ana", password="wrong-otter-99", address=HOME, now=NOW) -> SignInRefused:
    with pytest.raises(SignInRefused) as caught:
        await sign_in(store, name, password, address, now)
    return caught.value


async def rows(store, query, **parameters):
    async with store.snapshot() as transaction:
        return [dict(row) for row in await transaction.rows(query, **parameters)]


async def change(store, query, **parameters):
    async with store.transaction() as transaction:
        await transaction.rows(query, **parameters)


async def test_the_right_password_begins_a_session_of_which_only_the_hash_is_kept(store):
    cookie, session = await sign_in(store, "ana", PASSWORD, HOME, NOW)
    assert (session.actor.name, session.actor.role, session.actor.kind) == ("ana", "staff", "user")
    assert await find_session(store, cookie, NOW, **LIMITS) == session
    assert len(cookie) == len(session.csrf) == 43
    assert cookie != session.csrf
    (kept,) = await rows(store, "find_session", hash=session.hash)
    assert cookie not in str(kept)
    assert session.hash != cookie
    other, second = await sign_in(store, "ana", PASSWORD, HOME, NOW)
    assert len({cookie, other, session.csrf, second.csrf}) == 4
    (user,) = await rows(store, "user_named", name="ana")
    assert user["seen_at"] == NOW


async def test_a_name_is_taken_as_people_type_it(store):
    for name in ("ana", "ANA", " Ana\t"):
        assert (await sign_in(store, name, PASSWORD, HOME, NOW))[1].actor.name == "ana"


async def test_whatever_is_wrong_the_answer_is_the_same(store):
    for number, (name, password) in enumerate(
        [
            ("ana", "wrong-otter-99"),
            ("ana", ""),
            ("ana", PASSWORD + " "),
            ("ana", PASSWORD.upper()),
            ("ana", "x" * 100_000),
            ("ana", "lone \ud800"),
            ("nobody", PASSWORD),
            ("", PASSWORD),
            ("a\0na", PASSWORD),
            ("lone \ud800", PASSWORD),
            ("x" * 10_000, PASSWORD),
        ]
    ):
        error = await refused(store, name, password, f"192.0.2.{number}")
        assert (str(error), error.retry_after) == (NOT, None)


async def test_a_user_who_may_not_sign_in_is_answered_as_somebody_unknown(store):
    (user,) = await rows(store, "user_named", name="ana")
    await change(store, "change_user", id=user["id"], full_name="", role="staff", active=0, now=NOW)
    assert str(await refused(store, "ana", PASSWORD)) == NOT


async def test_a_password_is_checked_also_for_who_is_unknown_so_that_the_time_tells_nothing(store, monkeypatch):
    asked = []

    async def watched(stored, password):
        asked.append(stored)
        return await is_right(stored, password)

    monkeypatch.setattr("bot.users.is_right", watched)
    await refused(store, "ana")
    await refused(store, "nobody")
    assert len(asked) == 2
    assert asked[1].startswith("$argon2id$v=19$m=19456,t=2,p=1$"), "as costly as that of a real user"


async def test_of_a_password_that_is_too_long_not_the_beginning_counts(store):
    long = "quiet otter " * 20
    hash_ = await hash_password(long[:200])
    (user,) = await rows(store, "user_named", name="ana")
    await change(store, "set_password", id=user["id"], password=hash_, now=NOW)
    await refused(store, "ana", long)
    await sign_in(store, "ana", long[:200], HOME, NOW)


async def test_after_five_wrong_passwords_one_waits_longer_and_longer(store):
    for _ in range(5):
        assert (await refused(store)).retry_after is None
    now, waits = NOW, []
    for _ in range(10):
        error = await refused(store, password=PASSWORD, now=now)
        assert error.retry_after is not None
        assert str(error) == f"Too many wrong passwords. Try again in {error.retry_after} seconds."
        waits.append(error.retry_after)
        now += error.retry_after * MICROSECONDS
        assert (await refused(store, now=now)).retry_after is None
    assert waits[:4] == sorted(set(waits[:4]))
    assert waits == sorted(waits)
    assert 3 <= waits[0] <= 5
    assert 890 <= waits[-1] <= 901


async def test_once_the_time_has_passed_the_right_password_is_taken_and_all_is_forgotten(store):
    for _ in range(5):
        await refused(store)
    seconds = (await refused(store, password=PASSWORD)).retry_after
    assert (await refused(store, password=PASSWORD, now=NOW + (seconds - 2) * MICROSECONDS)).retry_after in (1, 2)
    later = NOW + seconds * MICROSECONDS
    await sign_in(store, "ana", PASSWORD, HOME, later)
    for _ in range(5):
        assert (await refused(store, now=later)).retry_after is None


async def test_wrong_passwords_of_long_ago_do_not_count(store):
    for hour in range(8):
        for _ in range(4):
            assert (await refused(store, now=NOW + hour * 2 * HOUR)).retry_after is None
    await sign_in(store, "ana", PASSWORD, HOME, NOW + 20 * HOUR)


async def test_who_guesses_locks_nobody_else_out(store):
    await made(store, "bo")
    for _ in range(6):
        await refused(store, address=AWAY)
    assert (await refused(store, password=PASSWORD, address=AWAY)).retry_after
    await sign_in(store, "ana", PASSWORD, HOME, NOW)
    await sign_in(store, "bo", PASSWORD, AWAY, NOW)


async def test_who_guesses_many_names_from_one_address_waits_too(store, monkeypatch):
    monkeypatch.setattr("bot.users._NOBODY", CHEAP.hash("nobody's"))
    for number in range(30):
        assert (await refused(store, f"user{number}")).retry_after is None
    error = await refused(store, "ana", PASSWORD)
    assert 1 <= error.retry_after <= 60
    await sign_in(store, "ana", PASSWORD, AWAY, NOW)
    await sign_in(store, "ana", PASSWORD, HOME, NOW + 61 * MICROSECONDS)


async def test_guesses_that_come_at_once_are_counted_each(store):
    """What is checked while others fail is not free: after five even the right password has to wait."""
    guesses = [f"wrong-otter-{number}" for number in range(13)]
    done = await asyncio.gather(
        *(sign_in(store, "ana", password, HOME, NOW) for password in guesses), return_exceptions=True
    )
    assert [result for result in done if not isinstance(result, SignInRefused)] == []
    assert sum(result.retry_after is None for result in done) == 5
    assert (await refused(store, password=PASSWORD)).retry_after


async def test_signing_in_and_failing_to_is_in_the_audit_log(store):
    await refused(store)
    await refused(store, "nobody")
    await sign_in(store, "ana", PASSWORD, HOME, NOW)
    log = await rows(store, "page_audit", actor=None, operation=None, contact=None, cursor=2**62, limit=10)
    assert [(row["operation"], row["actor"]) for row in log] == [
        ("sign_in", "user ana"), ("sign_in_refused", "user ana"),
    ]  # fmt: skip
    assert PASSWORD not in str(log)


async def test_a_session_that_is_used_lives_until_it_is_too_old(store):
    cookie, _ = await sign_in(store, "ana", PASSWORD, HOME, NOW)
    for hours in range(0, 7 * 24, 11):
        assert await find_session(store, cookie, NOW + hours * HOUR, **LIMITS), f"after {hours} hours"
    assert await find_session(store, cookie, NOW + 7 * DAY, **LIMITS)
    assert await find_session(store, cookie, NOW + 7 * DAY + MINUTE, **LIMITS) is None
    assert await find_session(store, cookie, NOW, **LIMITS) is None, "it has ended for good"


async def test_a_session_that_is_not_used_ends(store):
    cookie, session = await sign_in(store, "ana", PASSWORD, HOME, NOW)
    assert await find_session(store, cookie, NOW + 12 * HOUR, **LIMITS)
    assert await find_session(store, cookie, NOW + 24 * HOUR + MINUTE, **LIMITS) is None
    assert await rows(store, "find_session", hash=session.hash) == []


@pytest.mark.parametrize(
    ("limits", "hours"), [({"idle_hours": 0.5, "days": 7.0}, 1), ({"idle_hours": 99, "days": 0.25}, 7)]
)
async def test_the_limits_are_those_of_the_configuration(store, limits, hours):
    cookie, _ = await sign_in(store, "ana", PASSWORD, HOME, NOW)
    assert await find_session(store, cookie, NOW + HOUR // 4, **limits)
    assert await find_session(store, cookie, NOW + hours * HOUR, **limits) is None


async def test_signing_out_ends_this_session_and_no_other(store):
    (first, session), (second, _) = [await sign_in(store, "ana", PASSWORD, HOME, NOW) for _ in range(2)]
    await end_session(store, session)
    assert await find_session(store, first, NOW, **LIMITS) is None
    assert await find_session(store, second, NOW, **LIMITS)


async def test_what_is_no_cookie_of_ours_is_no_session(store):
    for cookie in ("", "x", "x" * 19, "x" * 43, "x" * 101, "\ud800" * 43, "\0" * 43):
        assert await find_session(store, cookie, NOW, **LIMITS) is None


@pytest.mark.parametrize(
    ("password", "right"),
    [
        (PASSWORD, True),
        ("x1y2z3w4v5", True),
        ("ten chars!", True),
        ("nine char", False),
        ("abababababab", False),
        ("my name is ana maria", True),
        ("i am ANNABEL really", True),
        ("Annabel-99", False),
        ("ottersOTTERS", False),
        ("20261122-20", False),
        ("Qwerty!!!!1", False),
    ],
)
def test_a_weak_password_is_one_that_is_short_or_plain_or_says_a_name(password, right):
    assert (weakness(password, "annabel", ["Otters", "Ana", "&"]) is None) is right
