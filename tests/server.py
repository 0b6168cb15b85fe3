"""A real server process for tests: `textwright serve` with its own configuration, store and port."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import orjson

ROOT = Path(__file__).resolve().parent.parent
NUMBER = "+12025550100"
START_SECONDS = 20.0
STARTER = str(ROOT / "rules" / "starter" / "shop.yaml")


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def toml(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return str(value) if isinstance(value, int | float) else orjson.dumps(value).decode()


class Server:
    """A `textwright serve` process. Sections given here are merged over a small working configuration."""

    def __init__(
        self,
        folder: Path,
        store_url: str = "sqlite:///test.db",
        *,
        rules: str | None = None,
        env: Mapping[str, str] | None = None,
        **sections: Mapping[str, Any],
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = dict(env or {})
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "server.log"
        if rules is not None:
            (folder / "rules.yaml").write_text(rules, encoding="utf-8")
        merged: dict[str, dict[str, Any]] = {
            "server": {"port": self.port, "log_format": "json"},
            "store": {"url": store_url},
            "business": {
                "name": "Corner Books",
                "contact": "hello@cornerbooks.example",
                "timezone": "America/New_York",
            },
            "rules": {"files": ["rules.yaml" if rules is not None else STARTER]},
            "channels.sim": {"adapter": "simulator", "numbers": [NUMBER], "deliveries": "deliveries.jsonl"},
        }
        for name, section in sections.items():
            key = name.replace("__", ".")
            merged[key] = {**merged.get(key, {}), **section}
        lines = []
        for name, values in merged.items():
            lines.append(f"[{name}]")
            lines += [f"{key} = {toml(value)}" for key, value in values.items()]
        self.config = folder / "config.toml"
        self.config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def environment(self) -> dict[str, str]:
        """The process's environment: the source tree first, whatever is installed."""
        return os.environ | {"PYTHONPATH": str(ROOT)} | self.env

    def command(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run another textwright command with this configuration."""
        name, *rest = arguments
        return subprocess.run(
            [sys.executable, "-m", "bot", name, "--config", str(self.config), *rest],
            cwd=self.folder,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def token(self, role: str = "admin", name: str | None = None) -> str:
        """A new API token."""
        made = self.command("token", "create", name or f"{role}-{time.monotonic_ns()}", "--role", role)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    async def start(self) -> Server:
        """Start, and wait until it is ready."""
        self.process = self._spawn()
        deadline = time.monotonic() + START_SECONDS
        async with aiohttp.ClientSession() as client:
            while time.monotonic() < deadline:
                assert self.process.poll() is None, self.log.read_text()
                try:
                    async with client.get(f"{self.url}/readyz") as response:
                        if response.status == 200:
                            return self
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.05)
        raise AssertionError(f"not ready after {START_SECONDS} s: {self.log.read_text()}")

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bot", "serve", "--config", str(self.config)],
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None

    async def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; returns the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        code = await asyncio.to_thread(self.process.wait, seconds)
        self.process = None
        return code

    async def __aenter__(self) -> Server:
        return await self.start()

    async def __aexit__(self, *exc: object) -> None:
        if self.process is not None:
            await self.stop()

    def rss_bytes(self) -> int:
        """Resident memory of the process."""
        import psutil

        assert self.process is not None
        return int(psutil.Process(self.process.pid).memory_info().rss)


class Customer:
    """A phone that texts a simulator channel."""

    def __init__(self, server: Server, client: aiohttp.ClientSession, phone: str, channel: str = "sim") -> None:
        self.server = server
        self.client = client
        self.phone = phone
        self.channel = channel
        self._count = 0

    async def text(
        self, body: str, *, id: str | None = None, media: Sequence[str] = (), to: str = NUMBER
    ) -> dict[str, Any]:
        """Text; returns the server's word on it (id and status)."""
        self._count += 1
        message = {
            "id": id or f"{self.phone}-{self._count}-{time.monotonic_ns()}",
            "from": self.phone,
            "to": to,
            "body": body,
            "media": list(media),
        }
        async with self.client.post(f"{self.server.url}/webhooks/{self.channel}", json=message) as response:
            assert response.status == 200, await response.text()
            result: dict[str, Any] = (await response.json())["messages"][0]
            return result

    async def inbox(self) -> list[str]:
        """The texts that were delivered to this phone, oldest first."""
        url = f"{self.server.url}/simulator/{self.channel}/sent"
        async with self.client.get(url, params={"phone": self.phone}) as response:
            return [item["body"] for item in (await response.json())["items"]]

    async def wait_for(self, count: int, seconds: float = 5.0) -> list[str]:
        """The delivered texts, once there are `count`; fails when there are fewer in the end."""
        deadline = time.monotonic() + seconds
        while True:
            texts = await self.inbox()
            if len(texts) >= count or time.monotonic() > deadline:
                assert len(texts) >= count, f"{len(texts)} of {count}: {texts}"
                return texts
            await asyncio.sleep(0.02)

    async def quiet(self, seconds: float = 0.4) -> list[str]:
        """The delivered texts after a while in which more could have come."""
        await asyncio.sleep(seconds)
        return await self.inbox()


class Api:
    """A caller of the API."""

    def __init__(self, server: Server, client: aiohttp.ClientSession, token: str) -> None:
        self.server = server
        self.client = client
        self.headers = {"Authorization": f"Bearer {token}"}

    async def call(self, method: str, path: str, body: Any = None, **params: str) -> tuple[int, Any]:
        """(status, JSON) of a call below /api/v1."""
        url = f"{self.server.url}/api/v1{path}"
        async with self.client.request(
            method, url, json=body, params=params, headers=self.headers, allow_redirects=False
        ) as response:
            raw = await response.read()
            return response.status, orjson.loads(raw) if raw else None

    async def get(self, path: str, **params: str) -> Any:
        """The JSON of a GET that must succeed."""
        status, value = await self.call("GET", path, **params)
        assert status == 200, value
        return value

    async def contact_of(self, phone: str) -> dict[str, Any]:
        """The one contact with a phone."""
        items = (await self.get("/contacts", q=phone))["items"]
        assert len(items) == 1, items
        contact: dict[str, Any] = items[0]
        return contact

    async def phone(self, number: str) -> dict[str, Any]:
        """A phone's consent and flags."""
        contact = await self.contact_of(number)
        phone: dict[str, Any] = next(phone for phone in contact["phones"] if phone["number"] == number)
        return phone
