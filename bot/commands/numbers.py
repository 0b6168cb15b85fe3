"""textwright numbers search|buy|release|list|sync: our phone numbers, and those that a provider has to sell."""

from __future__ import annotations

import argparse
import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from adapters import NUMBERS
from adapters.errors import SendError
from adapters.http import Http
from adapters.numbers import NumberKind, Wanted
from bot.audit import audit_command
from bot.buying import Buying
from bot.clock import MICROSECONDS, iso, new_id, system_clock
from bot.commands.console import Console
from bot.config import Config, load_config
from bot.logs import set_up_logs
from bot.number_sync import sync_numbers
from bot.phones import parse_phone
from bot.purchases import CannotBuy, buying_channel, give_back, place_of, want_line, want_number
from bot.registration import warning_of
from bot.senders import Senders
from bot.store.contract import Row, Store
from bot.store.open import open_store
from rules.problems import Problems

_WAIT_SECONDS = 120.0
_LOOK_SECONDS = 0.5
_REFUSALS_SECONDS = 86_400
"""How long `list` tells of what could not be bought."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    search = actions.add_parser("search", help="look for numbers that can be bought")
    buy = actions.add_parser("buy", help="buy a number: this one, one in an area code, or a user's own")
    release = actions.add_parser("release", help="give a number back, after its quarantine")
    own = actions.add_parser("list", help="show our numbers")
    sync = actions.add_parser("sync", help="ask the providers which numbers we have")
    buy.add_argument("number", nargs="?", metavar="NUMBER", help="exactly this one")
    buy.add_argument("--user", metavar="NAME", help="to be the own number of this user of the console")
    release.add_argument("number", metavar="NUMBER")
    release.add_argument("--now", action="store_true", help="without a quarantine")
    for action in (search, buy):
        action.add_argument("--area-code", default="", metavar="CODE")
        action.add_argument("--country", default="", metavar="XX", help="two letters (default: the business's)")
        action.add_argument(
            "--channel", default="", metavar="NAME", help="whose provider (default: the first that can)"
        )
    search.add_argument("--toll-free", action="store_true")
    search.add_argument("--limit", type=int, default=20)
    for action in (search, buy, release, own, sync):
        # Also behind the action: `numbers list --config FILE`.
        action.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")


@dataclass(frozen=True, slots=True)
class _Desk:
    """What every action works with."""

    config: Config
    store: Store
    senders: Senders
    http: Http
    console: Console


def run(given: argparse.Namespace, console: Console) -> int:
    """Do it; 1 where it cannot be done."""
    config = load_config(given.config, Problems())
    # What went wrong is said at the end; each step of the way is for a server's log.
    set_up_logs(config.server.log_format)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    action = {"search": _search, "buy": _buy, "release": _release, "list": _list, "sync": _sync}[given.action]

    async def act() -> int:
        async with _desk(config, console) as desk:
            return await action(desk, given)

    try:
        return asyncio.run(act())
    except (CannotBuy, SendError) as error:
        console.error(str(error))
        return 1


@asynccontextmanager
async def _desk(config: Config, console: Console) -> AsyncIterator[_Desk]:
    async with (
        open_store(config.store.url, config.store_base, exclusive=False) as store,
        Http(answer_seconds=config.outbox.answer_seconds) as http,
    ):
        senders = Senders(config, store, system_clock)
        await senders.load()
        yield _Desk(config, store, senders, http, console)


async def _search(desk: _Desk, given: argparse.Namespace) -> int:
    channel = desk.config.channels[buying_channel(desk.config, given.channel)]
    country = (given.country or desk.config.business.country).upper()
    kind: NumberKind = "toll_free" if given.toll_free else "local"
    wanted = Wanted(country, given.area_code, kind=kind, limit=given.limit)
    offers = await NUMBERS[channel.adapter](channel.settings).search(wanted, desk.http)
    for offer in offers[: given.limit]:
        place = ", ".join(part for part in (offer.locality, offer.region) if part)
        desk.console.print("  ".join(part for part in (offer.number, place, offer.price) if part))
    if not offers:
        where = f"in area code {given.area_code}" if given.area_code else f"in {country}"
        desk.console.error(f"{channel.name} has no number {where}.")
    return 0 if offers else 1


async def _buy(desk: _Desk, given: argparse.Namespace) -> int:
    config, now = desk.config, system_clock()
    number = _own(desk, given.number) if given.number else ""
    async with desk.store.transaction() as transaction:
        user = await transaction.row("user_named", name=given.user) if given.user else None
        if given.user and user is None:
            raise CannotBuy(f"There is no user '{given.user}'.")
        if user is not None and not (number or given.area_code or given.country or given.channel):
            row = await want_line(transaction, config, user, by="command line", now=now)
        else:
            country, code = (given.country or config.business.country).upper(), given.area_code
            if number:
                country, code = place_of(number)
            need = f"number:{number}" if number else f"request:{new_id()}"
            row = await want_number(
                transaction, config, need=f"user:{user['id']}" if user else need, country=country, code=code,
                by="command line", now=now, number=number, channel=given.channel, user_id=user["id"] if user else None,
            )  # fmt: skip
        await audit_command(transaction, now, "buy_number", f"/purchases/{row['id']}", number=number, need=row["need"])
    return _said(desk.console, await _carried_out(desk, row["id"]))


async def _release(desk: _Desk, given: argparse.Namespace) -> int:
    config, now, number = desk.config, system_clock(), _own(desk, given.number)
    async with desk.store.transaction() as transaction:
        if any(number in channel.numbers for channel in config.channels.values()):
            raise CannotBuy(f"{number} is one of config.toml. Take it out there first.")
        line = await transaction.row("number_named", number=number)
        if line is None or line["state"] == "released":
            raise CannotBuy(f"{number} is no number that was bought or found. `textwright numbers list` shows them.")
        days = 0.0 if given.now else config.numbers.quarantine_days
        row = await give_back(transaction, line, by="command line", now=now, days=days)
        await audit_command(transaction, now, "release_number", f"/numbers/{number}", days=days)
    if row["due_at"] > now:
        desk.console.print(f"{number} is given back at {iso(row['due_at'])}; until then it is answered.")
        return 0
    return _said(desk.console, await _carried_out(desk, row["id"]))


def _own(desk: _Desk, typed: str) -> str:
    number = parse_phone(typed, desk.config.business.country)
    if number is None:
        raise CannotBuy(f"'{typed}' is no phone number. Write it as +12025550100.")
    return number


async def _carried_out(desk: _Desk, id_: str) -> Row:
    """The purchase once it is over, or what it waits for. A server that runs may do the same work: who comes first."""
    buying = Buying(desk.config, desk.store, desk.senders, desk.http, system_clock)
    loop = asyncio.get_running_loop()
    until = loop.time() + _WAIT_SECONDS
    while True:
        await buying.run_until_idle()
        async with desk.store.snapshot() as transaction:
            row = await transaction.row("purchase_by_id", id=id_)
        assert row is not None, "it was found before"
        waits_long = row["error"] and row["due_at"] > system_clock() + 60_000_000
        if row["state"] != "open" or waits_long or loop.time() > until:
            return row
        await asyncio.sleep(_LOOK_SECONDS)


def _said(console: Console, row: Row) -> int:
    if row["step"] == "release" and row["state"] == "released":
        console.print(f"{row['number']} is given back.")
        return 0
    if row["state"] == "done":
        console.print(f"{row['number']}  {row['channel']}  {row['found_by']}")
        return 0
    console.error(row["error"] or "It is not done yet. A server that runs goes on with it.")
    return 1


async def _list(desk: _Desk, _given: argparse.Namespace) -> int:
    async with desk.store.snapshot() as transaction:
        users = {row["id"]: row["name"] for row in await transaction.rows("all_users")}
        waiting = [row for row in await transaction.rows("open_purchases") if row["step"] != "release"]
        refused = await transaction.rows("recent_refusals", since=system_clock() - _REFUSALS_SECONDS * MICROSECONDS)
    for line in desk.senders.lines.all:
        whose = f"of {users[line.user]}" if line.user in users else ""
        leaving = "to be given back" if line.is_leaving else ""
        parts = (line.number, line.channel, whose, leaving, line.registration, warning_of(desk.config, line) or "")
        desk.console.print("  ".join(part for part in parts if part))
    for row in waiting:
        what = row["number"] or f"a number in {row['area_code'] or row['country']}"
        desk.console.print(
            f"{what}  {row['channel']}  on its way: {row['step']}{': ' if row['error'] else ''}{row['error']}"
        )
    for row in refused:
        whose = f"for {users[row['user_id']]}" if row["user_id"] in users else row["number"]
        desk.console.print("  ".join(part for part in ("no number", whose, row["channel"], row["error"]) if part))
    return 0


async def _sync(desk: _Desk, _given: argparse.Namespace) -> int:
    results = await sync_numbers(desk.config, desk.store, desk.http, system_clock)
    for result in results:
        if result.error:
            desk.console.error(f"{result.channel}: {result.error}")
            continue
        desk.console.print(f"{result.channel}: {result.total} numbers")
        for number in result.found:
            desk.console.print(f"  found {number}")
        for number in result.gone:
            desk.console.print(f"  gone  {number}")
    if not results:
        desk.console.error("No channel's provider tells of numbers through its API.")
    return 1 if not results or any(result.error for result in results) else 0
