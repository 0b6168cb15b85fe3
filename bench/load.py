"""Load on one server for some seconds: 64 connections, each with one message in flight."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import Self

from bench.provider import Provider
from bench.servers import Process
from bench.wire import Connection, Request

CONNECTIONS = 64
_LATE_SECONDS = 20.0


@dataclass(slots=True)
class Round:
    """What was measured, all in seconds: `cpu_seconds` are the server's, `load_cpu_seconds` the load generator's."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    load_cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Messages a second."""
        return len(self.latencies) / self.seconds

    @property
    def cpu_per_message(self) -> float:
        """Seconds of CPU time, user and system."""
        return self.cpu_seconds / max(1, len(self.latencies))

    def percentile(self, share: float) -> float:
        """A latency that this share of the messages did not exceed."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


class Load:
    """The load on one server. With a provider, a message is done when both its answer and its reply have come.

    Then the same number of messages is under way in either server, and neither can run ahead of its own sending.
    """

    def __init__(self, server: Process, provider: Provider | None = None) -> None:
        self._server = server
        self._provider = provider
        self._connections: list[Connection] = []
        self._waiting_for_reply: dict[str, Connection] = {}
        self._requests: Iterator[Request] = iter(())
        self._round = Round()
        self._ends_at = 0.0
        self._busy = 0
        self._finished = asyncio.Event()
        self.failed = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(CONNECTIONS):
            _, connection = await loop.create_connection(
                lambda: Connection(self._answered), "127.0.0.1", self._server.port
            )
            self._connections.append(connection)
        return self

    async def __aexit__(self, *exc: object) -> None:
        for connection in self._connections:
            connection.close()

    async def drive(self, requests: Iterator[Request], seconds: float) -> Round:
        """Send for that long; what is under way at the end is waited for, and not counted."""
        if self._provider is not None:
            self._provider.received = self._replied
        self._requests = requests
        self._round = measured = Round()
        self._finished.clear()
        before, own, started = self._server.cpu_seconds(), process_time(), perf_counter()
        self._ends_at = started + seconds
        self._busy = len(self._connections)
        for connection in self._connections:
            self._next(connection)

        def end() -> None:
            measured.seconds = perf_counter() - started
            measured.cpu_seconds = self._server.cpu_seconds() - before
            measured.load_cpu_seconds = process_time() - own

        ending = asyncio.get_running_loop().call_later(seconds, end)
        try:
            await asyncio.wait_for(self._finished.wait(), seconds + _LATE_SECONDS)
        except TimeoutError:
            missing = f"{len(self._waiting_for_reply)} replies" if self._provider else f"{self._busy} answers"
            self._server.complain(f"owes {missing} {_LATE_SECONDS:.0f} s after the last message")
            raise SystemExit(1) from None
        if not measured.seconds:
            ending.cancel()
            end()
        return measured

    async def post_all(self, requests: Sequence[Request]) -> None:
        """Send these, once each."""
        await self.drive(iter(requests), 600.0)

    def _next(self, connection: Connection) -> None:
        message = next(self._requests, None) if perf_counter() < self._ends_at else None
        if message is None:
            self._busy -= 1
            if not self._busy:
                self._finished.set()
            return
        if self._provider is not None:
            self._waiting_for_reply[message[0]] = connection
        connection.post(message, 2 if self._provider else 1)

    def _answered(self, connection: Connection, at: float, status: int) -> None:
        if status != 200:
            self.failed += 1
            if self.failed == 1:
                self._server.complain(f"answered {status}" if status else "hung up")
        elif self._provider is None:
            self._count(connection, at)
        self._step(connection)

    def _replied(self, phone: str, at: float) -> None:
        connection = self._waiting_for_reply.pop(phone, None)
        if connection is not None:
            self._count(connection, at)
            self._step(connection)

    def _count(self, connection: Connection, at: float) -> None:
        if at <= self._ends_at:
            self._round.latencies.append(at - connection.sent_at)

    def _step(self, connection: Connection) -> None:
        connection.waits_for -= 1
        if connection.waits_for == 0:
            self._next(connection)
