"""Every adapter of the registry has a case file, and the file leaves nothing out."""

import sys

import pytest

from adapters import ADAPTERS
from adapters.errors import SendError
from tests.adapters import cases

OUTCOMES = {"sent"} | {kind.outcome for kind in SendError.__subclasses__()}


def test_no_case_file_without_an_adapter() -> None:
    assert {path.stem for path in cases.DIRECTORY.glob("*.json")} == set(ADAPTERS)


def test_each_send_error_has_an_outcome_of_its_own() -> None:
    assert len(OUTCOMES) == len(SendError.__subclasses__()) + 1


@pytest.mark.parametrize("adapter", ADAPTERS)
class TestCaseFile:
    def test_holds_an_inbound_message(self, adapter: str) -> None:
        assert _events(adapter, "inbound")

    def test_holds_media_or_says_unsupported(self, adapter: str) -> None:
        if ADAPTERS[adapter].capabilities.supports_media:
            assert any(event.get("media") for event in _events(adapter, "media"))
        else:
            assert cases.load(adapter)["media"] == "unsupported"

    def test_holds_a_receipt_for_each_status_of_the_status_map(self, adapter: str) -> None:
        statuses = sys.modules[ADAPTERS[adapter].__module__].STATUSES
        tested = {case["status"]: case["expect"] for case in cases.load(adapter)["receipts"]}
        assert tested.keys() >= statuses.keys()
        for status, state in statuses.items():
            assert [receipt["state"] for receipt in tested[status]] == ([state] if state else [])

    def test_holds_a_status_that_nobody_knows_yet(self, adapter: str) -> None:
        statuses = sys.modules[ADAPTERS[adapter].__module__].STATUSES
        file = cases.load(adapter)
        receipts = [*file["receipts"], *file["bad_payloads"]]
        assert any(case["status"] not in statuses for case in receipts if "status" in case)

    def test_holds_each_outcome_of_sending_or_says_why_not(self, adapter: str) -> None:
        file = cases.load(adapter)
        tested = {case["expect"]["outcome"] for case in file["send"]}
        excused = file.get("impossible_outcomes", {})
        assert tested | set(excused) == OUTCOMES
        assert all(excused.values()), "say why"
        assert not (excused and "api_base" in ADAPTERS[adapter].settings), "HTTP can fail in every way"

    def test_holds_a_good_and_a_tampered_signature(self, adapter: str) -> None:
        assert {case["valid"] for case in cases.load(adapter)["signatures"]} == {True, False}

    def test_gives_every_required_setting(self, adapter: str) -> None:
        required = {name for name, setting in ADAPTERS[adapter].settings.items() if setting.required}
        assert cases.load(adapter)["settings"].keys() >= required


def _events(adapter: str, part: str) -> list[cases.Case]:
    return [event for case in cases.load(adapter)[part] for event in case["expect"]]
