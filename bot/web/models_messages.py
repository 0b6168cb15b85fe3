"""What the API takes and gives about messages and conversations."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from bot.web.models import Body, Id, In, ListName, MediaUrl, NumberText, Out, PageQuery


class SentBy(Out):
    """Who or what made a message: a rule, a step of a workflow, staff, a contact."""

    kind: str
    name: str


class MediaOut(Out):
    """A picture or file."""

    url: str
    content_type: str


class MessageOut(Out):
    """A message, in or out. `advice` is what the provider's error means, and what to do."""

    id: str
    direction: Literal["inbound", "outbound"]
    state: str
    body: str
    phone: str
    number: str
    channel: str
    conversation: str
    media: list[MediaOut]
    parts: int
    provider_id: str | None
    in_reply_to: str | None
    attempts: int
    sent_by: SentBy
    error: str | None
    advice: str | None
    created_at: str
    updated_at: str
    send_at: str | None


class MessageQuery(PageQuery):
    """Which messages, newest first."""

    phone: str | None = Field(None, max_length=32)
    state: Literal[
        "received", "blocked", "failed", "held", "queued", "sending", "sent", "delivered", "undelivered", "cancelled",
        "unknown",
    ] | None = None  # fmt: skip
    direction: Literal["inbound", "outbound"] | None = None


class Recipients(In):
    """Exactly one of these; 1,000 people at the most. POST /broadcasts texts more, in the background."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    phone: NumberText | None = None
    contact: Id | None = None
    # As many as fit into a body of the default size.
    contacts: list[Id] | None = Field(None, min_length=1, max_length=5000)
    list_name: ListName | None = Field(None, alias="list")


class NewMessage(In):
    """A text to one or to many. `from` is one of our numbers. `send_at` is ISO 8601: UTC
    where it has no offset, and now where it has passed."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    to: Recipients
    body: Body = ""
    media: list[MediaUrl] = Field([], max_length=10)
    send_at: str | None = Field(None, max_length=40)
    sender: NumberText | None = Field(None, alias="from")


class Recipient(Out):
    """What became of one recipient: the message's id, or why there is none."""

    phone: str | None
    contact: str | None
    state: Literal["queued", "refused"]
    id: str | None
    reason: str | None


class Accepted(Out):
    """What was queued."""

    queued: int
    refused: int
    recipients: list[Recipient]


class StaffMessage(In):
    """An answer in a conversation. `take_over` keeps automation silent in it afterwards."""

    take_over: bool = False

    body: Body = ""
    media: list[MediaUrl] = Field([], max_length=10)


class Preview(Out):
    """The last message of a conversation, as an inbox shows it."""

    direction: Literal["inbound", "outbound"]
    body: str
    media: int
    state: str
    at: str


class ConversationOut(Out):
    """One phone and one of our numbers. Unless its mode is `auto`, automation is silent until `staff_until`."""

    id: str
    phone: str
    number: str
    channel: str
    contact: str | None
    name: str
    mode: Literal["auto", "staff", "paused"]
    route: str
    assigned_to: str | None
    staff_until: str | None
    unread: int
    waiting_since: str | None
    last_message_at: str
    textable: bool
    not_textable_because: str | None
    last_message: Preview | None


class ConversationQuery(PageQuery):
    """Which conversations, the most recent first. `unanswered` are those where somebody waits for staff."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    phone: str | None = Field(None, max_length=32)
    mode: Literal["auto", "staff", "paused"] | None = None
    assigned_to: str | None = Field(None, max_length=100, description="a user's name; `me` is the caller")
    route: str | None = Field(None, max_length=64)
    unanswered: bool | None = None
    unread: bool | None = None
    list_name: ListName | None = Field(None, alias="list")
