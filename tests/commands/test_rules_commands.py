"""rules status, rules rollback and replay, beside a store that a server has used."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from tests.server import Customer, Server

pytestmark = pytest.mark.slow

RULES = """version: 1
name: shop
lists: {club: marketing}
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}
  - {id: join, when: {keyword: join}, do: [{add_to_list: club}, {reply: "Welcome! Reply STOP to stop."}]}
workflows:
  drip: {list: club, steps: [{id: pause, wait: 1d}, {send: "Hello!"}, {end: done}]}
"""
CHANGED = RULES.replace("9 to 5", "10 to 6").replace("keyword: join", "exact: join").replace("Hello!", "Hi!")


@pytest.fixture
async def used(tmp_path, client):
    """A shop that three texts came to, under the first rules, and whose rules were changed then."""
    server = Server(tmp_path, rules=RULES)
    async with server:
        for phone, text in (("+12025550141", "HOURS"), ("+12025550142", "join us"), ("+12025550141", "JOIN")):
            await Customer(server, client, phone).text(text)
    (tmp_path / "rules.yaml").write_text(CHANGED)
    return server


async def test_a_replay_lists_what_changed_rules_would_decide_otherwise(used):
    found = orjson.loads(used.command("replay", "--since", "1d", "--json").stdout)
    assert (found["messages"], found["differing"]) == (3, 2)
    kinds = {(tuple(item["was"]), tuple(item["now"])): item["count"] for item in found["differences"]}
    assert kinds == {(("shop.hours",), ("shop.hours",)): 1, (("shop.join",), ()): 1}
    shown = used.command("replay").stdout
    assert "3 messages since" in shown
    assert "was: '9 to 5'" in shown
    assert "now: '10 to 6'" in shown
    assert "shop.join -> no rule" in shown


async def test_a_replay_of_the_same_rules_finds_nothing(used, tmp_path):
    (tmp_path / "rules.yaml").write_text(RULES)
    assert "All of them would be decided the same." in used.command("replay", "rules.yaml").stdout


async def test_a_replay_looks_no_further_back_than_asked(used):
    await asyncio.sleep(1)
    assert used.command("replay", "--since", "1s").stdout.startswith("0 messages since")
    refused = used.command("replay", "--since", "yesterday")
    assert refused.returncode == 2
    assert "--since is a duration such as 30d or 12h, not 'yesterday'." in refused.stderr


async def test_the_status_shows_versions_and_the_people_at_each_step(used, client):
    shown = used.command("rules", "status").stdout
    assert "in force: " in shown
    assert "not in force" in shown, "the changed file on disk"
    assert "2  shop.drip@" in shown
    assert "  pause" in shown
    async with used:
        pass
    shown = used.command("rules", "status").stdout
    assert "before:" in shown
    assert "(an earlier version, of rules " in shown


async def test_a_rollback_puts_the_files_back_and_keeps_the_present_ones_beside(used, tmp_path):
    async with used:
        pass
    done = used.command("rules", "rollback")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "rules.yaml").read_text() == RULES
    (kept,) = tmp_path.glob("rules.yaml.*.bak")
    assert kept.read_text() == CHANGED


async def test_without_an_earlier_version_there_is_no_way_back(used):
    done = used.command("rules", "rollback")
    assert (done.returncode, done.stderr) == (1, "There is no earlier version.\n")
    done = used.command("rules", "rollback", "nope")
    assert (done.returncode, done.stderr) == (1, "There is no version 'nope' to go back to.\n")


async def test_an_old_decision_is_explained_by_the_rules_of_its_time(used, client):
    token = used.token()
    async with used:
        headers = {"Authorization": f"Bearer {token}"}
        async with client.get(f"{used.url}/api/v1/messages?phone=%2B12025550141", headers=headers) as response:
            items = (await response.json())["items"]
        (inbound,) = [item for item in items if item["body"] == "HOURS"]
        async with client.get(f"{used.url}/api/v1/messages/{inbound['id']}/decision", headers=headers) as response:
            assert response.status == 200
            decision = await response.json()
        async with client.get(f"{used.url}/api/v1/rules", headers=headers) as response:
            now = (await response.json())["version"]
    assert decision["version"] != now
    assert decision["rule"] == "shop.hours"
    assert [effect["text"] for effect in decision["effects"]] == ["9 to 5"]
