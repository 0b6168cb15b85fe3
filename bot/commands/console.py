"""What commands print: short, and coloured only on a terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from rules.problems import Problem

_COLOURS = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "dim": 2, "bold": 1}


class Console:
    """Standard output and error."""

    def __init__(self) -> None:
        self.coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ

    def style(self, text: str, colour: str) -> str:
        """The text in a colour, where colours are seen."""
        return f"\033[{_COLOURS[colour]}m{text}\033[0m" if self.coloured else text

    def print(self, text: str = "") -> None:
        """A line."""
        print(text, flush=True)

    def error(self, text: str) -> None:
        """A line on standard error."""
        print(text, file=sys.stderr, flush=True)

    def problems(self, problems: Iterable[Problem]) -> None:
        """Every problem, a line each."""
        for problem in problems:
            level = self.style(problem.level, "red" if problem.level == "error" else "yellow")
            self.print(f"{problem.file}:{problem.line}: {level}: {problem.message}")
