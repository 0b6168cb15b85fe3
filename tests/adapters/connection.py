"""An adapter that keeps a connection, and the stand-in that it is connected to."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from adapters.contract import Adapter, Connecting, Inbound, Outbound, Receipt, Receive
from adapters.errors import Retry
from adapters.http import Http
from tests.adapters import cases
from tests.providers.all import PROVIDERS


async def _forgotten(events: Sequence[Inbound | Receipt]) -> None:
    """For tests that look at nothing that comes in."""


@asynccontextmanager
async def connection(
    adapter: str,
    settings: Mapping[str, str],
    knows: Mapping[str, str] | None = None,
    receive: Receive = _forgotten,
) -> AsyncIterator[tuple[Adapter, Any]]:
    """The adapter with the settings of its case file and these, connected; and its stand-in.

    Where the stand-in does not know the account (`knows`), there is no connection, and the adapter has been told.
    """
    accepted = cases.load(adapter)["settings"] | (settings if knows is None else knows)
    async with PROVIDERS[adapter].stand_in(accepted) as stand_in:
        port = stand_in.url.rpartition(":")[2]
        made = cases.make(adapter, {**settings, "host": "127.0.0.1", "port": port})
        assert isinstance(made, Connecting)
        async with made.connected(receive):
            await until_settled(made)
            yield made, stand_in


async def until_settled(made: Any, seconds: float = 5.0) -> None:
    """Until it is connected or knows why it is not: a message that no provider takes is no longer "not yet"."""
    probe = Outbound("probe", "", "", "")
    async with asyncio.timeout(seconds):
        while True:
            try:
                await made.send(probe, Http())
            except Retry:
                await asyncio.sleep(0.005)
            except Exception:  # noqa: BLE001 - refused for whatever reason: it got as far as that
                return
