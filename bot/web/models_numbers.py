"""What the API takes and gives about numbers and channels."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bot.web.models import Id, In, NumberText, Out, PageQuery

AreaCode = Annotated[str, StringConstraints(pattern=r"^([2-9][0-9]{2})?$")]
Country = Annotated[str, StringConstraints(pattern=r"^([A-Za-z]{2})?$")]
ChannelName = Annotated[str, StringConstraints(max_length=41)]


class NumberOut(Out):
    """A number of ours. `user` is whose own it is; `registration` what is known of its registration with the carriers,
    and `warning` what to do about it. `release_at` is when it is given back."""

    number: str
    channel: str
    state: Literal["active", "quarantined"]
    source: Literal["config", "bought", "found"]
    user: str | None
    registration: str
    campaign: str
    warning: str | None
    release_at: str | None


class NumberQuery(PageQuery):
    """Which of our numbers."""

    channel: ChannelName | None = None


class AvailableQuery(In):
    """Where to look for a number."""

    area_code: AreaCode = ""
    country: Country = ""
    channel: ChannelName = ""
    kind: Literal["local", "toll_free"] = "local"
    limit: int = Field(20, ge=1, le=100)


class OfferOut(Out):
    """A number that can be bought. `price` is by the month, as the provider writes it."""

    number: str
    channel: str
    region: str
    locality: str
    price: str


class NewNumber(In):
    """A number to buy: this one, or one in or near an area code. `user` (an id) is whose own it will be."""

    number: NumberText | None = None
    area_code: AreaCode = ""
    country: Country = ""
    channel: ChannelName = ""
    user: Id | None = None


class NumberPatch(In):
    """Whose own a number is: a user's id, or null for everybody's."""

    user: Id | None


class ReleaseQuery(In):
    """`now` gives it back without a quarantine."""

    now: bool = False


class PurchaseOut(Out):
    """A number that is to be bought, or given back. `found_by` says where it was found: area code, overlay, nearby,
    same state, or pool, where none was to be had; `error` why it is not done yet."""

    id: str
    state: Literal["open", "done", "pool", "refused", "dry_run", "released"]
    step: str
    number: str | None
    channel: str
    area_code: str
    found_by: str
    user: str | None
    error: str | None
    requested_by: str
    created_at: str
    updated_at: str


class SyncedOut(Out):
    """What one channel's provider told of our numbers."""

    channel: str
    total: int
    found: list[str]
    gone: list[str]
    error: str | None


class OutageOut(Out):
    """Why a channel is out, and since when."""

    reason: str
    since: str


class ChannelOut(Out):
    """A provider account. `out` is null while it works."""

    name: str
    adapter: str
    numbers: list[str]
    pool: str | None
    out: OutageOut | None
