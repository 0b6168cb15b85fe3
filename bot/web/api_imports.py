"""The API of files: contacts in, from CSV or vCards; contacts, messages and the history of consent out, as CSV."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson

from bot.audit import audited
from bot.clock import iso
from bot.exporting import NoSuchList, What, csv_chunks, export_pages
from bot.import_child import Job
from bot.import_files import ImportFile, NoContacts, look_at, mapping_of
from bot.import_jobs import Kept, UploadFailed, heard
from bot.import_rows import several
from bot.store.contract import Row
from bot.web import models_staff as s
from bot.web import present
from bot.web.endpoints import Call, Endpoint, Nothing
from bot.web.models import Page, PageQuery
from bot.web.problems import Problem
from rules.problems import did_you_mean

_STATUS = {"large": 413, "many": 409, "broken": 400, "room": 503, "stopping": 503}


async def create_import(call: Call[Nothing, s.ImportQuery]) -> s.ImportOut:
    """Import contacts from the file that is the body. What is wrong with it as a whole is said at once; its rows are
    read in the background."""
    imports, query = call.services.imports, call.query
    if call.upload is None:
        raise Problem(422, "Choose a file: CSV or vCards.", errors=[{"field": "file", "detail": "missing"}])
    lists = several(query.lists.split(","))
    await _known(call, lists)
    try:
        kept = await imports.receive(call.upload)
    except UploadFailed as error:
        raise Problem(_STATUS[error.why], str(error)) from error
    try:
        job = await _job(call, kept, sorted(lists))
        options = query.model_dump(exclude={"name"})
        await imports.add(kept, job, _shown(query.name), call.actor.name, options)
    except BaseException:
        kept.forget()
        raise
    async with call.services.store.snapshot() as transaction:
        row = await transaction.row("import_by_id", id=kept.id)
    return _import(_found(row))


async def _known(call: Call[Any, Any], lists: frozenset[str]) -> None:
    """Raise Problem (422) for a list that there is not."""
    async with call.services.store.snapshot() as transaction:
        known = {row["name"] for row in await transaction.rows("list_names")}
    for name in sorted(lists - known):
        detail = f"There is no list '{name}'.{did_you_mean(name, known)}"
        raise Problem(422, detail, errors=[{"field": "lists", "detail": "unknown list"}])


async def _job(call: Call[Any, s.ImportQuery], kept: Kept, lists: list[str]) -> Job:
    """What is to be done with the file. Raises Problem (422) for one that cannot be imported."""
    config, rules, query = call.services.config, call.services.rules.current, call.query
    try:
        mapping = mapping_of(line.strip() for line in query.map.splitlines() if line.strip())
        file = await asyncio.to_thread(look_at, kept.path, mapping, rules.book.fields)
    except NoContacts as error:
        raise Problem(422, str(error).replace("--map", "map")) from error
    if query.opted_in and not query.evidence and not _has_evidence(file):
        detail = "Opting in needs evidence: where and when did the people agree?"
        raise Problem(422, detail, errors=[{"field": "evidence", "detail": "missing"}])
    return Job(
        store=config.store.url,
        base=str(config.store_base),
        file=str(kept.path),
        mapping=mapping,
        kinds=dict(rules.book.fields),
        heard=heard(rules.concerns, rules.lists),
        country=config.business.country,
        zone=config.business.timezone,
        by=f"{call.by} import {_shown(query.name)}",
        lists=lists,
        opted_in=query.opted_in,
        evidence=query.evidence,
        dry_run=query.dry_run,
    )


def _has_evidence(file: ImportFile) -> bool:
    return file.columns is not None and "evidence" in file.columns.targets


def _shown(name: str) -> str:
    """A file's name as people see it, without its folders."""
    name = name.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in name if sign.isprintable()).strip() or "contacts"


async def list_imports(call: Call[Nothing, PageQuery]) -> Page[s.ImportOut]:
    """Files of contacts, the newest first."""
    limit = call.query.limit
    cursor = present.falling_id_cursor(call.query.cursor)
    rows = await call.transaction.rows("page_imports", cursor=cursor, limit=limit + 1)
    following = rows[limit - 1]["id"] if len(rows) > limit else None
    return Page[s.ImportOut](items=[_import(row) for row in rows[:limit]], next=following)


