"""A channel that is out: its texts leave through another of its pool, or wait; staff are told once; it comes back."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace

import pytest

from adapters.errors import Misconfigured, NumberRefused, OptedOut, Rejected, Retry, Throttled
from bot.store.contract import Unavailable
from tests.bot.channels import HANGS, NOT_OURS, REFUSED, SPARE, desk, second, subscribe
from tests.bot.conftest import NOBODY
from tests.bot.load import table
from tests.bot.service import MICROSECONDS
from tests.server import NUMBER

pytestmark = pytest.mark.slow

ANA, BEN, CLEO = "+12025550131", "+12025550132", "+12025550133"
OTHER = "+12025550178"
HOUR, DAY = 3600, 86_400


@pytest.fixture
async def shop(store_url, tmp_path):
    async with desk(store_url, tmp_path) as made:
        yield made


@pytest.fixture
async def alone(store_url, tmp_path):
    """Two channels that do not stand in for each other."""
    async with desk(store_url, tmp_path, pools__both=None) as made:
        yield made


class TestTakenOut:
    @pytest.mark.parametrize(("failure", "threshold"), [(REFUSED, 5), (HANGS, 5), (NOT_OURS, 3)])
    async def test_after_so_many_failures_in_a_row_and_staff_are_told_once(self, failure, threshold, alone):
        alone.lines["sim"].failure = failure
        for count in range(threshold + 2):
            assert bool(alone.senders.outages.all) == (count >= threshold)
            await alone.make(f"+1203555{count:04d}")
            await alone.send(f"+1203555{count:04d}", "hello", number=NUMBER, channel="sim")
            await alone.node.outbox.run_until_idle()
        assert await alone.told() == [("desk", "channel.out", "sim")]
        assert len(alone.lines["sim"].tried) == threshold, "and then it is left in peace"

    @pytest.mark.parametrize(
        "other", [None, lambda: Rejected("no"), lambda: OptedOut("no"), lambda: Throttled("wait", retry_after=1)]
    )
    async def test_not_while_the_provider_answers_now_and_then(self, other, alone):
        line = alone.lines["sim"]
        for count in range(15):
            line.failure = other if count % 5 == 4 else REFUSED
            await alone.make(f"+1203555{count:04d}")
            await alone.send(f"+1203555{count:04d}", "hello", number=NUMBER, channel="sim")
            await alone.node.outbox.run_until_idle()
        assert not alone.senders.outages.all

    async def test_not_for_one_number_of_several_nor_for_one_receiver(self, store_url, tmp_path):
        """21606 is about the sender; and a provider may say at each try that somebody cannot be reached."""
        numbers = {"adapter": "simulator", "numbers": [NUMBER, OTHER]}
        async with desk(store_url, tmp_path, channels__sim=numbers, pools__both=None) as shop:
            line = shop.lines["sim"]
            line.failure = lambda: NumberRefused("not a number of this account", "21606")
            for count in range(8):
                await shop.make(f"+1203555{count:04d}")
                await shop.send(f"+1203555{count:04d}", "hello", number=NUMBER, channel="sim")
                await shop.settle()
            line.failure = lambda: Retry("recipient server unavailable", "40006")
            await shop.make(ANA)
            await shop.send(ANA, "hello", number=OTHER, channel="sim")
            await shop.pass_time(HOUR, step=30)
            assert len([tried for tried, _ in line.tried if tried == ANA]) > 5
            assert await shop.told() == []
            # Of the only number that there is, it is the channel's.
            shop.lines["spare"].failure = lambda: NumberRefused("not registered", "30034")
            for count in range(3):
                await shop.send(f"+1203555{count:04d}", "hello", number=SPARE, channel="spare")
                await shop.settle()
            assert await shop.told() == [("desk", "channel.out", "spare")]

    async def test_whoever_asked_for_the_event_is_told_and_the_default_route_not_twice(self, store_url, tmp_path):
        routes = {
            "routes__desk": {**NOBODY, "default": True, "events": ["channel.out"]},
            "routes__other": {**NOBODY, "events": ["channel.out", "channel.back"]},
        }
        async with desk(store_url, tmp_path, **routes) as shop:
            await subscribe(shop.store, channel_out="desk")
            await subscribe(shop.store, channel_out="other", channel_back="other")
            await shop.break_down()
            out = Counter(await shop.told())
            assert out == {("desk", "channel.out", "sim"): 1, ("other", "channel.out", "sim"): 1}
            shop.lines["sim"].failure = None
            await shop.make(ANA)
            for _ in range(3):
                await shop.pass_time(60)
                await shop.send(ANA, "probe", number=NUMBER, channel="sim")
            await shop.pass_time(60)
            back = Counter(await shop.told()) - out
            assert back == {("desk", "channel.back", "sim"): 1, ("other", "channel.back", "sim"): 1}

    async def test_two_nodes_see_the_same_and_tell_once(self, fresh_postgres, tmp_path):
        async with desk(fresh_postgres, tmp_path) as one, second(tmp_path / "two", one.store, one) as two:
            one.lines["sim"].failure = REFUSED
            for count in range(12):
                await one.make(f"+1203555{count:04d}")
                await one.send(f"+1203555{count:04d}", "hello", number=NUMBER, channel="sim")
                await (one, two)[count % 2].node.outbox.run_until_idle()
                for node in (one, two):
                    await node.senders.outages.load()
            assert one.senders.outages.names() == two.senders.outages.names() == {"sim"}
            assert await one.told() == [("desk", "channel.out", "sim")]
            one.lines["sim"].failure = None
            await one.pass_time(60)
            await one.make(BEN)
            await one.send(BEN, "probe", number=NUMBER, channel="sim")
            await one.pass_time(60)
            await two.senders.outages.load()
            assert not one.senders.outages.all
            assert not two.senders.outages.all
            assert await two.told() == [("desk", "channel.out", "sim"), ("desk", "channel.back", "sim")]
            one.lines["sim"].failure = REFUSED
            await two.make(ANA)
            await two.send(ANA, "hello", number=NUMBER, channel="sim")
            await two.node.outbox.run_until_idle()
            assert not two.senders.outages.all, "what failed before it was back does not count"

    async def test_a_channel_that_config_toml_has_no_more_is_not_out(self, store_url, tmp_path):
        async with desk(store_url, tmp_path) as shop:
            await shop.break_down("spare")
            pools = {"channels__spare": None, "pools__both": None}
            async with second(tmp_path / "later", shop.store, shop, **pools) as later:
                assert later.senders.outages.all == {}


class TestFailover:
    @pytest.mark.parametrize("failure", [REFUSED, NOT_OURS])
    async def test_what_waits_leaves_once_through_the_other_channel_in_a_conversation_of_its_number(
        self, failure, shop
    ):
        lost = await shop.break_down(failure=failure)
        await shop.pass_time(60)
        rows = [await shop.message(id_) for id_ in lost]
        assert [(row["state"], row["number"], row["channel"]) for row in rows] == [("sent", SPARE, "spare")] * 5
        assert Counter(shop.lines["spare"].took) == {(row["phone"], row["body"]): 1 for row in rows}
        assert set(shop.lines["spare"].from_) == {SPARE}
        for row in rows:
            where = f"id = '{row['conversation_id']}'"
            [conversation] = await table(shop.store, f"SELECT * FROM conversations WHERE {where}")
            assert (conversation["number"], conversation["channel"]) == (SPARE, "spare")
            assert (conversation["last_inbound_at"], conversation["unread"]) == (0, 0)

    async def test_what_may_have_left_is_never_moved(self, shop):
        lost = await shop.break_down(failure=HANGS)
        await shop.pass_time(600)
        rows = [await shop.message(id_) for id_ in lost]
        assert {(row["state"], row["channel"], row["attempts"]) for row in rows} == {("unknown", "sim", 1)}
        assert shop.lines["spare"].took == []

    async def test_an_answer_to_who_texts_meanwhile_leaves_at_once(self, shop):
        await shop.break_down()
        shop.lines["spare"].took.clear()
        await shop.text(ANA, "HOURS")
        assert shop.lines["spare"].bodies(ANA) == ["9 to 5"] or shop.lines["sim"].tried[-1] == (ANA, "9 to 5")
        await shop.pass_time(5)
        assert shop.lines["spare"].bodies(ANA) == ["9 to 5"]

    async def test_the_channel_is_tried_again_and_again_and_when_it_is_back_staff_and_contacts_know(self, shop):
        await shop.text(ANA, "hello")
        await shop.break_down()
        tried = len(shop.lines["sim"].tried)
        for _ in range(20):
            await shop.text(ANA, "HOURS")
            await shop.pass_time(30)
        probes = len(shop.lines["sim"].tried) - tried
        assert 5 <= probes <= 20, "now and then, and no more than one text at a time"
        assert shop.lines["spare"].bodies(ANA) == ["9 to 5"] * 20, "and nobody goes without an answer"
        shop.lines["sim"].failure = None
        await shop.text(ANA, "HOURS")
        await shop.pass_time(60)
        await shop.text(ANA, "HOURS")
        await shop.pass_time(60)
        assert not shop.senders.outages.all
        assert await shop.told() == [("desk", "channel.out", "sim"), ("desk", "channel.back", "sim")]
        await shop.send(ANA, "again")
        await shop.settle()
        assert shop.lines["sim"].bodies(ANA)[-1] == "again", "from the number that she knows"

    async def test_a_text_that_is_tried_while_the_channel_hangs_is_held_and_no_other(self, shop):
        await shop.break_down()
        await shop.pass_time(60)
        shop.lines["sim"].failure = HANGS
        for count in range(6):
            await shop.make(f"+1203777{count:04d}")
            await shop.send(f"+1203777{count:04d}", "hello", number=NUMBER, channel="sim")
        await shop.settle()
        states = Counter([(await shop.messages(f"+1203777{count:04d}"))[0]["state"] for count in range(6)])
        assert states["unknown"] <= 1
        assert states["sent"] >= 5

    async def test_a_text_that_one_number_may_not_send_is_tried_from_another_and_not_for_ever(self, shop):
        for line in shop.lines.values():
            line.failure = lambda: Misconfigured("not a number of yours", "21606")
        await shop.make(ANA)
        id_ = await shop.send(ANA, "hello", number=NUMBER, channel="sim")
        await shop.settle()
        tried = len(shop.lines["sim"].tried) + len(shop.lines["spare"].tried)
        assert tried <= 8
        await shop.pass_time(DAY + HOUR, step=300)
        assert (await shop.message(id_))["state"] == "failed"

    async def test_the_order_of_one_contact_holds(self, shop):
        await shop.make(ANA)
        shop.lines["sim"].failure = REFUSED
        for count in range(12):
            await shop.send(ANA, f"{count}", number=NUMBER, channel="sim")
        await shop.pass_time(900)
        got = shop.lines["spare"].bodies(ANA) + shop.lines["sim"].bodies(ANA)
        assert got == [f"{count}" for count in range(12)]

    async def test_replies_leave_before_bulk(self, store_url, tmp_path):
        async with desk(store_url, tmp_path, outbox={"concurrency": 1}) as shop:
            await shop.text(ANA, "hello")
            for count in range(20):
                await shop.make(f"+1203777{count:04d}")
            await shop.break_down()
            await shop.settle()
            shop.lines["spare"].took.clear()
            shop.senders.outages.all = {name: _later(outage) for name, outage in shop.senders.outages.all.items()}
            for count in range(20):
                await shop.send(f"+1203777{count:04d}", "bulk", number=NUMBER, channel="sim", bulk=True)
            await shop.text(ANA, "HOURS")
            assert shop.lines["spare"].took[0] == (ANA, "9 to 5")
            assert len(shop.lines["spare"].took) == 21

    async def test_the_other_number_sends_no_faster_than_its_rate(self, store_url, tmp_path):
        spare = {"adapter": "simulator", "numbers": [SPARE], "rate_per_second": 2, "deliveries": "spare.jsonl"}
        async with desk(store_url, tmp_path, channels__spare=spare) as shop:
            await shop.break_down()
            for count in range(20):
                await shop.make(f"+1203777{count:04d}")
                await shop.send(f"+1203777{count:04d}", "hello", number=NUMBER, channel="sim")
            before = len(shop.lines["spare"].took)
            for second_ in range(1, 6):
                await shop.pass_time(1, step=0.25)
                assert len(shop.lines["spare"].took) - before <= 2 * (second_ + 1)
            await shop.pass_time(60, step=0.5)
            assert len(shop.lines["spare"].took) >= 24

    async def test_a_stop_cancels_what_waits(self, shop):
        await shop.text(ANA, "hello")
        lost = await shop.break_down()
        shop.lines["spare"].failure = REFUSED
        ids = [await shop.send(ANA, f"{count}") for count in range(3)]
        await shop.text(ANA, "STOP")
        assert {(await shop.message(id_))["state"] for id_ in ids} == {"cancelled"}
        shop.lines["spare"].failure = None
        await shop.pass_time(600)
        told = shop.lines["spare"].bodies(ANA) + shop.lines["sim"].bodies(ANA)
        assert all("unsubscribed" in body for body in told)
        assert len(told) <= 1
        assert {(await shop.message(id_))["state"] for id_ in lost} == {"sent"}

    async def test_one_who_may_not_be_texted_any_more_is_not_even_when_the_text_has_moved(self, shop):
        await shop.text(ANA, "hello")
        await shop.break_down()
        await shop.send(ANA, "1")
        shop.lines["spare"].failure = lambda: OptedOut("no", "21610")
        await shop.pass_time(60)
        await shop.pass_time(600)
        assert (await shop.messages(ANA))[-1]["state"] == "failed"
        [phone] = await table(shop.store, f"SELECT opted_in FROM phones WHERE number = '{ANA}'")
        assert phone["opted_in"] == 0

    async def test_a_text_that_waits_does_not_hold_up_another_of_its_phone_on_a_channel_that_works(self, alone):
        await alone.break_down()
        await alone.make(ANA)
        await alone.send(ANA, "waits", number=NUMBER, channel="sim")
        await alone.send(ANA, "leaves", number=SPARE, channel="spare")
        await alone.settle()
        await alone.pass_time(5)
        assert alone.lines["spare"].bodies(ANA) == ["leaves"]
        alone.lines["sim"].failure = None
        await alone.pass_time(600)
        assert alone.lines["sim"].bodies(ANA) == ["waits"]

    async def test_a_picture_is_not_moved_to_a_channel_that_takes_none(self, store_url, tmp_path):
        spare = {
            "adapter": "vonage",
            "numbers": [SPARE],
            "api_key": "k",
            "api_secret": "s",
            "signature_secret": "x" * 20,
        }
        async with desk(store_url, tmp_path, channels__spare=spare) as shop:
            await shop.make(ANA)
            await shop.break_down()
            picture = await shop.send(ANA, "look", number=NUMBER, channel="sim", media=("https://shop.example/1.png",))
            await shop.send(ANA, "and read", number=NUMBER, channel="sim")
            await shop.pass_time(120)
            assert ANA not in [phone for phone, _ in shop.lines["spare"].took if phone == ANA and _ == "look"]
            assert (await shop.message(picture))["state"] == "queued"
            shop.lines["sim"].failure = None
            await shop.pass_time(600)
            assert (await shop.message(picture))["state"] == "sent"

    async def test_a_text_that_the_other_would_find_too_long_waits(self, store_url, tmp_path):
        clickatell = {"adapter": "clickatell", "numbers": [SPARE], "api_key": "k", "webhook_token": "t"}
        async with desk(store_url, tmp_path, channels__spare=clickatell) as shop:
            await shop.make(ANA)
            await shop.break_down()
            long = await shop.send(ANA, "x" * 1500, number=NUMBER, channel="sim")
            short = await shop.send(ANA, "short", number=NUMBER, channel="sim")
            await shop.pass_time(120)
            assert (await shop.message(long))["state"] == "queued"
            shop.lines["sim"].failure = None
            await shop.pass_time(600)
            assert {(await shop.message(id_))["state"] for id_ in (long, short)} == {"sent"}

    async def test_the_same_number_on_the_other_channel_is_taken_before_any_other(self, store_url, tmp_path):
        spare = {"adapter": "simulator", "numbers": [SPARE, NUMBER], "deliveries": "spare.jsonl"}
        async with desk(store_url, tmp_path, channels__spare=spare) as shop:
            await shop.text(ANA, "hello")
            await shop.break_down()
            await shop.text(ANA, "HOURS")
            await shop.pass_time(60)
            rows = await shop.messages(ANA)
            assert {(row["number"], row["channel"], row["state"]) for row in rows} == {(NUMBER, "spare", "sent")}
            assert len({row["conversation_id"] for row in rows}) == 1
            [conversation] = await table(shop.store, f"SELECT * FROM conversations WHERE phone = '{ANA}'")
            assert conversation["last_inbound_at"] > 0, "it is the conversation that there was"

    async def test_a_text_for_later_leaves_at_its_time_through_the_other_channel(self, shop):
        await shop.make(ANA)
        at = shop.clock.now + 1800 * MICROSECONDS
        id_ = await shop.send(ANA, "later", number=NUMBER, channel="sim", send_at=at)
        await shop.break_down()
        await shop.pass_time(600)
        assert (await shop.message(id_))["state"] == "held"
        await shop.pass_time(1300)
        assert (await shop.message(id_))["state"] == "sent"

    async def test_when_the_whole_pool_is_out_texts_wait_and_leave_through_whichever_is_back_first(self, shop):
        lost = await shop.break_down()
        await shop.break_down("spare", phones="+1203666%04d")
        await shop.pass_time(HOUR, step=20)
        assert not shop.lines["sim"].took
        shop.lines["spare"].failure = None
        await shop.pass_time(300)
        assert {(await shop.message(id_))["state"] for id_ in lost} == {"sent"}
        assert max(Counter(shop.lines["spare"].took).values()) == 1

    async def test_somebody_new_tries_a_channel_whose_time_has_come(self, shop):
        """Where only people whom it does not know are texted, nothing else would ever find that it is back."""
        await shop.break_down()
        await shop.pass_time(60)
        shop.lines["sim"].failure = None
        for count in range(10):
            await shop.make(f"+1203888{count:04d}")
            await shop.send(f"+1203888{count:04d}", "hello")
            await shop.pass_time(10)
        assert not shop.senders.outages.all
        assert {body for _, body in shop.lines["sim"].took} == {"hello"}

    async def test_staff_whose_settle_was_rolled_back_are_told_all_the_same(self, shop):
        lost = shop.node.outbox._failover.move
        calls = 0

        async def fails_once(*arguments):
            nonlocal calls
            calls += 1
            if calls == 3:
                raise Unavailable("gone")
            return await lost(*arguments)

        shop.node.outbox._failover.move = fails_once
        shop.lines["sim"].failure = NOT_OURS
        for count in range(12):
            await shop.make(f"+1203777{count:04d}")
            await shop.send(f"+1203777{count:04d}", "hello", number=NUMBER, channel="sim")
            for _ in range(2):
                with suppress(Unavailable):
                    await shop.node.outbox.run_until_idle()
        assert await shop.told() == [("desk", "channel.out", "sim")]


def _later(outage):
    return replace(outage, next_try=outage.next_try + HOUR * MICROSECONDS)
