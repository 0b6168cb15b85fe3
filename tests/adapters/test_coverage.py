"""Every adapter of the registry has a case file, and the file leaves nothing out."""

import sys

import pytest

from adapters import ADAPTERS
from adapters.contract import Connecting
from adapters.errors import OptedOut, SendError
from tests.adapters import cases
from tests.providers.all import PROVIDERS

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
        if "api_base" in ADAPTERS[adapter].settings:
            assert set(excused) <= {"opted_out"}, "HTTP can fail in every other way"
            if excused:
                _holds_that_no_answer_says_opted_out(adapter, excused["opted_out"])

    def test_holds_each_kind_of_signature_or_says_why_not(self, adapter: str) -> None:
        file = cases.load(adapter)
        tested = {_kind_of_signature(case) for case in file["signatures"]}
        excused = file.get("impossible_signatures", {})
        assert tested | set(excused) == {"good", "tampered", "replayed", "expired"}
        assert all(excused.values()), "say why"
        if not issubclass(ADAPTERS[adapter], Connecting):
            assert tested >= {"good", "tampered"}, "a webhook that proves nothing is anybody's"

    def test_has_somebody_to_play_its_provider(self, adapter: str) -> None:
        if "api_base" in ADAPTERS[adapter].settings or issubclass(ADAPTERS[adapter], Connecting):
            assert adapter in PROVIDERS

    def test_gives_every_required_setting(self, adapter: str) -> None:
        required = {name for name, setting in ADAPTERS[adapter].settings.items() if setting.required}
        assert cases.load(adapter)["settings"].keys() >= required


def _kind_of_signature(case: cases.Case) -> str:
    """A case says that it is "expired"; one with `once` is what a repeat of the request is known by."""
    if "once" in case:
        return "replayed"
    return str(case.get("kind", "good" if case["valid"] else "tampered"))


def _holds_that_no_answer_says_opted_out(adapter: str, reason: str) -> None:
    """The provider says so by a receipt only, or by nothing at all: then the reason says that there is no code."""
    provider = PROVIDERS[adapter]
    assert provider.opted_out() is None, "its stand-in answers so"
    if provider.opted_out_report("https://sms.example.org/webhooks/x", provider.settings, "1") is None:
        assert "no code" in reason, "neither a receipt nor a code says so: say that there is no code"
        assert OptedOut not in sys.modules[ADAPTERS[adapter].__module__].ERRORS.values(), "there is a code"


def _events(adapter: str, part: str) -> list[cases.Case]:
    return [event for case in cases.load(adapter)[part] for event in case["expect"]]
