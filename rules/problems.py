"""What is wrong with a file: every problem is collected, none stops the reading of the rest."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

MAX_SUGGESTED = 64
"""Nothing is suggested for longer words: they are no slip, and comparing takes time."""

Level = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in one line of one file."""

    file: str
    line: int
    message: str
    level: Level = "error"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.level}: {self.message}"


@dataclass(slots=True)
class Problems:
    """The problems found so far."""

    items: list[Problem] = field(default_factory=list)

    def error(self, file: str, line: int, message: str) -> None:
        """Note an error: the file cannot be used."""
        self.items.append(Problem(file, line, message))

    def warning(self, file: str, line: int, message: str) -> None:
        """Note a warning: the file can be used, and somebody should look."""
        self.items.append(Problem(file, line, message, "warning"))

    @property
    def errors(self) -> list[Problem]:
        """The errors, in reading order within each file."""
        return [problem for problem in self.items if problem.level == "error"]

    def sorted(self) -> list[Problem]:
        """All of them by file and line."""
        return sorted(self.items, key=lambda problem: (problem.file, problem.line))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A sentence (with its leading space) that suggests the nearest known word; "" when none is near."""
    if len(word) > MAX_SUGGESTED:
        return ""
    matches = difflib.get_close_matches(word.lower(), sorted(known), n=1, cutoff=0.6)
    return f" Did you mean '{matches[0]}'?" if matches else ""
