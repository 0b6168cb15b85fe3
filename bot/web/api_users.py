"""The API of those who may do things: users of the console, and API tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from bot import leaving
from bot.clock import iso
from bot.lines import Lines
from bot.store.contract import Row
from bot.tokens import Role, add_token
from bot.users import RESERVED, add_user, change_password, hash_password, is_right, weakness
from bot.web import models_staff as s
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.models import Page
from bot.web.problems import Problem
from bot.web.texting import phone_of

_LAST = "This is the last admin. Make another one first."


async def whoami(call: Call[Any, Any]) -> s.MeOut:
    """Who calls."""
    return s.MeOut(name=call.actor.name, role=call.actor.role, kind=call.actor.kind)


async def change_own_password(call: Call[s.OwnPassword, Nothing]) -> s.MeOut:
    """Change one's own password. It signs out everywhere."""
    user = await call.transaction.row("user_named", name=call.actor.name)
    if user is None or user["password"] != call.body.present:
        raise Problem(409, "Your password was changed in this moment. Sign in again.")
    await change_password(call.transaction, user, call.body.password, call.now)
    return await whoami(call)


async def _checked_and_hashed(call: Call[s.OwnPassword, Nothing]) -> Call[s.OwnPassword, Nothing]:
    """Before it: `present` becomes the hash that it was checked against, and `password` the new one's. argon2 is slow
    on purpose, and no transaction is to wait for it."""
    async with call.services.store.snapshot() as transaction:
        user = await transaction.row("user_named", name=call.actor.name) if call.actor.kind == "user" else None
    if user is None:
        raise Problem(409, "A token has no password.")
    if not await is_right(user["password"], call.body.present):
        raise Problem(422, "present: that is not your password.", errors=[{"field": "present", "detail": "wrong"}])
    hashed = await _hashed(call, call.body.password, user["name"])
    return replace(call, body=call.body.model_copy(update={"present": user["password"], "password": hashed}))


async def list_users(call: Call[Nothing, Nothing]) -> Page[s.UserOut]:
    """The users of the console."""
    rows = await call.transaction.rows("all_users")
    return Page[s.UserOut](items=[_user(call.services.senders.lines, row) for row in rows], next=None)


def _user(lines: Lines, row: Row) -> s.UserOut:
    return s.UserOut(
        id=row["id"],
        name=row["name"],
        full_name=row["full_name"],
        role=row["role"],
        active=bool(row["active"]),
        cell=row["cell"] or None,
        email=row["email"] or None,
        number=line.number if (line := lines.of_user(row["id"])) else None,
        created_at=iso(row["created_at"]),
        seen_at=iso(row["seen_at"]) if row["seen_at"] else None,
    )


async def create_user(call: Call[s.NewUser, Nothing]) -> s.UserOut:
    """Make a user."""
    body = call.body
    if await add_user(call.transaction, body.name, body.full_name, body.role, body.password, call.now) is None:
        raise Problem(409, f"There is a user '{body.name}' already.")
    row = await call.transaction.row("user_named", name=body.name)
    assert row is not None, "it was made just now"
    await _reached(call, row, body.cell, body.email)
    row = await _row(call, "user_by_id", row["id"])
    return _user(call.services.senders.lines, row)


async def _with_hash(call: Call[Any, Any]) -> Call[Any, Any]:
    """Before a user is made or changed: the password becomes its hash."""
    if call.body.password is None:
        return call
    name = getattr(call.body, "name", "")
    if not name:
        async with call.services.store.snapshot() as transaction:
            row = await transaction.row("user_by_id", id=call.path["id"])
        name = row["name"] if row else ""
    hashed = await _hashed(call, call.body.password, name)
    return replace(call, body=call.body.model_copy(update={"password": hashed}))


async def _hashed(call: Call[Any, Any], password: str, name: str) -> str:
    if name in RESERVED:
        raise Problem(422, f"name: '{name}' means whoever asks.", errors=[{"field": "name", "detail": "reserved"}])
    wrong = weakness(password, name, call.services.config.business.name.split())
    if wrong is not None:
        raise Problem(422, f"password: {wrong}.", errors=[{"field": "password", "detail": wrong}])
    return await hash_password(password)


async def _reached(call: Call[Any, Any], row: Row, cell: str | None, email: str | None) -> None:
    """Keep where a user is reached; None leaves it as it is."""
    if cell is None and email is None:
        return
    number = row["cell"] if cell is None else phone_of(call, cell, "cell") if cell else ""
    address = row["email"] if email is None else email
    await call.transaction.rows("reach_user", id=row["id"], cell=number, email=address)


async def _row(call: Call[Any, Any], query: str = "user_by_id", id_: str = "") -> Row:
    row = await call.transaction.row(query, id=id_ or call.path["id"])
    if row is None:
        raise Problem(404, "There is no such user.")
    return row


