"""What Infobip's case file cannot say."""

import json
import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.contract import Inbound, Outbound, Receipt, Sent, WebhookRequest
from adapters.errors import BadPayload, BadSignature
from adapters.http import Http
from adapters.infobip import ERRORS, Infobip
from tests.adapters import cases
from tests.providers.infobip import DUPLICATE, PROVIDER, InfobipStandIn

URL = "https://sms.example.org/webhooks/infobip"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def make(**settings: str) -> Infobip:
    return Infobip({**PROVIDER.settings, "api_base": "https://xxxxx.api.infobip.com", **settings})


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("infobip")["send"]} >= ERRORS.keys()


def test_unknown_status_is_logged_without_the_customers_number(caplog: pytest.LogCaptureFixture) -> None:
    result = {"messageId": "m1", "to": "14133881111", "status": {"groupId": 9, "name": "TELEPORTED"}}
    with caplog.at_level(logging.WARNING):
        assert make().parse(WebhookRequest(URL, CIMultiDict(), json.dumps({"results": [result]}).encode())) == []
    [record] = caplog.records
    assert "TELEPORTED" in record.getMessage()
    assert "4133881111" not in record.getMessage()


async def test_second_try_of_a_message_that_arrived_is_sent_once(http: Http) -> None:
    message = Outbound("m1", "+12025550100", "+12025550123", "Hello")
    async with InfobipStandIn("the key") as infobip:
        adapter = make(api_base=infobip.url)
        assert await adapter.send(message, http) == Sent("m1", 1)
        assert await adapter.send(message, http) == Sent("m1")
        assert infobip.answered[-1]["messages"][0]["status"]["id"] == DUPLICATE[2]


@pytest.mark.parametrize("base", ["xxxxx.api.infobip.com", "https://xxxxx.api.infobip.com/"])
async def test_host_is_taken_as_the_portal_shows_it(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def post(self: Http, url: str, **_: object) -> None:
        asked.append(url)
        raise BadSignature

    monkeypatch.setattr(Http, "post", post)
    with pytest.raises(BadSignature):
        await make(api_base=base).send(Outbound("m1", "+1", "+2", "Hi"), Http())
    assert asked == ["https://xxxxx.api.infobip.com/sms/3/messages"]


@given(authorization=st.text(), body=st.binary())
def test_any_other_login_is_a_bad_signature(authorization: str, body: bytes) -> None:
    for header in (authorization, f"Basic {authorization}"):
        with pytest.raises(BadSignature):
            make().verify(WebhookRequest(URL, CIMultiDict({"Authorization": header}), body))


@given(
    fields=st.dictionaries(
        st.sampled_from(["messageId", "from", "to", "text", "message", "status", "error"]),
        VALUES | st.just([{"contentType": "text/plain", "value": "a\x00b", "url": "u"}]) | st.just({"groupId": 5}),
    ),
    junk=st.binary(),
)
def test_parse_reads_or_refuses_and_gives_clean_text(fields: dict[str, object], junk: bytes) -> None:
    whole = {"messageId": "1", "from": "2", "to": "3"}
    bodies = [json.dumps({"results": [fields, {**whole, **fields}]}), json.dumps({"results": [{**whole, **fields}]})]
    for body in (*(text.encode() for text in bodies), junk):
        try:
            events = make().parse(WebhookRequest(URL, CIMultiDict(), body))
        except BadPayload:
            continue
        for event in events:
            assert isinstance(event, Inbound | Receipt)
            said = event.body if isinstance(event, Inbound) else event.error_code
            assert "\x00" not in said
            said.encode()
