"""textwright schema [--output FILE]: the JSON Schema of rule files, for editors."""

from __future__ import annotations

import argparse
from pathlib import Path

import orjson

from bot.commands.console import Console
from rules.schema import schema


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("--output", type=Path, metavar="FILE", help="write it there instead of printing it")


def run(given: argparse.Namespace, console: Console) -> int:
    """Print it, or write it; 1 when it cannot be written."""
    text = orjson.dumps(schema(), option=orjson.OPT_INDENT_2).decode()
    if given.output is None:
        console.print(text)
        return 0
    try:
        given.output.write_text(f"{text}\n", encoding="utf-8")
    except OSError as error:
        console.error(f"{given.output} cannot be written: {error.strerror}.")
        return 1
    return 0
