"""textwright user: who may sign in to the console, from the command line."""

from __future__ import annotations

import asyncio
import io
import re
from pathlib import Path

import pytest

from bot.changes import write_people
from bot.clock import new_id, system_clock
from bot.people import Conversation
from bot.store.open import open_store
from bot.users import is_right, sign_in
from tests.server import Server

pytestmark = pytest.mark.slow

PASSWORD = "quiet-otter-42"


@pytest.fixture
def typed(monkeypatch):
    """Put a text on standard input."""
    return lambda text: monkeypatch.setattr("sys.stdin", io.StringIO(text))


def in_store(work):
    """What a coroutine function makes of the store of this folder."""

    async def run():
        async with open_store("sqlite:///textwright.db", Path.cwd(), exclusive=False) as store:
            return await work(store)

    return asyncio.run(run())


def users():
    async def read(store):
        async with store.snapshot() as transaction:
            return {row["name"]: dict(row) for row in await transaction.rows("all_users")}

    return in_store(read)


def audit():
    async def read(store):
        async with store.snapshot() as transaction:
            parameters = {"actor": None, "operation": None, "contact": None}
            return [dict(row) for row in await transaction.rows("page_audit", **parameters, cursor=2**62, limit=50)]

    return in_store(read)[::-1]


def test_a_user_is_made_with_a_password_from_standard_input(textwright, typed):
    typed(PASSWORD + "\n")
    done = textwright("user", "create", "ana", "--role", "staff", "--full-name", "Ana Ortiz", "--password-stdin")
    assert (done.code, done.out, done.err) == (0, "", "ana can sign in now.\n")
    user = users()["ana"]
    assert (user["role"], user["full_name"], user["active"]) == ("staff", "Ana Ortiz", 1)
    assert asyncio.run(is_right(user["password"], PASSWORD))
    assert PASSWORD not in str(user)
    cookie, _ = in_store(lambda store: sign_in(store, "ana", PASSWORD, "192.0.2.1", system_clock()))
    assert cookie


@pytest.mark.parametrize("ending", ["", "\n", "\r\n", "\nmore lines\n"])
def test_the_password_is_the_first_line_without_its_end(textwright, typed, ending):
    typed(PASSWORD + ending)
    assert textwright("user", "create", "ana", "--password-stdin").code == 0
    assert asyncio.run(is_right(users()["ana"]["password"], PASSWORD))


@pytest.mark.parametrize("how", [("--generate",), ()])
def test_a_password_is_made_and_shown_once_also_where_nobody_can_be_asked(textwright, typed, how):
    typed("")
    done = textwright("user", "create", "ana", *how)
    assert done.code == 0
    assert re.fullmatch(r"[\w-]{16}\n", done.out)
    assert done.err == "This password is shown once; only its hash is kept.\n"
    user = users()["ana"]
    assert user["role"] == "admin"
    assert asyncio.run(is_right(user["password"], done.out.strip()))
    again = textwright("user", "create", "bo", *how)
    assert again.out != done.out


