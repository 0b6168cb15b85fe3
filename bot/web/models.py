"""What the API takes and gives: these models validate, and the OpenAPI description is made from them."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(max_length=200)]
ListName = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=r"^[^/\x00-\x1f]+$")]
TagName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[^/\x00-\x1f]+$")]
NumberText = Annotated[str, StringConstraints(min_length=3, max_length=32)]
Body = Annotated[str, StringConstraints(max_length=1600)]
Reason = Annotated[str, StringConstraints(max_length=500)]
Label = Literal["cell", "home", "work", "other"]
MediaUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2000)]
Fields = dict[
    Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")],
    Annotated[str, StringConstraints(max_length=1000)],
]
Id = Annotated[str, StringConstraints(max_length=64)]
Item = TypeVar("Item")


class In(BaseModel):
    """What a caller sends: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Out(BaseModel):
    """What we answer."""

    model_config = ConfigDict(extra="forbid", defer_build=True)


class Page(Out, Generic[Item]):
    """A page. `next` is the cursor of the following one, null on the last."""

    items: list[Item]
    next: str | None


class PageQuery(In):
    """Paging."""

    limit: int = Field(50, ge=1, le=500)
    cursor: str | None = Field(None, max_length=200)


class NewPhone(In):
    """A phone to add."""

    number: NumberText
    label: Label = "cell"


class NewContact(In):
    """A contact to make. Opting in needs evidence: where and when the person agreed."""

    name: Name = ""
    phones: list[NewPhone] = Field(min_length=1, max_length=20)
    lists: list[ListName] = Field([], max_length=100)
    tags: list[TagName] = Field([], max_length=100)
    fields: Fields = {}
    opted_in: bool = False
    evidence: Reason = ""


class ContactPatch(In):
    """What may be changed of a contact. A field set to null is removed."""

    name: Name | None = None
    fields: (
        dict[
            Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")],
            Annotated[str, StringConstraints(max_length=1000)] | None,
        ]
        | None
    ) = None


class PhonePatch(In):
    """What may be changed of a phone. Opting in needs a reason."""

    opted_in: bool | None = None
    blocked: bool | None = None
    do_not_contact: bool | None = None
    wrong_number: bool | None = None
    label: Label | None = None
    reason: Reason = ""


class TagChange(In):
    """The optional body of a tag request: `opt-in` needs the reason."""

    reason: Reason = ""


class ContactQuery(PageQuery):
    """Which contacts."""

    q: str | None = Field(None, max_length=100, description="part of the name, or of a number")
    list_name: ListName | None = Field(None, alias="list")
    tag: TagName | None = None
    opted_in: bool | None = None
    blocked: bool | None = None


class Confirmed(In):
    """A deletion says that it is meant."""

    confirm: bool = False


class PhoneOut(Out):
    """A phone of a contact."""

    number: str
    label: str
    opted_in: bool
    blocked: bool
    do_not_contact: bool
    wrong_number: bool
    textable: bool
    not_textable_because: str | None


class ContactOut(Out):
    """A contact. Everybody is on the list "All Contacts"."""

    id: str
    name: str
    phones: list[PhoneOut]
    lists: list[str]
    tags: list[str]
    fields: dict[str, str]
    source: str
    created_at: str
    updated_at: str


class ConsentOut(Out):
    """One change of consent. The history is append-only."""

    id: str
    phone: str
    at: str
    event: str
    actor: str
    reason: str
    message_id: str | None
    before: dict[str, bool]
    after: dict[str, bool]


class NewList(In):
    """A list to make."""

    name: ListName
    purpose: Literal["marketing", "service"] = "service"


class ListOut(Out):
    """A list and how many are on it."""

    id: str
    name: str
    purpose: str
    contacts: int


class SentBy(Out):
    """Who or what made a message: a rule, a step of a workflow, staff, a contact."""

    kind: str
    name: str


class MediaOut(Out):
    """A picture or file."""

    url: str
    content_type: str


class MessageOut(Out):
    """A message, in or out."""

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
    """Exactly one of these."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    phone: NumberText | None = None
    contact: Id | None = None
    # As many as fit into a body of the default size.
    contacts: list[Id] | None = Field(None, min_length=1, max_length=5000)
    list_name: ListName | None = Field(None, alias="list")


class NewMessage(In):
    """A text to one or to many. `send_at` is ISO 8601; `from` is one of our numbers."""

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
    """An answer in a conversation."""

    body: Body = ""
    media: list[MediaUrl] = Field([], max_length=10)


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
    staff_until: str | None
    unread: int
    last_message_at: str


class ConversationQuery(PageQuery):
    """Which conversations, the most recent first."""

    phone: str | None = Field(None, max_length=32)
    mode: Literal["auto", "staff", "paused"] | None = None


class NotificationQuery(PageQuery):
    """Which notifications, newest first."""

    state: Literal["queued", "sending", "delivered", "dead"] | None = None


class NotificationOut(Out):
    """A delivery to staff. `dead` ones were tried for a day; replay tries again."""

    id: str
    route: str
    type: str
    state: str
    attempts: int
    error: str | None
    conversation: str | None
    created_at: str
    next_try_at: str | None


class FieldError(Out):
    """What is wrong with one value."""

    field: str
    detail: str


class ProblemOut(Out):
    """RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] | None = None
