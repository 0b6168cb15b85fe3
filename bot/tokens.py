"""Who calls: three roles, and API tokens of 256 random bits, of which only the hash is kept."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

from bot.audit import audit_command
from bot.clock import MICROSECONDS, new_id, system_clock
from bot.store.contract import Store, Transaction

Role = Literal["read", "staff", "admin"]
ROLES: tuple[Role, ...] = ("admin", "staff", "read")
_RANK = {"read": 0, "staff": 1, "admin": 2}
_PREFIX = "tw_"
_SEEN_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class Actor:
    """Who calls the API: a token, or a user at the console."""

    name: str
    role: Role
    kind: Literal["token", "user"] = "token"

    @property
    def shown(self) -> str:
        """As the audit log has it: a user and a token may share a name."""
        return f"{self.kind} {self.name}"

    def may(self, role: Role) -> bool:
        """Whether they may do what needs that role."""
        return _RANK[self.role] >= _RANK[role]


def hashed(secret: str) -> str:
    """What is kept of a secret. A plain hash is enough: it has 256 bits of its own, there is nothing to guess."""
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


async def add_token(transaction: Transaction, name: str, role: Role, by: str) -> tuple[str, str] | None:
    """Make a token; (its id, the secret that is shown once), or None when the name is taken."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    id_ = new_id()
    values = {"id": id_, "name": name, "role": role, "hash": hashed(secret), "by": by}
    made = await transaction.row("add_token", **values, now=system_clock())
    return (id_, secret) if made is not None else None


async def create_token(store: Store, name: str, role: Role) -> str | None:
    """Make a token at the command line and return its secret; None when the name is taken."""
    async with store.transaction() as transaction:
        made = await add_token(transaction, name, role, "command line")
        if made is None:
            return None
        await audit_command(transaction, system_clock(), "create_token", f"/tokens/{made[0]}", name=name, role=role)
    return made[1]


async def find_actor(store: Store, secret: str, now: int) -> Actor | None:
    """Who a token belongs to; None for no token of ours. That it was used is noted, once an hour."""
    if not secret.startswith(_PREFIX) or len(secret) > 200:
        return None
    async with store.snapshot() as transaction:
        row = await transaction.row("find_token", hash=hashed(secret))
    if row is None:
        return None
    if now - row["seen_at"] > _SEEN_SECONDS * MICROSECONDS:
        async with store.transaction() as transaction:
            await transaction.rows("token_seen", id=row["id"], now=now)
    return Actor(row["name"], row["role"])
