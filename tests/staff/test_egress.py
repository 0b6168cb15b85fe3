"""Where a route may lead without allow_private: every kind of address that is not public is refused."""

from __future__ import annotations

import socket

import aiohttp
import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from bot.egress import ForbiddenAddress, guarded_socket, is_public, session

PUBLIC = ["8.8.8.8", "1.1.1.1", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001::200e", "::ffff:8.8.8.8"]
NOT_PUBLIC = [
    ("127.0.0.1", "loopback"),
    ("127.255.255.254", "loopback"),
    ("::1", "loopback"),
    ("::ffff:127.0.0.1", "loopback, mapped"),
    ("::127.0.0.1", "loopback, compatible"),
    ("::ffff:0:127.0.0.1", "loopback, translated"),
    ("0.0.0.0", "unspecified"),
    ("::", "unspecified"),
    ("0.1.2.3", "this network"),
    ("10.0.0.1", "private"),
    ("172.16.0.1", "private"),
    ("172.31.255.255", "private"),
    ("192.168.1.1", "private"),
    ("::ffff:10.0.0.1", "private, mapped"),
    ("fc00::1", "private"),
    ("fd12:3456::1", "private"),
    ("fec0::1", "site-local"),
    ("169.254.169.254", "link-local: cloud metadata"),
    ("::ffff:169.254.169.254", "link-local, mapped"),
    ("fe80::1", "link-local"),
    ("fe80::1%eth0", "link-local with its zone"),
    ("100.64.0.1", "carrier NAT"),
    ("192.0.0.1", "protocol assignments"),
    ("192.0.2.1", "documentation"),
    ("2001:db8::1", "documentation"),
    ("198.18.0.1", "benchmarks"),
    ("224.0.0.1", "multicast"),
    ("239.255.255.250", "multicast"),
    ("ff02::1", "multicast"),
    ("ff0e::1", "multicast, global scope"),
    ("240.0.0.1", "reserved"),
    ("255.255.255.255", "broadcast"),
    ("64:ff9b::7f00:1", "NAT64 of loopback"),
    ("64:ff9b::a00:1", "NAT64 of private"),
    ("64:ff9b::808:808", "NAT64, wherever it leads"),
    ("64:ff9b:1::a00:1", "NAT64, local"),
    ("2002:7f00:1::", "6to4 of loopback"),
    ("2002:a00:1::1", "6to4 of private"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
    ("100::1", "discard"),
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_public(address):
    assert is_public(address)


@pytest.mark.parametrize(("address", "why"), NOT_PUBLIC)
def test_an_address_that_is_not_public_is_not(address, why):
    assert not is_public(address), why


def test_a_socket_is_made_only_for_a_public_address():
    made = guarded_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("8.8.8.8", 443)))
    try:
        assert made.getblocking() is False
    finally:
        made.close()
    with pytest.raises(ForbiddenAddress, match="allow_private"):
        guarded_socket((socket.AF_INET6, socket.SOCK_STREAM, 0, "", ("::1", 443, 0, 0)))


class _Names(AbstractResolver):
    """Every name is these addresses."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


async def _listening(aiohttp_server):
    reached = []

    async def take(request: web.Request) -> web.Response:
        reached.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    return await aiohttp_server(app), reached


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]", "localhost"])
async def test_loopback_is_refused_however_it_is_written(aiohttp_server, host):
    server, reached = await _listening(aiohttp_server)
    async with session(allow_private=False, seconds=5) as client:
        with pytest.raises((OSError, aiohttp.InvalidURL)):
            await client.post(f"http://{host}:{server.port}/")
    assert reached == []


@pytest.mark.parametrize("addresses", [("127.0.0.1",), ("::1", "127.0.0.1"), ("10.1.2.3", "192.168.0.1", "::1")])
async def test_a_name_is_judged_by_what_it_resolves_to_and_the_reason_is_plain(aiohttp_server, addresses):
    """A name with several addresses is as plain a case: it must not look like a failing network."""
    server, reached = await _listening(aiohttp_server)
    async with session(allow_private=False, seconds=5, resolver=_Names(*addresses)) as client:
        with pytest.raises(OSError) as caught:
            await client.post(f"http://desk.example:{server.port}/")
    assert isinstance(getattr(caught.value, "os_error", caught.value), ForbiddenAddress)
    assert reached == []


async def test_a_route_that_may_be_private_reaches_loopback(aiohttp_server):
    server, reached = await _listening(aiohttp_server)
    async with (
        session(allow_private=True, seconds=5) as client,
        client.post(f"http://127.0.0.1:{server.port}/x") as got,
    ):
        assert got.status == 200
    assert reached == ["/x"]
