"""What Plivo's case file cannot say."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.contract import Inbound, Once, Receipt, WebhookRequest
from adapters.errors import BadPayload, BadSignature
from adapters.plivo import ERRORS, NONCE_SECONDS, Plivo
from tests.adapters import cases
from tests.providers.plivo import signed_webhook

URL = "https://sms.example.org/webhooks/plivo"


def make(**settings: str) -> Plivo:
    return Plivo({"auth_id": "MA1", "auth_token": "12345", **settings})


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("plivo")["send"]} >= ERRORS.keys()


def test_nonce_is_remembered_for_a_week() -> None:
    headers, body = signed_webhook(URL, {"Text": "hi"}, "12345", "n1")
    assert make().verify(WebhookRequest(URL, CIMultiDict(headers), body)) == Once("n1", NONCE_SECONDS)
    assert NONCE_SECONDS == 7 * 24 * 3600


def test_the_end_of_a_value_is_no_new_nonce() -> None:
    """What is signed is the fields, a full stop and the nonce: cut at a stop before, the text is the same."""
    headers, body = signed_webhook(URL, {"MessageUUID": "u1", "TotalRate": "0.0025", "Type": "sms"}, "12345", "n1")
    make().verify(WebhookRequest(URL, CIMultiDict(headers), body))
    replayed = CIMultiDict({**headers, "X-Plivo-Signature-V3-Nonce": "0025Typesms.n1"})
    with pytest.raises(BadSignature):
        make().verify(WebhookRequest(URL, replayed, b"MessageUUID=u1&TotalRate=0"))


def test_unknown_status_is_logged_without_the_customers_number(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert (
            make().parse(WebhookRequest(URL, CIMultiDict(), b"MessageUUID=u1&Status=teleported&To=14133881111")) == []
        )
    [record] = caplog.records
    assert "teleported" in record.getMessage()
    assert "4133881111" not in record.getMessage()


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_what_plivo_signs_is_believed(fields: dict[str, str]) -> None:
    headers, body = signed_webhook(URL, fields, "12345")
    make().verify(WebhookRequest(URL, CIMultiDict(headers), body))


@given(url=st.text(), signature=st.text(), nonce=st.text(), body=st.binary(), method=st.sampled_from(["GET", "POST"]))
def test_anything_else_is_a_bad_signature(url: str, signature: str, nonce: str, body: bytes, method: str) -> None:
    headers = CIMultiDict({"X-Plivo-Signature-V3": signature, "X-Plivo-Signature-V3-Nonce": nonce})
    with pytest.raises(BadSignature):
        make().verify(WebhookRequest(url, headers, body, method))


@given(text=st.text(), junk=st.binary(), url=st.text(), method=st.sampled_from(["GET", "POST"]))
def test_parse_reads_or_refuses_and_gives_clean_text(text: str, junk: bytes, url: str, method: str) -> None:
    _, form = signed_webhook(URL, {"MessageUUID": "u1", "From": "1", "To": "2", "Text": text}, "")
    for body in (form, form + b"&Text=" + junk, form + b"&PartInfo=1 of 2&Status=" + junk, junk):
        try:
            events = make().parse(WebhookRequest(url, CIMultiDict(), body, method))
        except BadPayload:
            continue
        for event in events:
            assert isinstance(event, Inbound | Receipt)
            said = event.body if isinstance(event, Inbound) else event.error_code
            assert "\x00" not in said
            said.encode()
