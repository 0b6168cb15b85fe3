"""Idempotency-Key: a POST that is sent again, because its answer was lost, is answered and not carried out again.

The answer is kept in the same transaction as what the request did, for a day. (The header is that of the IETF's
draft-ietf-httpapi-idempotency-key-header.)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import orjson

from bot.clock import MICROSECONDS
from bot.store.contract import Transaction
from bot.tokens import Actor
from bot.web.problems import Problem

KEPT_SECONDS = 86_400
MAX_KEY = 255


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request was answered: the status and the JSON text, "" for none."""

    status: int
    content: str
    is_repeated: bool = False

    @property
    def contact(self) -> str | None:
        """The contact that it is about, where it names one."""
        value = orjson.loads(self.content) if self.content else {}
        if "phones" in value:
            return str(value["id"])
        recipients = value.get("recipients") or [value]
        contact = recipients[0].get("contact") if len(recipients) == 1 else None
        return contact if isinstance(contact, str) else None


class KeyTaken(Problem):
    """The key was given with another request before, which was carried out."""


async def answered_before(transaction: Transaction, actor: Actor, key: str, request: bytes, now: int) -> Answer | None:
    """What the same caller was answered under this key; None when it is new, and then it is taken.

    Raises Problem (422) for a key that cannot be one, or that was given with another request.
    """
    if not 0 < len(key) <= MAX_KEY or not key.isascii() or not key.isprintable():
        raise Problem(422, f"Idempotency-Key: 1 to {MAX_KEY} characters of ASCII.")
    digest = hashlib.sha256(request).hexdigest()
    await transaction.rows("forget_idempotency_keys", before=now - KEPT_SECONDS * MICROSECONDS)
    if await transaction.row("take_idempotency_key", key=_of(actor, key), request=digest, now=now) is not None:
        return None
    row = await transaction.row("idempotency_key", key=_of(actor, key))
    if row is None or row["request"] != digest:
        raise KeyTaken(422, "Idempotency-Key: it was given with another request before.")
    if row["status"] == 0:
        raise Problem(422, "Idempotency-Key: whom it was about has been deleted since.")
    return Answer(row["status"], row["body"], is_repeated=True)


async def keep_answer(transaction: Transaction, actor: Actor, key: str, answer: Answer, contact: str | None) -> None:
    """Keep what is about to be answered, as long as the contact that it is about is there (contacts.delete)."""
    values = {"status": answer.status, "body": answer.content, "contact": contact}
    await transaction.rows("keep_idempotent_answer", key=_of(actor, key), **values)


def _of(actor: Actor, key: str) -> str:
    """One caller's keys are not another's."""
    return hashlib.sha256(f"{actor.shown}\0{key}".encode()).hexdigest()
