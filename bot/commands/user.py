"""textwright user create NAME --role ROLE: somebody who may sign in to the console. Also password, list and delete."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import secrets
import select
import sys
from pathlib import Path

from bot.audit import audit_command
from bot.clock import iso, system_clock
from bot.commands.console import Console
from bot.config import Config, load_config
from bot.leaving import delete_user
from bot.store.contract import Store
from bot.store.open import open_store
from bot.tokens import ROLES
from bot.users import NAME, RESERVED, add_user, change_password, hash_password, weakness
from rules.problems import Problems

_PIPE_SECONDS = 0.5


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a user")
    create.add_argument("--role", choices=ROLES, default="admin")
    create.add_argument("--full-name", default="", metavar="NAME")
    password = actions.add_parser("password", help="give a user a new password")
    delete = actions.add_parser("delete", help="delete a user")
    everybody = actions.add_parser("list", help="show the users")
    for action in (create, password, delete):
        action.add_argument("name", metavar="NAME", help="what they sign in with: small letters, or an email address")
    for action in (create, password):
        how = action.add_mutually_exclusive_group()
        how.add_argument("--password-stdin", action="store_true", help="read the password from standard input")
        how.add_argument("--generate", action="store_true", help="make a password and show it once")
    for action in (create, password, delete, everybody):
        # Also behind the action: `user create NAME --config FILE`.
        action.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")


def run(given: argparse.Namespace, console: Console) -> int:
    """Do it; 1 where it cannot be done."""
    config = load_config(given.config, Problems())
    password = ""
    if given.action in ("create", "password"):
        if not NAME.fullmatch(given.name) or given.name in RESERVED:
            console.error("A user's name has small letters, digits and . _ @ + -")
            return 1
        typed = _password(given)
        if typed is None:
            console.error("Not taken: the two are not the same.")
            return 1
        password = typed
        wrong = weakness(password, given.name, config.business.name.split())
        if wrong is not None:
            console.error(f"Not taken: {wrong}.")
            return 1
    return asyncio.run(_run(given, config, password, console))


def _password(given: argparse.Namespace) -> str | None:
    """The password; None where what was typed twice differs."""
    if given.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    piped = "" if given.generate or sys.stdin.isatty() else _piped()
    if piped:
        return piped
    if given.generate or not sys.stdin.isatty():
        given.generate = True
        return secrets.token_urlsafe(12)
    first = getpass.getpass("Password: ")
    return first if getpass.getpass("Again: ") == first else None


def _piped() -> str:
    """What somebody pipes in without saying so; "" where nothing comes: nobody is to wait for it for ever."""
    try:
        comes, _, _ = select.select([sys.stdin], [], [], _PIPE_SECONDS)
    except (OSError, ValueError):
        return ""
    return sys.stdin.readline().rstrip("\r\n") if comes else ""


async def _run(given: argparse.Namespace, config: Config, password: str, console: Console) -> int:
    async with open_store(config.store.url, config.store_base, exclusive=False) as store:
        match given.action:
            case "create":
                done = await _create(store, given, await hash_password(password))
            case "password":
                done = await _new_password(store, given.name, await hash_password(password))
            case "delete":
                done = await _delete(store, config, given.name)
            case _:
                return await _list(store, console)
    if not done:
        is_taken = given.action == "create"
        console.error(f"There is {'a' if is_taken else 'no'} user '{given.name}'{' already' if is_taken else ''}.")
        return 1
    if given.action != "delete" and given.generate:
        console.print(password)
        console.error("This password is shown once; only its hash is kept.")
    elif given.action == "create":
        console.error(f"{given.name} can sign in now.")
    return 0


async def _create(store: Store, given: argparse.Namespace, password: str) -> bool:
    now = system_clock()
    async with store.transaction() as transaction:
        id_ = await add_user(transaction, given.name, given.full_name, given.role, password, now)
        if id_ is not None:
            await audit_command(transaction, now, "create_user", f"/users/{id_}", name=given.name, role=given.role)
    return id_ is not None


async def _new_password(store: Store, name: str, password: str) -> bool:
    now = system_clock()
    async with store.transaction() as transaction:
        user = await transaction.row("user_named", name=name)
        if user is not None:
            await change_password(transaction, user, password, now)
            await audit_command(transaction, now, "change_password", f"/users/{user['id']}", name=name)
    return user is not None


async def _delete(store: Store, config: Config, name: str) -> bool:
    now = system_clock()
    async with store.transaction() as transaction:
        user = await transaction.row("user_named", name=name)
        if user is not None:
            await delete_user(transaction, config, user, by="command line", now=now)
            await audit_command(transaction, now, "delete_user", f"/users/{user['id']}", name=name)
    return user is not None


async def _list(store: Store, console: Console) -> int:
    async with store.snapshot() as transaction:
        for row in await transaction.rows("all_users"):
            seen = f"last seen {iso(row['seen_at'])}" if row["seen_at"] else "never signed in"
            console.print(f"{row['name']}  {row['role']}  {'' if row['active'] else 'may not sign in, '}{seen}")
    return 0
