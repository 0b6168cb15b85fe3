"""textwright reload: have the running server read the rule files now; whatever is wrong with them is said here.

It asks as an administrator, with a token that is made for this one request.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets

import aiohttp

from bot.commands.chat import server_url
from bot.commands.console import Console
from bot.config import Config, load_config
from bot.store.contract import Store
from bot.store.open import open_store
from bot.tokens import add_token
from rules.problems import Problems

_ANSWER_SECONDS = 120
"""Rules are read, compiled and tested before they are put in force."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("--url", help="the server (default: [server] host and port)")


def run(given: argparse.Namespace, console: Console) -> int:
    """Reload; 1 where the old rules stay, or nobody answers."""
    config = load_config(given.config, Problems())
    return asyncio.run(_reload(config, given.url or server_url(config), console))


async def _reload(config: Config, url: str, console: Console) -> int:
    async with open_store(config.store.url, config.store_base, exclusive=False) as store:
        async with store.transaction() as transaction:
            made = await add_token(transaction, f"reload {secrets.token_hex(4)}", "admin", "command line")
        assert made is not None, "its name is new"
        try:
            return await _ask(url, made[1], console)
        except (aiohttp.ClientError, TimeoutError):
            console.error(f"No server answers at {url}. Start it: textwright serve")
            return 1
        finally:
            await _forget(store, made[0])


async def _ask(url: str, secret: str, console: Console) -> int:
    timeout, headers = aiohttp.ClientTimeout(_ANSWER_SECONDS), {"Authorization": f"Bearer {secret}"}
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as client,
        client.post(f"{url}/api/v1/rules/reload") as response,
    ):
        said = await response.json(content_type=None)
    if response.ok:
        words = "now in force" if said["changed"] else "in force already"
        console.print(f"version {said['version']} is {words}")
        return 0
    for error in said.get("errors", ()):
        console.print(f"{error['field']}: {console.style('error', 'red')}: {error['detail']}")
    console.error(said["detail"])
    return 1


async def _forget(store: Store, token: str) -> None:
    async with store.transaction() as transaction:
        await transaction.row("delete_token", id=token)
