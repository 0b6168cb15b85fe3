"""The whole history of one person, in one line: messages, consent, lists, tags, workflows, notes, and who changed what.

Each kind has its own table; a page takes the newest of each that come before the cursor, (time, key), and merges them.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

import orjson

from bot.changes import dumps
from bot.store.contract import Row, Transaction

Kind = Literal["message", "consent", "list", "tag", "run", "note", "change"]
Cursor = tuple[int, str]


@dataclass(frozen=True, slots=True)
class Item:
    """Something that happened to a person, at `at` (UTC microseconds), in words."""

    at: int
    kind: Kind
    id: str
    title: str
    by: str
    detail: str = ""
    message: str | None = None
    phone: str | None = None
    direction: str | None = None
    state: str | None = None

    @property
    def cursor(self) -> Cursor:
        """Its place: the page after it begins behind it."""
        return self.at, f"{self.kind}:{self.id}"


async def history_page(
    transaction: Transaction, contact: str, phones: Sequence[str], cursor: Cursor, limit: int
) -> list[Item]:
    """The newest `limit` items before the cursor."""
    found: list[list[Item]] = []
    for kind, show in _SHOWN.items():
        whose = {"phones": dumps(list(phones))} if kind in ("message", "consent") else {"contact": contact}
        rows = await transaction.rows(_QUERIES[kind], **whose, at=cursor[0], key=cursor[1], limit=limit)
        found.append([show(row) for row in rows])
    return list(heapq.merge(*found, key=lambda item: item.cursor, reverse=True))[:limit]


def _message(row: Row) -> Item:
    media = len(orjson.loads(row["media"]))
    body = row["body"] or (f"({media} pictures or files)" if media else "")
    return Item(
        at=row["at"], kind="message", id=row["key"], title=body, by=f"{row['sent_by']} {row['sent_by_name']}".strip(),
        detail=row["error"] or "", message=row["key"], phone=row["phone"], direction=row["direction"],
        state=row["state"],
    )  # fmt: skip


def _consent(row: Row) -> Item:
    return Item(
        at=row["at"], kind="consent", id=row["key"], title=row["event"].replace("_", " "), by=row["actor"],
        detail=row["reason"], message=row["message_id"], phone=row["phone"],
    )  # fmt: skip


def _list(row: Row) -> Item:
    verb = "joined" if row["event"] == "list_joined" else "left"
    return Item(
        row["at"], "list", row["key"], f"{verb} {row['list']}", row["actor"], row["evidence"], row["message_id"]
    )


def _tag(row: Row) -> Item:
    return Item(row["at"], "tag", row["key"], f"tag {row['tag']} {row['event']}", row["actor"])


def _run(row: Row) -> Item:
    outcome = f"ended: {row['outcome']}" if row["state"] == "ended" else f"at step {row['step']}"
    return Item(row["at"], "run", row["key"], f"workflow {row['workflow']}", row["source"], outcome)


def _note(row: Row) -> Item:
    return Item(row["at"], "note", row["key"], row["body"], row["author"])


def _change(row: Row) -> Item:
    detail: Mapping[str, object] = orjson.loads(row["detail"])
    body = cast("Mapping[str, object]", detail.get("body") or {})
    words = "; ".join(f"{name}: {_plain(value)}" for name, value in body.items() if value not in ("", [], {}, None))
    return Item(row["at"], "change", row["key"], row["operation"].replace("_", " "), row["actor"], words)


def _plain(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(_plain, value)) if isinstance(value, list) else str(value)


_SHOWN: Mapping[Kind, Callable[[Row], Item]] = {
    "message": _message,
    "consent": _consent,
    "list": _list,
    "tag": _tag,
    "run": _run,
    "note": _note,
    "change": _change,
}
_QUERIES: Mapping[Kind, str] = {
    "message": "history_of_messages",
    "consent": "history_of_consent",
    "list": "history_of_lists",
    "tag": "history_of_tags",
    "run": "history_of_runs",
    "note": "history_of_notes",
    "change": "history_of_changes",
}
