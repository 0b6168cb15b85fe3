"""What the adapter tests share: an impatient client, and a stand-in for each provider."""

from collections.abc import AsyncIterator, Callable, Mapping

import pytest

from adapters.http import Http
from tests.providers.standin import StandIn
from tests.providers.twilio import TwilioStandIn

StandInMaker = Callable[[Mapping[str, str]], StandIn]


def _twilio(settings: Mapping[str, str]) -> StandIn:
    keys = {settings["api_key_sid"]: settings["api_key_secret"]} if "api_key_sid" in settings else {}
    return TwilioStandIn(settings["account_sid"], settings["auth_token"], keys)


@pytest.fixture
def stand_ins() -> Mapping[str, StandInMaker]:
    """By adapter name: makes a stand-in that accepts a channel with these settings."""
    return {"twilio": _twilio}


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    """Waits a quarter of a second for an answer where the service waits ten."""
    async with Http(connect_seconds=1.0, answer_seconds=0.25) as client:
        yield client
