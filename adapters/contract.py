"""What an adapter is: verify, parse, send, and what it can do. Nothing else.

An adapter is made once per channel from that channel's settings. `verify` and `parse` are pure: bytes
in, values out. `send` speaks HTTP through the shared `Http` and raises one of the closed set in errors.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

from adapters.http import Http

ReceiptState = Literal["sent", "delivered", "undelivered", "failed"]
CarrierAction = Literal["stop", "start", "help"]


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One POST to /webhooks/{channel}.

    `url` is the address as the provider called it (the configured public_url and the raw path and query);
    `headers` compares names without regard to case; `body` is the raw bytes.
    """

    url: str
    headers: Mapping[str, str]
    body: bytes


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
    we do not do it again.
    """

    provider_id: str | None
    sender: str
    recipient: str
    body: str
    media: tuple[Media, ...] = ()
    carrier_action: CarrierAction | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """News about a message that we sent. `opted_out`: the provider says that the recipient opted out."""

    provider_id: str
    state: ReceiptState
    error_code: str = ""
    opted_out: bool = False


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
    """The provider took the message. `parts` is its own count of segments, None when it does not say."""

    provider_id: str
    parts: int | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What the provider does and takes. `max_body` is in characters."""

    carrier_confirms_opt_out: bool
    supports_media: bool
    max_body: int = 1600


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

    def verify(self, request: WebhookRequest) -> None:
        """Raise BadSignature unless the request is proven to come from the provider."""

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        """Read what the request says, in its order; raise BadPayload if it cannot be read."""

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Send one message, once; raise one SendError if it did not certainly leave."""
