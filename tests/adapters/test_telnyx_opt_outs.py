"""Telnyx's list of opt-outs, against its stand-in; its failures are with those of numbers."""

import logging
from collections.abc import AsyncIterator

import pytest

from adapters.http import Http
from adapters.opt_outs import OptOut
from adapters.telnyx_opt_outs import TelnyxOptOuts
from tests.providers.telnyx import TelnyxStandIn

NUMBER = "+13035550142"


@pytest.fixture
async def telnyx() -> AsyncIterator[TelnyxStandIn]:
    async with TelnyxStandIn("KEY0123") as stand_in:
        yield stand_in


def opt_outs(telnyx: TelnyxStandIn, messaging_profile_id: str = "P1") -> TelnyxOptOuts:
    settings = {"api_key": "KEY0123", "public_key": "", "api_base": telnyx.url}
    return TelnyxOptOuts({**settings, "messaging_profile_id": messaging_profile_id})


def entry(phone: str, number: str = NUMBER, profile_id: str = "P1") -> dict[str, str]:
    return {"from": number, "to": phone, "keyword": "STOP", "messaging_profile_id": profile_id,
            "created_at": "2019-01-23T18:10:02.574Z"}  # fmt: skip


async def test_of_several_pages(telnyx: TelnyxStandIn, http: Http) -> None:
    telnyx.page_limit = 2
    telnyx.opt_outs = [entry(f"+1202555010{digit}") for digit in range(5)]
    found = await opt_outs(telnyx).opted_out(http)
    assert [opt_out.phone for opt_out in found] == [each["to"] for each in telnyx.opt_outs]
    assert found[0] == OptOut("+12025550100", NUMBER, "2019-01-23T18:10:02.574Z")


async def test_of_this_profile_or_of_the_account(telnyx: TelnyxStandIn, http: Http) -> None:
    telnyx.opt_outs = [entry("+12025550100"), entry("+12025550101", profile_id="P2")]
    assert len(await opt_outs(telnyx).opted_out(http)) == 1
    assert len(await opt_outs(telnyx, messaging_profile_id="").opted_out(http)) == 2


async def test_redacted_phones_are_told(telnyx: TelnyxStandIn, http: Http, caplog: pytest.LogCaptureFixture) -> None:
    telnyx.opt_outs = [entry("+1202555****"), entry("+12025550100", number="")]
    with caplog.at_level(logging.WARNING):
        [found] = await opt_outs(telnyx).opted_out(http)
    assert (found.phone, found.number) == ("+12025550100", "")
    assert "202555" not in caplog.text
