"""How the SMPP channel keeps its bind, and what becomes of messages when it breaks."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from adapters.contract import Sent
from adapters.errors import Misconfigured, Retry, Unknown
from adapters.smpp import Smpp
from tests.adapters.smpp_channel import HTTP, TEXT, Inbox, channel, make, message, outcome, sent_in_the_end, texts
from tests.providers.smsc import Smsc, packet


@pytest.fixture
async def smsc() -> AsyncIterator[Smsc]:
    async with Smsc("tw", "secret") as server:
        yield server


class TestBind:
    async def test_binds_as_a_transceiver_with_its_version_and_unbinds_at_the_end(self, smsc: Smsc) -> None:
        async with channel(smsc):
            assert [(link.bound_as, link.version) for link in smsc.links] == [("bind_transceiver", 0x34)]
        assert smsc.seen == ["bind_transceiver", "unbind"]

    async def test_binds_twice_where_the_smsc_wants_it_so(self, smsc: Smsc) -> None:
        inbox = Inbox()
        async with channel(smsc, inbox, bind="transmitter_receiver", version="5.0") as made:
            assert {(link.bound_as, link.version) for link in smsc.links} == {
                ("bind_transmitter", 0x50),
                ("bind_receiver", 0x50),
            }
            await sent_in_the_end(made)
            assert await smsc.deliver(TEXT % b"in") == 0
        assert inbox.bodies == ["in"]
        assert sorted(smsc.seen)[-2:] == ["unbind", "unbind"]

    async def test_before_and_after_it_is_connected_nothing_leaves(self, smsc: Smsc) -> None:
        made = make(smsc.port)
        assert isinstance(await outcome(made), Retry)
        async with made.connected(Inbox()):
            await sent_in_the_end(made)
        assert isinstance(await outcome(made), Retry)
        assert len(smsc.requests) == 1

    async def test_a_channel_can_be_connected_again(self, smsc: Smsc) -> None:
        made = make(smsc.port)
        for _ in range(2):
            async with made.connected(Inbox()):
                await sent_in_the_end(made)
        assert len(smsc.requests) == 2

    async def test_an_smsc_that_is_not_there_is_waited_for(self) -> None:
        async with Smsc("tw", "secret") as smsc:
            port = smsc.port
        made = make(port)
        async with made.connected(Inbox()):
            assert isinstance(await outcome(made), Retry)
            async with Smsc("tw", "secret", port):
                assert (await sent_in_the_end(made)).provider_id == "smsc-1"

    async def test_an_smsc_that_never_answers_the_bind_does_not_hold_up_the_end(self, smsc: Smsc) -> None:
        made = make(smsc.port, answer_seconds="30")
        async with made.connected(Inbox()):
            await smsc.until(lambda: smsc.links)
            smsc.links[0].silent = True
            begun = time.monotonic()
        assert time.monotonic() - begun < 2

    @pytest.mark.parametrize("port", ["1", "65535"])
    async def test_no_host_raises_nothing(self, port: str) -> None:
        made = Smpp({"host": "127.0.0.1\x00", "port": port, "system_id": "a", "password": "b"})
        async with made.connected(Inbox()):
            await asyncio.sleep(0.02)
            assert isinstance(await outcome(made), Retry)

    async def test_wrong_password_is_misconfigured_until_it_is_put_right(self) -> None:
        async with Smsc("tw", "another") as smsc:
            port = smsc.port
            made = make(port)
            async with made.connected(Inbox()):
                await smsc.until(lambda: len(smsc.seen) >= 2)
                failure = await outcome(made)
                assert isinstance(failure, Misconfigured)
                assert failure.code == "0x0000000E"
                assert "secret" not in str(failure)
                smsc._account = ("tw", "secret")
                await smsc.bound()
                await asyncio.sleep(0.05)
                assert isinstance(await outcome(made), Sent)

    async def test_a_bind_that_fails_for_now_is_retry(self, smsc: Smsc) -> None:
        smsc.bind_status = 0x0D
        made = make(smsc.port)
        async with made.connected(Inbox()):
            await smsc.until(lambda: len(smsc.seen) >= 2)
            assert isinstance(await outcome(made), Retry)
            smsc.bind_status = 0
            await sent_in_the_end(made)

    async def test_refused_binds_are_not_repeated_in_a_circle(self, smsc: Smsc) -> None:
        smsc.bind_status = 0x0D
        async with make(smsc.port, reconnect_seconds="0.1").connected(Inbox()):
            await asyncio.sleep(0.8)
        assert len(smsc.seen) <= 6


class TestLoss:
    async def test_what_was_in_flight_is_unknown_and_the_rest_is_sent_once(self, smsc: Smsc) -> None:
        async with channel(smsc) as made:
            await sent_in_the_end(made, "first")
            smsc.hang_up()
            assert isinstance(await outcome(made, "in flight"), Unknown)
            results = await asyncio.gather(*(sent_in_the_end(made, f"queued {n}") for n in range(20)))
        assert len({result.provider_id for result in results}) == 20
        assert sorted(texts(smsc)) == sorted(["first", "in flight", *(f"queued {n}" for n in range(20))])

    async def test_the_smsc_unbinds(self, smsc: Smsc) -> None:
        async with channel(smsc) as made:
            await sent_in_the_end(made)
            smsc.say(packet(0x06, 0, 7))
            await smsc.until(lambda: smsc.seen.count("bind_transceiver") == 2)
            await sent_in_the_end(made)
        assert len(smsc.requests) == 2

    async def test_a_silent_link_is_given_up(self, smsc: Smsc) -> None:
        async with channel(smsc, enquire_seconds="0.1", answer_seconds="0.2") as made:
            await smsc.until(lambda: smsc.seen.count("enquire_link") >= 2)
            assert smsc.seen.count("bind_transceiver") == 1
            [link] = smsc.links
            link.silent = True
            assert isinstance(await outcome(made), Unknown)
            await smsc.until(lambda: smsc.seen.count("bind_transceiver") == 2)
            await sent_in_the_end(made)

    @pytest.mark.parametrize(
        "garbage",
        [
            b"HTTP/1.1 400 Bad Request\r\n\r\n",
            packet(0x80000004, 0, 1)[:-8] + b"\xff" * 8 + b"x" * 200,
            b"\x00\x00\x00\x05" + b"\x00" * 60,
            b"\xff\xff\xff\xff" + b"\x00" * 60,
        ],
    )
    async def test_garbage_ends_the_link_and_not_the_channel(self, smsc: Smsc, garbage: bytes) -> None:
        async with channel(smsc) as made:
            await sent_in_the_end(made)
            smsc.say(garbage)
            await smsc.until(lambda: smsc.seen.count("bind_transceiver") == 2)
            await sent_in_the_end(made)
        assert len(smsc.requests) == 2

    async def test_an_answer_of_another_kind_is_no_answer(self, smsc: Smsc) -> None:
        smsc.hang()
        async with channel(smsc, answer_seconds="5") as made:
            sending = asyncio.create_task(outcome(made))
            await smsc.wait_for(1)
            smsc.say(packet(0x80000015, 0, 2))
            assert isinstance(await sending, Unknown)
            await sent_in_the_end(made)

    async def test_generic_nack_is_the_answer_of_who_did_not_understand(self, smsc: Smsc) -> None:
        smsc.hang()
        async with channel(smsc) as made:
            sending = asyncio.create_task(outcome(made))
            await smsc.wait_for(1)
            smsc.say(packet(0x80000000, 3, 2))
            said = await sending
            assert isinstance(said, Misconfigured)
            assert said.code == "0x00000003"

    async def test_a_late_answer_is_for_nobody(self, smsc: Smsc) -> None:
        async with channel(smsc, answer_seconds="0.1") as made:
            smsc.delay = 0.3
            assert isinstance(await outcome(made), Unknown)
            smsc.delay = 0.0
            await asyncio.sleep(0.4)
            assert (await sent_in_the_end(made)).provider_id == "smsc-2"

    async def test_what_the_smsc_asks_besides_is_answered(self, smsc: Smsc) -> None:
        async with channel(smsc) as made:
            smsc.say(packet(0x15, 0, 5) + packet(0x102, 0, 6) + packet(0x103, 0, 7, b"\x00"))
            await sent_in_the_end(made)

    async def test_cancelled_sending_leaves_no_trace(self, smsc: Smsc) -> None:
        smsc.hang(2)
        async with channel(smsc, window="1") as made:
            for _ in range(2):
                sending = asyncio.create_task(made.send(message(), HTTP))
                await asyncio.sleep(0.05)
                sending.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await sending
            await sent_in_the_end(made)