def test_a_password_is_asked_for_twice_at_a_terminal(textwright, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr("sys.stdin", Terminal())
    answers = iter([PASSWORD, PASSWORD, PASSWORD, PASSWORD + "!"])
    monkeypatch.setattr("getpass.getpass", lambda _prompt: next(answers))
    assert textwright("user", "create", "ana").code == 0
    different = textwright("user", "password", "ana")
    assert (different.code, different.out) == (1, "")
    assert different.err == "Not taken: the two are not the same.\n"
    assert asyncio.run(is_right(users()["ana"]["password"], PASSWORD))


def test_a_new_password_ends_every_session(textwright, typed):
    textwright("user", "create", "ana", "--generate")

    async def sessions(store):
        async with store.transaction() as transaction:
            user = await transaction.row("user_named", name="ana")
            await transaction.rows("add_session", hash="h", user=user["id"], csrf="c", now=system_clock())
        return await found(store)

    async def found(store):
        async with store.snapshot() as transaction:
            return await transaction.row("find_session", hash="h")

    assert in_store(sessions) is not None
    typed("another-otter-43\n")
    done = textwright("user", "password", "ana", "--password-stdin")
    assert (done.code, done.out) == (0, "")
    assert in_store(found) is None
    assert asyncio.run(is_right(users()["ana"]["password"], "another-otter-43"))
    made = textwright("user", "password", "ana", "--generate")
    assert asyncio.run(is_right(users()["ana"]["password"], made.out.strip()))


def test_the_users_are_listed(textwright):
    assert textwright("user", "list").out == ""
    for name, role in (("bo@shop.example", "read"), ("ana", "staff")):
        textwright("user", "create", name, "--role", role, "--generate")
    assert textwright("user", "list").out == (
        "ana  staff  never signed in\nbo@shop.example  read  never signed in\n"
    )  # fmt: skip

    async def change(store):
        async with store.transaction() as transaction:
            user = await transaction.row("user_named", name="ana")
            values = {"id": user["id"], "full_name": "", "role": "staff", "active": 0}
            await transaction.rows("change_user", **values, now=1)
            await transaction.rows("user_seen", id=user["id"], now=1_772_323_200_000_000)

    in_store(change)
    first = textwright("user", "list").out.splitlines()[0]
    assert first == "ana  staff  may not sign in, last seen 2026-03-01T00:00:00.000Z"


def test_a_user_is_deleted(textwright):
    textwright("user", "create", "ana", "--generate")
    done = textwright("user", "delete", "ana")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert users() == {}
    assert textwright("user", "create", "ana", "--generate").code == 0


def test_the_conversations_of_a_user_who_is_deleted_are_nobodys(textwright):
    """Else the next of that name would find them theirs."""
    textwright("user", "create", "ana", "--generate")

    async def assigned(store):
        conversation = Conversation(
            new_id(), "+12025550131", "+12025550100", "sim", assigned_to="ana", created_at=system_clock()
        )
        async with store.transaction() as transaction:
            await write_people(transaction, [], [], [(None, conversation)], at=system_clock(), source="tests")

    async def whose(store):
        async with store.snapshot() as transaction:
            found = await transaction.rows("load_conversations", phones='["+12025550131"]')
        return [row["assigned_to"] for row in found]

    in_store(assigned)
    assert in_store(whose) == ["ana"]
    textwright("user", "delete", "ana")
    assert in_store(whose) == [""]


def test_who_is_there_already_or_not_at_all_is_said(textwright):
    textwright("user", "create", "ana", "--generate")
    before = users()
    done = textwright("user", "create", "ana", "--generate")
    assert (done.code, done.out, done.err) == (1, "", "There is a user 'ana' already.\n")
    for action in (("password", "bo", "--generate"), ("delete", "bo")):
        done = textwright("user", *action)
        assert (done.code, done.out, done.err) == (1, "", "There is no user 'bo'.\n")
    assert users() == before


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("short", "a password has 10 to 200 characters"),
        ("", "a password has 10 to 200 characters"),
        ("aaaaaaaaaaaa", "a password of the same few characters is soon guessed"),
        ("corner-cor", "a password of the user's or the business's name is soon guessed"),
        ("annabel-42", "a password of the user's or the business's name is soon guessed"),
    ],
)
def test_a_weak_password_is_not_taken(textwright, typed, password, why):
    typed(password + "\n")
    done = textwright("user", "create", "annabel", "--password-stdin")
    assert (done.code, done.out, done.err) == (1, "", f"Not taken: {why}.\n")
    assert users() == {}


@pytest.mark.parametrize("name", ["Ana", "ana ortiz", "", "é", "-", "a/b", "a" * 101])
def test_what_cannot_be_signed_in_with_is_no_name(textwright, name):
    done = textwright("user", "create", "--generate", "--", name)
    assert (done.code, done.out, done.err) == (1, "", "A user's name has small letters, digits and . _ @ + -\n")


def test_what_is_mistyped_is_said(textwright):
    for arguments in ((), ("nope",), ("create",), ("create", "ana", "--role", "boss"),
                      ("create", "ana", "--generate", "--password-stdin")):  # fmt: skip
        done = textwright("user", *arguments)
        assert (done.code, done.out) == (2, "")
        assert "usage: textwright user" in done.err


def test_what_was_done_is_in_the_audit_log_without_a_password(textwright, typed):
    made = textwright("user", "create", "ana", "--role", "staff", "--generate").out.strip()
    typed(PASSWORD + "\n")
    textwright("user", "password", "ana", "--password-stdin")
    textwright("user", "delete", "ana")
    log = audit()
    assert [(row["operation"], row["actor"], row["detail"]) for row in log] == [
        ("create_user", "command line", '{"name":"ana","role":"staff"}'),
        ("change_password", "command line", '{"name":"ana"}'),
        ("delete_user", "command line", '{"name":"ana"}'),
    ]
    assert made not in str(log)
    assert len({row["target"] for row in log}) == 1


@pytest.mark.parametrize(("piped", "made"), [("otters-are-fond\n", 0), ("", 0), ("short\n", 1)])
def test_a_password_that_is_piped_in_is_taken_and_without_one_one_is_made(tmp_path, piped, made):
    server = Server(tmp_path)
    done = server.command("user", "create", "ana", "--role", "staff", stdin=piped)
    assert done.returncode == made
    assert (len(done.stdout.strip()) == 16) == (piped == "")
    assert "otters" not in done.stdout + done.stderr
