"""One server per engine for all API tests; every test texts from numbers of its own."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import aiohttp
import pytest

from tests.server import Api, Customer
from tests.web.site import Phones, Site, in_own_loop, running_site

OTHER_NUMBER = "+12025550199"
BUSINESS = "Corner Books <b>& Sons</b>"
RULES = """
version: 1
lists: {club: marketing}
fields: {visit: date}
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}
  - {id: person, when: {keyword: person}, do: [{reply: "One moment."}, {handoff: {route: desk}}]}
  - {id: tell, when: {keyword: tell}, do: [{notify: {route: desk, note: "Look."}}]}
  - {id: begin, when: {keyword: begin}, do: [{start: drip}]}
workflows:
  drip: {list: club, enroll: {again: after_end}, steps: [{wait: 1d}, {id: hello, send: "Hello!"}, {end: done}]}
  care: {steps: [{wait: 1d}, {id: hello, send: "Hello!"}, {end: done}]}
"""
DESK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Site]]:
    """The running servers, by engine, each started when first asked for."""
    made: dict[str, Site] = {}
    with ExitStack() as stack:

        def site(engine: str) -> Site:
            if engine not in made:
                url = "sqlite:///test.db" if engine == "sqlite" else _new_database(request)
                made[engine] = stack.enter_context(
                    running_site(
                        tmp_path_factory.mktemp(engine),
                        url,
                        rules=RULES,
                        business={"name": BUSINESS},
                        env={"DESK_SECRET": DESK_SECRET},
                        # Loopback without allow_private: every notification is a dead letter at once.
                        routes__desk={"url": "http://127.0.0.1:9/desk", "secret": {"env": "DESK_SECRET"}},
                        channels__spare={"adapter": "simulator", "numbers": [OTHER_NUMBER]},
                        # A provider that is not there, with numbers to give back.
                        channels__rented={
                            "adapter": "twilio",
                            "numbers": [],
                            "account_sid": "AC" + "0" * 32,
                            "auth_token": {"env": "DESK_SECRET"},
                            "api_base": "http://127.0.0.1:9",
                        },
                        server={"max_body_bytes": 65536},
                    )
                )
            return made[engine]

        yield site


def _new_database(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue("postgres")
    name = f"site{uuid.uuid4().hex[:10]}"

    async def create() -> None:
        import asyncpg

        admin = await asyncpg.connect(url)
        await admin.execute(f"CREATE DATABASE {name}")
        await admin.close()

    in_own_loop(create)
    return url.replace("/postgres?", f"/{name}?")


@pytest.fixture(params=["sqlite", "postgres"])
def site(request: pytest.FixtureRequest, sites: Callable[[str], Site]) -> Site:
    """The server of each engine in turn."""
    return sites(request.param)


@pytest.fixture
def any_site(sites: Callable[[str], Site]) -> Site:
    """A server, for what no SQL touches."""
    return sites("sqlite")


@pytest.fixture(scope="session")
def _phones() -> Phones:
    return Phones()


@pytest.fixture
def new_phone(_phones: Phones) -> Callable[[], str]:
    """A number that no other test uses."""
    return _phones


@pytest.fixture
def admin(site: Site, client: aiohttp.ClientSession) -> Api:
    """A caller who may everything."""
    return site.api(client)


@pytest.fixture
def texter(site: Site, client: aiohttp.ClientSession, new_phone: Callable[[], str]) -> Customer:
    """A customer of that server."""
    return site.customer(client, new_phone())
