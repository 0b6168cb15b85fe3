"""The servers under test, as processes of their own, on a processor core of their own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import orjson
import psutil  # type: ignore[import-untyped]

from bench.shop import NUMBER, rules
from bench.wire import ACCOUNT_SID, AUTH_TOKEN, PUBLIC_URL

ROOT = Path(__file__).resolve().parent.parent
PROFILE_MARK = "=== profile ==="
"""Where a server's log ends and its profile begins."""
_START_SECONDS = 30.0
_SENT = "textwright_sends_total{"


def free_port() -> int:
    """A port of this machine that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cores() -> tuple[set[int], set[int]]:
    """One core for the server, the others for the load and the provider; all for both where there is but one."""
    if not hasattr(os, "sched_getaffinity"):
        return set(), set()
    have = sorted(os.sched_getaffinity(0))
    return ({have[0]}, set(have[1:])) if len(have) > 1 else (set(have), set(have))


@contextmanager
def _on(core: set[int]) -> Iterator[None]:
    """What is started within runs on these cores."""
    if not core:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, core)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Process:
    """A running server."""

    def __init__(self, command: Sequence[str], folder: Path, core: set[int], port: int) -> None:
        self.port = port
        self._log = folder / "server.log"
        with self._log.open("ab") as log, _on(core):
            self._process = subprocess.Popen(
                [sys.executable, *command],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._watched = psutil.Process(self._process.pid)
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=1):
                    return
            except URLError as error:
                if hasattr(error, "code"):  # bare has no such page, and yet it serves
                    return
            time.sleep(0.05)
        self.complain("did not start")
        raise SystemExit(1)

    def complain(self, what: str) -> None:
        """Say what went wrong, with the end of the server's log."""
        tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-15:])
        print(f"the server {what}; its log ends:\n{tail}", file=sys.stderr)

    def cpu_seconds(self) -> float:
        """CPU time so far, user and system, of all threads."""
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    def loop_seconds(self) -> float:
        """CPU time so far of the main thread alone: the event loop's, without the store's own thread."""
        main = next(thread for thread in self._watched.threads() if thread.id == self._process.pid)
        return float(main.user_time + main.system_time)

    def rss_bytes(self) -> int:
        """Resident memory."""
        return int(self._watched.memory_info().rss)

    def sent(self) -> int:
        """How many messages ours says that it has sent, and settled as sent."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return sum(
            int(float(line.split()[-1])) for line in lines if line.startswith(_SENT) and 'outcome="sent"' in line
        )

    def begin_profile(self) -> None:
        """Tell bench.profiled that what comes now counts."""
        self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL to what does not heed it."""
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    @property
    def log(self) -> Path:
        """Where it writes."""
        return self._log


def bare(folder: Path, core: set[int], provider: str = "") -> Process:
    """Bare aiohttp; with a provider's URL it relays."""
    folder.mkdir()
    port = free_port()
    return Process(["-m", "bench.bare", str(port), *([provider] if provider else [])], folder, core, port)


def textwright(
    folder: Path,
    core: set[int],
    *,
    store: str,
    provider: str = "",
    profiled: bool = False,
    outbox: Mapping[str, Any] = MappingProxyType({}),
) -> Process:
    """`textwright serve` with the benchmark's rules; with a provider's URL it has a Twilio channel, main."""
    folder.mkdir()
    port = free_port()
    # Two machines may not text each other for ever; here one does, on purpose.
    merged: dict[str, Mapping[str, Any]] = {
        "server": {"port": port, "log_format": "json", "drain_seconds": 1},
        "store": {"url": store},
        "business": {"name": "Corner Books", "contact": "hello@cornerbooks.example", "timezone": "America/New_York"},
        "rules": {"files": ["rules.yaml"]},
        "outbox": {"auto_reply_cap": 10_000, **outbox},
    }
    if provider:
        merged["server"] = {**merged["server"], "public_url": PUBLIC_URL}
        merged["channels.main"] = {
            "adapter": "twilio", "numbers": [NUMBER], "account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN,
            "api_base": provider,
        }  # fmt: skip
    else:
        merged["channels.sim"] = {"adapter": "simulator", "numbers": [NUMBER]}
    lines = []
    for name, values in merged.items():
        # A JSON text, number or list is the same in TOML.
        lines += [f"[{name}]", *(f"{key} = {orjson.dumps(value).decode()}" for key, value in values.items())]
    (folder / "config.toml").write_text("\n".join(lines), encoding="utf-8")
    (folder / "rules.yaml").write_text(rules(), encoding="utf-8")
    module = "bench.profiled" if profiled else "bot"
    return Process(["-m", module, "serve"], folder, core, port)
