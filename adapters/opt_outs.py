"""What a provider that keeps its own list of opt-outs can tell: who is on it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from adapters.http import Http


@dataclass(frozen=True, slots=True)
class OptOut:
    """A phone (E.164) that opted out at the provider, from one of our numbers ("" for all). `at` is ISO 8601, "" where
    the provider does not say."""

    phone: str
    number: str = ""
    at: str = ""


class OptOutList(Protocol):
    """The list of one channel's account, made from the same settings as its adapter."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """The settings of the channel, as for its adapter."""

    async def opted_out(self, http: Http) -> list[OptOut]:
        """Everybody who is on it now, of however many pages. Raises a SendError."""
