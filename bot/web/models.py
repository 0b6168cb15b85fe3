"""What the API takes and gives: these models validate, and the OpenAPI description is made from them."""

from __future__ import annotations

from typing import Annotated, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from bot.criteria import Criteria
from bot.naming import is_name, said
from rules.tags import tag_name


def _name(text: str) -> str:
    if not is_name(text):
        raise PydanticCustomError("no_name", "a name that can be seen, and is not '.' or '..'")
    return text


Name = Annotated[str, StringConstraints(max_length=200)]
ListName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=100, pattern=r"^[^/\x00-\x1f]+$"),
    AfterValidator(_name),
]
TagName = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=64, pattern=r"^[^/\x00-\x1f]+$"),
    AfterValidator(_name),
    AfterValidator(tag_name),
]
NumberText = Annotated[str, StringConstraints(min_length=3, max_length=32)]
Body = Annotated[str, StringConstraints(max_length=1600)]
Reason = Annotated[str, StringConstraints(max_length=500), AfterValidator(said)]
"""Why, as in evidence of consent: "" where nothing can be seen."""
Label = Literal["cell", "home", "work", "other"]
MediaUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^\s]+$", max_length=2000)]
FIELD_NAME = r"^[A-Za-z][A-Za-z0-9_-]{0,63}$"


def _as_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else value


FieldValue = Annotated[
    str, StringConstraints(max_length=1000), BeforeValidator(_as_text, json_schema_input_type=str | int | float | bool)
]
"""Kept as text; a number or a truth value may be given as one."""
Fields = dict[Annotated[str, StringConstraints(pattern=FIELD_NAME)], FieldValue]
Id = Annotated[str, StringConstraints(max_length=64)]
Purpose = Literal["marketing", "service"]
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
    fields: dict[Annotated[str, StringConstraints(pattern=FIELD_NAME)], FieldValue | None] | None = None


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


class CriteriaIn(In):
    """What contacts must be, each of these that is given."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    q: str | None = Field(None, max_length=100, description="part of the name, or of a number")
    list_name: ListName | None = Field(None, alias="list")
    tag: TagName | None = None
    without_tag: TagName | None = None
    field: str | None = Field(None, pattern=FIELD_NAME, description="a field that has `value`; without it, none")
    value: str | None = Field(None, max_length=1000)
    opted_in: bool | None = None
    blocked: bool | None = None
    textable: bool | None = Field(None, description="whether any phone may be texted")
    texted_within_days: int | None = Field(None, ge=1, le=3660, description="they texted us in the last days")
    silent_for_days: int | None = Field(None, ge=1, le=3660, description="they did not text us in the last days")

    @field_validator("value")
    @classmethod
    def _has_a_field(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and "field" in info.data and info.data["field"] is None:
            raise PydanticCustomError("no_field", "of which field?")
        return value

    def criteria(self) -> Criteria:
        """The same, as the pipeline of everything that selects contacts has it."""
        names = {name: getattr(self, name) for name in Criteria.__slots__ if name != "list"}
        return Criteria(list=self.list_name, **names)


class ContactQuery(CriteriaIn, PageQuery):
    """Which contacts."""


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
    """A list to make: by hand, or of all who meet a query, now and later."""

    name: ListName
    purpose: Purpose = "service"
    query: CriteriaIn | None = None


class ListPatch(In):
    """What may be changed of a list. A list by hand stays one."""

    purpose: Purpose | None = None
    query: CriteriaIn | None = None


class Counts(Out):
    """How many contacts: all, and of them those who can be texted, who opted out with every phone, who are blocked."""

    contacts: int
    textable: int
    opted_out: int
    blocked: int


class ListOut(Counts):
    """A list and how many are on it. `query` is what a list by query asks for."""

    id: str
    name: str
    purpose: str
    query: dict[str, str | int | bool] | None


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
