"""Rules are exchanged under a running server: a thousand times without growing, and never for a file that is a bomb."""

from __future__ import annotations

import asyncio
import gc
import json
import time
from collections.abc import AsyncIterator

import psutil
import pytest

from tests.bot.service import HOUR, service
from tests.bot.test_workflow_versions import NOON, PHONE, course, numbered, texts
from tests.server import Customer, Server

pytestmark = pytest.mark.slow
RELOADS = 1000
LIMIT_SECONDS = 10.0
SLACK_SECONDS = 5.0
"""The file is looked at once a second, and reading it begins with starting a process."""

RULES = """
version: 1
name: shop
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: 9 to 5}]}
"""
HEAD = RULES.rstrip() + "\n"


def rule(condition: str) -> str:
    return f"{HEAD}  - {{id: bomb, when: {{{condition}}}, do: [{{reply: boom}}]}}\n"


BOMBS = {
    "brackets": HEAD + "vars: " + "[" * 900_000,
    "mappings": HEAD + "vars: " + "{a: " * 200_000,
    "indentation": HEAD + "vars:\n" + "".join(f"{' ' * depth}a:\n" for depth in range(1, 1300)),
    "conditions": rule("all: [{" * 2_000 + "always: yes" + "}]" * 2_000),
    "laughs": "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a]\n" for n in range(1000)) + RULES.lstrip(),
    "alternatives": rule("any: [" + ", ".join(f"{{keyword: w{n}}}" for n in range(10_000)) + "]"),
    "words": rule("keyword: [" + ", ".join(f"w{n}" for n in range(10_000)) + "]"),
    "product": rule("all: [" + ", ".join("{any: [" + ", ".join(f"{{contains: w{a}x{b}}}" for b in range(10)) + "]}"
                                         for a in range(8)) + "]"),
    "repeats": rule("regex: '((((a{1000}){1000}){1000}){1000})'"),
    "too large": HEAD + "# " + "x" * 1_000_000,
    "tags": RULES + "vars: {a: !!python/object/apply:os.system ['true']}\n",
}  # fmt: skip
HEAVY = {
    "backtracking": rule("regex: '(a+)+$'"),
    "patterns": rule("regex: [" + ", ".join(f"'(a|b)*{'(c|d)' * 10}{n}'" for n in range(200)) + "]"),
}


async def test_memory_stays_as_it_is_over_a_thousand_reloads_with_people_inside(tmp_path):
    process, sizes = psutil.Process(), []
    async with service("sqlite:///a.db", tmp_path, course("old", "finish_old"), NOON) as shop:
        await shop.make(PHONE, "course")
        await shop.settle()
        for number in range(RELOADS):
            assert await shop.edit(course(f"new{number}", "finish_old"))
            await shop.text(PHONE, "hm")
            if number % 100 == 99:
                gc.collect()
                sizes.append(process.memory_info().rss)
        await shop.advance(shop.clock.now + 2 * HOUR)
        await shop.text(PHONE, "yes please")
        await shop.advance(shop.clock.now + HOUR)
        assert numbered(shop) == texts("old")
    told = [round(size / 1e6, 1) for size in sizes]
    print(f"after each hundred reloads: {told} MB")
    assert sizes[-1] - sizes[2] < 6_000_000, told


@pytest.fixture
async def answering(serve, customer) -> AsyncIterator[tuple[Server, list[float]]]:
    """A server, and a customer who texts it all the time: how long each answer took to be acknowledged."""
    server: Server = await serve(rules=RULES, outbox={"auto_reply_cap": 10_000})
    ana: Customer = customer(server)
    took: list[float] = []

    async def texting() -> None:
        while True:
            started = time.monotonic()
            await ana.text("hours")
            took.append(time.monotonic() - started)
            await asyncio.sleep(0.02)

    task = asyncio.create_task(texting())
    try:
        yield server, took
        assert not task.done(), "it was answered to the end"
        count = len(took)
        await asyncio.sleep(0.5)
        assert len(took) > count
        assert set(await ana.inbox()) == {"9 to 5"}
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def events(server: Server, name: str) -> list[dict[str, object]]:
    whole, _, _half_written = server.log.read_text().rpartition("\n")
    lines = (json.loads(line) for line in whole.splitlines() if line.startswith("{"))
    return [line for line in lines if line["event"] == name]


def edit(server: Server, text: str) -> None:
    (server.folder / "rules.yaml").write_text(text, encoding="utf-8")


async def outcome(server: Server, text: str) -> tuple[str, list[str], float]:
    """Write the rule file: what becomes of it, the problems, and how long that took."""
    names = ("rules.rejected", "rules.reloaded")
    before = {name: len(events(server, name)) for name in names}
    edit(server, text)
    started = time.monotonic()
    while True:
        for name in names:
            if len(found := events(server, name)) > before[name]:
                problems = found[-1].get("problems", [])
                assert isinstance(problems, list)
                return name, problems, time.monotonic() - started
        assert time.monotonic() - started < LIMIT_SECONDS + SLACK_SECONDS
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("bomb", BOMBS)
async def test_a_file_that_is_a_bomb_is_refused_while_the_server_answers(bomb, answering):
    server, took = answering
    size = server.rss_bytes()
    name, problems, seconds = await outcome(server, BOMBS[bomb])
    assert name == "rules.rejected"
    assert problems
    assert all("rules.yaml:" in problem or "config.toml:" in problem for problem in problems), problems[:3]
    assert max(took) < 2.0, f"a customer waited {max(took):.1f} s"
    assert server.rss_bytes() - size < 30_000_000
    print(f"{bomb}: {seconds:.1f} s, {problems[0][:120]}")


@pytest.mark.parametrize("rules", HEAVY)
async def test_patterns_that_would_ruin_another_engine_are_only_patterns_here(rules, answering, customer):
    server, took = answering
    name, problems, _ = await outcome(server, HEAVY[rules])
    assert name == "rules.reloaded" or problems
    ben: Customer = customer(server, "+12025550999")
    started = time.monotonic()
    await ben.text("a" * 50_000 + "!")
    assert time.monotonic() - started < 2.0
    assert max(took) < 2.0
