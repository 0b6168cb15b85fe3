"""What the case file of the generic `http` adapter cannot say."""

import hmac
import json
import logging
import re
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from adapters.contract import Inbound, Outbound, WebhookRequest
from adapters.errors import BadPayload, BadSignature, Rejected, SendError, Unknown
from adapters.generic_http import GenericHttp
from adapters.generic_http_settings import SETTINGS
from adapters.http import Http
from tests.providers.generic_http import PROVIDER, Gateway

URL = "https://sms.example.org/webhooks/http"
PAGE = (Path(__file__).parents[2] / "docs" / "http-channel.md").read_text(encoding="utf-8")
SECRET = {"signature_secret": "s", "signature_header": "X-Signature"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)


def make(**settings: str) -> GenericHttp:
    return GenericHttp({"send_url": "https://gateway.example/v1/messages", **settings})


class TestSettings:
    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            ({"send_url": "gateway.example/v1"}, "send_url"),
            ({"send_user": "a:b", "send_password": "c"}, "send_user"),
            ({"send_url": "ftp://gateway.example"}, "send_url"),
            ({"send_url": "https://[gateway"}, "send_url"),
            ({"send_body": "{"}, "send_body is not JSON"),
            ({"send_body": "[]"}, "send_body must be a JSON object"),
            ({"send_body": '{"to": "{recipient}"}'}, r"send_body: \{recipient\}"),
            ({"send_body": '{"m": "see {media}"}'}, r"send_body: \{media\} is a list"),
            ({"send_body": '{"m": {"to": "{to}"}}', "send_format": "form"}, "send_body: 'm' is nested"),
            ({"send_body": '{"m": [["{to}"]]}', "send_format": "query"}, "send_body: 'm' is nested"),
            ({"send_format": "xml"}, "send_format"),
            ({"send_method": "DELETE"}, "send_method"),
            ({"send_method": "GET"}, "send_method GET has no body"),
            ({"send_headers": "no colon"}, "send_headers"),
            ({"send_headers": "Bad Name: x"}, "send_headers"),
            ({"send_headers": "X: {to}"}, r"send_headers: \{to\}"),
            ({"api_key": "a\r\nX-Evil: 1"}, "api_key"),
            ({"plus": "maybe"}, "plus"),
            ({"id_optional": "1"}, "id_optional"),
            ({"receipt_statuses": "DELIVRD=arrived"}, "receipt_statuses"),
            ({"receipt_statuses": "DELIVRD"}, "receipt_statuses"),
            ({"receipt_statuses": "=sent"}, "receipt_statuses"),
            ({"error_classes": "1001=optedout"}, "error_classes"),
            ({"signature_secret": "s"}, "signature_header is missing"),
            ({"signature_header": "X-S"}, "signature_secret is missing"),
            ({**SECRET, "signature_algorithm": "md5"}, "signature_algorithm"),
            ({**SECRET, "signature_encoding": "base32"}, "signature_encoding"),
            ({**SECRET, "signed_text": "{timestamp}"}, "signed_text must hold {body}"),
            ({**SECRET, "signed_text": "{body}{time}"}, r"signed_text: \{time\}"),
            ({**SECRET, "signed_text": "{body}{"}, "signed_text: braces"),
            ({**SECRET, "signed_text": "{body}{1}"}, "signed_text: braces"),
            ({**SECRET, "signed_text": "{body}{timestamp}"}, "signed_text and timestamp_header"),
            ({**SECRET, "timestamp_header": "X-Time"}, "signed_text and timestamp_header"),
            ({**SECRET, "nonce_header": "X-Nonce"}, "signed_text and nonce_header"),
            ({"send_signature_secret": "s"}, "send_signature_header is missing"),
            ({"send_signature_secret": "s", "send_signature_header": "X", "send_signed_text": "x"}, "send_signed_text"),
        ],
    )
    def test_a_mapping_that_cannot_work_is_named(self, settings: dict[str, str], named: str) -> None:
        with pytest.raises(ValueError, match=f"^{named}") as caught:
            make(**settings)
        assert "Evil" not in str(caught.value)

    @given(st.dictionaries(st.sampled_from(sorted(SETTINGS)), st.text(max_size=30), max_size=6))
    def test_any_settings_work_or_are_refused_with_a_word(self, settings: dict[str, str]) -> None:
        with suppress(ValueError):
            GenericHttp(settings)

    def test_blank_settings_are_those_that_are_not_given(self) -> None:
        GenericHttp(dict.fromkeys(SETTINGS, "") | {"send_url": "https://gateway.example/"})


