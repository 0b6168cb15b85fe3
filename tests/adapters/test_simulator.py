"""The simulator's record of deliveries: what is kept, in memory and in the file."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from multidict import CIMultiDict

from adapters.contract import Outbound, WebhookRequest
from adapters.errors import BadPayload
from adapters.http import Http
from adapters.simulator import Deliveries, Simulator


def message(number: int, recipient: str = "+12025550123") -> Outbound:
    return Outbound(f"m{number}", "+12025550100", recipient, f"text {number}", media=("https://x.example/1.jpg",))


async def test_sent_shows_everything_about_a_delivery(http: Http) -> None:
    simulator = Simulator({})
    await simulator.send(message(1), http)
    [delivery] = simulator.sent(None)
    at = datetime.fromisoformat(delivery.pop("at"))
    assert delivery == {
        "id": "m1",
        "provider_id": "sim-m1",
        "to": "+12025550123",
        "from": "+12025550100",
        "body": "text 1",
        "media": ["https://x.example/1.jpg"],
    }
    assert at.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


async def test_sent_is_oldest_first_and_can_be_asked_by_phone(http: Http) -> None:
    simulator = Simulator({})
    for number, recipient in enumerate(["+1", "+2", "+1"]):
        await simulator.send(message(number, recipient), http)
    assert [delivery["id"] for delivery in simulator.sent(None)] == ["m0", "m1", "m2"]
    assert [delivery["id"] for delivery in simulator.sent("+1")] == ["m0", "m2"]
    assert simulator.sent("+3") == []


async def test_message_that_is_sent_twice_is_shown_twice(http: Http) -> None:
    simulator = Simulator({})
    await simulator.send(message(1), http)
    await simulator.send(message(1), http)
    assert len(simulator.sent(None)) == 2


async def test_deliveries_outlive_the_adapter(tmp_path: Path, http: Http) -> None:
    settings = {"deliveries": str(tmp_path / "new folder" / "sent.jsonl")}
    first = Simulator(settings)
    await first.send(message(1), http)
    second = Simulator(settings)
    await second.send(message(2), http)
    assert [delivery["id"] for delivery in Simulator(settings).sent(None)] == ["m1", "m2"]
    assert Simulator(settings).sent(None) == second.sent(None)


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    deliveries = Deliveries(str(path), kept=3)
    for number in range(7):
        deliveries.add({"to": "+1", "id": number})
    assert [delivery["id"] for delivery in deliveries.to(None)] == [4, 5, 6]
    assert len(path.read_text().splitlines()) == 7


@pytest.mark.parametrize(("written", "lines"), [(6, 6), (7, 3)])
def test_file_is_compacted_past_twice_the_bound(tmp_path: Path, written: int, lines: int) -> None:
    path = tmp_path / "sent.jsonl"
    path.write_text("".join(json.dumps({"to": "+1", "id": number}) + "\n" for number in range(written)))
    deliveries = Deliveries(str(path), kept=3)
    newest = list(range(written - 3, written))
    assert [delivery["id"] for delivery in deliveries.to(None)] == newest
    assert len(path.read_text().splitlines()) == lines
    assert [delivery["id"] for delivery in Deliveries(str(path), kept=3).to(None)] == newest


def test_line_that_was_cut_short_is_left_out_and_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "sent.jsonl"
    path.write_bytes(b'{"to": "+1", "id": 1}\n\xff\n[]\n{"to": "+1", "id"')
    with caplog.at_level(logging.WARNING):
        deliveries = Deliveries(str(path))
    deliveries.add({"to": "+1", "id": 2})
    assert len(caplog.records) == 3
    assert [delivery["id"] for delivery in deliveries.to(None)] == [1, 2]
    assert [delivery["id"] for delivery in Deliveries(str(path)).to(None)] == [1, 2]


def test_two_that_share_a_file_see_each_others_deliveries(tmp_path: Path) -> None:
    path = str(tmp_path / "sent.jsonl")
    first, second = Deliveries(path), Deliveries(path)
    first.add({"to": "+1", "id": 1})
    second.add({"to": "+1", "id": 2})
    assert first.to(None) == second.to(None) == [{"to": "+1", "id": 1}, {"to": "+1", "id": 2}]


def test_delivery_that_the_file_does_not_take_is_not_kept(tmp_path: Path) -> None:
    deliveries = Deliveries(str(tmp_path))
    with pytest.raises(IsADirectoryError):
        deliveries.add({"to": "+1"})
    assert deliveries.to(None) == []


@pytest.mark.parametrize("body", [b"[" * 200_000, b"9" * 5_000, b'{"from": NaN'])
def test_hostile_json_is_a_bad_payload(body: bytes) -> None:
    with pytest.raises(BadPayload, match="not JSON"):
        Simulator({}).parse(WebhookRequest("http://127.0.0.1/", CIMultiDict(), body))
