"""Which number a text leaves from: the nearest for who is new, the same again for who is not."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Inbound
from bot.area_codes import area_code, overlays, state_of
from bot.clock import NEVER
from bot.lines import Line
from bot.outages import Outage
from bot.people import Conversation
from bot.senders import Senders, pool_of, sticky
from tests.bot.channels import RULES, SPARE, Desk, desk
from tests.bot.conftest import configured
from tests.bot.load import table
from tests.server import NUMBER

ANA = "+12025550131"
# New York and its overlay, Buffalo in the same state, San Francisco, Chicago, London, toll-free.
NUMBERS = ["+12125550100", "+13325550101", "+17165550102", "+14155550103", "+13125550104", "+442079460105",
           "+18005550106"]  # fmt: skip
US = st.sampled_from(["212", "646", "332", "716", "585", "415", "628", "510", "312", "773", "202", "787", "800", "999"])
PHONES = st.one_of(
    st.builds("+1{}555{:04d}".format, US, st.integers(0, 9999)),
    st.builds("+4477009{:05d}".format, st.integers(0, 99_999)),
    st.text(max_size=12),
)


def senders_of(tmp_path_factory, numbers=NUMBERS, **pools) -> Senders:
    """A choice among numbers, half of them on each of two channels."""
    half = (len(numbers) + 1) // 2
    channels = {
        "channels__sim": {"numbers": numbers[:half]},
        "channels__spare": {"adapter": "simulator", "numbers": numbers[half:], "deliveries": "b.jsonl"},
    }
    pools = pools or {"pools__all": {"channels": ["sim", "spare"]}}
    config, _ = configured(tmp_path_factory.mktemp("senders"), rules=RULES, **channels, **pools)
    return Senders(config, None, lambda: 0)


def taken_out(senders: Senders, *channels: str) -> None:
    senders.outages.all = {name: Outage(name, "down", 0, NEVER, 1) for name in channels}


def changed(senders: Senders, number: str, **values) -> None:
    """Have a number be somebody's own, or given back."""
    senders.lines.all = tuple(replace(line, **values) if line.number == number else line for line in senders.lines.all)


@pytest.fixture
def senders(tmp_path_factory) -> Senders:
    return senders_of(tmp_path_factory)


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Senders:
    return senders_of(tmp_path_factory)


def rank(phone: str, number: str) -> int:
    """How near a number is, said once more."""
    own, code = area_code(number), area_code(phone)
    if not own or not code:
        return 3
    if own == code:
        return 0
    if own in overlays(code):
        return 1
    return 2 if state_of(code) and state_of(own) == state_of(code) else 3


class TestFirstChoice:
    @pytest.mark.parametrize(
        ("phone", "number"),
        [
            ("+12125550199", "+12125550100"),
            ("+13325550199", "+13325550101"),
            ("+17165550199", "+17165550102"),
            ("+14155550199", "+14155550103"),
            ("+16285550199", "+14155550103"),
            ("+15105550199", "+14155550103"),
            ("+17735550199", "+13125550104"),
            ("+18885550199", "+18005550106"),
        ],
    )
    def test_the_same_area_code_then_its_overlay_then_the_state(self, phone, number, senders):
        assert senders.first(phone)[0] == number

    @given(PHONES)
    def test_nothing_is_nearer_than_what_is_chosen_and_it_is_the_same_each_time(self, shared, phone):
        number, channel = shared.first(phone)
        assert (number, channel) in [(line.number, line.channel) for line in shared.lines.all]
        assert shared.first(phone) == (number, channel)
        assert rank(phone, number) == min(rank(phone, other) for other in NUMBERS)

    @given(PHONES, st.sets(st.sampled_from(["sim", "spare"])), st.sets(st.integers(0, 6)), st.sets(st.integers(0, 6)))
    def test_never_somebodys_own_nor_one_given_back_nor_one_that_is_out_while_another_is_not(
        self, tmp_path_factory, shared, phone, out, own, leaving
    ):
        before = shared.lines.all
        try:
            for place in own:
                changed(shared, NUMBERS[place], user="u1")
            for place in leaving:
                changed(shared, NUMBERS[place], is_leaving=True)
            taken_out(shared, *out)
            free = [line for line in shared.lines.all if not line.user and not line.is_leaving]
            number, channel = shared.first(phone)
            if not free:
                assert (number, channel) == ("", "")
                return
            assert number in [line.number for line in free]
            working = [line for line in free if line.channel not in out]
            assert channel not in out or not working
            best = min(rank(phone, line.number) for line in working or free)
            assert rank(phone, number) == best
        finally:
            shared.lines.all = before
            taken_out(shared)

    def test_who_is_near_to_none_is_spread_over_the_pool_and_stays_where_they_are(self, senders):
        phones = [f"+1907555{number:04d}" for number in range(3500)]
        counts = Counter(senders.first(phone)[0] for phone in phones)
        assert set(counts) == set(NUMBERS)
        assert all(400 <= count <= 600 for count in counts.values()), counts
        gone = NUMBERS[0]
        before = {phone: senders.first(phone)[0] for phone in phones}
        changed(senders, gone, is_leaving=True)
        assert all(senders.first(phone)[0] == number for phone, number in before.items() if number != gone)

    def test_without_pools_the_first_number_of_the_first_channel_stands_for_all_that_have_none_nearer(
        self, tmp_path_factory
    ):
        config, _ = configured(
            tmp_path_factory.mktemp("senders"), rules=RULES, channels__sim={"numbers": NUMBERS},
            channels__spare={"adapter": "simulator", "numbers": ["+19075550100"], "deliveries": "b.jsonl"},
        )  # fmt: skip
        senders = Senders(config, None, lambda: 0)
        assert {senders.first(f"+1907555{number:04d}")[0] for number in range(50)} == {NUMBERS[0]}
        assert senders.first("+14155550199")[0] == "+14155550103"

    def test_without_any_number_there_is_none(self, tmp_path_factory):
        config, _ = configured(tmp_path_factory.mktemp("senders"), rules=RULES, channels__sim={"numbers": []})
        senders = Senders(config, None, lambda: 0)
        assert not senders.has_any
        assert senders.first(ANA) == ("", "")


