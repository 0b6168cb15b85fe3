"""What Telnyx's case file cannot say."""

import json
import logging
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.contract import Inbound, Outbound, WebhookRequest
from adapters.errors import BadPayload, BadSignature
from adapters.http import Http
from adapters.telnyx import ERRORS, Telnyx
from tests.adapters import cases
from tests.providers.telnyx import PUBLIC_KEY, TelnyxStandIn, signed_webhook

URL = "https://sms.example.org/webhooks/telnyx"
AT = 1768940167
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def make(**settings: str) -> Telnyx:
    return Telnyx({"api_key": "KEY0123", "public_key": PUBLIC_KEY, **settings})


def request(event: Any, **headers: str) -> WebhookRequest:
    return WebhookRequest(URL, CIMultiDict(headers), json.dumps(event).encode(), at=AT)


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("telnyx")["send"]} >= ERRORS.keys()


def test_unknown_status_is_logged_without_the_customers_number(caplog: pytest.LogCaptureFixture) -> None:
    payload = {"id": "m1", "to": [{"phone_number": "+14155550123", "status": "teleported"}]}
    with caplog.at_level(logging.WARNING):
        assert make().parse(request({"data": {"event_type": "message.finalized", "payload": payload}})) == []
    [record] = caplog.records
    assert "teleported" in record.getMessage()
    assert "4155550123" not in record.getMessage()


def test_the_stand_in_signs_what_the_adapter_believes() -> None:
    headers, body = signed_webhook({"data": {"text": "é😀"}}, AT)
    once = make().verify(WebhookRequest(URL, CIMultiDict(headers), body, at=AT))
    assert (once.nonce, once.seconds) == (headers["telnyx-signature-ed25519"], 600)


async def test_a_text_that_is_asked_for_twice_is_one(http: Http) -> None:
    message = Outbound("m1", "+12025550100", "+12025550123", "Hello")
    async with TelnyxStandIn("KEY0123") as telnyx:
        adapter = make(api_base=telnyx.url)
        assert await adapter.send(message, http) == await adapter.send(message, http)


@pytest.mark.parametrize("base", ["", "https://api.telnyx.com", "https://api.telnyx.com/"])
async def test_api_base_is_telnyx_unless_given(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def post(self: Http, url: str, **_: object) -> None:
        asked.append(url)
        raise BadSignature

    monkeypatch.setattr(Http, "post", post)
    with pytest.raises(BadSignature):
        await make(api_base=base).send(Outbound("m1", "+1", "+2", "Hi"), Http())
    assert asked == ["https://api.telnyx.com/v2/messages"]


@given(st.dictionaries(st.text(), st.text(), max_size=5), st.integers(AT - 300, AT + 300))
def test_what_telnyx_signs_is_believed(event: dict[str, str], at: int) -> None:
    headers, body = signed_webhook(json.loads(json.dumps(event).replace("\\ud", "x")), at)
    make().verify(WebhookRequest(URL, CIMultiDict(headers), body, at=AT))


@given(url=st.text(), signature=st.text(), timestamp=st.text(), body=st.binary())
def test_anything_else_is_a_bad_signature(url: str, signature: str, timestamp: str, body: bytes) -> None:
    for time in (timestamp, str(AT)):
        headers = CIMultiDict({"telnyx-signature-ed25519": signature, "telnyx-timestamp": time})
        with pytest.raises(BadSignature):
            make().verify(WebhookRequest(url, headers, body, at=AT))


@given(key=st.text())
def test_what_is_no_key_is_refused_at_once(key: str) -> None:
    with pytest.raises(ValueError, match="public_key"):
        make(public_key=key)


@given(text=st.text(), junk=st.binary())
def test_parse_reads_or_refuses_and_gives_clean_text(text: str, junk: bytes) -> None:
    payload = {"id": "m1", "from": {"phone_number": "+1"}, "to": [{"phone_number": "+2"}], "text": text}
    body = json.dumps({"data": {"event_type": "message.received", "payload": payload}}).encode()
    for each in (body, body + junk, junk):
        try:
            events = make().parse(WebhookRequest(URL, CIMultiDict(), each))
        except BadPayload:
            continue
        for event in events:
            assert isinstance(event, Inbound)
            assert "\x00" not in event.body
            event.body.encode()


@given(event_type=st.sampled_from(["message.received", "message.finalized"]), fields=st.data())
def test_parse_reads_or_refuses_whatever_the_fields_are(event_type: str, fields: st.DataObject) -> None:
    names = ("id", "from", "to", "text", "media", "errors", "autoresponse_type")
    people = JSON | st.lists(st.fixed_dictionaries({"phone_number": JSON, "status": JSON}), max_size=2)
    payload = {name: fields.draw(people if name == "to" else JSON) for name in names}
    with suppress(BadPayload):
        make().parse(request({"data": {"event_type": event_type, "payload": payload}}))
