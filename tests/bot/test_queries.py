"""Every named query, in every form that it can be asked in, is one that its engine takes."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import asyncpg

from bot.store.memory import MemoryStore
from bot.store.open import open_store
from bot.store.queries import Queries

_NAME = re.compile(r"(?<![:\w]):(\w+)")
_OPTIONAL = re.compile(r"CAST\(:(\w+) AS \w+\) IS NULL\s+OR")


def forms(queries: Queries) -> Iterator[tuple[str, dict[str, Any]]]:
    """The queries with their parameters: all given, none of the optional ones, and each of these alone."""
    for name in queries.names:
        parameters = dict.fromkeys(_NAME.findall(queries.text(name)), "1")
        optional = set(_OPTIONAL.findall(queries.text(name)))
        yield name, parameters
        if optional:
            yield name, {key: None if key in optional else value for key, value in parameters.items()}
        for alone in sorted(optional):
            yield name, {key: None if key in optional - {alone} else value for key, value in parameters.items()}


async def test_sqlite_takes_every_form_of_every_query():
    store = await MemoryStore.opened()
    queries, seen = Queries("sqlite"), defaultdict(int)
    for name, parameters in forms(queries):
        text, _ = queries.asked(name, parameters)
        store._connection.execute(f"EXPLAIN {text}", parameters)
        seen[name] += 1
    assert len(seen) > 150
    assert seen["page_contacts"] > 20
    await store.close()


async def test_postgresql_takes_every_form_of_every_query(fresh_postgres, tmp_path):
    queries = Queries("postgres")
    async with open_store(fresh_postgres, tmp_path):
        connection = await asyncpg.connect(fresh_postgres)
        for name, parameters in forms(queries):
            text, values = queries.asked(name, parameters)
            statement = await connection.prepare(text)
            assert len(statement.get_parameters()) == len(values), name
        await connection.close()


async def test_who_waits_or_is_forgotten_is_found_among_many_notifications_by_an_index():
    store = await MemoryStore.opened()
    queries = Queries("sqlite")
    for name in ("claim_notifications", "forget_notifications", "forget_events", "forget_delivered", "forget_dead"):
        parameters = dict.fromkeys(_NAME.findall(queries.text(name)), "1")
        plan = [row[3] for row in store._connection.execute(f"EXPLAIN QUERY PLAN {queries.text(name)}", parameters)]
        assert [step for step in plan if step.startswith("SCAN notifications") and "INDEX" not in step] == [], name
        assert [step for step in plan if "notifications_" in step], name
    await store.close()


def test_what_is_not_asked_for_is_not_in_the_statement():
    queries = Queries("sqlite")
    names = _NAME.findall(queries.text("page_contacts"))
    text, _ = queries.asked("page_contacts", dict.fromkeys(names) | {"limit": 1, "a_tag": "vip"})
    assert "IS NULL OR" not in text
    assert ":a_tag" in text
    assert ":b_tag" not in text
