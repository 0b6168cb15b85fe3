"""The answers to STOP, START and HELP, where something stands against them: a label, each other, flags, the cap."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from adapters.contract import Inbound
from bot.store.open import open_store
from tests.bot.load import table
from tests.bot.service import HOUR, Clock, Service, at, node
from tests.server import NUMBER

RULES = """
version: 1
name: shop
rules:
  - {id: hours, when: {keyword: hours}, do: [{reply: "9 to 5"}]}
"""
CAP = 3
ANA = "+12025550111"


@pytest.fixture
async def shop(store_url, tmp_path, request) -> AsyncIterator[Service]:
    sections = {"outbox": {"auto_reply_cap": CAP}, **getattr(request, "param", {})}
    async with (
        open_store(store_url, tmp_path) as store,
        node(tmp_path / "node", store, Clock(at("2026-03-03 12:00")), RULES, **sections) as made,
    ):
        yield made


async def change(shop: Service, **changes: Any) -> None:
    """Staff change Ana's phone."""
    sets = ", ".join(f"{name} = {value!r}" for name, value in changes.items())
    async with shop.store.transaction() as transaction:
        await _execute(transaction, f"UPDATE phones SET {sets} WHERE number = '{ANA}'")


async def _execute(transaction: Any, sql: str) -> None:
    await transaction._connection.execute(sql)


async def phone(shop: Service) -> dict[str, Any]:
    [row] = await table(shop.store, f"SELECT * FROM phones WHERE number = '{ANA}'")
    return row


async def waiting(shop: Service, *bodies: str, together: bool = False) -> None:
    """Texts that come in while nothing goes out."""
    inbound = [Inbound(f"w{number}{shop.clock.now}", ANA, NUMBER, body) for number, body in enumerate(bodies)]
    for batch in [inbound] if together else [[item] for item in inbound]:
        await shop.intake.submit(shop.config.channels["sim"], batch)


def last(shop: Service) -> str:
    return shop.notebook.to(ANA)[-1]


@pytest.mark.parametrize("label", ["home", "work", "other"])
async def test_start_is_confirmed_whatever_the_label_of_the_phone(label, shop):
    await shop.text(ANA, "STOP")
    await change(shop, label=label)
    await shop.text(ANA, "START")
    assert "subscribed again" in last(shop)
    await shop.text(ANA, "START")
    assert "you are subscribed." in last(shop)
    await shop.text(ANA, "HOURS")
    assert "9 to 5" not in shop.notebook.to(ANA), "an ordinary answer is not exempt"


@pytest.mark.parametrize("together", [True, False])
async def test_a_stop_that_follows_at_once_cancels_the_confirmation_of_start_and_only_that(together, shop):
    await waiting(shop, "HELP", "START", "STOP", together=together)
    await shop.settle()
    answers = shop.notebook.to(ANA)
    assert [("Reply HELP" in text, "unsubscribed" in text) for text in answers] == [(False, False), (False, True)]
    rows = await table(shop.store, "SELECT state, error FROM messages WHERE exemption = 'opt_in'")
    assert rows == [{"state": "cancelled", "error": "the phone opted out"}]


async def test_the_confirmation_of_an_earlier_stop_stays_where_another_follows(shop):
    await waiting(shop, "STOP", "START", "STOP")
    await shop.settle()
    assert [("unsubscribed" in text) for text in shop.notebook.to(ANA)] == [True, True]


async def test_a_flag_that_staff_set_meanwhile_holds_back_the_confirmation_of_start(shop):
    await waiting(shop, "START")
    await change(shop, do_not_contact=1)
    await shop.settle()
    assert shop.notebook.to(ANA) == []


async def test_past_its_time_the_label_counts_again(shop):
    await waiting(shop, "START")
    await change(shop, label="work")
    shop.clock.now += HOUR
    await shop.settle()
    assert shop.notebook.to(ANA) == []


OLDER = pytest.mark.parametrize("shop", [{"consent": {"any_message_opts_in": True}}], indirect=True)


@OLDER
@pytest.mark.parametrize("flag", ["do_not_contact", "wrong_number"])
async def test_where_any_message_opts_in_it_does_that_alone_and_what_staff_marked_stays(flag, shop):
    await shop.text(ANA, "STOP")
    await change(shop, **{flag: 1})
    await shop.text(ANA, "HOURS")
    after = await phone(shop)
    assert (after["opted_in"], after[flag]) == (1, 1)
    assert len(shop.notebook.to(ANA)) == 1, "the confirmation of STOP"
    await shop.text(ANA, "START")
    assert (await phone(shop))[flag] == 0
    assert "you are subscribed." in last(shop)


async def test_past_the_cap_help_and_start_are_answered_once_each_until_it_has_room_again(shop):
    for _ in range(CAP + 1):
        await shop.text(ANA, "HOURS")
        shop.clock.now += 1
    for text in ("HELP", "HELP", "START", "HELP", "START", "HOURS", "STOP", "START"):
        await shop.text(ANA, text)
        shop.clock.now += 1
    answers = shop.notebook.to(ANA)[CAP:]
    assert ["help at" in answers[0], "you are subscribed." in answers[1], "unsubscribed" in answers[2]] == [True] * 3
    assert len(answers) == 3
    shop.clock.now += HOUR
    for _ in range(CAP + 2):
        await shop.text(ANA, "HELP")
        shop.clock.now += 1
    assert len(shop.notebook.to(ANA)) == CAP + 3 + CAP + 1, "as many as the cap, and the one past it"


async def test_past_the_cap_also_a_batch_has_one_answer_to_help(shop):
    await waiting(shop, *["HOURS"] * CAP)
    await waiting(shop, "HOURS", "HELP", "HELP", "HELP", together=True)
    await shop.settle()
    assert len(shop.notebook.to(ANA)) == CAP + 1