class TestPage:
    def test_its_table_names_every_setting_and_its_default(self) -> None:
        rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, re.MULTILINE))
        assert rows.keys() == SETTINGS.keys()
        for name, setting in SETTINGS.items():
            shown = "required" if setting.required else f"`{setting.default}`" if setting.default else ""
            assert rows[name] == shown, name

    def test_its_channel_works(self) -> None:
        [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
        channel = tomllib.loads(example)["channels"]["gateway"]
        assert channel.pop("adapter") == "http"
        assert channel.pop("numbers")
        secrets = {name for name, value in channel.items() if isinstance(value, dict)}
        assert secrets == {name for name in channel if SETTINGS[name].secret}
        made = GenericHttp(channel | dict.fromkeys(secrets, "secret"))

        text, receipt = [block.encode() for block in re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)][:2]
        for body in (text, receipt):
            signature = hmac.digest(b"secret", b"1763800000." + body, "sha256").hex()
            headers = CIMultiDict({"X-Acme-Signature": f"v1={signature}", "X-Acme-Time": "1763800000"})
            made.verify(WebhookRequest(URL, headers, body, at=1763800000.0))
        [inbound] = made.parse(WebhookRequest(URL, CIMultiDict(), text))
        assert inbound == Inbound("in-7", "+12025550123", "+12025550100", "Are you open today?")
        [came] = made.parse(WebhookRequest(URL, CIMultiDict(), receipt))
        assert (came.provider_id, getattr(came, "state", ""), getattr(came, "opted_out", "")) == (
            "out-9",
            "failed",
            True,
        )

    async def test_its_request_is_the_one_that_is_made(self, http: Http) -> None:
        [example] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
        channel = tomllib.loads(example)["channels"]["gateway"]
        settings = {name: value if isinstance(value, str) else "secret" for name, value in channel.items()}
        shown = json.loads(re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)[2])
        answer = json.loads(re.findall(r"```json\n(.*?)\n```", PAGE, re.DOTALL)[3])
        async with Gateway(settings) as gateway:
            gateway.answer_with((202, {}, answer))
            made = GenericHttp({**settings, "api_base": gateway.url})
            sent = await made.send(Outbound("m1", "+12025550100", "+12025550123", "We are open until six."), http)
        assert sent.provider_id == "out-9"
        [request] = gateway.requests
        assert request.json == shown
        assert request.path == "/v2/texts"
        assert request.headers["Authorization"] == "Key secret"


