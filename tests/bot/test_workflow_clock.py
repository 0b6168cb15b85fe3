"""Workflows and the clock: daylight saving, quiet hours, moments that move, and workflows that take too long."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest

from bot.changes import occurrence
from tests.bot.service import HOUR, Service, at, clock_of, service

pytestmark = pytest.mark.slow

PHONE = "+12025550123"
CHANGES = [
    ("America/New_York", date(2026, 3, 8), 23),
    ("America/New_York", date(2026, 11, 1), 25),
    ("Europe/London", date(2026, 3, 29), 23),
    ("Europe/London", date(2026, 10, 25), 25),
    ("Australia/Sydney", date(2026, 4, 5), 25),
    ("Australia/Sydney", date(2026, 10, 4), 23),
]
RULES = """
version: 1
name: shop
timezone: America/New_York
lists: {waits: service, dates: service, late: service, short: service}
fields: {timezone: text, starts: date, meets: datetime}
rules:
  - {id: ask, when: {exact: ask}, do: [{start: asks}]}
  - {id: person, when: {exact: person}, do: [{handoff: {route: staff, for: 2d}}]}
workflows:
  waits:
    list: waits
    steps:
      - send: zero
      - wait: 1d
      - send: one
      - wait: 1d
      - send: two
      - wait: 1d
      - send: three
  dates:
    list: dates
    steps:
      - wait_until: {field: starts, offset: -1d, at: "09:00"}
      - send: one
      - wait_until: {field: starts, at: "09:00"}
      - send: two
      - wait_until: {field: starts, offset: 1d, at: "09:00"}
      - send: three
  late:
    list: late
    steps:
      - send: one
      - send: two
  short:
    list: short
    max_duration: 3d
    steps:
      - send: one
      - wait: 10d
      - send: two
  asks:
    steps:
      - ask: {text: "well?", timeout: 2h, replies: [{when: {exact: well}}], on_timeout: {do: [{tag: silent}]}}
      - send: bye
