"""The audit log: every change that a person or a program made, by whom. Append-only, and without message texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bot.changes import JsonRow, dumps
from bot.clock import new_id
from bot.store.contract import Transaction

_SECRET = ("password", "present", "secret")
_HIDDEN = ("body", "text", "media")
"""What people write to each other: that is in the messages, and goes when they go."""


def audited(
    at: int, actor: str, operation: str, target: str, contact_id: str | None, detail: Mapping[str, Any]
) -> JsonRow:
    """A row of the log. `detail` is what was asked for; what is nobody's business in it is left out."""
    return {
        "id": new_id(),
        "at": at,
        "actor": actor,
        "operation": operation,
        "target": target,
        "contact_id": contact_id,
        "detail": dumps(_shown(detail)),
    }


async def audit_command(transaction: Transaction, at: int, operation: str, target: str, **detail: Any) -> None:
    """Log what somebody did at the command line."""
    await transaction.rows("insert_audit", **audited(at, "command line", operation, target, None, detail))


def _shown(value: Any) -> Any:
    if isinstance(value, Mapping):
        shown = {key: _shown_under(key, item) for key, item in value.items()}
        return {key: item for key, item in shown.items() if item not in ({}, None)}
    if isinstance(value, list) and len(value) > 20:
        return f"({len(value)} of them)"
    return [_shown(item) for item in value] if isinstance(value, list) else value


def _shown_under(key: str, value: Any) -> Any:
    if key in _SECRET and value is not None:
        return "(not shown)"
    if key in _HIDDEN and isinstance(value, str | list):
        return f"({len(value)} {'characters' if isinstance(value, str) else 'of them'})"
    return _shown(value)