async def _held(call: Call[Any, Any]) -> tuple[Row, bool]:
    """The user, whom nobody else changes meanwhile, and whether they are the last admin."""
    admins = await call.transaction.rows("hold_admins")
    row = await _row(call, "hold_user")
    call.match(_user(call.services.senders.lines, row))
    return row, [admin["id"] for admin in admins] == [row["id"]]


async def get_user(call: Call[Nothing, Nothing]) -> s.UserOut:
    """One user."""
    return _user(call.services.senders.lines, await _row(call))


async def change_user(call: Call[s.UserPatch, Nothing]) -> s.UserOut:
    """Change a user. The last admin stays one."""
    body = call.body
    before, is_last = await _held(call)
    role = cast("Role", body.role or before["role"])
    active = bool(before["active"]) if body.active is None else body.active
    if is_last and not (role == "admin" and active):
        raise Problem(409, _LAST)
    full_name = before["full_name"] if body.full_name is None else body.full_name
    values = {"id": before["id"], "full_name": full_name, "role": role, "active": int(active)}
    row = await call.transaction.row("change_user", **values, now=call.now)
    assert row is not None, "it was found just now"
    await _reached(call, row, body.cell, body.email)
    row = await _row(call)
    if body.password is not None:
        await change_password(call.transaction, row, body.password, call.now)
    elif not active:
        await call.transaction.rows("end_sessions_of", user=row["id"])
    if not active:
        await leaving.let_go(call.transaction, row)
    return _user(call.services.senders.lines, row)


async def delete_user(call: Call[Nothing, Nothing]) -> None:
    """Delete a user. What they did stays in the history."""
    before, is_last = await _held(call)
    if is_last:
        raise Problem(409, _LAST)
    await leaving.delete_user(call.transaction, call.services.config, before, by=call.by, now=call.now)


async def list_tokens(call: Call[Nothing, Nothing]) -> Page[s.TokenOut]:
    """The API tokens; their secrets are not kept."""
    rows = await call.transaction.rows("all_tokens")
    return Page[s.TokenOut](items=[_token(row) for row in rows], next=None)


def _token(row: Row, secret: str | None = None) -> s.TokenOut:
    return s.TokenOut(
        id=row["id"],
        name=row["name"],
        role=row["role"],
        created_by=row["created_by"],
        created_at=iso(row["created_at"]),
        seen_at=iso(row["seen_at"]) if row["seen_at"] else None,
        secret=secret,
    )


async def create_token(call: Call[s.NewToken, Nothing]) -> s.TokenOut:
    """Make an API token. Its secret is in this answer, and nowhere else ever."""
    made = await add_token(call.transaction, call.body.name, call.body.role, call.actor.shown)
    if made is None:
        raise Problem(409, f"There is a token named '{call.body.name}' already.")
    rows = await call.transaction.rows("all_tokens")
    return _token(next(row for row in rows if row["id"] == made[0]), made[1])


async def delete_token(call: Call[Nothing, Nothing]) -> None:
    """Revoke an API token."""
    if await call.transaction.row("delete_token", id=call.path["id"]) is None:
        raise Problem(404, "There is no such token.")


USER = s.UserOut
ENDPOINTS = (
    Endpoint("GET", "/me", whoami, "read", "Who calls", s.MeOut),
    Endpoint(
        "POST", "/me/password", change_own_password, "read", "Change one's own password", s.MeOut, body=s.OwnPassword,
        refusals=(409,), keeps_answer=False, before=_checked_and_hashed,
    ),
    Endpoint("GET", "/users", list_users, "staff", "The users of the console", Page[s.UserOut]),
    Endpoint(
        "POST", "/users", create_user, "admin", "Make a user", USER, 201, body=s.NewUser, refusals=(409,),
        before=_with_hash,
    ),
    Endpoint("GET", "/users/{id}", get_user, "staff", "One user", USER),
    Endpoint(
        "PATCH", "/users/{id}", change_user, "admin", "Change a user", USER, body=s.UserPatch, refusals=(409,),
        if_match=True, before=_with_hash,
    ),
    Endpoint("DELETE", "/users/{id}", delete_user, "admin", "Delete a user", None, refusals=(409,), if_match=True),
    Endpoint("GET", "/tokens", list_tokens, "admin", "The API tokens", Page[s.TokenOut]),
    Endpoint(
        "POST", "/tokens", create_token, "admin", "Make an API token", s.TokenOut, 201, body=s.NewToken,
        refusals=(409,), keeps_answer=False,
    ),
    Endpoint("DELETE", "/tokens/{id}", delete_token, "admin", "Revoke an API token", None),
)  # fmt: skip
