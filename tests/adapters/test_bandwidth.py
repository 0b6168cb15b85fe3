"""What Bandwidth's case file cannot say."""

import json
import logging
from base64 import b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.bandwidth import ERRORS, Bandwidth, error_class
from adapters.bandwidth_xml import read, text, write
from adapters.contract import Inbound, Outbound, WebhookRequest
from adapters.errors import BadPayload, BadSignature, Rejected, Retry, SendError, Unknown
from adapters.http import Answer, Http
from tests.adapters import cases
from tests.providers.bandwidth import PROVIDER, webhook

URL = "https://sms.example.org/webhooks/bandwidth"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def make(**settings: str) -> Bandwidth:
    return Bandwidth({**PROVIDER.settings, **settings})


def request(events: Any, **headers: str) -> WebhookRequest:
    return WebhookRequest(URL, CIMultiDict(headers), json.dumps(events).encode())


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("bandwidth")["send"]} >= ERRORS.keys()


@pytest.mark.parametrize(
    ("code", "kind"),
    [("4001", Rejected), ("4999", Rejected), ("5100", Retry), ("5999", Retry), ("5600", Unknown), ("5699", Unknown),
     ("9902", Unknown), ("9000", Unknown), ("1234", Unknown), ("475", None), ("", None), ("x775", None),
     ("\u0664\u0664\u0664\u0664", None)],
)  # fmt: skip
def test_the_first_digits_say_what_a_code_means(code: str, kind: type[SendError] | None) -> None:
    assert error_class(code) is kind


def test_unknown_type_is_logged_without_the_customers_number(caplog: pytest.LogCaptureFixture) -> None:
    event = {"type": "message-teleported", "to": "+14155550123", "message": {"id": "m1"}}
    with caplog.at_level(logging.WARNING):
        assert make().parse(request([event])) == []
    [record] = caplog.records
    assert "message-teleported" in record.getMessage()
    assert "4155550123" not in record.getMessage()


def test_a_user_that_no_login_can_carry_is_named() -> None:
    with pytest.raises(ValueError, match="user must not hold a colon"):
        make(user="a:b")


@pytest.mark.parametrize("base", ["", "https://messaging.bandwidth.com", "https://messaging.bandwidth.com/"])
async def test_api_base_is_bandwidth_unless_given(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def post(self: Http, url: str, **_: object) -> None:
        asked.append(url)
        raise BadSignature

    monkeypatch.setattr(Http, "post", post)
    with pytest.raises(BadSignature):
        await make(api_base=base).send(Outbound("m1", "+1", "+2", "Hi"), Http())
    assert asked == ["https://messaging.bandwidth.com/api/v2/users/9900000/messages"]


@given(user=st.text(min_size=1).filter(lambda user: ":" not in user), password=st.text(min_size=1))
def test_the_login_of_the_channel_is_believed(user: str, password: str) -> None:
    headers, body = webhook([], user, password)
    made = make(webhook_user=user, webhook_password=password)
    assert made.verify(WebhookRequest(URL, CIMultiDict(headers), body)) is None


@given(url=st.text(), login=st.text(), raw=st.binary(), body=st.binary())
def test_anything_else_is_a_bad_signature(url: str, login: str, raw: bytes, body: bytes) -> None:
    for given_ in (login, f"Basic {login}", f"Basic {b64encode(raw).decode()}"):
        with pytest.raises(BadSignature):
            make().verify(WebhookRequest(url, CIMultiDict({"Authorization": given_}), body))


@given(text=st.text(), junk=st.binary())
def test_parse_reads_or_refuses_and_gives_clean_text(text: str, junk: bytes) -> None:
    message = {"id": "m1", "from": "+1", "text": text, "media": [text]}
    body = json.dumps([{"type": "message-received", "to": "+2", "message": message}]).encode()
    for each in (body, body + junk, junk):
        try:
            events = make().parse(WebhookRequest(URL, CIMultiDict(), each))
        except BadPayload:
            continue
        for event in events:
            assert isinstance(event, Inbound)
            assert "\x00" not in event.body
            event.body.encode()


@given(type=st.sampled_from(["message-received", "message-failed", "message-sent"]), fields=st.data())
def test_parse_reads_or_refuses_whatever_the_fields_are(type: str, fields: st.DataObject) -> None:
    message = {name: fields.draw(JSON) for name in ("id", "from", "text", "media")}
    event = {"type": type, "to": fields.draw(JSON), "errorCode": fields.draw(JSON), "message": message}
    with suppress(BadPayload):
        make().parse(request([event, fields.draw(JSON)]))


@given(st.binary() | st.text().map(lambda inner: f"<a>{inner}</a>".encode("utf-8", "replace")))
def test_xml_is_read_or_unknown(body: bytes) -> None:
    with suppress(Unknown):
        read(Answer(200, {}, body))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<a>",
        b"<a/><b/>",
        b"<a>\xff</a>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/hostname"><a/>',
        '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16"),
    ],
)
def test_xml_that_is_none_or_has_a_document_type_is_unknown(body: bytes) -> None:
    with pytest.raises(Unknown):
        read(Answer(200, {}, body))


def test_xml_is_escaped() -> None:
    written = write("Order", {"Name": "<a> & b", "Site": {"Id": "1"}, "Empty": "", "None": {}})
    assert written == "<Order><Name>&lt;a&gt; &amp; b</Name><Site><Id>1</Id></Site></Order>"
    assert text(read(Answer(200, {}, written.encode())), "Name") == "<a> & b"
