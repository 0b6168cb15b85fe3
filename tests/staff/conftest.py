"""One server whose routes lead to a receiver in the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator

import aiohttp
import pytest

from tests.server import Api, Customer, free_port
from tests.staff.receiver import Receiver
from tests.web.site import Phones, Site, running_site

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER_SECRET = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
RULES = """
version: 1
rules:
  - {id: urgent, interrupt: true, when: {keyword: urgent}, do: [{reply: "Help is on its way."}]}
  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}
  - {id: person, when: {keyword: person}, do: [{handoff: {route: desk, note: "Wants a person: {{ message.text }}"}}]}
  - {id: briefly, when: {keyword: briefly}, do: [{handoff: {route: desk, for: 1m}}]}
  - {id: desk, when: {keyword: desk}, do: [{notify: {route: desk, note: "For the desk."}}]}
  - {id: sales, when: {keyword: sales}, do: [{notify: {route: sales}}]}
  - {id: guarded, when: {keyword: guarded}, do: [{notify: {route: guarded}}]}
  - {id: named, when: {keyword: named}, do: [{notify: {route: named}}]}
"""


@pytest.fixture(scope="package")
def port() -> int:
    """The receiver's port."""
    return free_port()


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, port: int) -> Iterator[Site]:
    """A server with routes to the receiver; two of them may not go there."""
    base = f"http://127.0.0.1:{port}"
    secret = {"env": "DESK_SECRET"}
    with running_site(
        tmp_path_factory.mktemp("staff"),
        "sqlite:///test.db",
        rules=RULES,
        env={"DESK_SECRET": SECRET, "SALES_SECRET": OTHER_SECRET},
        routes__sales={"url": f"{base}/sales", "secret": {"env": "SALES_SECRET"}, "allow_private": True},
        routes__desk={"url": f"{base}/desk", "secret": secret, "allow_private": True, "default": True},
        routes__guarded={"url": f"{base}/guarded", "secret": secret},
        routes__named={"url": f"http://localhost:{port}/named", "secret": secret},
        outbox={"auto_reply_cap": 3},
    ) as running:
        yield running


@pytest.fixture
async def receiver(port: int) -> AsyncIterator[Receiver]:
    """The receiver of this test."""
    async with Receiver(port) as listening:
        yield listening


@pytest.fixture(scope="package")
def _phones() -> Phones:
    return Phones()


@pytest.fixture
def ana(site: Site, client: aiohttp.ClientSession, _phones: Phones) -> Customer:
    """A customer whom no other test knows."""
    return site.customer(client, _phones())


@pytest.fixture
def new_customer(site: Site, client: aiohttp.ClientSession, _phones: Phones) -> Callable[[], Customer]:
    """More such customers."""
    return lambda: site.customer(client, _phones())


@pytest.fixture
def admin(site: Site, client: aiohttp.ClientSession) -> Api:
    """A caller who may everything."""
    return site.api(client)
