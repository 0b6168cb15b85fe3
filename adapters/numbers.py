"""What a provider that rents out phone numbers can do: find, order, set up, release and list them.

A number is a thing that there is once. So an order names one number, is repeated without fear, and `state_of` tells
afterwards whether it is ours: whatever is lost on the way, no second number is bought. Errors are those of
errors.py: Rejected means that this number cannot be had (another may be), Misconfigured that none can until a
person acts, Unknown that the order may or may not have been taken.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from adapters.contract import Acknowledgement
from adapters.http import Http

Ownership = Literal["owned", "pending", "absent"]
NumberKind = Literal["local", "toll_free"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to look for: numbers of a country (two letters), in an area code or a region (state), both "" for any."""

    country: str
    area_code: str = ""
    region: str = ""
    kind: NumberKind = "local"
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Offer:
    """A number (E.164) that can be had. `price` is by the month, as the provider writes it, "" where it does not."""

    number: str
    region: str = ""
    locality: str = ""
    price: str = ""


@dataclass(frozen=True, slots=True)
class Setup:
    """How a number is to be set up: where its texts and calls are told (URLs; "" leaves it alone), where calls go
    (E.164, "" nowhere), and what it is called in the provider's own pages."""

    messages_url: str = ""
    calls_url: str = ""
    forward_to: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True)
class OwnNumber:
    """A number of the account. `registration` is what the provider says of it: "registered", "pending", "rejected",
    "unregistered", "" where it does not say; `campaign` its 10DLC campaign's id."""

    number: str
    provider_id: str
    label: str = ""
    messages_url: str = ""
    registration: str = ""
    campaign: str = ""


class NumberProvider(Protocol):
    """The numbers of one channel's account, made from the same settings as its adapter."""

    countries: ClassVar[frozenset[str]]
    """Where it can be searched by area code; empty for every country."""

    needs: ClassVar[frozenset[str]]
    """Settings without which a number could be ordered, and not be set up."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        """The settings of the channel, as for its adapter."""

    async def search(self, wanted: Wanted, http: Http) -> list[Offer]:
        """Numbers that can be had and can text (and call), [] where there are none."""

    async def order(self, number: str, reference: str, http: Http) -> Ownership:
        """Order this number: "owned", or "pending" while the provider works on it. `reference` is our own name of
        the purchase, the same at each repeat."""

    async def state_of(self, number: str, reference: str, http: Http) -> Ownership:
        """Whether the number is in the account by the order of this reference, or that order is under way; where the
        provider keeps no references, whether it is in the account at all."""

    async def set_up(self, number: str, setup: Setup, http: Http) -> None:
        """Set the webhooks and the forwarding of a number that is ours. May be repeated."""

    async def release(self, number: str, http: Http) -> None:
        """Give a number back. One that is not ours any more is no error."""

    async def owned(self, http: Http) -> list[OwnNumber]:
        """All numbers of the account, of however many pages."""

    def forwarded(self, forward_to: str) -> Acknowledgement | None:
        """The answer to a call that comes in by webhook: put it through to `forward_to` (E.164). None for a provider
        that forwards calls by its own settings."""
