"""The API of workflows: who is inside, who came through, and how people come in and out."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from bot.changes import Additions, occurrence, write_additions
from bot.clock import iso, new_id
from bot.contacts import Missing, known_list, people_by_id
from bot.store.contract import Row, Transaction
from bot.web import models as m
from bot.web import models_rules as r
from bot.web import present
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.problems import Problem
from rules.facts import ALL_CONTACTS
from rules.workflow import Workflow

_KINDS = {"SendStep": "send", "AskStep": "ask", "WaitStep": "wait", "WaitUntilStep": "wait_until",
          "BranchStep": "branch", "DoStep": "do", "GotoStep": "goto", "EndStep": "end"}  # fmt: skip


async def list_workflows(call: Call[Nothing, Nothing]) -> m.Page[r.WorkflowOut]:
    """The workflows in force, with the people at each step."""
    transaction = call.transaction
    rows = await transaction.rows("people_inside")
    inside: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        inside[row["workflow"]].append(row)
    workflows = call.services.rules.current.book.workflows
    items = [_workflow(item, inside[item.id]) for item in workflows.values()]
    items += [_gone(id_, rows) for id_, rows in inside.items() if id_ not in workflows]
    return m.Page[r.WorkflowOut](items=items, next=None)


def _gone(id_: str, inside: list[Row]) -> r.WorkflowOut:
    """A workflow that the files have no more, and people are in."""
    return r.WorkflowOut(
        id=id_,
        version="",
        description="The rule files have this no more.",
        file="",
        line=0,
        list_name=None,
        on_change="finish_old",
        people=sum(row["people"] for row in inside),
        steps=[],
        earlier=[r.VersionOut(version=row["version"], rules=row["rules"], people=row["people"]) for row in inside],
    )


def _workflow(workflow: Workflow, inside: list[Row]) -> r.WorkflowOut:
    at = {row["step"]: row["people"] for row in inside if row["version"] == workflow.version}
    earlier: dict[tuple[str, str], int] = defaultdict(int)
    for row in inside:
        if row["version"] != workflow.version:
            earlier[row["version"], row["rules"]] += row["people"]
    return r.WorkflowOut(
        id=workflow.id,
        version=workflow.version,
        description=workflow.description,
        file=workflow.file,
        line=workflow.line,
        list_name=workflow.list or None,
        on_change=workflow.on_change,
        people=sum(row["people"] for row in inside),
        steps=[
            r.StepOut(id=step.id, kind=_KINDS[type(step.does).__name__], line=step.line, people=at.get(step.id, 0))
            for step in workflow.steps
        ],
        earlier=[r.VersionOut(version=key[0], rules=key[1], people=people) for key, people in earlier.items()],
    )


async def list_runs(call: Call[Nothing, r.RunQuery]) -> m.Page[r.RunOut]:
    """Who is in a workflow, or was, the newest first."""
    return await _runs(call, "runs_of_workflow", workflow=await _name(call))


async def contact_runs(call: Call[Nothing, r.RunQuery]) -> m.Page[r.RunOut]:
    """The workflows that a contact is in, or was, the newest first."""
    transaction = call.transaction
    await _contact(call, transaction)
    return await _runs(call, "runs_of_contact", contact=call.path["id"])


async def _runs(call: Call[Nothing, r.RunQuery], name: str, **whose: str) -> m.Page[r.RunOut]:
    query = call.query
    cursor = present.number_cursor(query.cursor)
    transaction = call.transaction
    rows = await transaction.rows(name, **whose, state=query.state, cursor=cursor, limit=query.limit + 1)
    return m.Page[r.RunOut](
        items=[_run(row) for row in rows[: query.limit]], next=present.next_by_seq(rows, query.limit)
    )


def _run(row: Row) -> r.RunOut:
    is_active = row["state"] == "active"
    return r.RunOut(
        id=row["id"],
        contact=row["contact_id"],
        workflow=row["workflow"],
        version=row["version"],
        phone=row["phone"],
        step=row["step"],
        waits_for=row["waits_for"] if is_active else None,
        due_at=iso(row["due_at"]) if is_active else None,
        state=row["state"],
        outcome=row["outcome"],
        source=row["source"],
        sent=row["sent"],
        started_at=iso(row["started_at"]),
        ended_at=iso(row["ended_at"]) if row["ended_at"] else None,
    )


def _named(call: Call[Any, Any]) -> Workflow:
    """The workflow of the path, by its full name, or by the short one where only one file has it."""
    name, workflows = call.path["workflow"], call.services.rules.current.book.workflows
    if name in workflows:
        return workflows[name]
    found = [workflow for workflow in workflows.values() if workflow.id.partition(".")[2] == name]
    if len(found) != 1:
        raise Problem(404, "There is no such workflow.")
    return found[0]


async def _name(call: Call[Any, Any]) -> str:
    """The full name of the path's workflow; one that the files have no more, as long as anybody was in it."""
    try:
        return _named(call).id
    except Problem:
        name = call.path["workflow"]
        transaction = call.transaction
        rows = await transaction.rows("runs_of_workflow", workflow=name, state=None, cursor=present.FIRST, limit=1)
        if not rows:
            raise
        return name


async def _contact(call: Call[Any, Any], transaction: Transaction) -> str:
    if not await people_by_id(transaction, [call.path["id"]]):
        raise Problem(404, "There is no such contact.")
    return call.path["id"]


