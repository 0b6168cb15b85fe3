"""What Vonage's case file cannot say."""

import json
import logging
import re
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters import ADAPTERS
from adapters.contract import Inbound, Once, Outbound, Sent, WebhookRequest
from adapters.errors import BadPayload, BadSignature
from adapters.http import Http
from adapters.vonage import ERRORS, Vonage
from adapters.vonage_signature import DIGESTS
from tests.adapters import cases
from tests.providers.vonage import PROVIDER, VonageStandIn, signed

URL = "https://sms.example.org/webhooks/vonage"
SETTINGS = dict(PROVIDER.settings)
FIELDS = {"msisdn": "14155552671", "to": "12065550100", "messageId": "m1"}
AT = 1767268800


def make(**settings: str) -> Vonage:
    return Vonage({**SETTINGS, **settings})


def ask(body: bytes = b"", url: str = URL, method: str = "POST", **headers: str) -> WebhookRequest:
    return WebhookRequest(url, CIMultiDict(headers), body, method, AT)


def test_every_known_error_code_has_a_case() -> None:
    assert {case["expect"].get("code") for case in cases.load("vonage")["send"]} >= ERRORS.keys()


def test_unknown_status_is_logged_alone(caplog: pytest.LogCaptureFixture) -> None:
    body = b"messageId=m1&status=teleported&msisdn=14133881111"
    with caplog.at_level(logging.WARNING):
        assert make().parse(ask(body)) == []
    [record] = caplog.records
    assert "teleported" in record.getMessage()
    assert "4133881111" not in record.getMessage()


async def test_a_callback_that_is_too_long_is_logged_without_it(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    async with VonageStandIn("abcd1234", "abcdef0123456789") as vonage:
        message = Outbound("m1", "+12025550100", "+12025550123", "the text", receipt_url=f"{URL}?key={'s' * 100}")
        await make(api_base=f"{vonage.url}/").send(message, http)
    assert "sss" not in caplog.text
    assert "the text" not in caplog.text
    assert "100 characters" in caplog.text


async def test_each_part_has_an_id_of_its_own(http: Http) -> None:
    async with VonageStandIn("abcd1234", "abcdef0123456789") as vonage:
        adapter = make(api_base=vonage.url)
        alone = await adapter.send(Outbound("m1", "+12025550100", "+12025550123", "Hi"), http)
        long = await adapter.send(Outbound("m2", "+12025550100", "+12025550123", "ы" * 71), http)
    ids = [part["message-id"] for part in vonage.answered[1]["messages"]]
    assert alone == Sent(vonage.answered[0]["messages"][0]["message-id"], 1)
    assert long == Sent(ids[0], 2, tuple(ids))


@pytest.mark.parametrize("base", ["", "https://rest.nexmo.com", "https://rest.nexmo.com/"])
async def test_api_base_is_vonage_unless_given(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    async def post(self: Http, url: str, **_: object) -> None:
        asked.append(url)
        raise BadSignature

    monkeypatch.setattr(Http, "post", post)
    with pytest.raises(BadSignature):
        await make(api_base=base).send(Outbound("m1", "+1", "+2", "Hi"), Http())
    assert asked == ["https://rest.nexmo.com/sms/json"]


def test_every_setting_is_explained() -> None:
    settings = ADAPTERS["vonage"].settings
    assert {name for name, setting in settings.items() if setting.secret} == {"api_secret", "signature_secret"}
    assert all(method in settings["signature_method"].help for method in DIGESTS)


NAME = st.text(min_size=1).filter(lambda name: not {"&", "="} & set(name))


@given(st.dictionaries(NAME, st.text(), max_size=5), st.sampled_from(sorted(DIGESTS)), st.booleans())
def test_what_vonage_signs_is_believed_once(fields: dict[str, str], method: str, in_query: bool) -> None:
    said = signed(fields, {**SETTINGS, "signature_method": method}, AT)
    form = urlencode(said)
    request = ask(url=f"{URL}?{form}", method="GET") if in_query else ask(form.encode())
    adapter = make(signature_method=method)
    assert adapter.verify(request) == adapter.verify(request)
    assert isinstance(adapter.verify(request), Once)


@pytest.mark.parametrize("method", sorted(DIGESTS))
def test_a_name_hides_no_other_parameter(method: str) -> None:
    """Signed is "&msisdn=...&nonce=...": as one name and one value it is the same text, and says no nonce."""
    said = signed({**FIELDS, "nonce": "n1", "text": "hi"}, {**SETTINGS, "signature_method": method}, AT)
    hidden = {**said, f"msisdn={said['msisdn']}&nonce": said["nonce"]}
    del hidden["nonce"], hidden["msisdn"]
    adapter = make(signature_method=method)
    adapter.verify(ask(urlencode(said).encode()))
    with pytest.raises(BadSignature):
        adapter.verify(ask(urlencode(hidden).encode()))


@given(
    url=st.text(),
    token=st.text(),
    sig=st.text(),
    method=st.sampled_from(sorted({*DIGESTS, ""})),
    # A request without any parameter is Vonage's check of the address, which proves nothing and says nothing.
    body=st.binary(min_size=1).filter(lambda body: re.sub(rb"[&{}\s]", b"", body) != b"") | st.just(b"[]"),
)
def test_anything_else_is_a_bad_signature(url: str, token: str, sig: str, method: str, body: bytes) -> None:
    adapter = make(signature_method=method)
    form = urlencode({"sig": sig, "timestamp": AT, "text": "x"}).encode()
    for request in (
        ask(body, url),
        ask(body, url, Authorization=f"Bearer {token}"),
        ask(form, url),
        ask(b"", f"{URL}?sig=1&{url}", "GET", Authorization=token),
    ):
        with pytest.raises(BadSignature):
            adapter.verify(request)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
NAMES = ("msisdn", "to", "messageId", "text", "type", "data", "status", "err-code", "concat", "concat-ref",
         "concat-part", "concat-total")  # fmt: skip


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=12), st.binary())
def test_parse_reads_or_refuses_and_gives_clean_text(said: dict[str, Any], junk: bytes) -> None:
    # orjson would refuse what a provider may well send: half an emoji as an escape, NaN.
    texts = {name: str(value) for name, value in said.items()}
    form = urlencode({**FIELDS, **texts}, errors="surrogatepass").encode()
    for request in (
        ask(json.dumps(said).encode()),
        ask(json.dumps({**FIELDS, **said}).encode()),
        ask(form),
        ask(form + b"&text=" + junk),
        ask(junk),
    ):
        try:
            events = make().parse(request)
        except BadPayload:
            continue
        for event in events:
            assert event.provider_id
            if isinstance(event, Inbound):
                assert "\x00" not in event.body
                event.body.encode()