"""


async def contact(shop: Service, *lists: str, **fields: str) -> str:
    person = await shop.make(PHONE, *lists, **fields)
    await shop.settle()
    return person.contact.id


def sent(shop: Service, zone: str = "America/New_York") -> list[tuple[str, str]]:
    return [(clock_of(moment, zone), body) for moment, _, body in shop.notebook.log]


@pytest.mark.parametrize(("zone", "day", "hours"), CHANGES)
async def test_a_wait_of_days_keeps_the_time_of_day_when_the_clocks_change(zone, day, hours, store_url, tmp_path):
    first = day - timedelta(days=1)
    async with service(store_url, tmp_path, RULES, f"{first - timedelta(days=2)} 12:00") as shop:
        shop.clock.now = at(f"{first} 09:00", zone)
        await contact(shop, "waits", timezone=zone)
        await shop.advance(at(f"{first + timedelta(days=5)} 09:00", zone))
        days = [first + timedelta(days=count) for count in range(4)]
        assert sent(shop, zone) == [
            (f"{each} 09:00", text) for each, text in zip(days, ("zero", "one", "two", "three"), strict=True)
        ]
        moments = [moment for moment, _, _ in shop.notebook.log]
        assert [(late - early) / HOUR for early, late in pairwise(moments)] == [hours, 24, 24]


@pytest.mark.parametrize(("zone", "day", "hours"), CHANGES)
async def test_a_time_of_day_is_met_before_on_and_after_the_day_on_which_the_clocks_change(
    zone, day, hours, store_url, tmp_path
):
    async with service(store_url, tmp_path, RULES, f"{day - timedelta(days=3)} 12:00") as shop:
        await contact(shop, "dates", timezone=zone, starts=day.isoformat())
        await shop.advance(at(f"{day + timedelta(days=3)} 12:00"))
        days = [day + timedelta(days=count) for count in (-1, 0, 1)]
        assert sent(shop, zone) == [
            (f"{each} 09:00", text) for each, text in zip(days, ("one", "two", "three"), strict=True)
        ]
        assert shop.notebook.log[1][0] - shop.notebook.log[0][0] == hours * HOUR


async def test_a_new_date_moves_whoever_waits_for_it_and_no_date_lets_them_go_on(tmp_path):
    async with service("sqlite:///a.db", tmp_path, RULES, "2026-03-01 12:00") as shop:
        id_ = await contact(shop, "dates", starts="2026-03-10")
        async with shop.editing(id_) as editing:
            editing.rename(None, {"starts": "2026-03-20"})
        await shop.advance(at("2026-03-19 08:59"))
        assert sent(shop) == []
        await shop.advance(at("2026-03-19 09:30"))
        assert sent(shop) == [("2026-03-19 09:00", "one")]
        async with shop.editing(id_) as editing:
            editing.rename(None, {"starts": "2026-03-22"})
        await shop.advance(at("2026-03-23 12:00"))
        assert sent(shop)[1:] == [("2026-03-22 09:00", "two"), ("2026-03-23 09:00", "three")]


async def test_what_the_business_begins_at_night_waits_for_the_morning_at_the_contact(tmp_path):
    async with service("sqlite:///a.db", tmp_path, RULES, "2026-03-03 23:00") as shop:
        await contact(shop, "late", timezone="America/Los_Angeles")
        await shop.advance(at("2026-03-03 23:59"))
        assert sent(shop, "America/Los_Angeles") == [("2026-03-03 20:00", "one"), ("2026-03-03 20:00", "two")]
    async with service("sqlite:///b.db", tmp_path / "b", RULES, "2026-03-03 23:00") as shop:
        await contact(shop, "late", timezone="America/Chicago")
        await shop.advance(at("2026-03-04 12:00"))
        assert sent(shop, "America/Chicago") == [("2026-03-04 08:00", "one"), ("2026-03-04 08:00", "two")]


async def test_a_workflow_that_takes_longer_than_it_may_ends(tmp_path):
    async with service("sqlite:///a.db", tmp_path, RULES, "2026-03-03 12:00") as shop:
        await contact(shop, "short")
        await shop.advance(at("2026-03-06 11:59"))
        assert await shop.where(PHONE) == {("step2", "time")}
        await shop.advance(at("2026-03-20 12:00"))
        assert [run["outcome"] for run in await shop.runs("ended")] == ["took too long"]
        assert [text for _, text in sent(shop)] == ["one"]


@pytest.mark.parametrize("how", ["closed", "never closed"])
async def test_a_question_that_a_person_has_taken_over_times_out_once_automation_is_back(how, tmp_path):
    async with service("sqlite:///a.db", tmp_path, RULES, "2026-03-03 12:00") as shop:
        id_ = await contact(shop)
        await shop.text(PHONE, "ask")
        await shop.text(PHONE, "person")
        await shop.advance(at("2026-03-03 15:00"))
        assert await shop.where(PHONE) == {("step1", "reply")}, "it does not time out while a person answers"
        if how == "closed":
            await hand_back(shop, id_)
            await shop.advance(at("2026-03-03 15:01"))
            assert sent(shop)[1:] == [("2026-03-03 15:00", "bye")]
        else:
            await shop.advance(at("2026-03-05 12:01"))
            assert sent(shop)[1:] == [("2026-03-05 12:00", "bye")]


async def test_a_question_that_was_taken_over_and_handed_back_in_time_keeps_its_time(tmp_path):
    async with service("sqlite:///a.db", tmp_path, RULES, "2026-03-03 12:00") as shop:
        id_ = await contact(shop)
        await shop.text(PHONE, "ask")
        await shop.text(PHONE, "person")
        await shop.advance(at("2026-03-03 13:00"))
        await hand_back(shop, id_)
        await shop.advance(at("2026-03-03 13:59"))
        assert await shop.where(PHONE) == {("step1", "reply")}
        await shop.advance(at("2026-03-03 14:01"))
        assert sent(shop)[1:] == [("2026-03-03 14:00", "bye")]


async def hand_back(shop: Service, contact_id: str) -> None:
    """What closing a conversation does (bot/web/api_messages.py)."""
    async with shop.store.transaction() as transaction:
        [row] = await transaction.rows("load_conversations", phones=f'["{PHONE}"]')
        await transaction.each("upsert_conversations", [{**dict(row), "mode": "auto", "staff_until": 0}])
        woken = occurrence(contact_id, "woken", "", at=shop.clock.now, source="ann", phone=PHONE)
        await transaction.each("insert_occurrences", [woken])
    await shop.settle()
