"""What an adapter is: verify, parse, send, and what it can do. Nothing else.

An adapter is made once per channel from that channel's settings. `verify` and `parse` are pure: bytes
in, values out. `send` speaks HTTP through the shared `Http` and raises one of the closed set in errors.py.
A provider that is reached by a connection of its own (SMPP) is `Connecting` too. What some providers offer
besides, numbers to buy and lists of opt-outs, is in numbers.py and opt_outs.py.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from adapters.http import Http

ReceiptState = Literal["sent", "delivered", "undelivered", "failed"]
CarrierAction = Literal["stop", "start", "help"]


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One request to /webhooks/{channel}.

    `url` is the address as the provider called it (the configured public_url and the raw path and query);
    `headers` compares names without regard to case; `body` is the raw bytes; `at` is when it came (Unix
    seconds), for signatures that hold for a while only.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes
    method: str = "POST"
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Once:
    """What makes a signed request unlike any other: seen again within `seconds`, it is a repeat and changes nothing."""

    nonce: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a long message: the `number`th (from 1) of `total`.

    `group` is what the parts of one message share, besides sender and recipient; "" in a receipt.
    """

    group: str
    number: int
    total: int


@dataclass(frozen=True, slots=True)
class Media:
    """A picture or file: where it is, and its MIME type ("" when the provider does not say)."""

    url: str
    content_type: str = ""


@dataclass(frozen=True, slots=True)
class Inbound:
    """A message from a customer.

    `provider_id` is None for a provider that gives none: such messages are deduplicated by content.
    `carrier_action` names what the provider itself did about this message (confirmed a STOP, say), so that
    we do not do it again. `part` is set by a provider that does not join long messages: the pipeline does.
    """

    provider_id: str | None
    sender: str
    recipient: str
    body: str
    media: tuple[Media, ...] = ()
    carrier_action: CarrierAction | None = None
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """News about a message that we sent. `opted_out`: the provider says that the recipient opted out.

    A message in several parts has arrived when all of them have. A receipt for one part carries either the
    message's own id and `part`, or the part's id, one of `Sent.part_ids`. `reference` is our own id of the message
    (`Outbound.id`) where the provider repeats it, and gives the message one id: so it is known even when its answer,
    and its id with it, was lost.
    """

    provider_id: str
    state: ReceiptState
    error_code: str = ""
    opted_out: bool = False
    part: Part | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Outbound:
    """A message to send.

    `id` is ours; `media` are public URLs; `receipt_url` is "" when there is no public_url.
    """

    id: str
    sender: str
    recipient: str
    body: str
    media: tuple[str, ...] = ()
    receipt_url: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took the message. `parts` is its own count of segments, None when it does not say.

    `part_ids` are the ids of all parts in order, where each has one of its own and receipts come by part;
    `provider_id` is the first of them.
    """

    provider_id: str
    parts: int | None = None
    part_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the provider does and takes. `max_body` is in characters; `webhook_methods` are how it calls us."""

    carrier_confirms_opt_out: bool
    supports_media: bool
    max_body: int = 1600
    webhook_methods: frozenset[str] = frozenset({"POST"})


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """The body of our 200 to the provider's webhook."""

    content_type: str = "application/json"
    body: bytes = b"{}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One key of a channel's settings in config.toml, beside those that every channel has."""

    secret: bool = False
    required: bool = False
    default: str = ""
    help: str = ""


class Adapter(Protocol):
    """How to speak to one provider, for one channel."""

    settings: ClassVar[Mapping[str, Setting]]
    capabilities: ClassVar[Capabilities]
    acknowledgement: ClassVar[Acknowledgement]

    def __init__(self, settings: Mapping[str, str]) -> None:
        """`settings` holds a text for each key of the class's `settings`, "" where optional and not given."""

    def verify(self, request: WebhookRequest) -> Once | None:
        """Raise BadSignature unless the request is proven to come from the provider, lately.

        None where nothing tells a repeat from a new request: then only the ids of messages do.
        """

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        """Read what the request says, in its order; raise BadPayload if it cannot be read."""

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Send one message, once; raise one SendError if it did not certainly leave."""


Receive = Callable[[Sequence[Inbound | Receipt]], Awaitable[None]]
"""Takes what came in, and returns when it is stored for good; raises when it is not, and it must come again."""


@runtime_checkable
class Connecting(Protocol):
    """An adapter that keeps a connection to its provider, for what comes in and goes out."""

    def connected(self, receive: Receive) -> AbstractAsyncContextManager[None]:
        """Connect, and again whenever the connection is lost, until the end; never raises for a provider that is
        not there: until it is, `send` raises Retry."""
