"""What Twilio's case file cannot say."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters import ADAPTERS
from adapters.contract import Inbound, Outbound, WebhookRequest
from adapters.errors import BadPayload, BadSignature
from adapters.http import Http
from adapters.twilio import ERRORS, Twilio
from tests.adapters import cases
from tests.providers.twilio import signed_webhook

URL = "https://sms.example.org/webhooks/twilio"


def make(**settings: str) -> Twilio:
    return Twilio({"account_sid": "AC1", "auth_token": "12345", **settings})


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("twilio")["send"]} >= ERRORS.keys()


def test_unknown_status_is_logged_without_the_customers_number(caplog: pytest.LogCaptureFixture) -> None:
    body = b"MessageSid=SM1&MessageStatus=teleported&To=%2B14133881111"
    with caplog.at_level(logging.WARNING):
        assert make().parse(WebhookRequest(URL, CIMultiDict(), body)) == []
    [record] = caplog.records
    assert "teleported" in record.getMessage()
    assert "4133881111" not in record.getMessage()


def test_acknowledgement_sends_no_reply() -> None:
    acknowledgement = ADAPTERS["twilio"].acknowledgement
    assert acknowledgement.content_type == "text/xml"
    assert acknowledgement.body.endswith(b"<Response/>")


@pytest.mark.parametrize("base", ["", "https://api.twilio.com", "https://api.twilio.com/"])
async def test_api_base_is_twilio_unless_given(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def post(self: Http, url: str, **_: object) -> None:
        asked.append(url)
        raise BadSignature

    monkeypatch.setattr(Http, "post", post)
    with pytest.raises(BadSignature):
        await make(api_base=base).send(Outbound("m1", "+1", "+2", "Hi"), Http())
    assert asked == ["https://api.twilio.com/2010-04-01/Accounts/AC1/Messages.json"]


@given(st.dictionaries(st.text(), st.text(), max_size=5))
def test_what_twilio_signs_is_believed(fields: dict[str, str]) -> None:
    headers, body = signed_webhook(URL, fields, "12345")
    make().verify(WebhookRequest(URL, CIMultiDict(headers), body))


@given(url=st.text(), signature=st.text(), settings=st.text(), body=st.binary())
def test_anything_else_is_a_bad_signature(url: str, signature: str, settings: str, body: bytes) -> None:
    headers = CIMultiDict({"X-Twilio-Signature": signature, "X-Twilio-Webhooks-Signature-Settings": settings})
    with pytest.raises(BadSignature):
        make().verify(WebhookRequest(url, headers, body))


@given(text=st.text(), junk=st.binary())
def test_parse_reads_or_refuses_and_gives_clean_text(text: str, junk: bytes) -> None:
    _, form = signed_webhook(URL, {"MessageSid": "SM1", "From": "+1", "To": "+2", "Body": text}, "")
    for body in (form, form + b"&Body=" + junk, junk):
        try:
            events = make().parse(WebhookRequest(URL, CIMultiDict(), body))
        except BadPayload:
            continue
        for event in events:
            assert isinstance(event, Inbound)
            assert "\x00" not in event.body
            event.body.encode()
