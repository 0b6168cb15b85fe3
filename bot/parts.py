"""Long messages in parts: those that came in are joined, receipts of those that we sent are weighed together.

A part that came in is a row until the others are there, or until the rest is given up (tidying.py): then what is there
is read as it is, since half a text is better than none. A part that comes again is known by its id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from adapters.contract import Inbound, Media, Part, Receipt
from adapters.text import clean_text
from bot.changes import JsonRow, dumps
from bot.clock import MICROSECONDS
from bot.store.contract import Row, Transaction

MAX_PARTS = 255
_LONGEST_NAME = 255
"""Characters of an address or a reference: no index takes any length."""

RANK = {"sent": 2, "undelivered": 3, "failed": 3, "delivered": 4}
"""States only move forward."""

Group = tuple[str, str, str, str]
"""What the parts of one message share: channel, sender, recipient, and the provider's own reference."""


@dataclass(frozen=True, slots=True)
class RestIsLost:
    """What takes the place of the missing parts of a text, when they are waited for no more."""

    sender: str
    recipient: str
    part_group: str


Event = Inbound | Receipt | RestIsLost


async def joined(
    transaction: Transaction, events: Sequence[tuple[str, Event]], *, now: int, repeat_seconds: float
) -> list[Event | None]:
    """The events of these channels with each text whole, in the place of its last part; None where a part waits for
    others or came before: one that has no id, within `repeat_seconds`."""
    found: list[Event | None] = [event for _, event in events]
    rows: dict[int, JsonRow] = {}
    for place, (channel, event) in enumerate(events):
        if isinstance(event, Inbound) and event.part is not None:
            if 1 < event.part.total <= MAX_PARTS and 1 <= event.part.number <= event.part.total:
                rows[place] = _row(channel, event, event.part, now)
            else:
                found[place] = replace(event, part=None)
        elif isinstance(event, RestIsLost):
            rows[place] = {"channel": channel, "sender": event.sender, "recipient": event.recipient,
                           "part_group": event.part_group}  # fmt: skip
    if not rows:
        return found
    groups = {_group(row): row for row in rows.values()}
    await transaction.lock_names(sorted(f"parts:{':'.join(group)}" for group in groups))
    given = {(row["channel"], row["key"]): row for row in reversed(rows.values()) if "key" in row}
    repeats_since = now - round(repeat_seconds * MICROSECONDS)
    kept = await transaction.each("keep_inbound_parts", list(given.values()), repeats_since=repeats_since)
    new = {(row["channel"], row["key"]) for row in kept}
    last = {_group(row): place for place, row in rows.items() if (row["channel"], row.get("key")) in new}
    waiting: dict[Group, dict[int, Row]] = {}
    for row in await transaction.each("waiting_parts", list(groups.values())):
        waiting.setdefault(_group(row), {})[row["number"]] = row
    done: list[Row] = []
    for place, row in rows.items():
        found[place] = None
        parts = waiting.get(_group(row), {})
        is_overdue = "key" not in row
        if parts and (is_overdue or (last.get(_group(row)) == place and len(parts) == row["total"])):
            found[place] = _whole([parts[number] for number in sorted(parts)])
            done += waiting.pop(_group(row)).values()
    await transaction.each("parts_are_joined", [{"channel": row["channel"], "key": row["key"]} for row in done])
    return found


def _group(row: Row | JsonRow) -> Group:
    return (row["channel"], row["sender"], row["recipient"], row["part_group"])


def _row(channel: str, event: Inbound, part: Part, now: int) -> JsonRow:
    said = (event.sender, event.recipient, part.group, str(part.number), str(part.total), event.body)
    content = _hash(*said)
    # Parts that cannot be of one message must not meet: references are short, and are used again.
    group = f"{clean_text(part.group)}/{part.total}"
    return {
        "channel": channel,
        "key": event.provider_id or f"content:{content}",
        "sender": clean_text(event.sender)[:_LONGEST_NAME],
        "recipient": clean_text(event.recipient)[:_LONGEST_NAME],
        "part_group": group if len(group) <= _LONGEST_NAME else _hash(group),
        "number": part.number,
        "total": part.total,
        "provider_id": event.provider_id,
        "body": clean_text(event.body),
        "media": dumps([[media.url, media.content_type] for media in event.media]),
        "at": now,
    }


