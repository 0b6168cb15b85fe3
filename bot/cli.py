"""textwright COMMAND: what is typed, turned into a call. Exit 0 is done, 1 is refused or failed, 2 is mistyped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from bot.commands import chat, check, explain, serve, token
from bot.commands.console import Console
from bot.config import ConfigError
from bot.store.contract import StoreError

Command = Callable[[argparse.Namespace, Console], int]

_COMMANDS: Mapping[str, tuple[str, Callable[[argparse.ArgumentParser], None], Command]] = {
    "serve": ("run the server", serve.arguments, serve.run),
    "check": ("check the configuration and the rule files", check.arguments, check.run),
    "explain": ("say what would be answered to a text, and why", explain.arguments, explain.run),
    "chat": ("be a customer: a phone in this terminal", chat.arguments, chat.run),
    "token": ("make an API token", token.arguments, token.run),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="textwright", description="A self-hosted business text-messaging server.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=_version())
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (summary, add_arguments, _) in _COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        subparser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.toml)")
        add_arguments(subparser)
    arguments = parser.parse_args(argv)
    console = Console()
    try:
        return _COMMANDS[arguments.command][2](arguments, console)
    except ConfigError as error:
        console.problems(error.problems.sorted())
        return 1
    except StoreError as error:
        console.error(f"The store cannot be used: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has gone; a second error at exit would help nobody.
        sys.stderr.close()
        return 1


def _version() -> str:
    try:
        return f"textwright {metadata.version('textwright')}"
    except metadata.PackageNotFoundError:
        return "textwright (from source)"
