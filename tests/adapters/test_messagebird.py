"""What MessageBird's case file cannot say."""

import logging
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters import ADAPTERS
from adapters.contract import Inbound, Once, Outbound, WebhookRequest
from adapters.errors import BadPayload, BadSignature
from adapters.http import Http
from adapters.messagebird import ERRORS, MessageBird
from adapters.messagebird_signature import MAX_REMEMBERED
from tests.adapters import cases
from tests.providers.messagebird import HEADER, PROVIDER, token

URL = "https://sms.example.org/webhooks/messagebird"
SETTINGS = dict(PROVIDER.settings)
KEY = SETTINGS["signing_key"]
AT = 1767268800


def make(**settings: str) -> MessageBird:
    return MessageBird({**SETTINGS, **settings})


def ask(body: bytes = b"", url: str = URL, jwt: str = "", method: str = "POST") -> WebhookRequest:
    return WebhookRequest(url, CIMultiDict({HEADER: jwt}), body, method, AT)


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("messagebird")["send"]} >= ERRORS.keys()


def test_unknown_status_is_logged_alone(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert make().parse(ask(b"id=m1&status=teleported&recipient=14133881111")) == []
    [record] = caplog.records
    assert "teleported" in record.getMessage()
    assert "4133881111" not in record.getMessage()


def test_acknowledgement_is_the_word_that_messagebird_waits_for() -> None:
    acknowledgement = ADAPTERS["messagebird"].acknowledgement
    assert (acknowledgement.content_type, acknowledgement.body) == ("text/plain", b"OK")


@pytest.mark.parametrize(
    ("expires", "seconds"),
    [(AT + 60, range(60, 65)), (AT, range(1, 5)), (AT + 10**9, range(MAX_REMEMBERED, MAX_REMEMBERED + 1))],
)
def test_a_token_is_remembered_as_long_as_it_holds_and_seven_days_at_most(expires: int, seconds: range) -> None:
    once = make().verify(ask(b"id=1", jwt=token(URL, b"id=1", KEY, nbf=AT, exp=expires, jti="j1")))
    assert once is not None
    assert once.nonce == "j1"
    assert once.seconds in seconds


@pytest.mark.parametrize("base", ["", "https://rest.messagebird.com", "https://rest.messagebird.com/"])
async def test_api_base_is_messagebird_unless_given(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def post(self: Http, url: str, **_: object) -> None:
        asked.append(url)
        raise BadSignature

    monkeypatch.setattr(Http, "post", post)
    for media in ((), ("https://x.example/1.jpg",)):
        with pytest.raises(BadSignature):
            await make(api_base=base).send(Outbound("m1", "+1", "+2", "Hi", media), Http())
    assert asked == ["https://rest.messagebird.com/messages", "https://rest.messagebird.com/mms"]


@given(st.binary(), st.text(st.characters(codec="utf-8")))
def test_what_messagebird_signs_is_believed(body: bytes, query: str) -> None:
    url = f"{URL}?{query}"
    assert isinstance(make().verify(ask(body, url, token(url, body, KEY, nbf=AT, exp=AT + 60))), Once)


@given(url=st.text(), jwt=st.text(), body=st.binary())
def test_anything_else_is_a_bad_signature(url: str, jwt: str, body: bytes) -> None:
    good = token(URL, b"id=1", KEY, nbf=AT, exp=AT + 60)
    for request in (ask(body, url, jwt), ask(body, f"{URL}?{url}", good), ask(b"id=1" + body + b"&", URL, good)):
        with pytest.raises(BadSignature):
            make().verify(request)


NAMES = ("id", "mid", "recipient", "shortcode", "originator", "body", "message", "mediaUrls", "status",
         "statusErrorCode")  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), st.text()), st.binary())
def test_parse_reads_or_refuses_and_gives_clean_text(fields: dict[str, str], junk: bytes) -> None:
    form = urlencode({"id": "1", "recipient": "2", "originator": "3", **fields}).encode()
    for body in (form, form + b"&body=" + junk, form + b"&mediaUrls=" + junk, junk):
        try:
            events = make().parse(ask(body))
        except BadPayload:
            continue
        for event in events:
            assert event.provider_id
            if isinstance(event, Inbound):
                assert "\x00" not in event.body
                event.body.encode()
                "".join([media.url for media in event.media]).encode()
