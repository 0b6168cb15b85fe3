"""The people at the console: passwords (argon2id), a limit on wrong ones, and sessions (only their hash is kept)."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from bot.audit import audited
from bot.clock import MICROSECONDS, new_id
from bot.store.contract import Row, Store, Transaction
from bot.tokens import Actor, Role, hashed

MIN_PASSWORD, MAX_PASSWORD = 10, 200
NAME = re.compile(r"[a-z0-9][a-z0-9._@+-]{0,99}")
"""What somebody signs in with: small letters; an email address is one."""

# OWASP's recommendation for argon2id with little memory: 19 MiB, two passes.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Compared with where there is no such user, so that the time of the answer tells nothing.
_NOBODY = _HASHER.hash(secrets.token_hex(16))
# Beside the event loop, and never more than two at once: each takes a processor and 19 MiB for a while.
_TWO = ThreadPoolExecutor(2, "passwords")

_FREE_TRIES = {"user": 5, "address": 30}
_LONGEST_SECONDS = {"user": 900, "address": 60}
_FORGOTTEN_SECONDS = 3600
_SEEN_SECONDS = 300


RESERVED = ("me",)
"""Names that mean whoever asks."""

_OWN_CHARACTERS = 6
_COMMON = ("password", "qwerty", "letmein", "welcome1", "iloveyou")


class SignInRefused(Exception):
    """No session: the message says why. `retry_after` is in seconds, None where trying again helps nothing."""

    def __init__(self, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in. `csrf` is what its forms must carry."""

    actor: Actor
    csrf: str
    hash: str


async def hash_password(password: str) -> str:
    """The argon2id hash."""
    return await asyncio.get_running_loop().run_in_executor(_TWO, _HASHER.hash, password)


