"""Against an SMSC that somebody else wrote (smpp34, in Rust): both sides mean the same by SMPP.

pip install smpp34; without it these tests are skipped. It answers for deliver_sm that were not stored as for others
and has no way to be silent, so that everything else is tried on the stand-in.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from typing import Any

import pytest

from adapters.contract import Inbound, Outbound, Receipt
from adapters.errors import Throttled
from adapters.http import Http
from adapters.smpp import Smpp
from tests.adapters.connection import until_settled

smpp34 = pytest.importorskip("smpp34", reason="smpp34 is not installed: no foreign SMSC to talk to")
pytestmark = pytest.mark.slow


@pytest.fixture
async def server() -> AsyncIterator[tuple[Any, int]]:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = smpp34.Server("127.0.0.1", port, system_id="foreign")
    await running.start()
    yield running, port
    await running.stop()


async def test_binds_submits_long_texts_and_takes_what_comes(server: tuple[Any, int]) -> None:
    smsc, port = server
    received: list[Inbound | Receipt] = []

    async def receive(events: Sequence[Inbound | Receipt]) -> None:
        received.extend(events)

    made = Smpp({"host": "127.0.0.1", "port": str(port), "system_id": "tw", "password": "secret"})
    body = "Grüße 😀 " * 20
    async with made.connected(receive), asyncio.timeout(20):
        esme = await smsc.next()
        assert (esme.system_id, esme.can_receive) == ("tw", True)
        await until_settled(made)
        sending = asyncio.create_task(made.send(Outbound("m1", "12345", "+12025550123", body), Http()))
        shown = b""
        for number in (1, 2, 3):
            part = await smsc.next()
            assert (part.source_addr, part.source_addr_ton, part.source_addr_npi) == ("12345", 3, 0)
            assert (part.destination_addr, part.dest_addr_ton, part.dest_addr_npi) == ("12025550123", 1, 1)
            assert (part.esm_class, part.data_coding, part.registered_delivery) == (0x40, 8, 1)
            assert (part.short_message[:3], part.short_message[4:6]) == (b"\5\0\3", bytes((3, number)))
            shown += part.short_message[6:]
            part.accept(f"m{number}")
        assert shown.decode("utf-16-be") == body
        assert (await sending).part_ids == ("m1", "m2", "m3")

        sending = asyncio.create_task(made.send(Outbound("m2", "12345", "+12025550123", "x"), Http()))
        (await smsc.next()).reject(smpp34.ESME_RTHROTTLED)
        with pytest.raises(Throttled):
            await sending

        answer = await esme.deliver_sm("12345", b"HOURS", source_addr="12025550123", source_addr_ton=1)
        assert answer.is_success
        state = [smpp34.Tlv(smpp34.TLV_RECEIPTED_MESSAGE_ID, b"m1\0"), smpp34.Tlv(smpp34.TLV_MESSAGE_STATE, b"\2")]
        await esme.deliver_sm("12345", b"", source_addr="12025550123", esm_class=4, tlvs=state)
        assert received == [Inbound(None, "+12025550123", "12345", "HOURS"), Receipt("m1", "delivered")]
    assert isinstance(await asyncio.wait_for(smsc.next(), 5), smpp34.Unbound)
