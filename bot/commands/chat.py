"""textwright chat: a phone in the terminal, on the simulator channel of a running server."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
from typing import Any

import aiohttp

from bot.commands.console import Console
from bot.config import Config, load_config
from rules.problems import Problems

_POLL_SECONDS = 0.2
_QUIET_SECONDS = 1.0
"""How long without an answer counts as none, when what is typed comes from a file."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("--phone", default="+12025550123", help="the customer's number (default: %(default)s)")
    parser.add_argument("--channel", help="a simulator channel (default: the first)")
    parser.add_argument("--url", help="the server (default: [server] host and port)")


def run(given: argparse.Namespace, console: Console) -> int:
    """Chat until the end of input."""
    config = load_config(given.config, Problems())
    simulators = [channel for channel in config.channels.values() if channel.adapter == "simulator"]
    channel = next((c for c in simulators if given.channel in (None, c.name)), None)
    if channel is None:
        console.error("There is no such simulator channel in the configuration.")
        return 1
    url = given.url or server_url(config)
    number = next(iter(channel.numbers), "+12025550100")
    return asyncio.run(_Phone(console, url, channel.name, given.phone, number).use())


def server_url(config: Config) -> str:
    """Where the server of a configuration listens, as seen from this machine."""
    host = config.server.host if config.server.host not in ("0.0.0.0", "::") else "127.0.0.1"  # noqa: S104 - compared
    return f"http://{f'[{host}]' if ':' in host else host}:{config.server.port}"


class _Phone:
    """One customer's phone."""

    def __init__(self, console: Console, url: str, channel: str, phone: str, number: str) -> None:
        self._console = console
        self._url = url
        self._channel = channel
        self._phone = phone
        self._number = number
        self._seen: set[str] = set()

    async def use(self) -> int:
        """Text what is typed, show what is answered."""
        async with aiohttp.ClientSession() as client:
            try:
                self._seen = {item["id"] for item in await self._received(client)}
            except aiohttp.ClientResponseError as error:
                hint = "its simulator is open only while it listens on loopback" if error.status == 404 else "try again"
                self._console.error(f"The server at {self._url} refuses: HTTP {error.status} ({hint}).")
                return 1
            except aiohttp.ClientError:
                self._console.error(f"No server answers at {self._url}. Start it: textwright serve")
                return 1
            if sys.stdin.isatty():
                self._console.print(f"You are {self._phone}, texting {self._number}. Ctrl-D ends.")
            listener = asyncio.create_task(self._listen(client))
            try:
                while line := await asyncio.to_thread(sys.stdin.readline):
                    await self._text(client, line.rstrip("\n"))
            except aiohttp.ClientError:
                self._console.error("The server does not answer any more.")
                return 1
            finally:
                listener.cancel()
        return 0

    async def _text(self, client: aiohttp.ClientSession, text: str) -> None:
        if not text.strip():
            return
        if not sys.stdin.isatty():
            self._console.print(f"> {text}")
        message = {"id": secrets.token_hex(8), "from": self._phone, "to": self._number, "body": text}
        async with client.post(f"{self._url}/webhooks/{self._channel}", json=message) as response:
            if response.status != 200:
                self._console.error(f"The server refused it: HTTP {response.status}")
        if not sys.stdin.isatty():
            await self._wait_for_quiet()

    async def _wait_for_quiet(self) -> None:
        seen = -1
        while seen != len(self._seen):
            seen = len(self._seen)
            await asyncio.sleep(_QUIET_SECONDS)

    async def _listen(self, client: aiohttp.ClientSession) -> None:
        while True:
            try:
                for item in await self._received(client):
                    if item["id"] not in self._seen:
                        self._seen.add(item["id"])
                        self._console.print(f"{self._console.style('<', 'blue')} {item['body']}")
            except aiohttp.ClientError:
                self._console.error("The server does not answer.")
            await asyncio.sleep(_POLL_SECONDS)

    async def _received(self, client: aiohttp.ClientSession) -> list[dict[str, Any]]:
        address = f"{self._url}/simulator/{self._channel}/sent"
        async with client.get(address, params={"phone": self._phone}) as response:
            response.raise_for_status()
            items: list[dict[str, Any]] = (await response.json())["items"]
            return items
