"""Every case of every adapter's case file."""

import base64
import re
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

import pytest

from adapters import ADAPTERS
from adapters.contract import Adapter, Connecting, Inbound, Receipt
from adapters.errors import BadPayload, BadSignature, SendError
from adapters.http import Http
from tests.adapters import cases
from tests.adapters.connection import connection
from tests.providers.all import PROVIDERS
from tests.providers.standin import StandIn


@pytest.mark.parametrize(("adapter", "case"), cases.parameters("inbound", "media", "receipts"))
async def test_parse_reads_a_payload(adapter: str, case: cases.Case) -> None:
    events = await _events(adapter, case)
    assert [cases.plain(event) for event in events] == case["expect"]


@pytest.mark.parametrize(("adapter", "case"), cases.parameters("bad_payloads"))
async def test_parse_names_what_is_wrong(adapter: str, case: cases.Case, caplog: pytest.LogCaptureFixture) -> None:
    if issubclass(ADAPTERS[adapter], Connecting):
        assert await _events(adapter, case) == []
        assert re.search(case["error"], caplog.text)
    else:
        with pytest.raises(BadPayload, match=case["error"]):
            await _events(adapter, case)


async def _events(adapter: str, case: cases.Case) -> Sequence[Inbound | Receipt]:
    """What the adapter reads, by its webhook or by the connection that it keeps."""
    settings = case.get("settings", {})
    body = cases.request(adapter, case)
    if not issubclass(ADAPTERS[adapter], Connecting):
        return cases.make(adapter, settings).parse(body)
    received: list[Inbound | Receipt] = []

    async def receive(events: Sequence[Inbound | Receipt]) -> None:
        received.extend(events)

    async with connection(adapter, settings, receive=receive) as (_, stand_in):
        await stand_in.deliver(body.body)
    return received


@pytest.mark.parametrize(("adapter", "case"), cases.parameters("signatures"))
def test_verify_takes_good_and_refuses_tampered(adapter: str, case: cases.Case) -> None:
    if "unusable" in case:
        with pytest.raises(ValueError, match=case["unusable"]):
            cases.make(adapter, case["settings"])
        return
    made = cases.make(adapter, case.get("settings"))
    if case["valid"]:
        once = made.verify(cases.request(adapter, case))
        if "once" in case:
            assert once is not None
            assert (once.nonce, made.verify(cases.request(adapter, case))) == (case["once"], once)
    else:
        with pytest.raises(BadSignature):
            made.verify(cases.request(adapter, case))


@pytest.mark.parametrize(("adapter", "case"), cases.parameters("send"))
async def test_send(adapter: str, case: cases.Case, http: Http) -> None:
    settings = case.get("settings", {})
    knows = case.get("provider_knows", settings)
    async with AsyncExitStack() as stack:
        stand_in: StandIn | None = None
        if issubclass(ADAPTERS[adapter], Connecting):
            made, stand_in = await stack.enter_async_context(connection(adapter, settings, knows))
            _prepare(stand_in, case.get("answer"))
        elif "api_base" in ADAPTERS[adapter].settings:
            accepted = cases.load(adapter)["settings"] | knows
            stand_in = await stack.enter_async_context(PROVIDERS[adapter].stand_in(accepted))
            made = cases.make(adapter, settings | {"api_base": stand_in.url})
            _prepare(stand_in, case.get("answer"))
        else:
            made = cases.make(adapter, settings)
        outcome = await _outcome(made, case, http)
        assert outcome.items() >= case["expect"].items()
        if stand_in is not None and "request" in case:
            _compare_request(stand_in, case["request"])


async def _outcome(made: Adapter, case: cases.Case, http: Http) -> dict[str, Any]:
    try:
        return {"outcome": "sent", **asdict(await made.send(cases.outbound(case), http))}
    except SendError as error:
        return {"outcome": error.outcome, **vars(error)}


def _prepare(stand_in: StandIn, answer: dict[str, Any] | str | None) -> None:
    if answer == "hang":
        stand_in.hang()
    elif answer == "hang up":
        stand_in.hang_up()
    elif isinstance(answer, dict):
        content = answer["text"] if "text" in answer else answer.get("json", {})
        stand_in.answer_with((answer["status"], answer.get("headers", {}), content))


def _compare_request(stand_in: StandIn, expected: cases.Case) -> None:
    """Of a request: `method`, `path`, `login` (Basic), `form`, `json`, and `headers` that must be among its own."""
    [request] = stand_in.requests
    seen: cases.Case = {"method": request.method, "path": request.path}
    if "login" in expected:
        login = request.headers["Authorization"].removeprefix("Basic ")
        seen["login"] = base64.b64decode(login).decode()
    if "form" in expected:
        seen["form"] = [list(pair) for pair in request.form]
    if "json" in expected:
        seen["json"] = request.json
    if "headers" in expected:
        seen["headers"] = {name: request.headers.get(name) for name in expected["headers"]}
    assert seen == expected