async def is_right(stored: str, password: str) -> bool:
    """Whether it is the password that was hashed."""

    def check() -> bool:
        try:
            return _HASHER.verify(stored, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False

    return await asyncio.get_running_loop().run_in_executor(_TWO, check)


async def add_user(
    transaction: Transaction, name: str, full_name: str, role: Role, password_hash: str, now: int
) -> str | None:
    """Make a user; the id, or None when the name is taken."""
    id_ = new_id()
    values = {"id": id_, "name": name, "full_name": full_name, "role": role, "password": password_hash, "now": now}
    made = await transaction.row("add_user", **values)
    return id_ if made is not None else None


async def sign_in(store: Store, name: str, password: str, address: str, now: int) -> tuple[str, Session]:
    """Begin a session: its cookie, and what it is. Raises SignInRefused."""
    name = name.strip().lower()
    # What cannot be a name is nobody's, and not all of it can be asked of a store.
    name = name if NAME.fullmatch(name) else ""
    keys = {"user": f"user:{name}@{address}", "address": f"address:{address}"}
    async with store.snapshot() as transaction:
        blocked = [await transaction.row("login_failure", key=key) for key in keys.values()]
        user = await transaction.row("user_named", name=name)
    _not_too_many(blocked, now)
    right = await is_right(user["password"] if user else _NOBODY, password[:MAX_PASSWORD])
    async with store.transaction() as transaction:
        held = {kind: await transaction.row("hold_login_failure", key=key, now=now) for kind, key in keys.items()}
        # What others guessed while this was checked counts, too: else a thousand guesses at once were free.
        _not_too_many(held.values(), now)
        if user is None or not right or not user["active"] or len(password) > MAX_PASSWORD:
            for kind, row in held.items():
                await _failed(transaction, kind, row, now)
            if user is not None:
                await _note(transaction, now, "sign_in_refused", user)
        else:
            for kind, row in held.items():
                if kind == "user" or (row is not None and not row["count"]):
                    await transaction.rows("forget_login_failure", key=keys[kind])
            await _note(transaction, now, "sign_in", user)
            return await begin_session(transaction, user, now)
    raise SignInRefused("That is not a user's name and password.")


def _not_too_many(failures: Iterable[Row | None], now: int) -> None:
    until = max((row["blocked_until"] for row in failures if row is not None), default=0)
    if until > now:
        seconds = (until - now) // MICROSECONDS + 1
        raise SignInRefused(f"Too many wrong passwords. Try again in {seconds} seconds.", seconds)


async def begin_session(transaction: Transaction, user: Row, now: int) -> tuple[str, Session]:
    """A new session of a user."""
    await transaction.rows("user_seen", id=user["id"], now=now)
    cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    await transaction.rows("add_session", hash=hashed(cookie), user=user["id"], csrf=csrf, now=now)
    return cookie, Session(Actor(user["name"], user["role"], "user"), csrf, hashed(cookie))


async def _note(transaction: Transaction, now: int, operation: str, user: Row) -> None:
    row = audited(now, f"user {user['name']}", operation, f"/users/{user['id']}", None, {})
    await transaction.rows("insert_audit", **row)


async def _failed(transaction: Transaction, kind: str, row: Row | None, now: int) -> None:
    assert row is not None, "it is held"
    is_old = now - row["last_at"] > _FORGOTTEN_SECONDS * MICROSECONDS
    count = 1 if is_old else row["count"] + 1
    over = count - _FREE_TRIES[kind]
    seconds = min(2 ** min(over + 2, 20), _LONGEST_SECONDS[kind]) if over >= 0 else 0
    await transaction.rows(
        "count_login_failure",
        key=row["key"],
        count=count,
        until=now + seconds * MICROSECONDS if seconds else 0,
        now=now,
    )
    await transaction.rows("forget_old_login_failures", before=now - _FORGOTTEN_SECONDS * MICROSECONDS)


async def find_session(store: Store, cookie: str, now: int, *, idle_hours: float, days: float) -> Session | None:
    """The session of a cookie; None where there is none, where it was idle too long or is too old."""
    if not 20 <= len(cookie) <= 100:
        return None
    hash_ = hashed(cookie)
    async with store.snapshot() as transaction:
        row = await transaction.row("find_session", hash=hash_)
    if row is None or not row["active"]:
        return None
    idle = now - row["seen_at"]
    if idle > idle_hours * 3600 * MICROSECONDS or now - row["created_at"] > days * 86_400 * MICROSECONDS:
        async with store.transaction() as transaction:
            await transaction.rows("end_session", hash=hash_)
        return None
    if idle > _SEEN_SECONDS * MICROSECONDS:
        async with store.transaction() as transaction:
            await transaction.rows("session_seen", hash=hash_, now=now)
            await transaction.rows("user_seen", id=row["user_id"], now=now)
    return Session(Actor(row["name"], row["role"], "user"), row["csrf"], hash_)


async def end_session(store: Store, session: Session) -> None:
    """Sign out."""
    async with store.transaction() as transaction:
        await transaction.rows("end_session", hash=session.hash)


async def change_password(transaction: Transaction, user: Row, password_hash: str, now: int) -> None:
    """A new password ends every session of the user."""
    await transaction.rows("set_password", id=user["id"], password=password_hash, now=now)
    await transaction.rows("end_sessions_of", user=user["id"])


def weakness(password: str, name: str, others: Sequence[str] = ()) -> str | None:
    """What is wrong with a password; None for nothing."""
    if not MIN_PASSWORD <= len(password) <= MAX_PASSWORD:
        return f"a password has {MIN_PASSWORD} to {MAX_PASSWORD} characters"
    if re.sub(r"[^a-z]", "", password.lower()) in ("", *_COMMON):
        return "that is among the first that anybody would guess"
    if len(set(password)) < 4:
        return "a password of the same few characters is soon guessed"
    if any(word and len(password.lower().replace(word.lower(), "")) < _OWN_CHARACTERS for word in (name, *others)):
        return "a password of the user's or the business's name is soon guessed"
    return None
