"""textwright serve: when it refuses to start, how it reads its rules again, and how it ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from tests.commands.conftest import BETTER, GOOD, MISTAKES, SAYS
from tests.server import ROOT, Server, free_port
from tests.web.site import eventually

_LINES = [f"{file}:{line}: error: {text}" for file, line, text in SAYS]


def test_it_refuses_to_start_on_a_mistake_with_the_words_of_check(shop, textwright):
    (shop / "rules.yaml").write_text(MISTAKES)
    done = textwright("serve")
    assert done.code == 1
    assert done.out.splitlines() == _LINES
    assert textwright("check").out.splitlines()[:-1] == _LINES
    assert not list(shop.glob("*.db")), "nothing was opened"


async def _ready(server, client):
    async with client.get(f"{server.url}/readyz") as response:
        assert response.status == 200
        return await response.json()


async def _shown(server, client):
    """What /readyz says of refused rules."""
    return (await _ready(server, client)).get("rejected_rules")


@pytest.mark.slow
async def test_a_reload_with_mistakes_keeps_the_old_rules_and_a_good_one_is_taken(tmp_path, customer, api, client):
    """By SIGHUP and by the API."""
    folder = tmp_path / "unwatched"
    folder.mkdir()
    server = Server(folder, rules=GOOD)
    server.config.write_text(server.config.read_text().replace("[rules]", "[rules]\nwatch = false"))
    await server.start()
    try:
        admin, ana = api(server), customer(server)
        old = (await admin.get("/rules"))["version"]
        rules = server.folder / "rules.yaml"
        rules.write_text(MISTAKES)
        status, problem = await admin.call("POST", "/rules/reload")
        assert (status, problem["detail"]) == (409, "The old rules stay in force.")
        assert [(error["field"], error["detail"]) for error in problem["errors"]] == [
            (f"{file}:{line}", text) for file, line, text in SAYS
        ]
        assert await _shown(server, client) == _LINES
        shown = await admin.get("/rules")
        assert (shown["version"], shown["rejected"]) == (old, _LINES)
        await ana.text("HOURS")
        assert await ana.wait_for(1) == ["9 to 5"]

        rules.write_text(BETTER)
        os.kill(server.process.pid, signal.SIGHUP)

        async def taken():
            shown = await admin.get("/rules")
            return shown if shown["version"] != old else None

        assert (await eventually(taken, "the good file is taken"))["rejected"] == []
        assert await _shown(server, client) is None
        await ana.text("HOURS")
        assert (await ana.wait_for(2))[1] == "10 to 6"

        rules.write_text("version: 1\nfoo: bar\n")
        os.kill(server.process.pid, signal.SIGHUP)
        await eventually(lambda: _shown(server, client), "the refusal is told")
        assert await _shown(server, client) == ["rules.yaml:2: error: unknown key 'foo'."]
        await ana.text("HOURS")
        assert (await ana.wait_for(3))[2] == "10 to 6"
        rules.write_text(BETTER)
        assert (await admin.call("POST", "/rules/reload"))[1]["changed"] is False
        assert await _shown(server, client) is None, "what is in force again is not refused any more"
        status, decision = await admin.call("GET", f"/messages/{await _first_message(admin)}/decision")
        assert (status, decision["version"]) == (200, old), "explained by the rules that decided it"
        assert await server.stop() == 0
    finally:
        if server.process is not None:
            server.kill()
    log = [orjson.loads(line) for line in server.log.read_text().splitlines()]
    assert [line["event"] for line in log if line["event"].startswith("rules.")] == [
        "rules.rejected", "rules.reloaded", "rules.rejected",
    ]  # fmt: skip
    assert log[-1]["event"] == "server.stopped"


async def _first_message(admin):
    return (await admin.get("/messages", direction="inbound"))["items"][-1]["id"]


@pytest.mark.slow
async def test_files_are_read_again_when_they_change(serve, customer, api, client):
    server = await serve(rules=GOOD)
    ana = customer(server)
    rules = server.folder / "rules.yaml"
    rules.write_text(MISTAKES)
    await eventually(lambda: _shown(server, client), "the refusal is told", 20)
    await ana.text("HOURS")
    assert await ana.wait_for(1) == ["9 to 5"]
    # As editors do it: away, and a new file in its place.
    rules.unlink()
    (server.folder / "new").write_text(BETTER)
    (server.folder / "new").rename(rules)

    async def good():
        return await _shown(server, client) is None

    await eventually(good, "the good file is taken", 20)
    await ana.text("HOURS")
    assert (await ana.wait_for(2))[1] == "10 to 6"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_it_starts_ends_it_with_exit_0_and_a_hangup_does_nothing(number, tmp_path):
    config = tmp_path / "config.toml"
    os.mkfifo(config)
    command = [sys.executable, "-m", "bot", "serve", "--config", str(config)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE) as process:
        # Open for writing once it reads its configuration, and there it waits for what is written.
        with config.open("w"):
            process.send_signal(signal.SIGHUP)
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(0.5)
            process.send_signal(number)
            assert process.wait(10) == 0
        assert process.stderr.read() == b""
    assert [path.name for path in tmp_path.iterdir()] == ["config.toml"], "nothing was opened"


async def test_a_port_that_is_busy_is_said_in_one_line_and_exit_1(tmp_path):
    server = Server(tmp_path, rules=GOOD)
    with socket.socket() as other:
        other.bind(("127.0.0.1", server.port))
        other.listen()
        done = server.command("serve")
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = [orjson.loads(line) for line in done.stderr.splitlines()]
    assert (line["event"], line["host"], line["port"]) == ("server.cannot_listen", "127.0.0.1", server.port)
    assert "in use" in line["error"].lower()


@pytest.mark.slow
async def test_a_second_server_on_one_sqlite_file_is_refused(serve, tmp_path):
    store = f"sqlite:///{tmp_path / 'one.db'}"
    await serve(store, rules=GOOD)
    folder = tmp_path / "second"
    folder.mkdir()
    done = Server(folder, store, rules=GOOD).command("serve")
    assert done.returncode == 1
    assert done.stderr == "The store cannot be used: another textwright server has one.db open\n"


@pytest.mark.slow
async def test_in_an_empty_folder_it_serves_the_simulator_and_the_starter_rules(tmp_path, client):
    server = _Bare(tmp_path)
    async with server:
        message = {"id": "m1", "from": "+12025550142", "to": "+12025550100", "body": "HOURS"}
        async with client.post(f"{server.url}/webhooks/simulator", json=message) as response:
            assert response.status == 200

        async def answered():
            async with client.get(f"{server.url}/simulator/simulator/sent") as response:
                return (await response.json())["items"]

        (answer,) = await eventually(answered, "HOURS is answered")
        assert "open" in answer["body"]
        assert await server.stop() == 0
    assert (tmp_path / "textwright.db").exists()


class _Bare(Server):
    """A server without any configuration of its own but the port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.log = folder / "server.log"

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bot", "serve", "--port", str(self.port)],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
