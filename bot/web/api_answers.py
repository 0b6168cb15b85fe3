"""The API of canned answers: what staff often write, with variables that are filled in for the person at hand."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

from bot.clock import iso, new_id
from bot.contacts import Person, people_by_id
from bot.personal import Personal
from bot.store.contract import Row
from bot.web import models_staff as s
from bot.web.api_conversations import get_conversation
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.models import Page
from bot.web.problems import Problem
from rules.segments import segments
from rules.template import TemplateError

_PLAIN = {"GSM-7": "x", "UCS-2": "ж"}
_MOST_IN_SEGMENT = 160


async def list_answers(call: Call[Nothing, Nothing]) -> Page[s.AnswerOut]:
    """The canned answers, by name."""
    rows = await call.transaction.rows("all_answers")
    return Page[s.AnswerOut](items=[_answer(row) for row in rows], next=None)


def _answer(row: Row) -> s.AnswerOut:
    return s.AnswerOut(id=row["id"], name=row["name"], body=row["body"], updated_at=iso(row["updated_at"]))


async def _answer_row(call: Call[Any, Any], query: str = "answer_by_id") -> Row:
    row = await call.transaction.row(query, id=call.path["id"])
    if row is None:
        raise Problem(404, "There is no such answer.")
    return row


async def get_answer(call: Call[Nothing, Nothing]) -> s.AnswerOut:
    """One canned answer."""
    return _answer(await _answer_row(call))


def personal_of(call: Call[Any, Any]) -> Personal:
    """What fills in variables, by the rules in force."""
    return Personal(call.services.config, call.services.rules.current.book)


def check_template(call: Call[Any, Any], text: str) -> None:
    """Raise Problem (422) for a body with variables that there are not."""
    try:
        personal_of(call).compiled(text)
    except TemplateError as error:
        raise Problem(422, f"body: {error}", errors=[{"field": "body", "detail": str(error)}]) from error


async def create_answer(call: Call[s.AnswerIn, Nothing]) -> s.AnswerOut:
    """Make a canned answer."""
    body = call.body
    check_template(call, body.body)
    row = await call.transaction.row("add_answer", id=new_id(), name=body.name, body=body.body, now=call.now)
    if row is None:
        raise Problem(409, f"There is an answer '{body.name}' already.")
    return _answer(row)


async def change_answer(call: Call[s.AnswerIn, Nothing]) -> s.AnswerOut:
    """Change a canned answer."""
    before = await _answer_row(call, "hold_answer")
    call.match(_answer(before))
    body = call.body
    check_template(call, body.body)
    row = await call.transaction.row("answer_named", name=body.name)
    if row is not None and row["id"] != before["id"]:
        raise Problem(409, f"There is an answer '{body.name}' already.")
    await call.transaction.rows("change_answer", id=before["id"], name=body.name, body=body.body, now=call.now)
    return _answer(await _answer_row(call))


async def delete_answer(call: Call[Nothing, Nothing]) -> None:
    """Delete a canned answer."""
    before = await _answer_row(call, "hold_answer")
    call.match(_answer(before))
    await call.transaction.rows("delete_answer", id=before["id"])


async def answers_for_conversation(call: Call[Nothing, Nothing]) -> Page[s.RenderedOut]:
    """The canned answers as they read in this conversation."""
    conversation = await get_conversation(call)
    people = await people_by_id(call.transaction, [conversation.contact or ""])
    rows = await call.transaction.rows("all_answers")
    return Page[s.RenderedOut](items=list(_rendered(call, rows, people, conversation.phone)), next=None)


def _rendered(call: Call[Any, Any], rows: Iterable[Row], people: list[Person], phone: str) -> Iterable[s.RenderedOut]:
    personal = personal_of(call)
    for row in rows:
        try:
            template = personal.compiled(row["body"])
        except TemplateError:
            continue  # of a field that the rule files have no more: the page of answers says so
        text = personal.render(template, people[0] if people else None, phone, call.now)
        yield s.RenderedOut(id=row["id"], name=row["name"], body=text)


async def count_segments(call: Call[s.SegmentsIn, Nothing]) -> s.SegmentsOut:
    """How a text will be sent."""
    body = call.body.body
    counted = segments(body)

    def is_more(added: int) -> bool:
        return segments(body + _PLAIN[counted.encoding] * added).count > counted.count

    return s.SegmentsOut(
        encoding=counted.encoding,
        segments=counted.count,
        characters=len(body),
        left=bisect_left(range(1, _MOST_IN_SEGMENT + 2), True, key=is_more),
    )


ANSWER = s.AnswerOut
ENDPOINTS = (
    Endpoint("GET", "/answers", list_answers, "read", "Canned answers", Page[ANSWER]),
    Endpoint(
        "POST", "/answers", create_answer, "staff", "Make a canned answer", ANSWER, 201, body=s.AnswerIn,
        refusals=(409,),
    ),
    Endpoint("GET", "/answers/{id}", get_answer, "read", "One canned answer", ANSWER),
    Endpoint(
        "PUT", "/answers/{id}", change_answer, "staff", "Change a canned answer", ANSWER, body=s.AnswerIn,
        refusals=(409,), if_match=True,
    ),
    Endpoint("DELETE", "/answers/{id}", delete_answer, "staff", "Delete a canned answer", None, if_match=True),
    Endpoint(
        "GET", "/conversations/{id}/answers", answers_for_conversation, "read",
        "The canned answers as they read in a conversation", Page[s.RenderedOut],
    ),
    Endpoint(
        "POST", "/segments", count_segments, "read", "Count segments", s.SegmentsOut, body=s.SegmentsIn,
        opens="nothing", is_audited=False,
    ),
)  # fmt: skip
