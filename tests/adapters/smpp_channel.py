"""A channel over SMPP that is connected to a stand-in, and what to do with it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from adapters.contract import Inbound, Outbound, Receipt, Sent
from adapters.errors import Retry, SendError, Throttled
from adapters.http import Http
from adapters.smpp import Smpp
from tests.adapters.connection import until_settled
from tests.providers.smsc import Smsc

HTTP = Http()
TEXT = b'{"source_addr": "12025550123", "destination_addr": "12025550100", "short_message": "%s"}'
LONG = "0123456789" * 40


class Inbox:
    """Keeps what comes in; `fails` times it does not, and before it keeps anything it waits for `open`."""

    def __init__(self, fails: int = 0) -> None:
        self.events: list[Inbound | Receipt] = []
        self.fails = fails
        self.entered = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, events: Sequence[Inbound | Receipt]) -> None:
        self.entered.set()
        await self.open.wait()
        if self.fails:
            self.fails -= 1
            raise OSError("the database is away")
        self.events.extend(events)

    @property
    def bodies(self) -> list[str]:
        return [event.body for event in self.events if isinstance(event, Inbound)]


def make(port: int, **settings: str) -> Smpp:
    ordinary = {"host": "127.0.0.1", "port": str(port), "system_id": "tw", "password": "secret"}
    impatient = {"answer_seconds": "0.4", "enquire_seconds": "30", "reconnect_seconds": "0.05"}
    return Smpp({**ordinary, **impatient, **settings})


@asynccontextmanager
async def channel(smsc: Smsc, inbox: Inbox | None = None, **settings: str) -> AsyncIterator[Smpp]:
    """A channel that is bound."""
    made = make(smsc.port, **settings)
    async with made.connected(inbox or Inbox()):
        await smsc.bound(2 if settings.get("bind") == "transmitter_receiver" else 1)
        await until_settled(made)
        yield made


def message(body: str = "Hello") -> Outbound:
    return Outbound("m1", "+12025550100", "+12025550123", body)


async def outcome(made: Smpp, body: str = "Hello") -> Sent | SendError:
    try:
        return await made.send(message(body), HTTP)
    except SendError as error:
        return error


async def sent_in_the_end(made: Smpp, body: str = "Hello", seconds: float = 5.0) -> Sent:
    """As the outbox does: what says Retry is sent again."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await made.send(message(body), HTTP)
            except (Retry, Throttled):
                await asyncio.sleep(0.01)


def texts(smsc: Smsc) -> list[str]:
    return [bytes.fromhex(request.json["short_message"]).decode("latin-1") for request in smsc.requests]
