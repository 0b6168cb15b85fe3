"""What goes out and comes in over SMPP, one after the other and at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.contract import Inbound, Sent
from adapters.errors import Throttled, Unknown
from adapters.smpp import ERRORS
from tests.adapters import cases
from tests.adapters.smpp_channel import HTTP, LONG, TEXT, Inbox, channel, message, outcome, sent_in_the_end
from tests.providers.smsc import Smsc, packet


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with Smsc("tw", "secret") as server:
        yield server


class TestSubmit:
    async def test_a_long_message_is_sent_in_parts_with_receipts_for_each(self, smsc: Smsc) -> None:
        async with channel(smsc) as made:
            sent = await sent_in_the_end(made, LONG)
        assert sent == Sent("smsc-1", 3, ("smsc-1", "smsc-2", "smsc-3"))
        asked = [request.json for request in smsc.requests]
        assert {(fields["esm_class"], fields["registered_delivery"]) for fields in asked} == {(0x40, 1)}
        parts = [bytes.fromhex(fields["short_message"]) for fields in asked]
        assert [(part[:3], part[4:6]) for part in parts] == [(b"\5\0\3", bytes((3, n))) for n in (1, 2, 3)]
        assert len({part[3] for part in parts}) == 1
        assert b"".join(part[6:] for part in parts).decode() == LONG

    @pytest.mark.parametrize("answer", [(0x08, {}, {}), (0x0B, {}, {})])
    async def test_a_later_part_that_fails_is_unknown(self, smsc: Smsc, answer: tuple[int, dict, dict]) -> None:
        smsc.answer_with((0, {}, {"message_id": "a"}), answer)
        async with channel(smsc) as made:
            failure = await outcome(made, LONG)
        assert isinstance(failure, Unknown)
        assert "1 of 3 parts left" in failure.detail
        assert failure.code == f"0x{answer[0]:08X}"

    async def test_a_later_part_that_is_throttled_is_submitted_again(self, smsc: Smsc) -> None:
        smsc.answer_with((0, {}, {"message_id": "a"}), (0x58, {}, {}), (0x14, {}, {}))
        async with channel(smsc) as made:
            sent = await sent_in_the_end(made, LONG)
        assert sent.parts == 3
        assert len(smsc.requests) == 5

    async def test_a_first_part_that_is_throttled_is_throttled(self, smsc: Smsc) -> None:
        smsc.answer_with((0x58, {}, {}))
        async with channel(smsc) as made:
            assert isinstance(await outcome(made, LONG), Throttled)
        assert len(smsc.requests) == 1

    async def test_no_more_than_the_window_are_unanswered(self, smsc: Smsc) -> None:
        async with channel(smsc, window="3", answer_seconds="5") as made:
            await sent_in_the_end(made)
            smsc.delay = 0.1
            sending = [asyncio.create_task(outcome(made)) for _ in range(7)]
            await asyncio.sleep(0.05)
            assert len(smsc.requests) == 1 + 3
            assert all(isinstance(result, Sent) for result in await asyncio.gather(*sending))

    async def test_a_window_that_stays_full_is_throttled(self, smsc: Smsc) -> None:
        smsc.hang()
        async with channel(smsc, window="1", answer_seconds="0.2") as made:
            first = asyncio.create_task(outcome(made))
            await smsc.wait_for(1)
            # The first gives up at about the same time; whichever is first, the second is not lost.
            second = await outcome(made)
            assert isinstance(await first, Unknown)
            assert isinstance(second, Throttled | Sent)

    async def test_answers_find_their_requests_in_any_order(self, smsc: Smsc) -> None:
        smsc.hang(2)
        async with channel(smsc, answer_seconds="5") as made:
            first = asyncio.create_task(made.send(message("first"), HTTP))
            await smsc.wait_for(1)
            second = asyncio.create_task(made.send(message("second"), HTTP))
            await smsc.wait_for(2)
            smsc.say(packet(0x80000004, 0, 3, b"for-second\0") + packet(0x80000004, 0, 2, b"for-first\0"))
            assert [(await first).provider_id, (await second).provider_id] == ["for-first", "for-second"]

    def test_every_known_command_status_has_a_case(self) -> None:
        assert {case["expect"].get("code") for case in cases.load("smpp")["send"]} >= ERRORS.keys()


class TestDeliver:
    async def test_is_answered_only_when_it_is_stored(self, smsc: Smsc) -> None:
        inbox = Inbox()
        inbox.open.clear()
        async with channel(smsc, inbox) as made:
            delivering = asyncio.create_task(smsc.deliver(TEXT % b"slow"))
            await inbox.entered.wait()
            # Meanwhile messages leave, and are answered.
            await sent_in_the_end(made)
            assert not delivering.done()
            inbox.open.set()
            assert await delivering == 0
        assert inbox.bodies == ["slow"]

    async def test_is_kept_by_the_smsc_when_it_cannot_be_stored(
        self, smsc: Smsc, caplog: pytest.LogCaptureFixture
    ) -> None:
        inbox = Inbox(fails=1)
        async with channel(smsc, inbox):
            assert await smsc.deliver(TEXT % b"private") == 0x64
            assert await smsc.deliver(TEXT % b"private") == 0
        assert inbox.bodies == ["private"]
        assert "private" not in caplog.text

    async def test_comes_in_its_order_and_in_parts(self, smsc: Smsc) -> None:
        inbox = Inbox()
        part = b'{"source_addr": "1", "destination_addr": "2", "esm_class": 64, "short_message_hex": "0500030902%s"}'
        async with channel(smsc, inbox):
            answers = await asyncio.gather(
                smsc.deliver(part % b"02" + b""), smsc.deliver(part % b"0161"), *(smsc.deliver(TEXT % b"x"),) * 1
            )
            assert answers == [0, 0, 0]
        numbers = [event.part.number for event in inbox.events if isinstance(event, Inbound) and event.part]
        assert numbers == [2, 1]

    async def test_what_cannot_be_read_is_refused_for_good(self, smsc: Smsc) -> None:
        async with channel(smsc):
            assert await smsc.deliver(b"\x00\x01") == 0x65

    async def test_what_is_in_hand_at_the_end_is_finished_and_the_rest_is_sent_again(self, smsc: Smsc) -> None:
        inbox = Inbox()
        inbox.open.clear()
        async with channel(smsc, inbox, answer_seconds="5"):
            in_hand = asyncio.create_task(smsc.deliver(TEXT % b"in hand"))
            await inbox.entered.wait()
            waiting = asyncio.create_task(smsc.deliver(TEXT % b"waiting"))
            await asyncio.sleep(0.02)
            asyncio.get_running_loop().call_later(0.1, inbox.open.set)
        assert (await in_hand, await waiting) == (0, 0x64)
        assert inbox.bodies == ["in hand"]
        assert smsc.seen[-1] == "unbind"

    async def test_an_answer_that_is_on_its_way_at_the_end_is_waited_for(self, smsc: Smsc) -> None:
        async with channel(smsc, answer_seconds="5") as made:
            await sent_in_the_end(made)
            smsc.delay = 0.1
            sending = asyncio.create_task(outcome(made))
            await smsc.wait_for(2)
        assert isinstance(await sending, Sent)

    async def test_a_store_that_hangs_does_not_hold_up_the_end_for_ever(self, smsc: Smsc) -> None:
        inbox = Inbox()
        inbox.open.clear()
        async with channel(smsc, inbox, answer_seconds="0.2"):
            delivering = asyncio.create_task(smsc.deliver(TEXT % b"x"))
            await inbox.entered.wait()
        with pytest.raises(ConnectionError):
            await delivering
