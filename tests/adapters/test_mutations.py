"""Every payload and every answer of the case files with something in it changed: whatever comes of it can be kept."""

import copy
import json
import math
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast
from urllib.parse import quote_from_bytes

import pytest
from multidict import CIMultiDict

from adapters import ADAPTERS
from adapters.contract import Connecting, Inbound, Outbound, Receipt
from adapters.errors import BadPayload, BadSignature, SendError, Throttled, Unknown
from adapters.http import Answer, Http
from tests.adapters import cases

TEXT = "A private text 4711"
ODD: tuple[Any, ...] = (None, True, False, 0, -1, 2**63, 1e308, "", " ", "\x00", "a\x00b", "\ud83d", "é😀", "²", "[",
                        "x" * 5000, "9" * 5000, "http://x:y/", "https://[", TEXT, [TEXT],
                        [], {}, [None], [[]], {"a": 1})  # fmt: skip
STATUSES = (200, 201, 202, 204, 302, 400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504, 520)
BODIES = (b"", b"<html>error</html>", b"\xff", b"[" * 5000, b"1" * 10_000, b"null")
CHANGES = 6
OVER_HTTP = [name for name, kind in ADAPTERS.items() if not issubclass(kind, Connecting)]
SENDING = [name for name in OVER_HTTP if "api_base" in ADAPTERS[name].settings]


def places(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to each value that a value holds."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, held in inner:
        yield (*way, key)
        yield from places(held, (*way, key))


def changed(value: Any, chance: random.Random) -> Any:
    """With one value of it taken out, or made another."""
    value = copy.deepcopy(value)
    ways = list(places(value))
    if not ways:
        return chance.choice(ODD)
    *way, key = chance.choice(ways)
    holder = value
    for step in way:
        holder = holder[step]
    if chance.random() < 0.2:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(chance.choice([*ODD, [holder[key]], {"x": holder[key]}]))
    return value


def changed_body(case: cases.Case, body: bytes, chance: random.Random) -> bytes:
    """The body of a case, its fields changed where it has any."""
    if "form" in case:
        form = changed(case["form"], chance)
        said = form.items() if isinstance(form, dict) else [("", form)]
        pairs = [(name, each) for name, held in said for each in (held if isinstance(held, list) else [held])]
        return b"&".join([_quoted(name) + b"=" + _quoted(each) for name, each in pairs])
    with suppress(ValueError):
        return json.dumps(changed(json.loads(body), chance)).encode()
    at = chance.randrange(len(body) + 1)
    return body[:at] + bytes([chance.randrange(256)]) + body[at + 1 :]


def _quoted(value: Any) -> bytes:
    text = value if isinstance(value, str) else json.dumps(value)
    return quote_from_bytes(text.encode("utf-8", "surrogatepass")).encode()


def can_be_kept(text: str) -> None:
    assert "\x00" not in text
    text.encode()


@pytest.mark.parametrize("adapter", OVER_HTTP)
def test_a_changed_payload_is_read_or_refused(adapter: str) -> None:
    chance = random.Random(adapter)
    file = cases.load(adapter)
    for part in ("inbound", "media", "receipts"):
        for case in file[part] if isinstance(file[part], list) else ():
            made = cases.make(adapter, case.get("settings"))
            request = cases.request(adapter, case)
            for _ in range(CHANGES):
                tried = replace(request, body=changed_body(case, request.body, chance))
                with suppress(BadSignature):
                    made.verify(tried)
                try:
                    events = made.parse(tried)
                except BadPayload as error:
                    can_be_kept(str(error))
                    continue
                for event in events:
                    _check(event)


def _check(event: Inbound | Receipt) -> None:
    if isinstance(event, Receipt):
        assert event.provider_id
        texts = [event.provider_id, event.error_code]
    else:
        assert event.provider_id != ""
        assert all(media.url for media in event.media)
        texts = [event.provider_id or "", event.sender, event.recipient, event.body]
        texts += [text for media in event.media for text in (media.url, media.content_type)]
    for text in texts:
        can_be_kept(text)
    assert event.part is None or 1 <= event.part.number <= event.part.total


class Answering:
    """In the place of `Http`: gives one answer, whatever it is asked."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def request(self, method: str, url: str, **_: Any) -> Answer:
        assert TEXT not in url
        return self._answer

    async def post(self, url: str, **_: Any) -> Answer:
        return await self.request("POST", url)


@pytest.mark.parametrize("adapter", SENDING)
async def test_a_changed_answer_is_one_outcome(adapter: str) -> None:
    chance = random.Random(adapter)
    file = cases.load(adapter)
    for case in file["send"]:
        answer = case.get("answer")
        if not isinstance(answer, dict) or "json" not in answer or case.get("message", {}).get("media"):
            continue
        settings = {**file["settings"], **case.get("settings", {})}
        made = cases.make(adapter, case.get("settings"))
        message = replace(cases.outbound(case), body=TEXT)
        for _ in range(CHANGES):
            body = chance.choice([json.dumps(changed(answer["json"], chance)).encode()] * 5 + [chance.choice(BODIES)])
            headers = CIMultiDict({"Retry-After": "9" * chance.choice([1, 30, 500])})
            given = Answer(chance.choice([answer["status"], *STATUSES]), headers, body)
            await _send(adapter, made, message, given, settings)


async def _send(adapter: str, made: Any, message: Outbound, answer: Answer, settings: Mapping[str, str]) -> None:
    try:
        sent = await made.send(message, cast(Http, Answering(answer)))
    except SendError as error:
        kinds = ADAPTERS[adapter].settings
        secrets = [value for name, value in settings.items() if kinds[name].secret and len(value) > 3]
        _check_error(error, answer, [TEXT, *secrets])
        return
    assert 200 <= answer.status < 300
    assert sent.provider_id
    assert len(sent.provider_id) <= 255
    for id in (sent.provider_id, *sent.part_ids):
        can_be_kept(id)
    assert sent.parts is None or (type(sent.parts) is int and 1 <= sent.parts <= 255)


def _check_error(error: SendError, answer: Answer, private: list[str]) -> None:
    said = str(error)
    assert not [each for each in private if each in said]
    can_be_kept(said)
    assert len(said) <= 300
    if isinstance(error, Throttled) and error.retry_after is not None:
        assert math.isfinite(error.retry_after)
        assert error.retry_after <= 86_400
    # What a gateway answers in the provider's place says nothing, unless the provider's own code is in it.
    assert answer.status not in (408, 502, 504, 520) or error.code or isinstance(error, Unknown)