class TestSend:
    @given(text=st.text(), id=st.text(max_size=20), sender=st.text(max_size=20), media=st.lists(st.text(), max_size=3))
    async def test_no_text_becomes_json_or_another_field(
        self, text: str, id: str, sender: str, media: list[str]
    ) -> None:
        asked: list[Any] = []

        class Recording(Http):
            async def request(self, method: str, url: str, **given: Any) -> Any:
                asked.append(given["json"])
                raise Rejected("seen")

        body = '{"a": ["{text}", {"id {id}": "<{id}>"}], "n": 1.5, "from": "{from}", "m": "{media}", "k": "{api_key}"}'
        with pytest.raises(Rejected, match="seen"):
            await make(send_body=body, api_key="k").send(Outbound(id, sender, "+1", text, tuple(media)), Recording())
        [said] = asked
        json.dumps(said).encode()
        assert said["n"] == 1.5
        assert [type(value) for value in said["a"]] == [str, dict]
        assert said.keys() == {"a", "n", "from", "m", "k"}
        assert len(said["m"]) == len(media)

    async def test_each_request_has_a_nonce_of_its_own(self, http: Http) -> None:
        settings = {
            "send_signature_secret": "s",
            "send_signature_header": "X-Signature",
            "send_signed_text": "{nonce}\n{timestamp}\n{method}\n{url}\n{body}",
            "send_signature_algorithm": "sha512",
            "send_nonce_header": "X-Nonce",
            "send_timestamp_header": "X-Time",
        }
        async with Gateway({"send_url": "https://gateway.example/v1/messages"}) as gateway:
            made = make(api_base=gateway.url, **settings)
            for _ in range(2):
                await made.send(Outbound("m1", "+12025550100", "+12025550123", "é😀"), http)
        first, second = gateway.requests
        assert first.headers["X-Nonce"] != second.headers["X-Nonce"]
        for request in gateway.requests:
            head = (request.headers["X-Nonce"], request.headers["X-Time"], "POST", gateway.url + request.path, "")
            text = "\n".join(head).encode() + request.body
            assert request.headers["X-Signature"] == hmac.digest(b"s", text, "sha512").hex()

    @pytest.mark.parametrize(
        ("method", "format"),
        [
            ("POST", "form"),
            ("GET", "query"),
            ("PUT", "json"),
        ],
    )
    async def test_a_connection_that_is_closed_sends_no_second_text(self, http: Http, method: str, format: str) -> None:
        """The gateway may have taken the text: what repeats a read must not repeat this."""
        async with Gateway({"send_url": "https://gateway.example/v1/messages", "send_format": format}) as gateway:
            made = make(api_base=gateway.url, send_method=method, send_format=format)
            await made.send(Outbound("m1", "+12025550100", "+12025550123", "Hello"), http)
            gateway.hang_up()
            with pytest.raises(Unknown):
                await made.send(Outbound("m2", "+12025550100", "+12025550123", "Hello"), http)
            assert [request.method for request in gateway.requests] == [method, method]

    async def test_no_credential_and_no_text_is_in_an_error(self, http: Http) -> None:
        settings = {**PROVIDER.settings, "send_url": "https://gateway.example/v1/messages?key=the-key"}
        async with Gateway(settings) as gateway:
            echo = {"code": "Hello", "message": "Hello the api key"}
            gateway.answer_with((400, {}, echo))
            gateway.hang_up()
            made = GenericHttp({**settings, "api_base": gateway.url})
            for _ in range(2):
                with pytest.raises(SendError) as caught:
                    await made.send(Outbound("m1", "+1", "+12025550123", "Hello"), http)
                assert not re.search("Hello|key", str(caught.value))


@given(
    signature=st.text(), timestamp=st.text(), nonce=st.text(), body=st.binary(), url=st.text(), authorization=st.text()
)
def test_anything_random_is_a_bad_signature(
    signature: str, timestamp: str, nonce: str, body: bytes, url: str, authorization: str
) -> None:
    signed = make(
        **SECRET, signed_text="{timestamp}{nonce}{url}{body}", timestamp_header="X-Time", nonce_header="X-Nonce"
    )
    headers = {"X-Signature": signature, "X-Time": timestamp, "X-Nonce": nonce, "Authorization": authorization}
    for made in (signed, make(token="t" * 9), make()):
        with pytest.raises(BadSignature):
            made.verify(WebhookRequest(url, CIMultiDict(headers), body))


@given(
    content=JSON | st.lists(st.fixed_dictionaries({"from": JSON, "to": JSON, "text": JSON, "media": JSON})),
    junk=st.binary(),
    path=st.text(".0ab", max_size=6),
)
def test_parse_reads_or_refuses_and_gives_clean_text(content: Any, junk: bytes, path: str) -> None:
    form = CIMultiDict({"Content-Type": "application/x-www-form-urlencoded"})
    for made in (make(), make(events_path=path, inbound_text=path, receipt_status=path)):
        for headers, body in ((CIMultiDict(), json.dumps(content).encode()), (CIMultiDict(), junk), (form, junk)):
            try:
                events = made.parse(WebhookRequest(URL, headers, body))
            except BadPayload:
                continue
            for event in events:
                for text in (event.body, event.sender) if isinstance(event, Inbound) else (event.provider_id,):
                    assert "\x00" not in text
                    text.encode()


def test_unknown_status_is_logged_alone(caplog: pytest.LogCaptureFixture) -> None:
    body = b'{"id": "g1", "status": "teleported", "to": "+12025550123"}'
    with caplog.at_level(logging.WARNING):
        assert make().parse(WebhookRequest(URL, CIMultiDict(), body)) == []
    [record] = caplog.records
    assert "teleported" in record.getMessage()
    assert "2025550123" not in record.getMessage()