async def start_run(call: Call[Nothing, Nothing]) -> None:
    """Start a workflow for a contact, if it lets them in."""
    workflow = _named(call)
    if workflow.is_marketing:
        transaction = call.transaction
        people = await people_by_id(transaction, [call.path["id"]])
        if people and workflow.list not in people[0].contact.lists:
            detail = f"This workflow is for the marketing list '{workflow.list}': they are not on it."
            raise Problem(409, detail)
    await _happens(call, "start", workflow.id)


async def stop_run(call: Call[Nothing, Nothing]) -> None:
    """End a workflow for a contact."""
    await _happens(call, "stop", await _name(call))


async def _happens(call: Call[Any, Any], event: str, workflow: str) -> None:
    transaction = call.transaction
    contact = await _contact(call, transaction)
    row = occurrence(contact, event, workflow, at=call.now, source=call.by)
    await write_additions(transaction, Additions(occurrences=[row]), at=call.now)


async def enrol_list(call: Call[r.NewEnrolment, Nothing]) -> r.EnrolmentOut:
    """Start a workflow for everybody on a list, batch by batch."""
    workflow, name = _named(call), call.body.list_name
    id_ = new_id()
    transaction = call.transaction
    try:
        await known_list(transaction, name)
    except Missing as error:
        raise Problem(422, str(error), errors=[{"field": "list", "detail": "unknown"}]) from error
    if await transaction.row("open_enrolment_of", workflow=workflow.id, list=name):
        raise Problem(409, "This list is on its way into this workflow already.")
    row = await transaction.row("list_named", name=name)
    if row is not None and row["query"]:
        raise Problem(409, "Who is on this list changes with its query. Put them on a list by hand, and enrol that.")
    everybody = name == ALL_CONTACTS
    count = await transaction.row("count_contacts") if everybody else None
    count = count or await transaction.row("count_members", list=name)
    total = count["count"] if count else 0
    await transaction.rows(
        "add_enrolment", id=id_, workflow=workflow.id, list=name, source=call.by, total=total, now=call.now
    )
    await transaction.wake("due")
    row = await transaction.row("enrolment_by_id", id=id_)
    assert row is not None, "it was written just now"
    return _enrolment(row)


async def get_enrolment(call: Call[Nothing, Nothing]) -> r.EnrolmentOut:
    """How far an enrolment is."""
    transaction = call.transaction
    row = await transaction.row("enrolment_by_id", id=call.path["id"])
    if row is None:
        raise Problem(404, "There is no such enrolment.")
    return _enrolment(row)


async def stop_enrolment(call: Call[Nothing, Nothing]) -> r.EnrolmentOut:
    """Stop an enrolment: whoever is inside stays, the others do not come in."""
    transaction = call.transaction
    row = await transaction.row("stop_enrolment", id=call.path["id"], now=call.now)
    return _enrolment(row) if row is not None else await get_enrolment(call)


async def list_enrolments(call: Call[Nothing, m.PageQuery]) -> m.Page[r.EnrolmentOut]:
    """Enrolments, the newest first."""
    limit = call.query.limit
    cursor = present.falling_id_cursor(call.query.cursor)
    transaction = call.transaction
    rows = await transaction.rows("page_enrolments", cursor=cursor, limit=limit + 1)
    following = rows[limit - 1]["id"] if len(rows) > limit else None
    return m.Page[r.EnrolmentOut](items=[_enrolment(row) for row in rows[:limit]], next=following)


def _enrolment(row: Row) -> r.EnrolmentOut:
    return r.EnrolmentOut(
        id=row["id"],
        workflow=row["workflow"],
        list_name=row["list"],
        by=row["source"],
        total=row["total"],
        done=row["done"],
        started=row["started"],
        created_at=iso(row["created_at"]),
        finished_at=iso(row["finished_at"]) if row["finished_at"] else None,
    )


RUNS = m.Page[r.RunOut]
ENDPOINTS = (
    Endpoint("GET", "/workflows", list_workflows, "read", "The workflows in force", m.Page[r.WorkflowOut]),
    Endpoint("GET", "/workflows/{workflow}/runs", list_runs, "read", "Who is in a workflow", RUNS, query=r.RunQuery),
    Endpoint(
        "PUT", "/workflows/{workflow}/contacts/{id}", start_run, "staff", "Start a workflow", None, refusals=(409,)
    ),
    Endpoint("DELETE", "/workflows/{workflow}/contacts/{id}", stop_run, "staff", "End a workflow", None),
    Endpoint(
        "POST", "/workflows/{workflow}/enrolments", enrol_list, "staff", "Start a workflow for a list", r.EnrolmentOut,
        202, body=r.NewEnrolment, refusals=(409,),
    ),
    Endpoint("DELETE", "/enrolments/{id}", stop_enrolment, "staff", "Stop an enrolment", r.EnrolmentOut),
    Endpoint(
        "GET", "/enrolments", list_enrolments, "read", "Enrolments", m.Page[r.EnrolmentOut], query=m.PageQuery
    ),
    Endpoint("GET", "/enrolments/{id}", get_enrolment, "read", "How far an enrolment is", r.EnrolmentOut),
    Endpoint("GET", "/contacts/{id}/runs", contact_runs, "read", "A contact's workflows", RUNS, query=r.RunQuery),
)  # fmt: skip