class TestInstead:
    @given(PHONES, st.sampled_from(NUMBERS), st.sets(st.sampled_from(["sim", "spare"])))
    def test_always_another_channel_of_the_pool_that_is_not_out(self, shared, phone, number, out):
        try:
            taken_out(shared, *out)
            channel = next(line.channel for line in shared.lines.all if line.number == number)
            other = "spare" if channel == "sim" else "sim"
            sender = shared.instead(phone, number, channel)
            if other in out:
                assert sender is None
            else:
                assert sender is not None
                assert sender[1] == other
                own = [line.number for line in shared.lines.all if line.channel == other]
                assert rank(phone, sender[0]) == min(rank(phone, one) for one in own)
            assert shared.instead(phone, number, channel, also_out={other}) is None
        finally:
            taken_out(shared)

    def test_a_channel_in_no_pool_has_none(self, tmp_path_factory):
        senders = senders_of(tmp_path_factory, pools__one={"channels": ["spare"]})
        assert senders.instead(ANA, NUMBERS[0], "sim") is None
        assert senders.instead(ANA, NUMBERS[-1], "spare") is None
        assert pool_of({"one": ("spare",)}, "sim") == ""

    def test_the_same_number_before_a_nearer_one(self, tmp_path_factory):
        numbers = ["+12025550100", "+14155550103", "+12025550100", "+12025550108"]
        senders = senders_of(tmp_path_factory, numbers)
        assert senders.instead("+14155550199", "+12025550100", "sim") == ("+12025550100", "spare")


class TestSticky:
    def conversation(self, number: str, created: int = 0, heard: int = 0) -> Conversation:
        return Conversation(number, ANA, number, "sim", created_at=created, last_inbound_at=heard)

    def test_where_they_texted_last_else_where_we_began(self):
        one, two, three = (self.conversation(number, created=at) for number, at in (("1", 5), ("2", 3), ("3", 9)))
        assert sticky([]) is None
        assert sticky([one, two, three]) == two
        heard = [replace(one, last_inbound_at=7), two, replace(three, last_inbound_at=8)]
        assert sticky(heard).number == "3"
        assert (
            sticky([replace(item, channel="gone") for item in heard], lambda number, channel: channel == "sim") is None
        )

    async def test_a_broadcast_a_workflow_and_staff_choose_alike(self, store_url, tmp_path):
        rules = """
version: 1
lists: {club: service}
workflows:
  welcome:
    list: club
    steps: [{send: welcome}]
"""
        numbers = ["+12125550100", "+13125550104", "+19075550107"]
        async with desk(store_url, tmp_path, rules, channels__sim={"numbers": numbers}) as shop:
            phones = [f"+1{code}555{number:04d}" for code in ("212", "646", "773", "212", "406") for number in range(3)]
            for phone in dict.fromkeys(phones):
                await shop.make(phone, "club")
                await shop.settle()
                expected = shop.senders.first(phone)[0]
                await shop.send(phone, "by staff")
                await shop.send(phone, "to many", bulk=True)
                await shop.settle()
                rows = await shop.messages(phone)
                assert {row["body"] for row in rows} == {"welcome", "by staff", "to many"}
                assert {row["number"] for row in rows} == {expected}
            assert shop.senders.first("+16465550001")[0] == "+12125550100"

    async def test_who_texts_another_number_hears_from_that_one_from_now_on(self, store_url, tmp_path):
        async with desk(store_url, tmp_path, channels__sim={"numbers": [NUMBER, "+12025550101"]}) as shop:
            await shop.make(ANA)
            await shop.send(ANA, "first")
            await shop.settle()
            began = (await shop.messages(ANA))[0]["number"]
            other = next(line.number for line in shop.senders.lines.all if line.number not in (began, SPARE))
            await _text(shop, other)
            await shop.send(ANA, "second")
            await shop.settle()
            assert [row["number"] for row in await shop.messages(ANA)] == [began, other]
            assert len(await table(shop.store, "SELECT id FROM conversations")) == 2


async def _text(shop: Desk, number: str) -> None:
    inbound = Inbound(f"x{shop.clock.now}", ANA, number, "hello there")
    channel = shop.senders.lines.channel_of(number)
    assert channel is not None
    shop.clock.now += 1
    await shop.node.intake.submit(channel, [inbound])
    await shop.settle()


def test_lines_that_two_channels_share_are_both_there(tmp_path_factory):
    senders = senders_of(tmp_path_factory, ["+12025550100", "+12025550101", "+12025550100", "+12025550102"])
    shared = [line for line in senders.lines.all if line.number == "+12025550100"]
    assert shared == [Line("+12025550100", "sim"), Line("+12025550100", "spare")]
