"""What makes us decide: a message that came in, something that happened to a contact, or time that has come."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from adapters.contract import Inbound
from bot.channels import Channel
from bot.config import Config
from bot.routes import Routes
from rules.facts import Event, SenderKind


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message that came in. `id` is ours; `sender` and `number` are E.164 where that is possible."""

    id: str
    channel: Channel
    inbound: Inbound
    sender: str
    kind: SenderKind
    number: str
    at: int
    content: str = ""
    """What identifies a message of a provider that gives no ids."""

    @property
    def provider_id(self) -> str:
        """The provider's id, or one of our own making."""
        return self.inbound.provider_id or f"{self.content}:{self.id}"


Happening = Event | Literal["start", "stop", "changed", "woken"]
"""An event of the rule language, or what only workflows care for: one is to start or to stop, the contact's fields
changed, or the conversation was handed back to automation."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """One thing to decide about, at `at` (UTC microseconds).

    `detail` is the list of a list_*, the code of a delivery_failed, the workflow of a workflow_ended, start or stop,
    or the run of a `due`. `arrival` is the message behind it, if one is. `source` is who caused it, for the history.
    """

    id: str
    at: int
    event: Happening = "message"
    detail: str = ""
    source: str = ""
    arrival: Arrival | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """What the configuration says about applying. Times are in seconds."""

    routes: Routes
    auto_reply_cap: int
    auto_reply_window_seconds: int
    staff_seconds: int


def policy_of(config: Config, routes: Routes | None = None) -> Policy:
    """The configuration's policy; `routes` are those that know who is away."""
    outbox = config.outbox
    return Policy(
        routes=routes or Routes(config.routes, config.default_route),
        auto_reply_cap=outbox.auto_reply_cap,
        auto_reply_window_seconds=outbox.auto_reply_window_seconds,
        staff_seconds=outbox.staff_seconds,
    )
