"""The other commands, and what all of them have in common."""

from __future__ import annotations

import hashlib
import os
import pty
import sqlite3
import subprocess
import sys

import orjson
import pytest

from bot.cli import COMMANDS
from bot.commands.console import Console
from tests.server import ROOT, STARTER, free_port


class TestExplain:
    def _on_starter(self, shop):
        config = (shop / "config.toml").read_text().replace('"rules.yaml"', f'"{STARTER}"')
        (shop / "config.toml").write_text(config)

    def test_every_rule_that_is_tried_says_why_it_did_or_did_not_match(self, shop, textwright):
        self._on_starter(shop)
        said = {"--from": "+12025550123", "--at": "2026-03-03T21:30-05:00"}
        for text in ("HOURS", "what is this", "4", "thanks"):
            arguments = [item for pair in said.items() for item in pair]
            done = textwright("explain", *arguments, "--new", "--json", text)
            assert done.code == 0
            explanation = orjson.loads(done.out)
            assert explanation["at"] == "2026-03-04T02:30:00.000Z"
            assert len(explanation["tried"]) >= 5
            for tried in explanation["tried"]:
                assert tried["outcome"]
                # A rule behind the one that won is not tried, and says so.
                is_behind = tried["outcome"].startswith("not tried: ")
                assert bool(tried["reasons"]) is not is_behind, f"{tried['rule']} does not say why"
                assert tried["line"] > 0
            assert [tried["rule"] for tried in explanation["tried"] if tried["fired"]] == explanation["fired"]
            text_form = textwright("explain", *arguments, "--new", text).out
            for tried in explanation["tried"]:
                mark = "✓" if tried["fired"] else "·"
                line = f"{mark} {tried['rule']} ({tried['band']}) {tried['file']}:{tried['line']}: {tried['outcome']}"
                assert line in text_form
                for reason in tried["reasons"]:
                    assert f"{'yes' if reason['held'] else 'no'}  {reason['text'][:60]}" in text_form
        assert sorted(os.listdir(shop)) == ["config.toml", "rules.yaml"], "nothing is stored"

    def test_what_is_said_of_the_sender_is_taken(self, shop, textwright):
        (shop / "rules.yaml").write_text(
            "version: 1\nlists: {vip: service}\nrules:\n"
            "  - {id: vip, when: {in_list: vip}, do: [{reply: Welcome back}]}\n"
            "  - {id: spare, when: {channel: spare}, do: [{reply: The other line}]}\n"
            "  - {id: tagged, when: {tag: gold}, do: [{reply: Gold}]}\n"
            "  - {id: first, when: {first_message: true}, do: [{reply: Hello}]}\n"
        )

        def rule(*arguments):
            done = textwright("explain", "--from", "+12025550123", "--json", *arguments, "hi")
            assert done.code == 0, done
            return orjson.loads(done.out)["rule"]

        assert rule() is None
        assert rule("--list", "vip", "--list", "other") == "rules.vip"
        assert rule("--to", "(202) 555-0199") == "rules.spare"
        assert rule("--tag", "gold") == "rules.tagged"
        assert rule("--new") == "rules.first"
        assert orjson.loads(
            textwright("explain", "--from", "+12025550123", "--opted-out", "--list", "vip", "--json", "hi").out
        )["effects"] == []  # fmt: skip

    @pytest.mark.parametrize("at", ["yesterday", "", "0001-01-01T00:00+14:00", "9999-12-31T23:59:59.9999999-14:00"])
    def test_a_time_that_is_none_is_mistyped(self, textwright, at):
        done = textwright("explain", "--from", "+12025550123", "--at", at, "HOURS")
        assert (done.code, done.out) == (2, "")
        assert done.err == f"--at is a time such as 2026-03-03T21:30-05:00, not '{at}'.\n"

    def test_mistakes_in_the_rules_are_said_instead(self, shop, textwright):
        (shop / "rules.yaml").write_text("version: 1\nfoo: bar\n")
        done = textwright("explain", "--from", "+12025550123", "HOURS")
        assert (done.code, done.out) == (1, "rules.yaml:2: error: unknown key 'foo'.\n")


class TestToken:
    def test_it_is_shown_once_and_only_its_hash_is_kept(self, shop, textwright):
        done = textwright("token", "create", "me", "--role", "staff")
        token = done.out.strip()
        assert done.code == 0
        assert token.startswith("tw_")
        assert len(token) >= 40
        assert token not in done.err
        with sqlite3.connect(shop / "textwright.db") as store:
            rows = store.execute("SELECT name, role, hash FROM tokens").fetchall()
        store.close()
        assert rows == [("me", "staff", hashlib.sha256(token.encode()).hexdigest())]
        kept = b"".join(path.read_bytes() for path in shop.glob("textwright.db*"))
        assert token.encode() not in kept
        assert token[3:].encode() not in kept
        again = textwright("token", "create", "me", "--role", "admin", "--config", "config.toml")
        assert (again.code, again.out) == (1, "")
        assert again.err == "There is a token named 'me' already.\n"

    @pytest.mark.parametrize("arguments", [["create", "x"], ["create", "x", "--role", "god"], ["create"], [], ["drop"]])
    def test_what_is_mistyped_makes_none(self, shop, textwright, arguments):
        assert textwright("token", *arguments).code == 2
        assert not (shop / "textwright.db").exists()