async def get_import(call: Call[Nothing, Nothing]) -> s.ImportOut:
    """One file of contacts, and how far it is."""
    return _import(_found(await call.transaction.row("import_by_id", id=call.path["id"])))


async def cancel_import(call: Call[Nothing, Nothing]) -> s.ImportOut:
    """Read no more of a file. What was read of it is in."""
    transaction, id_ = call.transaction, call.path["id"]
    _found(await transaction.row("import_by_id", id=id_))
    problem = f"cancelled by {call.actor.name}; what was read of it is in"
    if await transaction.row("cancel_import", id=id_, problem=problem, now=call.now) is None:
        raise Problem(409, "It is over already.")
    await transaction.wake("imports")
    return await get_import(call)


def _found(row: Row | None) -> Row:
    if row is None:
        raise Problem(404, "There is no such import.")
    return row


def _import(row: Row) -> s.ImportOut:
    return s.ImportOut(
        id=row["id"],
        name=row["file"],
        state=row["state"],
        dry_run=bool(orjson.loads(row["options"])["dry_run"]),
        rows=row["rows"],
        added=row["added"],
        changed=row["changed"],
        unchanged=row["unchanged"],
        wrong=row["wrong"],
        kept_out=row["kept_out"],
        problem=row["problem"] or None,
        errors=[s.WrongRow(**error) for error in orjson.loads(row["errors"])],
        ignored=orjson.loads(row["ignored"]),
        by=row["actor"],
        created_at=iso(row["created_at"]),
        updated_at=iso(row["updated_at"]),
    )


async def _exported(call: Call[Nothing, s.ExportQuery], what: What) -> AsyncIterator[str]:
    services, name = call.services, call.query.list_name
    try:
        pages = await export_pages(services.store, what, services.rules.current.book.fields, name)
    except NoSuchList as error:
        raise Problem(404, str(error)) from error
    detail = {"list": name} if name else {}
    row = audited(call.now, call.actor.shown, f"export_{what}", f"/exports/{what}.csv", None, detail)
    async with services.store.transaction() as transaction:
        await transaction.rows("insert_audit", **row)
    async for chunk in csv_chunks(pages):
        yield chunk


def export_contacts(call: Call[Nothing, s.ExportQuery]) -> AsyncIterator[str]:
    """Contacts as CSV, a row for each phone. It can be imported again."""
    return _exported(call, "contacts")


def export_messages(call: Call[Nothing, s.ExportQuery]) -> AsyncIterator[str]:
    """Messages as CSV, in the order in which they were written."""
    return _exported(call, "messages")


def export_consent(call: Call[Nothing, s.ExportQuery]) -> AsyncIterator[str]:
    """Every change of consent as CSV, in the order in which they were made."""
    return _exported(call, "consent")


async def exported(_call: Call[Any, Any]) -> None:
    """CSV, which is written as it is read: no cell of it is a formula."""


IMPORT = s.ImportOut
ENDPOINTS = (
    Endpoint(
        "POST", "/imports", create_import, "staff", "Import contacts", IMPORT, 202, query=s.ImportQuery,
        refusals=(409,), opens="nothing", upload=True,
    ),
    Endpoint("GET", "/imports", list_imports, "staff", "Files of contacts", Page[IMPORT], query=PageQuery),
    Endpoint("GET", "/imports/{id}", get_import, "staff", "One file of contacts", IMPORT),
    Endpoint("POST", "/imports/{id}/cancel", cancel_import, "staff", "Stop an import", IMPORT, refusals=(409,)),
    *(
        Endpoint(
            "GET", f"/exports/{what}.csv", exported, "staff", f"{title} as CSV", None, query=s.ExportQuery,
            refusals=(404,), opens="nothing", stream=stream,
        )
        for what, title, stream in (
            ("contacts", "Contacts", export_contacts),
            ("messages", "Messages", export_messages),
            ("consent", "The history of consent", export_consent),
        )
    ),
)  # fmt: skip
