"""What is remembered of a phone whose contact was deleted while opted out: a keyed hash, and nothing else."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable

import orjson

from bot.store.contract import Store, Transaction

SUPPRESSED = "opted out before the contact was deleted"
"""Why a new phone begins opted out, for its history."""

_KEY = "suppression_key"


class Suppressions:
    """Hashes numbers with the store's own key. The key lives in the store: a stolen export without it tells nothing."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    async def of(cls, store: Store) -> Suppressions:
        """With the store's key, made at first use."""
        async with store.transaction() as transaction:
            await transaction.rows("add_setting", key=_KEY, value=secrets.token_hex(32))
            row = await transaction.row("get_setting", key=_KEY)
        assert row is not None
        return cls(bytes.fromhex(row["value"]))

    async def among(self, transaction: Transaction, phones: Iterable[str]) -> frozenset[str]:
        """Those of these numbers (E.164) that are suppressed."""
        numbers = {self.hash(phone): phone for phone in phones}
        if not numbers:
            return frozenset()
        found = await transaction.rows("load_suppressions", hashes=orjson.dumps(list(numbers)).decode())
        return frozenset(numbers[row["phone_hash"]] for row in found)

    async def add(self, transaction: Transaction, phones: Iterable[str], at: int, reason: str) -> None:
        """Remember numbers that may not be texted, whoever they are or will be."""
        rows = [{"phone_hash": self.hash(phone), "at": at, "reason": reason} for phone in phones]
        await transaction.each("insert_suppressions", rows)

    def hash(self, phone: str) -> str:
        """The keyed hash (HMAC-SHA256) of a number in E.164."""
        return hmac.new(self._key, phone.encode(), hashlib.sha256).hexdigest()