class TestAnyCommand:
    @pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS), ["token", "create"]])
    def test_help_says_what_may_be_typed(self, textwright, command):
        done = textwright(*command, "--help")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith(f"usage: textwright {' '.join(command)}".rstrip())
        assert "--config" in done.out or not command

    def test_the_list_of_commands_says_what_each_does(self, textwright):
        out = " ".join(textwright("--help").out.split())
        for name, summary in COMMANDS.items():
            assert name in out
            assert summary in out

    @pytest.mark.parametrize("arguments", [[], ["surve"], ["check", "--colour"], ["explain", "hi"], ["--conf", "x"]])
    def test_what_is_mistyped_is_exit_2(self, textwright, arguments):
        assert textwright(*arguments).code == 2

    @pytest.mark.parametrize(
        "arguments", [["check"], ["serve"], ["explain", "--from", "+12025550123", "x"], ["chat"],
                      ["token", "create", "x", "--role", "read"]]
    )  # fmt: skip
    def test_a_configuration_that_cannot_be_used_is_said_by_line_and_exit_1(self, shop, textwright, arguments):
        (shop / "config.toml").write_text("[server]\nprot = 1\n[channels.sim]\nadapter = 'simulator'\n")
        done = textwright(*arguments)
        assert done.code == 1
        assert done.out.splitlines()[0] == "config.toml:2: error: unknown key 'prot' in [server]. Did you mean 'port'?"
        (shop / "config.toml").unlink()
        done = textwright(*arguments, "--config", "config.toml")
        assert (done.code, done.out.splitlines()[0]) == (
            1, "config.toml:1: error: cannot be read: No such file or directory.",
        )  # fmt: skip

    def test_without_a_configuration_the_one_that_we_ship_is_used(self, tmp_path, monkeypatch, textwright):
        folder = tmp_path / "empty"
        folder.mkdir()
        monkeypatch.chdir(folder)
        explained = textwright("explain", "--from", "+12025550123", "--json", "HOURS")
        assert orjson.loads(explained.out)["rule"] == "shop.hours"
        assert list(folder.iterdir()) == []
        assert textwright("token", "create", "me", "--role", "admin").code == 0
        assert (folder / "textwright.db").exists(), "the store is where the command is typed"

    def test_a_store_that_cannot_be_opened_is_said(self, shop, textwright):
        with (shop / "config.toml").open("a") as file:
            file.write('[store]\nurl = "sqlite:///rules.yaml/x.db"\n')
        done = textwright("token", "create", "me", "--role", "admin")
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith("The store cannot be used: cannot open ")


class TestColours:
    def test_there_are_none_when_output_is_no_terminal(self, shop, textwright):
        (shop / "rules.yaml").write_text("version: 1\nfoo: bar\n")
        assert "\033" not in textwright("check").out

    @pytest.mark.slow
    def test_there_are_on_a_terminal_unless_it_is_said_otherwise(self, shop, monkeypatch):
        """A real terminal: a pseudo one."""
        monkeypatch.delenv("NO_COLOR", raising=False)
        ours, theirs = pty.openpty()
        done = subprocess.run(
            [sys.executable, "-m", "bot", "check"],
            stdout=theirs,
            stdin=theirs,
            cwd=shop,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            timeout=60,
            check=False,
        )
        os.close(theirs)
        assert done.returncode == 0
        assert os.read(ours, 10_000).startswith(b"\033[32mok\033[0m: ")
        os.close(ours)
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        assert Console().coloured is True
        monkeypatch.setenv("NO_COLOR", "1")
        assert Console().coloured is False

    def test_a_style_is_the_text_alone_when_not_coloured(self):
        console = Console()
        console.coloured = False
        assert console.style("ok", "green") == "ok"


class TestChat:
    @pytest.mark.slow
    async def test_what_is_piped_in_is_texted_line_by_line_with_its_answers(self, serve):
        server = await serve(rules="version: 1\nrules:\n  - {id: h, when: {keyword: hours}, do: [{reply: 9 to 5}]}\n")
        done = server.command("chat", "--phone", "+12025550142", stdin="HOURS\n\nsomething else\nHOURS")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == ["> HOURS", "< 9 to 5", "> something else", "> HOURS", "< 9 to 5"]
        none = server.command("chat", "--channel", "nope", stdin="")
        assert (none.returncode, none.stdout) == (1, "")
        assert none.stderr == "There is no such simulator channel in the configuration.\n"

    def test_without_a_server_it_says_how_to_start_one(self, textwright):
        url = f"http://127.0.0.1:{free_port()}"
        done = textwright("chat", "--url", url)
        assert (done.code, done.err) == (1, f"No server answers at {url}. Start it: textwright serve\n")
