"""Time: UTC microseconds, from one place, so that tests can move it. And the ids that are ordered by it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import uuid_utils

MICROSECONDS = 1_000_000
NEVER = 2**62
"""A moment that does not come: what waits for something else than time is due then."""

Clock = Callable[[], int]


def system_clock() -> int:
    """Now, in UTC microseconds."""
    return time.time_ns() // 1000


def new_id() -> str:
    """A UUIDv7 (RFC 9562): unique without asking the store, ordered by time."""
    return str(uuid_utils.uuid7())


def first_id(moment: int) -> str:
    """No id that was made since that moment (UTC microseconds) comes before this one."""
    milliseconds = f"{max(moment, 0) // 1000:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}-7000-8000-000000000000"


def iso(moment: int) -> str:
    """UTC microseconds as ISO 8601."""
    return datetime.fromtimestamp(moment / MICROSECONDS, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_iso(text: str) -> int:
    """ISO 8601 as UTC microseconds; without an offset it is UTC. Raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * MICROSECONDS)
