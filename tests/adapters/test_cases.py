"""Every case of every adapter's case file."""

import base64
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from typing import Any

import pytest

from adapters import ADAPTERS
from adapters.errors import BadPayload, BadSignature, SendError
from adapters.http import Http
from tests.adapters import cases
from tests.adapters.conftest import StandInMaker
from tests.providers.standin import StandIn


@pytest.mark.parametrize(("adapter", "case"), cases.parameters("inbound", "media", "receipts"))
def test_parse_reads_a_payload(adapter: str, case: cases.Case) -> None:
    events = cases.make(adapter).parse(cases.request(adapter, case))
    assert [cases.plain(event) for event in events] == case["expect"]


@pytest.mark.parametrize(("adapter", "case"), cases.parameters("bad_payloads"))
def test_parse_names_what_is_wrong(adapter: str, case: cases.Case) -> None:
    with pytest.raises(BadPayload, match=case["error"]):
        cases.make(adapter).parse(cases.request(adapter, case))


@pytest.mark.parametrize(("adapter", "case"), cases.parameters("signatures"))
def test_verify_takes_good_and_refuses_tampered(adapter: str, case: cases.Case) -> None:
    made = cases.make(adapter, case.get("settings"))
    if case["valid"]:
        made.verify(cases.request(adapter, case))
    else:
        with pytest.raises(BadSignature):
            made.verify(cases.request(adapter, case))


@pytest.mark.parametrize(("adapter", "case"), cases.parameters("send"))
async def test_send(adapter: str, case: cases.Case, stand_ins: Mapping[str, StandInMaker], http: Http) -> None:
    settings = case.get("settings", {})
    async with AsyncExitStack() as stack:
        stand_in = None
        if "api_base" in ADAPTERS[adapter].settings:
            accepted = cases.load(adapter)["settings"] | case.get("provider_knows", settings)
            stand_in = await stack.enter_async_context(stand_ins[adapter](accepted))
            settings = settings | {"api_base": stand_in.url}
            _prepare(stand_in, case.get("answer"))
        outcome = await _outcome(adapter, case, settings, http)
        assert outcome.items() >= case["expect"].items()
        if stand_in is not None and "request" in case:
            _compare_request(stand_in, case["request"])


async def _outcome(adapter: str, case: cases.Case, settings: Mapping[str, str], http: Http) -> dict[str, Any]:
    made = cases.make(adapter, settings)
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
    [request] = stand_in.requests
    login = base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode()
    assert {
        "method": request.method,
        "path": request.path,
        "login": login,
        "form": [list(pair) for pair in request.form],
    } == expected
