"""Behind a proxy: who calls is who the proxy says, if it is ours; and what is open to this machine alone is closed."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from bot.clock import system_clock
from bot.sections import Server
from bot.store.open import open_store
from bot.users import add_user, hash_password
from bot.web.auth import address_of
from tests.web.browser import PASSWORD

OURS = Server(trusted_proxies=("127.0.0.1", "10.0.0.0/8", "fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9", "198.51.100.7", "10.1.2.3"], "198.51.100.7"),
        ("127.0.0.1", ["127.0.0.1, 10.1.2.3"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("fd00::1", ["[2001:db8::7]:4711"], "2001:db8::7"),
        ("::ffff:10.0.0.1", ["::ffff:198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["203.0.113.9, unknown, 10.1.2.3"], "10.1.2.3"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("", ["198.51.100.7"], ""),
    ],
)
def test_a_request_comes_from_the_last_address_that_is_no_proxy_of_ours(peer, forwarded, address):
    headers = CIMultiDict([("X-Forwarded-For", value) for value in forwarded])
    request = make_mocked_request("POST", "/login", headers=headers).clone(remote=peer)
    assert address_of(OURS, request) == address


def test_without_a_proxy_of_ours_nobody_is_believed():
    request = make_mocked_request("POST", "/login", headers={"X-Forwarded-For": "198.51.100.7"})
    assert address_of(Server(), request.clone(remote="127.0.0.1")) == "127.0.0.1"


@pytest.mark.parametrize(("proxies", "statuses"), [(["127.0.0.1"], [303, 401]), ([], [429, 429])])
async def test_a_stranger_locks_out_who_signs_in_from_elsewhere_only_where_all_are_one(
    serve, client, proxies, statuses
):
    server = await serve(server={"trusted_proxies": proxies})
    async with open_store("sqlite:///test.db", server.folder, exclusive=False) as store:
        hashed = await hash_password(PASSWORD)
        async with store.transaction() as transaction:
            await add_user(transaction, "ana", "", "staff", hashed, system_clock())

    async def sign_in(address, password):
        fields, headers = {"name": "ana", "password": password}, {"X-Forwarded-For": address}
        url = f"{server.url}/login"
        async with client.post(url, data=fields, headers=headers, allow_redirects=False) as response:
            return response.status

    found = [await sign_in("203.0.113.9", "wrong-otter-99") for _ in range(6)]
    assert found[:5] + found[5:] == [401] * 5 + [429]
    assert [await sign_in("198.51.100.7", password) for password in (PASSWORD, "wrong-otter-99")] == statuses


@pytest.mark.parametrize(("proxies", "statuses"), [(["127.0.0.1"], [404, 303]), ([], [200, 200])])
async def test_what_is_open_to_this_machine_alone_is_closed_behind_a_proxy_of_it(serve, client, proxies, statuses):
    server = await serve(server={"trusted_proxies": proxies})
    found = []
    for path in ("/simulator/sim/sent", "/phone"):
        async with client.get(f"{server.url}{path}", allow_redirects=False) as response:
            found.append(response.status)
    assert found == statuses
