"""A server whose channels are one provider's, for the tests that every provider goes through."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from adapters import ADAPTERS
from tests.bot.conftest import Shop
from tests.providers.provider import Provider, Webhook
from tests.providers.smsc import Smsc
from tests.providers.standin import StandIn

PUBLIC = "https://sms.example.org"


@dataclass
class Business:
    """A running server with two channels of one adapter: on one we confirm STOP, on the other the carrier does."""

    name: str
    provider: Provider
    shop: Shop
    ports: Mapping[str, int]
    channels: Mapping[str, Mapping[str, Any]]
    stand_ins: dict[str, StandIn] = field(default_factory=dict)

    def settings(self, channel: str) -> dict[str, str]:
        """What the provider knows of a channel."""
        known = ADAPTERS[self.name].settings
        return {key: value for key, value in self.channels[channel].items() if key in known}

    @property
    def capabilities(self) -> Any:
        return ADAPTERS[self.name].capabilities

    def url(self, channel: str) -> str:
        return f"{PUBLIC}/webhooks/{channel}"

    async def call(self, client: aiohttp.ClientSession, channel: str, webhook: Webhook) -> int:
        """Make the request that the provider makes; the status of the answer."""
        stand_in = self.stand_ins[channel]
        if isinstance(stand_in, Smsc):
            return 200 if await stand_in.deliver(webhook.body) == 0 else 503
        query = f"?{webhook.query}" if webhook.query else ""
        url = f"{self.shop.server.url}/webhooks/{channel}{query}"
        # What was signed is not to be written in another way.
        address = URL(url, encoded=True)
        async with client.request(webhook.method, address, data=webhook.body, headers=webhook.headers) as response:
            return response.status
