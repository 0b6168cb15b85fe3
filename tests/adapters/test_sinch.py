"""What Sinch's case file cannot say."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.contract import Inbound, Once, Outbound, Receipt, WebhookRequest
from adapters.errors import BadPayload, BadSignature
from adapters.http import Http
from adapters.sinch import ERRORS, Sinch
from tests.adapters import cases
from tests.providers.sinch import callback

URL = "https://sms.example.org/webhooks/sinch"
SETTINGS = {"service_plan_id": "plan1", "api_token": "t", "webhook_secret": "s"}
AT = 1_795_000_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def make(**settings: str) -> Sinch:
    return Sinch({**SETTINGS, **settings})


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("sinch")["send"]} >= ERRORS.keys()


def test_nonce_is_remembered_as_long_as_its_time_may_be_taken() -> None:
    webhook = callback({"type": "mo_text"}, SETTINGS, AT)
    once = make().verify(WebhookRequest(URL, CIMultiDict(webhook.headers), webhook.body, at=AT))
    assert once == Once(webhook.headers["x-sinch-webhook-signature-nonce"], 600)


@pytest.mark.parametrize("status", ["Teleported", "Deleted"])
def test_what_is_not_sure_is_logged_without_the_customers_number(status: str, caplog: pytest.LogCaptureFixture) -> None:
    said = {"type": "recipient_delivery_report_sms", "batch_id": "b", "status": status, "recipient": "14133881111"}
    with caplog.at_level(logging.WARNING):
        make().parse(WebhookRequest(URL, CIMultiDict(), json.dumps(said).encode()))
    [record] = caplog.records
    assert status in record.getMessage()
    assert "4133881111" not in record.getMessage()


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({}, "https://us.sms.api.sinch.com"),
        ({"api_base": ""}, "https://us.sms.api.sinch.com"),
        ({"region": "eu"}, "https://eu.sms.api.sinch.com"),
        ({"region": "eu", "api_base": "https://us.sms.api.sinch.com"}, "https://eu.sms.api.sinch.com"),
        ({"region": "eu", "api_base": "http://127.0.0.1:1/"}, "http://127.0.0.1:1"),
    ],
)
async def test_host_is_that_of_the_region_unless_given(
    settings: dict[str, str], host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def post(self: Http, url: str, **_: object) -> None:
        asked.append(url)
        raise BadSignature

    monkeypatch.setattr(Http, "post", post)
    with pytest.raises(BadSignature):
        await make(**settings).send(Outbound("m1", "+1", "+2", "Hi"), Http())
    assert asked == [f"{host}/xms/v1/plan1/batches"]


@given(st.text())
def test_what_sinch_signs_is_believed(text: str) -> None:
    webhook = callback({"body": text}, SETTINGS, AT)
    make().verify(WebhookRequest(URL, CIMultiDict(webhook.headers), webhook.body, at=AT))


@given(signature=st.text(), nonce=st.text(), timestamp=st.text() | st.integers().map(str), body=st.binary())
def test_anything_else_is_a_bad_signature(signature: str, nonce: str, timestamp: str, body: bytes) -> None:
    headers = CIMultiDict({
        "x-sinch-webhook-signature": signature, "x-sinch-webhook-signature-nonce": nonce,
        "x-sinch-webhook-signature-timestamp": timestamp, "Authorization": signature,
    })  # fmt: skip
    for made in (make(), make(webhook_secret="", webhook_user="u", webhook_password="p")):
        with pytest.raises(BadSignature):
            made.verify(WebhookRequest(URL, headers, body, at=AT))


@given(
    kind=st.sampled_from(["mo_text", "mo_binary", "mo_media", "delivery_report_sms", "recipient_delivery_report_sms"]),
    fields=st.dictionaries(
        st.sampled_from(["id", "from", "to", "body", "udh", "batch_id", "status", "statuses", "code"]),
        VALUES | st.sampled_from(["Deleted", "050003cc0201", "VGV4dA==", "12025550123"]),
    ),
    junk=st.binary(),
)
def test_parse_reads_or_refuses_and_gives_clean_text(kind: str, fields: dict[str, object], junk: bytes) -> None:
    for body in (json.dumps({"type": kind, **fields}).encode(), junk):
        try:
            events = make().parse(WebhookRequest(URL, CIMultiDict(), body))
        except BadPayload:
            continue
        for event in events:
            assert isinstance(event, Inbound | Receipt)
            said = event.body if isinstance(event, Inbound) else event.error_code
            assert "\x00" not in said
            said.encode()
