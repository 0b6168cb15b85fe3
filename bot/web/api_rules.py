"""The API of rules and of notifications."""

from __future__ import annotations

from bot.explaining import Question, as_json, facts_of_question, moment
from bot.rulebook import RulesRejected
from bot.web import models as m
from bot.web import models_rules as r
from bot.web import present
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.problems import Problem


async def get_rules(call: Call[Nothing, Nothing]) -> r.RulesOut:
    """The rules in force."""
    rules = call.services.rules
    book = rules.current.book
    return r.RulesOut(
        version=book.version,
        files=[
            r.RuleFile(name=file.name, path=file.path, rules=[rule.id for rule in book.rules if rule.file == file.path])
            for file in book.files
        ],
        rejected=[str(problem) for problem in rules.rejected],
    )


async def reload_rules(call: Call[Nothing, Nothing]) -> r.Reloaded:
    """Read the rule files again; on any error the old rules stay."""
    try:
        changed = await call.services.rules.reload()
    except RulesRejected as rejected:
        errors = [{"field": f"{p.file}:{p.line}", "detail": p.message} for p in rejected.problems]
        raise Problem(409, "The old rules stay in force.", errors=errors) from rejected
    return r.Reloaded(version=call.services.rules.current.version, changed=changed)


async def explain(call: Call[r.ExplainRequest, Nothing]) -> r.ExplanationOut:
    """Decide about a text without storing or sending anything, and say why."""
    body, services = call.body, call.services
    try:
        now = call.now if body.at is None else moment(body.at)
    except ValueError as error:
        detail = "a time such as 2026-03-05T15:00:00Z"
        raise Problem(422, f"at: {detail}.", errors=[{"field": "at", "detail": detail}]) from error
    facts = facts_of_question(
        Question(body.text, body.sender, body.to or "", body.lists, body.tags, body.fields, body.opted_out),
        services.config,
    )
    return r.ExplanationOut.model_validate(as_json(services.rules.current.explain(facts, now), now))


async def list_notifications(call: Call[Nothing, m.NotificationQuery]) -> m.Page[m.NotificationOut]:
    """Deliveries to staff, the newest first."""
    query = call.query
    transaction = call.transaction
    rows = await transaction.rows(
        "page_notifications",
        state=query.state,
        cursor=present.number_cursor(query.cursor),
        limit=query.limit + 1,
    )
    shown = rows[: query.limit]
    return m.Page[m.NotificationOut](
        items=[present.notification(row) for row in shown],
        next=present.next_by_seq(rows, query.limit),
    )


async def replay_notification(call: Call[Nothing, Nothing]) -> m.NotificationOut:
    """Try a delivered or dead notification again, under the same webhook-id."""
    transaction = call.transaction
    row = await transaction.row("replay_notification", id=call.path["id"], now=call.now)
    if row is None:
        known = await transaction.row("notification_by_id", id=call.path["id"])
        raise Problem(409, "It is under way.") if known else Problem(404, "There is no such notification.")
    await transaction.wake("notifications")
    return present.notification(row)


ENDPOINTS = (
    Endpoint("GET", "/rules", get_rules, "read", "The rules in force", r.RulesOut),
    Endpoint("POST", "/rules/reload", reload_rules, "admin", "Read the rule files again", r.Reloaded, refusals=(409,),
        opens="nothing",
    ),
    Endpoint("POST", "/rules/explain", explain, "read", "Explain a text", r.ExplanationOut, body=r.ExplainRequest,
        opens="nothing", is_audited=False,
    ),
    Endpoint(
        "GET", "/notifications", list_notifications, "read", "Deliveries to staff", m.Page[m.NotificationOut],
        query=m.NotificationQuery,
    ),
    Endpoint(
        "POST", "/notifications/{id}/replay", replay_notification, "staff", "Deliver again", m.NotificationOut,
        refusals=(409,),
    ),
)  # fmt: skip
