"""What the API takes and gives about rules, workflows and decisions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from bot.web.models import Body, Fields, In, ListName, NumberText, Out, PageQuery, TagName

ContactId = Annotated[str, Field(min_length=1, max_length=64)]


class RuleFile(Out):
    """A loaded rule file."""

    name: str
    path: str
    rules: list[str]


class RulesOut(Out):
    """The rules in force; `rejected` says why the last reload kept them."""

    version: str
    files: list[RuleFile]
    rejected: list[str]


class Reloaded(Out):
    """What a reload did."""

    version: str
    changed: bool


class ExplainRequest(In):
    """A text to explain; nothing is stored or sent."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    text: Body
    sender: NumberText = Field(alias="from")
    to: NumberText | None = None
    lists: list[ListName] = Field(default_factory=list)
    tags: list[TagName] = Field(default_factory=list)
    fields: Fields = Field(default_factory=dict)
    opted_out: bool = False
    at: str | None = Field(None, max_length=40)


class ReasonOut(Out):
    """One condition: what was asked, whether it held, what it saw."""

    depth: int
    text: str
    held: bool
    saw: str


class TriedOut(Out):
    """One rule, and why it did or did not fire."""

    rule: str
    file: str
    line: int
    band: str
    outcome: str
    fired: bool
    reasons: list[ReasonOut]


class ExplanationOut(Out):
    """A decision with every rule that was tried for it, in order."""

    version: str
    at: str
    rule: str | None
    matched: list[str]
    fired: list[str]
    effects: list[dict[str, Any]]
    tried: list[TriedOut]


class StepOut(Out):
    """A step of a workflow, and how many people stand at it."""

    id: str
    kind: str
    line: int
    people: int


class VersionOut(Out):
    """A version of a workflow that people are still in."""

    version: str
    rules: str
    people: int


class WorkflowOut(Out):
    """A workflow in force. `earlier` are the versions that people finish."""

    id: str
    version: str
    description: str
    file: str
    line: int
    list_name: str | None = Field(serialization_alias="list")
    on_change: Literal["finish_old", "follow", "cancel"]
    people: int
    steps: list[StepOut]
    earlier: list[VersionOut]


class RunOut(Out):
    """A contact's way through a workflow. `waits_for` says what for, until `due_at`."""

    id: str
    contact: str
    workflow: str
    version: str
    phone: str
    step: str
    waits_for: Literal["time", "reply", "turn", "window"] | None
    due_at: str | None
    state: Literal["active", "ended"]
    outcome: str
    source: str
    sent: int
    started_at: str
    ended_at: str | None


class RunQuery(PageQuery):
    """Which runs, the newest first."""

    state: Literal["active", "ended"] | None = None


class NewEnrolment(In):
    """A list (All Contacts too) whose people are to come into a workflow."""

    list_name: ListName = Field(alias="list")


class EnrolmentOut(Out):
    """People on their way into a workflow: `done` of about `total` were looked at, `started` came in."""

    id: str
    workflow: str
    list_name: str = Field(serialization_alias="list")
    by: str
    total: int
    done: int
    started: int
    created_at: str
    finished_at: str | None


class Members(In):
    """Contacts to put on a list, by id."""

    contacts: list[ContactId] = Field(min_length=1, max_length=10_000)


class Joined(Out):
    """How many joined, how many were on the list before, and the ids that are no contact's."""

    joined: int
    already: int
    unknown: list[str]


class NewNote(In):
    """A note about a contact."""

    body: Body


class NoteOut(Out):
    """A note about a contact, by a person or by a rule."""

    id: str
    author: str
    body: str
    at: str


class ListEventOut(Out):
    """A list that was joined or left: by whom, and the evidence where it is a marketing list."""

    list_name: str = Field(serialization_alias="list")
    event: Literal["list_joined", "list_left"]
    actor: str
    message: str | None
    evidence: str
    at: str
