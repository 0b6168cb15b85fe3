"""Channels that fail as a test says, on a node whose clock the test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from adapters.contract import Adapter, Outbound, Sent
from adapters.errors import Misconfigured, Retry, SendError, Unknown
from adapters.http import Http
from adapters.simulator import Simulator
from bot.staff import Draft, queue_drafts
from bot.store.contract import Store
from bot.store.open import open_store
from tests.bot.conftest import NOBODY
from tests.bot.load import table
from tests.bot.service import MICROSECONDS, Clock, Service, at, node

Failure = Callable[[], SendError]
REFUSED: Failure = lambda: Retry("no connection to the provider")  # noqa: E731
HANGS: Failure = lambda: Unknown("no answer came back")  # noqa: E731
NOT_OURS: Failure = lambda: Misconfigured("Authenticate", "20003")  # noqa: E731
POOL = {"channels": ["sim", "spare"]}
SPARE = "+12025550177"
RULES = 'version: 1\nrules: [{id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}]\n'
NOON = "2026-03-03 12:00"
ALERTS = ("channel.out", "channel.back")


class Line:
    """One channel. `failure` ends every request; `took` and `tried` are (recipient, body), `from_` the senders."""

    capabilities = Simulator.capabilities

    def __init__(self, name: str) -> None:
        self.name = name
        self.failure: Failure | None = None
        self.tried: list[tuple[str, str]] = []
        self.took: list[tuple[str, str]] = []
        self.from_: list[str] = []
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, message: Outbound, http: Http) -> Sent:
        self.tried.append((message.recipient, message.body))
        await self.open.wait()
        if self.failure is not None:
            raise self.failure()
        self.took.append((message.recipient, message.body))
        self.from_.append(message.sender)
        return Sent(f"{self.name}-{len(self.took)}")

    def bodies(self, phone: str) -> list[str]:
        """What one phone got, in order."""
        return [body for recipient, body in self.took if recipient == phone]


class Desk:
    """A node with a line for each channel, which several nodes may share."""

    def __init__(self, node: Service, lines: Mapping[str, Line] | None = None) -> None:
        self.node = node
        self.lines = lines or {name: Line(name) for name in node.config.channels}
        self.store, self.clock, self.senders = node.store, node.clock, node.senders
        self.text, self.make, self.settle = node.text, node.make, node.settle
        node.outbox._adapters = cast("Mapping[str, Adapter]", self.lines)

    async def send(self, phone: str, body: str, **more: Any) -> str:
        """Staff text a phone; the message's id."""
        values = {"media": (), "by": "staff", "number": "", "channel": "", **more}
        async with self.store.transaction() as transaction:
            draft = Draft(phone, body, **values)
            [queued] = await queue_drafts(transaction, [draft], now=self.clock.now, first=self.senders.first)
        assert queued.id is not None, queued.reason
        return queued.id

    async def pass_time(self, seconds: float, step: float = 5.0) -> None:
        """Let time pass, and do on the way what falls due."""
        until = self.clock.now + round(seconds * MICROSECONDS)
        while self.clock.now < until:
            self.clock.now = min(until, self.clock.now + round(step * MICROSECONDS))
            await self.settle()

    async def break_down(
        self, name: str = "sim", failure: Failure = REFUSED, phones: str = "+1203555%04d"
    ) -> list[str]:
        """Have a channel fail until it is out; the ids of the texts that were tried."""
        self.lines[name].failure = failure
        made = []
        for count in range(5):
            await self.make(phones % (1000 + count))
            number = self.senders.lines.of_channel(name)[0]
            made.append(await self.send(phones % (1000 + count), f"lost {count}", number=number, channel=name))
        await self.settle()
        assert name in self.senders.outages.names()
        return made

    async def message(self, id_: str) -> dict[str, Any]:
        """A message's row."""
        [row] = await table(self.store, f"SELECT * FROM messages WHERE id = '{id_}'")
        return row

    async def messages(self, phone: str) -> list[dict[str, Any]]:
        """The messages to a phone, in order."""
        where = f"phone = '{phone}' AND direction = 'outbound'"
        return await table(self.store, f"SELECT * FROM messages WHERE {where} ORDER BY seq")

    async def told(self) -> list[tuple[str, str, str]]:
        """(route, event, channel) of the alerts so far."""
        return await alerts(self.store)


async def alerts(store: Store) -> list[tuple[str, str, str]]:
    """(route, event, channel) of all alerts, in order."""
    rows = await table(store, "SELECT route, type, payload FROM notifications ORDER BY seq")
    return [(r["route"], r["type"], _channel(r["payload"])) for r in rows if r["type"] in ALERTS]


def _channel(payload: str) -> str:
    content = json.loads(payload)
    return str(content.get("data", content)["channel"])


async def subscribe(store: Store, **routes: str) -> None:
    """Have routes told of one event each."""
    async with store.transaction() as transaction:
        rows = [{"event": event.replace("_", "."), "route": route} for event, route in routes.items()]
        await transaction.each("add_subscriptions", rows)


@asynccontextmanager
async def desk(store_url: str, folder: Path, rules: str = RULES, **sections: Any) -> AsyncIterator[Desk]:
    """A node with a channel and a spare one in a pool, and a route that is told."""
    async with open_store(store_url, folder) as store, second(folder / "node", store, rules=rules, **sections) as made:
        yield made


@asynccontextmanager
async def second(
    folder: Path, store: Store, other: Desk | None = None, rules: str = RULES, **sections: Any
) -> AsyncIterator[Desk]:
    """One more node on a store, at the time of another and with its lines."""
    given = {
        "channels__spare": {"adapter": "simulator", "numbers": [SPARE], "deliveries": "spare.jsonl"},
        "pools__both": POOL,
        "routes__desk": NOBODY,
        **sections,
    }
    given = {name: section for name, section in given.items() if section is not None}
    clock = other.clock if other else Clock(at(NOON))
    async with node(folder, store, clock, rules, **given) as made:
        await made.senders.load()
        yield Desk(made, other.lines if other else None)
