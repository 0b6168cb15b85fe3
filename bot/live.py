"""Live: who looks at the console hears at once which conversations have changed, on whichever node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from bot.store.contract import EVERYTHING, Store

GATHER_SECONDS = 0.1
_MOST_NAMED = 100


class Listener:
    """One browser: what has changed since it was told last."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._something = asyncio.Event()

    def hear(self, changed: frozenset[str]) -> None:
        """Note changes, to be told with the next ones."""
        self._changed |= changed
        if len(self._changed) > _MOST_NAMED:
            self._changed = {EVERYTHING}
        self._something.set()

    async def told(self, quiet_seconds: float) -> list[str]:
        """The conversations that have changed, as soon as any has; [] when none did for so long."""
        try:
            async with asyncio.timeout(quiet_seconds):
                await self._something.wait()
        except TimeoutError:
            return []
        await asyncio.sleep(GATHER_SECONDS)  # what comes together is told together
        changed, self._changed = sorted(self._changed), set()
        self._something.clear()
        return changed


class Live:
    """All the browsers that look at this node."""

    def __init__(self, store: Store) -> None:
        self._listeners: set[Listener] = set()
        self._closed = False
        store.on_change(self._heard)

    def _heard(self, changed: frozenset[str]) -> None:
        for listener in self._listeners:
            listener.hear(changed)

    def close(self) -> None:
        """Nothing more is told: every iteration ends."""
        self._closed = True
        for listener in self._listeners:
            listener.hear(frozenset())

    async def changes(self, quiet_seconds: float) -> AsyncGenerator[list[str], None]:
        """What changes from now on, for as long as somebody iterates; [] is nothing for so many seconds."""
        listener = Listener()
        self._listeners.add(listener)
        try:
            while not self._closed:
                yield await listener.told(quiet_seconds)
        finally:
            self._listeners.discard(listener)
