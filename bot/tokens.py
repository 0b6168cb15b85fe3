"""API tokens: 256 random bits, of which only the hash is kept, and three roles."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import Literal

from bot.clock import new_id, system_clock
from bot.store.contract import Store

Role = Literal["read", "staff", "admin"]
ROLES: tuple[Role, ...] = ("admin", "staff", "read")
_RANK = {"read": 0, "staff": 1, "admin": 2}
_PREFIX = "tw_"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who calls the API."""

    name: str
    role: Role

    def may(self, role: Role) -> bool:
        """Whether they may do what needs that role."""
        return _RANK[self.role] >= _RANK[role]


def _hash(secret: str) -> str:
    # A plain hash is enough: the secret has 256 bits of its own, there is nothing to guess.
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()


async def create_token(store: Store, name: str, role: Role) -> str | None:
    """Make a token and return it, for the only time; None when the name is taken."""
    secret = _PREFIX + secrets.token_urlsafe(32)
    async with store.transaction() as transaction:
        if await transaction.row("token_named", name=name) is not None:
            return None
        await transaction.rows("add_token", id=new_id(), name=name, role=role, hash=_hash(secret), now=system_clock())
    return secret


async def find_actor(store: Store, secret: str) -> Actor | None:
    """Who a token belongs to; None for no token of ours."""
    if not secret.startswith(_PREFIX) or len(secret) > 200:
        return None
    async with store.snapshot() as transaction:
        row = await transaction.row("find_token", hash=_hash(secret))
    return Actor(row["name"], row["role"]) if row else None
