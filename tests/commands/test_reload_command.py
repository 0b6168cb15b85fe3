"""textwright reload, beside a server that runs."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.commands.conftest import BETTER, GOOD
from tests.server import Api, Customer, Server

pytestmark = pytest.mark.slow


def unwatched(folder: Path) -> Server:
    """A server that does not look at its rule files by itself."""
    server = Server(folder, rules=GOOD)
    server.config.write_text(server.config.read_text().replace("[rules]\n", "[rules]\nwatch = false\n"))
    return server


async def reload(server: Server):
    return await asyncio.to_thread(server.command, "reload")


async def test_what_was_changed_is_in_force_when_it_returns(tmp_path, client):
    async with unwatched(tmp_path) as server:
        customer = Customer(server, client, "+12025550141")
        assert (await reload(server)).stdout.endswith("is in force already\n")
        (tmp_path / "rules.yaml").write_text(BETTER)
        done = await reload(server)
        assert (done.returncode, done.stdout.endswith("is now in force\n")) == (0, True)
        await customer.text("HOURS")
        assert await customer.wait_for(1) == ["10 to 6"]
        api = Api(server, client, await asyncio.to_thread(server.token, "admin"))
        assert not [token for token in (await api.get("/tokens"))["items"] if token["name"].startswith("reload")]
        [row] = [row for row in (await api.get("/audit"))["items"] if row["operation"] == "reload_rules"][:1]
        assert row["actor"].startswith("token reload")


async def test_what_is_wrong_is_said_and_the_old_rules_stay(tmp_path, client):
    async with unwatched(tmp_path) as server:
        (tmp_path / "rules.yaml").write_text(BETTER.replace("reply", "replay"))
        done = await reload(server)
        assert done.returncode == 1
        assert "rules.yaml:3: error: unknown action 'replay'. Did you mean 'reply'?" in done.stdout
        assert "The old rules stay in force." in done.stderr
        customer = Customer(server, client, "+12025550141")
        await customer.text("HOURS")
        assert await customer.wait_for(1) == ["9 to 5"]


async def test_without_a_server_it_says_so(tmp_path):
    done = await reload(Server(tmp_path, rules=GOOD))
    assert done.returncode == 1
    assert "No server answers" in done.stderr
