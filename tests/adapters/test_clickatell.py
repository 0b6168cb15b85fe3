"""What Clickatell's case file cannot say."""

import json
import logging
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.clickatell import ERRORS, Clickatell
from adapters.contract import Inbound, Outbound, Receipt, WebhookRequest
from adapters.errors import BadPayload, BadSignature, Misconfigured
from adapters.http import Http
from tests.adapters import cases
from tests.providers.clickatell import PROVIDER, ClickatellStandIn

URL = "https://sms.example.org/webhooks/clickatell"
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
CHARSETS = st.sampled_from(["UTF-8", "UTF-16BE", "ISO-8859-1", "x"])


def make(**settings: str) -> Clickatell:
    return Clickatell({**PROVIDER.settings, **settings})


def read(body: bytes) -> list[Inbound | Receipt]:
    return make().parse(WebhookRequest(URL, CIMultiDict(), body))


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("clickatell")["send"]} >= ERRORS.keys()


@pytest.mark.parametrize(
    ("said", "logged"),
    [
        ({"messageId": "m1", "to": "14133881111", "statusCode": 99}, "99"),
        ({"messageId": "m1", "fromNumber": "14133881111", "text": "my secret", "charset": "EBCDIC"}, "EBCDIC"),
        ({"messageId": "m1", "fromNumber": "14133881111", "text": "my secret", "udh": "zz"}, "udh"),
    ],
)
def test_what_is_unknown_is_logged_without_the_customers_words(
    said: dict[str, object], logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        read(json.dumps(said).encode())
    [record] = caplog.records
    assert logged in record.getMessage()
    assert not any(word in record.getMessage() for word in ("4133881111", "my secret"))


def test_deep_json_is_a_bad_payload() -> None:
    with pytest.raises(BadPayload):
        read(b"[" * 100_000)


async def test_key_is_neither_in_the_address_nor_in_an_error(http: Http) -> None:
    async with ClickatellStandIn("another key") as clickatell:
        with pytest.raises(Misconfigured) as raised:
            await make(api_base=f"{clickatell.url}/").send(Outbound("m1", "+12025550100", "+12025550123", "Hi"), http)
        assert [request.path for request in clickatell.requests] == ["/messages"]
    assert PROVIDER.settings["api_key"] not in str(raised.value)


@given(token=st.text(), query=st.text(), body=st.binary())
def test_any_other_token_is_a_bad_signature(token: str, query: str, body: bytes) -> None:
    with_surrogates = quote(token, errors="surrogatepass")
    for end in (query, f"?{query}", f"?token={with_surrogates}", f"?token={token}", f"[?token={query}"):
        with pytest.raises(BadSignature):
            make().verify(WebhookRequest(f"{URL}{end}", CIMultiDict(), body))


@given(url=st.text(alphabet=st.characters(codec=None)))
def test_an_empty_token_is_never_right(url: str) -> None:
    with pytest.raises(BadSignature):
        make(webhook_token="").verify(WebhookRequest(url, CIMultiDict(), b""))


@given(text=st.text(), charset=st.sampled_from(["UTF-16BE", "ISO-8859-1"]))
def test_text_comes_through_each_charset(text: str, charset: str) -> None:
    octets = text.encode(charset, "replace")
    said = {"messageId": "1", "fromNumber": "2", "toNumber": "3", "charset": charset, "text": quote(octets, safe="")}
    [event] = read(json.dumps(said).encode())
    assert isinstance(event, Inbound)
    assert event.body == octets.decode(charset).replace("\x00", "")


@given(
    fields=st.dictionaries(
        st.sampled_from(
            ["messageId", "fromNumber", "toNumber", "text", "charset", "udh", "statusCode", "status", "timestamp"]
        ),
        VALUES | CHARSETS | st.sampled_from(["a\x00b%00%D8", "050003CC0302", 4]),
    ),
    junk=st.binary(),
)
def test_parse_reads_or_refuses_and_gives_clean_text(fields: dict[str, object], junk: bytes) -> None:
    whole = {"messageId": "1", "fromNumber": "2", "toNumber": "3"}
    for body in (json.dumps(fields).encode(), json.dumps({**whole, **fields}).encode(), junk):
        try:
            events = read(body)
        except BadPayload:
            continue
        for event in events:
            assert isinstance(event, Inbound | Receipt)
            said = event.body if isinstance(event, Inbound) else event.error_code
            assert "\x00" not in said
            said.encode()
