"""What the API takes and gives about the work of staff: users, answers, broadcasts, routes, imports, history."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from bot.users import MAX_PASSWORD, MIN_PASSWORD
from bot.web.models import Body, CriteriaIn, Id, In, ListName, MediaUrl, Name, NumberText, Out, PageQuery, Reason

RoleName = Literal["admin", "staff", "read"]
UserName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9._@+-]{0,99}$")]
Password = Annotated[str, StringConstraints(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD)]
AnswerName = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^[^\x00-\x1f]+$")
]
EmailAddress = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s<>,;]+@[^@\s<>,;]+$")]
Template = Annotated[str, StringConstraints(min_length=1, max_length=1600)]


class NewUser(In):
    """A user of the console."""

    name: UserName
    full_name: Name = ""
    role: RoleName = "staff"
    password: Password
    cell: NumberText | None = None
    email: EmailAddress | None = None


class UserPatch(In):
    """What an admin may change of a user. A new password, or `active` false, signs them out everywhere."""

    full_name: Name | None = None
    role: RoleName | None = None
    active: bool | None = None
    password: Password | None = None
    cell: NumberText | Literal[""] | None = None
    email: EmailAddress | Literal[""] | None = None


class UserOut(Out):
    """A user of the console. `cell` is their own, and `number` the one of ours that they text from."""

    id: str
    name: str
    full_name: str
    role: RoleName
    active: bool
    cell: str | None
    email: str | None
    number: str | None
    created_at: str
    seen_at: str | None


class MeOut(Out):
    """Who calls."""

    name: str
    role: RoleName
    kind: Literal["token", "user"]


class OwnPassword(In):
    """A new password of one's own."""

    present: str = Field(max_length=MAX_PASSWORD)
    password: Password


class NewToken(In):
    """An API token to make."""

    name: ListName
    role: RoleName = "staff"


class TokenOut(Out):
    """An API token. `secret` is shown once, when it is made."""

    id: str
    name: str
    role: RoleName
    created_by: str
    created_at: str
    seen_at: str | None
    secret: str | None = None


class AuditQuery(PageQuery):
    """Which changes, the newest first."""

    actor: str | None = Field(None, max_length=200)
    operation: str | None = Field(None, max_length=100)
    contact: Id | None = None


class AuditOut(Out):
    """A change: who asked for what, of which thing. Message texts and secrets are not kept here."""

    id: str
    at: str
    actor: str
    operation: str
    target: str
    contact: str | None
    detail: dict[str, Any]


class HistoryItem(Out):
    """Something of a contact's history. `kind` says which of the others there are."""

    at: str
    kind: Literal["message", "consent", "list", "tag", "run", "note", "change"]
    id: str
    title: str
    by: str
    detail: str
    message: str | None = None
    phone: str | None = None
    direction: Literal["inbound", "outbound"] | None = None
    state: str | None = None


class AnswerIn(In):
    """A canned answer; its variables are those of rule files, as {{ contact.first_name | default("there") }}."""

    name: AnswerName
    body: Template


class AnswerOut(Out):
    """A canned answer."""

    id: str
    name: str
    body: str
    updated_at: str


class RenderedOut(Out):
    """A canned answer with its variables filled in for one conversation."""

    id: str
    name: str
    body: str


class SegmentsIn(In):
    """A text to count."""

    body: Annotated[str, StringConstraints(max_length=10_000)] = ""


class SegmentsOut(Out):
    """How a text will be sent: GSM-7 or UCS-2, in how many segments, and how much more fits into the last one."""

    encoding: Literal["GSM-7", "UCS-2"]
    segments: int
    characters: int
    left: int


class Audience(In):
    """Exactly one of these: contacts by id, or all that match."""

    contacts: list[Id] | None = Field(None, min_length=1, max_length=5000)
    matching: CriteriaIn | None = None


class AudienceOut(Out):
    """Who will get a text, and why the others will not."""

    contacts: int
    textable: int
    refused: dict[str, int]
    encoding: Literal["GSM-7", "UCS-2"]
    segments: int


class NewBroadcast(In):
    """One text to many. `template` fills in variables for each: a text that has some must say whether it does.
    `from` is one of our numbers. `send_at` is ISO 8601: UTC where it has no offset, and now where it has passed."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    to: Audience
    body: Body = ""
    media: list[MediaUrl] = Field(default_factory=list, max_length=10)
    template: bool | None = None
    send_at: str | None = Field(None, max_length=40)
    sender: NumberText | None = Field(None, alias="from")


class BroadcastPreview(In):
    """A text and an audience, to be counted."""

    to: Audience
    body: Body = ""


class BroadcastOut(Out):
    """One text to many: `progress` counts its recipients by state."""

    id: str
    author: str
    body: str
    media: list[str]
    number: str | None
    total: int
    progress: dict[str, int]
    send_at: str | None
    created_at: str
    finished_at: str | None
    cancelled: bool


class RecipientQuery(PageQuery):
    """Which recipients."""

    state: str | None = Field(None, max_length=20)


class RecipientOut(Out):
    """What became of one recipient."""

    contact: str
    name: str
    phone: str | None
    state: str
    reason: str | None
    message: str | None


class ConversationPatch(In):
    """Hand a conversation to a person or a route, take it over, or hand it back. null is nobody."""

    assigned_to: UserName | None = None
    route: Annotated[str, StringConstraints(max_length=64)] | None = None
    mode: Literal["auto", "staff"] | None = None
    note: Annotated[str, StringConstraints(max_length=500)] = ""


class RouteOut(Out):
    """A route of config.toml, and whether anybody is there."""

    name: str
    is_default: bool
    is_away: bool
    away_until: str | None
    stand_in: str | None
    hours: bool
    escalate_minutes: int
    escalate_to: str | None
    events: list[str]
    unanswered: int


class AbsenceIn(In):
    """People of a route are away until a moment (ISO 8601); `stand_in` is told instead."""

    until: Annotated[str, StringConstraints(max_length=40)]
    stand_in: Annotated[str, StringConstraints(max_length=64)] | None = None


class ImportQuery(In):
    """How to read a file of contacts. `map` is COLUMN=TARGET, separated by new lines; `lists` by commas.
    `opted_in` says that everybody agreed, save who has a no in the file."""

    name: str = Field("contacts.csv", min_length=1, max_length=200)
    dry_run: bool = False
    map: str = Field("", max_length=4000)
    lists: str = Field("", max_length=1000)
    opted_in: bool = False
    evidence: Reason = ""


class WrongRow(Out):
    """A row that was left out."""

    line: int
    message: str


class ImportOut(Out):
    """A file of contacts that is read, or was. `errors` are the first hundred rows that were left out, `kept_out` the
    phones that stay opted out whatever the file says, `ignored` what of the file nobody asked for."""

    id: str
    name: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    dry_run: bool
    rows: int
    added: int
    changed: int
    unchanged: int
    wrong: int
    kept_out: int
    problem: str | None
    errors: list[WrongRow]
    ignored: list[str]
    by: str
    created_at: str
    updated_at: str


class ExportQuery(In):
    """Whose: all people's, or those on a list."""

    list_name: ListName | None = Field(None, alias="list")
