"""textwright token create NAME --role ROLE: an API token, shown once; only its hash is kept."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from bot.commands.console import Console
from bot.config import load_config
from bot.store.open import open_store
from bot.tokens import ROLES, create_token
from rules.problems import Problems


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a token and show it once")
    create.add_argument("name", metavar="NAME", help="who or what uses it")
    create.add_argument("--role", choices=ROLES, required=True)
    # Also behind the action: `token create NAME --config FILE`.
    create.add_argument("--config", type=Path, default=argparse.SUPPRESS, metavar="FILE")


def run(given: argparse.Namespace, console: Console) -> int:
    """Make a token."""
    config = load_config(given.config, Problems())

    async def make() -> str | None:
        async with open_store(config.store.url, config.store_base, exclusive=False) as store:
            return await create_token(store, given.name, given.role)

    secret = asyncio.run(make())
    if secret is None:
        console.error(f"There is a token named '{given.name}' already.")
        return 1
    console.print(secret)
    console.error(f"This token of role {given.role} is shown once; only its hash is kept.")
    return 0
