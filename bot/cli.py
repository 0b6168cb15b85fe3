"""textwright COMMAND: what is typed, turned into a call. Exit 0 is done, 1 is refused or failed, 2 is mistyped."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Protocol, cast

from bot.commands.console import Console
from bot.config import ConfigError
from bot.store.contract import StoreError


class Command(Protocol):
    """A module of bot/commands."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Say what may be typed."""

    def run(self, given: argparse.Namespace, console: Console) -> int:
        """Do it; returns the exit code."""


COMMANDS: Mapping[str, str] = {
    "serve": "run the server",
    "check": "check the configuration and the rule files",
    "test": "run the tests of the rule files",
    "explain": "say what would be answered to a text, and why",
    "replay": "say what changed rules would have done with past messages",
    "rules": "show which rules are in force and who is inside, or go back to earlier ones",
    "reload": "have the running server read the rule files now",
    "chat": "be a customer: a phone in this terminal",
    "numbers": "look for, buy, give back and list our phone numbers",
    "contacts": "import contacts from CSV or vCards; export contacts, messages or consent",
    "schema": "print the JSON Schema of rule files, for editors",
    "token": "make an API token",
    "user": "make somebody who may sign in to the console, or change a password",
}


def _command(name: str) -> Command:
    """The command's module, imported only when it is the one: a server that starts in a second needs no other."""
    return cast("Command", importlib.import_module(f"bot.commands.{name}"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="textwright", description="A self-hosted business text-messaging server.", allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=_version())
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    typed = sys.argv[1:] if argv is None else argv
    for name, summary in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        subparser.add_argument("--config", type=Path, metavar="FILE", help="the configuration (default: ./config.toml)")
        if name in typed:
            _command(name).arguments(subparser)
    arguments = parser.parse_args(typed)
    console = Console()
    try:
        return _command(arguments.command).run(arguments, console)
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
