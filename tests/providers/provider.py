"""What the tests must know of a provider to play its part: each module here has a `PROVIDER`, all.py names them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import ReceiptState
from tests.providers.standin import Answer, Request, StandIn


@dataclass(frozen=True)
class Text:
    """A text that a customer sends, or that was asked of the provider."""

    sender: str
    recipient: str
    body: str
    id: str = ""
    media: tuple[str, ...] = ()


@dataclass(frozen=True)
class Webhook:
    """A request that the provider makes of us; `query` is added to the channel's URL."""

    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    method: str = "POST"
    query: str = ""


class Provider(ABC):
    """One provider. `settings` are those of a channel, without api_base; credentials of tests only."""

    settings: Mapping[str, str]

    @abstractmethod
    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        """A stand-in that believes in a channel with these settings."""

    @abstractmethod
    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        """The webhook of an inbound text, signed now for `url`."""

    @abstractmethod
    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        """The receipt for the message that the provider took under `id`, in the provider's words for our state."""

    @abstractmethod
    def asked(self, request: Request) -> Text:
        """What a request to send asks for: sender and recipient as E.164, and the body."""

    @abstractmethod
    def throttled(self, seconds: int) -> Answer:
        """The answer to a request that came too fast."""

    def opted_out(self) -> Answer | None:
        """The answer to sending to who opted out there; None where the provider takes the message and reports it."""
        return None

    def opted_out_report(self, url: str, settings: Mapping[str, str], id: str) -> Webhook | None:
        """The receipt that says so; None for a provider without."""
        return None

    @abstractmethod
    def given_id(self, answer: Any) -> str:
        """The id that receipts will carry, from what the stand-in answered to a request to send."""
