"""Where staff webhooks may go: no loopback, no private network, unless the route says so.

The address is checked at the moment that a socket is made for it, after name resolution and for every
connection, because a name can resolve otherwise the second time; and redirects are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver

# Global by the registry, yet each can embed a private IPv4 address (NAT64, 6to4, Teredo, IPv4-compatible and
# -translated), or was private once (site-local).
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(text)
    for text in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
        "::ffff:0:0:0/96",
        "fec0::/10",
    )
)


class ForbiddenAddress(OSError):
    """A route's address is not public."""


def is_public(address: str) -> bool:
    """Whether an IP address is one that a webhook may go to without a word of the operator."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(ip, "ipv4_mapped", None)
    if mapped is not None:
        ip = mapped
    return (
        ip.is_global
        and not ip.is_multicast
        and not any(ip in network for network in _NOT_PUBLIC if ip.version == network.version)
    )


def guarded_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """A socket for an address, made only if the address is public (aiohttp's `socket_factory`)."""
    family, kind, protocol, _, address = address_info
    if not is_public(str(address[0])):
        # The same words for every address: of a name with several, aiohttp raises one error only if all are alike.
        raise ForbiddenAddress("the address is not public; the route needs allow_private = true")
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    return made


def session(*, allow_private: bool, seconds: float, resolver: AbstractResolver | None = None) -> aiohttp.ClientSession:
    """A client session for routes."""
    connector = aiohttp.TCPConnector(
        resolver=resolver, socket_factory=None if allow_private else guarded_socket, keepalive_timeout=15
    )
    timeout = aiohttp.ClientTimeout(total=seconds)
    return aiohttp.ClientSession(connector=connector, timeout=timeout, cookie_jar=aiohttp.DummyCookieJar())
