"""What the people who run the server must hear of: told to the default route, and to whoever asked for the event."""

from __future__ import annotations

from collections.abc import Mapping

from bot import events
from bot.changes import notification
from bot.config import Config
from bot.store.contract import Transaction


async def alert(
    transaction: Transaction, config: Config, name: str, data: Mapping[str, object], note: str, *, at: int
) -> None:
    """Tell of one of events.EVENTS, in the words of `note`; a route hears of it once."""
    told = {**data, "note": note}
    await events.publish(transaction, lambda: [events.event(name, told, at=at, is_urgent=True)])
    route = config.routes.get(config.default_route)
    if route is not None and name not in route.events:
        await transaction.each(
            "insert_notifications", [notification(route.name, name, told, at=at, conversation_id=None)]
        )
        await transaction.wake("notifications")
