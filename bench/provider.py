"""The stand-in provider: takes a message over HTTP, says 201, and tells the load generator who was texted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from time import perf_counter
from typing import cast

from bench.shop import NUMBER
from bench.wire import ACCOUNT_SID, content_length

# What Twilio's Messages resource answers.
_BODY = (
    f'{{"account_sid": "{ACCOUNT_SID}", "api_version": "2010-04-01", "body": "...", "date_created": "Fri, 24 Jan 2025 '
    '17:00:00 +0000", "date_sent": null, "direction": "outbound-api", "error_code": null, "error_message": null, '
    f'"from": "{NUMBER}", "messaging_service_sid": null, "num_media": "0", "num_segments": "1", "price": null, '
    f'"sid": "SM%032x", "status": "queued", "to": "%s", "uri": "/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"}}'
)
_ANSWER = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
_sids = count()


class Provider:
    """Listens on loopback. While `answers` is False it takes requests and says nothing."""

    def __init__(self) -> None:
        self.answers = True
        self.taken = 0
        """How many messages were answered with 201."""
        self.received: Callable[[str, float], None] = lambda phone, at: None
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Provider:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Line(self), "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.close()


class _Line(asyncio.Protocol):
    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + content_length(data, head):
            self._buffer = data
            return
        self._buffer = b""
        start = data.find(b"To=%2B", head) + 6
        end = data.find(b"&", start)
        phone = "+" + data[start : end if end > 0 else len(data)].decode()
        self._provider.received(phone, perf_counter())
        if self._provider.answers:
            assert self._transport is not None
            self._provider.taken += 1
            body = _BODY % (next(_sids), phone)
            self._transport.write((_ANSWER % (len(body), body)).encode())
