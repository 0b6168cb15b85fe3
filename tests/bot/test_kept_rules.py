"""Rules of an earlier version, which people go on by after a restart."""

from __future__ import annotations

import asyncio

import pytest

from bot.store.open import open_store
from tests.bot.conftest import NOBODY, until
from tests.bot.load import table
from tests.bot.service import HOUR, Clock, at, node

pytestmark = pytest.mark.slow
PHONE = "+12025550123"
COURSE = """
version: 1
name: shop
lists: {course: service}
workflows: {course: {list: course, on_change: finish_old, steps: [
STEPS
]}}
"""


async def test_staff_stays_the_route_of_that_name_for_who_finishes_an_old_version_after_a_restart(tmp_path):
    clock = Clock(at("2026-03-03 12:00"))
    routes = {f"routes__{name}": {**NOBODY, "default": name == "owner"} for name in ("owner", "staff", "gone")}
    steps = """
      {id: nap, wait: 2h},
      {id: tell, do: [{notify: {route: staff, note: hello}}, {notify: {route: ROUTE, note: hello}}]},
      {id: rest, wait: MARKh}"""
    async with open_store("sqlite:///a.db", tmp_path) as store:
        before = COURSE.replace("STEPS", steps.replace("MARK", "1").replace("ROUTE", "gone"))
        async with node(tmp_path / "node", store, clock, before, **routes) as shop:
            await shop.make(PHONE, "course")
            await shop.advance(clock.now + HOUR // 4)
        del routes["routes__gone"]  # which leaves nobody stuck
        edited = COURSE.replace("STEPS", steps.replace("MARK", "3").replace("ROUTE", "owner"))
        async with node(tmp_path / "node", store, clock, edited, **routes) as shop:
            await shop.advance(clock.now + 2 * HOUR)
            told = await table(store, "SELECT route FROM notifications WHERE type = 'conversation.notified'")
            assert sorted(row["route"] for row in told) == ["gone", "staff"]


async def test_an_edit_that_people_were_in_the_way_of_is_taken_once_they_have_gone_on(tmp_path, monkeypatch):
    monkeypatch.setattr("bot.rulebook.WATCH_SECONDS", 0.02)
    monkeypatch.setattr("bot.rulebook.AGAIN_SECONDS", 0.1)
    clock = Clock(at("2026-03-03 12:00"))
    follows = COURSE.replace("finish_old", "follow")
    steps = "{id: nap, wait: 2h}, {id: STEP, wait: 2h}"
    async with (
        open_store("sqlite:///a.db", tmp_path) as store,
        node(tmp_path / "node", store, clock, follows.replace("STEPS", steps.replace("STEP", "rest"))) as shop,
    ):
        await shop.make(PHONE, "course")
        await shop.advance(clock.now + 3 * HOUR)
        before = shop.rules.current.version
        watching = asyncio.create_task(shop.rules.watch())
        await asyncio.sleep(0.1)
        shop.write_rules(follows.replace("STEPS", steps.replace("STEP", "sleep")))
        await until(lambda: shop.rules.rejected)
        assert shop.rules.current.version == before
        await shop.advance(clock.now + 2 * HOUR)
        await until(lambda: shop.rules.current.version != before)
        assert not shop.rules.rejected
        watching.cancel()