def _hash(*texts: str) -> str:
    return hashlib.sha256(chr(0).join(texts).encode(errors="replace")).hexdigest()


def _whole(parts: Sequence[Row]) -> Inbound:
    """One text of its parts. It goes by the id of its first part: whichever comes again, the others are known too."""
    media = [Media(url, kind) for part in parts for url, kind in orjson.loads(part["media"])]
    first = parts[0]
    body = "".join(part["body"] for part in parts)
    return Inbound(first["provider_id"], first["sender"], first["recipient"], body, tuple(media))


async def keep_part_ids(transaction: Transaction, sent: Sequence[JsonRow], *, now: int) -> None:
    """Remember which parts make up messages that were sent: rows with channel, provider_id and part_ids."""
    rows = [
        {"channel": row["channel"], "provider_id": row["provider_id"], "number": number, "total": len(row["part_ids"]),
         "part_id": part_id, "state": "", "error": "", "at": now}
        for row in sent
        for number, part_id in enumerate(row["part_ids"], 1)
    ]  # fmt: skip
    await transaction.each("keep_outbound_parts", rows)


async def weighed(transaction: Transaction, receipts: Sequence[JsonRow], *, now: int) -> list[JsonRow]:
    """Receipts, each of a whole message: those of parts become one for their message, and it has arrived when all its
    parts have, and failed when any has. Rows have channel, provider_id, state, error, opted_out, number and total."""
    if not receipts:
        return []
    of_parts = [dict(row) for row in receipts if row["total"] > 1]
    rows = [{**row, "part_id": "", "state": "", "error": "", "at": now} for row in of_parts]
    await transaction.each("keep_outbound_parts", rows)
    named = [row for row in receipts if row["total"] <= 1]
    known = {(row["channel"], row["part_id"]): row for row in await transaction.each("parts_with_ids", named)}
    whole = []
    for row in named:
        part = known.get((row["channel"], row["provider_id"]))
        if part is None:
            whole.append(row)
        else:
            of_parts.append({**row, "provider_id": part["provider_id"], "number": part["number"]})
    if not of_parts:
        return whole
    # Two parts may be told of in the same moment, by ids of their own: neither would see that the other has arrived.
    await transaction.lock_names(sorted({f"whole:{row['channel']}:{row['provider_id']}" for row in of_parts}))
    await transaction.each("move_outbound_parts", furthest(of_parts))
    messages = {(row["channel"], row["provider_id"]): row for row in of_parts}
    parts: dict[tuple[str, str], list[Row]] = {}
    for part in await transaction.each("parts_of_messages", list(messages.values())):
        parts.setdefault((part["channel"], part["provider_id"]), []).append(part)
    opted_out = {(row["channel"], row["provider_id"]) for row in of_parts if row["opted_out"]}
    for key, own in parts.items():
        state, error = _state(own)
        if state:
            whole.append({"channel": key[0], "provider_id": key[1], "state": state, "error": error,
                          "opted_out": int(key in opted_out), "at": now, "number": 0, "total": 0})  # fmt: skip
    return whole


def furthest(receipts: Sequence[JsonRow]) -> list[JsonRow]:
    """The receipt that is furthest, of each message or part."""
    best: dict[tuple[str, str, int], JsonRow] = {}
    for row in receipts:
        key = (row["channel"], row["provider_id"], row["number"])
        if key not in best or RANK[row["state"]] > RANK[best[key]["state"]]:
            best[key] = row
    return list(best.values())


def _state(parts: Sequence[Row]) -> tuple[str, str]:
    """The state of a message by those of its parts, and the error of the one that failed."""
    for part in parts:
        if part["state"] in ("failed", "undelivered"):
            return part["state"], part["error"]
    arrived = [part for part in parts if part["state"] == "delivered"]
    if len(arrived) == parts[0]["total"]:
        return "delivered", ""
    return ("sent" if any(part["state"] for part in parts) else ""), ""
