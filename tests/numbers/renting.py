"""A Twilio that rents out numbers, and the steps of a purchase at which it can be made to fail."""

from __future__ import annotations

import re
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.bot.conftest import until
from tests.providers.standin import Reply, Request
from tests.providers.twilio import TwilioStandIn, refused, signed_webhook

ACCOUNT = "AC" + "0" * 31 + "7"
TOKEN = "the token of the account"
POOL = "+12125550100"
"""The number of config.toml."""
PUBLIC = "https://texts.example.com"
SETTINGS: Mapping[str, Any] = {
    "adapter": "twilio", "numbers": [POOL], "account_sid": ACCOUNT, "auth_token": TOKEN,
}  # fmt: skip

Step = Literal["search", "look", "order", "set_up", "release", "send", "other"]
_STEPS: tuple[tuple[str, str, Step], ...] = (
    ("GET", r".*/AvailablePhoneNumbers/.*", "search"),
    ("GET", r".*/IncomingPhoneNumbers\.json", "look"),
    ("POST", r".*/IncomingPhoneNumbers\.json", "order"),
    ("POST", r".*/IncomingPhoneNumbers/PN\w+\.json", "set_up"),
    ("DELETE", r".*/IncomingPhoneNumbers/PN\w+\.json", "release"),
    ("POST", r".*/Messages\.json", "send"),
)


def step_of(request: Request) -> Step:
    """What a request is for."""
    path = urlsplit(request.path).path
    return next((step for method, of, step in _STEPS if method == request.method and re.fullmatch(of, path)), "other")


class Rental(TwilioStandIn):
    """`before` and `after` name steps at which it hangs: with nothing done yet, or with all of it done and no answer.
    `answers` are given to the next requests of a step, one each; `then` is called with each answer on its way."""

    # Held to Twilio's published description, like the stand-in itself.
    __module__ = TwilioStandIn.__module__

    def __init__(self, port: int = 0) -> None:
        super().__init__(ACCOUNT, TOKEN, port=port)
        self.before: set[Step] = set()
        self.after: set[Step] = set()
        self.answers: dict[Step, deque[Reply]] = {}
        self.always: dict[Step, Reply] = {}
        self.then: Callable[[Step], None] = lambda step: None
        self.asked: Counter[Step] = Counter()
        self.hung: Counter[Step] = Counter()

    def offer(self, *numbers: str) -> None:
        """Numbers that can be bought."""
        for number in numbers:
            self.available[number] = {"region": "CA", "locality": "San Francisco"}

    def go_on(self) -> None:
        """Nothing hangs any more."""
        self.before.clear()
        self.after.clear()

    @property
    def sent(self) -> list[tuple[str, str, str]]:
        """(from, to, body) of every text that we were asked to send."""
        asked = [request.fields for request in self.requests if step_of(request) == "send"]
        return [(fields["From"], fields["To"], fields["Body"]) for fields in asked]

    async def hangs(self, step: Step, seconds: float = 15.0) -> None:
        """Wait until it hangs at a step."""
        await until(lambda: self.hung[step], seconds)

    def _checked(self, request: Request) -> Any:
        return self._staged(request)

    async def _staged(self, request: Request) -> Reply:
        step = step_of(request)
        self.asked[step] += 1
        if step in self.before:
            self.hung[step] += 1
            return await self._never(request)
        if self.answers.get(step):
            return self.answers[step].popleft()
        if step in self.always:
            return self.always[step]
        reply = super()._checked(request)
        if step in self.after:
            self.hung[step] += 1
            return await self._never(request)
        self.then(step)
        return reply


def webhook(fields: Mapping[str, str], path: str = "/webhooks/twilio") -> tuple[dict[str, str], bytes]:
    """A signed request that Twilio makes."""
    return signed_webhook(f"{PUBLIC}{path}", fields, TOKEN)


__all__ = ["POOL", "PUBLIC", "SETTINGS", "Rental", "Step", "refused", "step_of", "webhook"]
