"""A TOML file that is read with its lines, so that every problem can name one."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from bot.sections import Section
from rules.problems import Problems, did_you_mean

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
S = TypeVar("S", bound=Section)
Where = tuple[str, ...]
"""A key, from the outermost table inwards."""


class ConfigFile:
    """One reading of one file. `raw` is what tomllib made of it."""

    def __init__(self, path: Path, text: str, raw: dict[str, Any], problems: Problems) -> None:
        self.path = path
        self._lines = text.splitlines()
        self.raw = raw
        self._problems = problems

    def section(self, name: str, kind: type[S]) -> S | None:
        """A section; None, with its problems told, where anything in it is wrong."""
        raw = self.raw.get(name, {})
        if not isinstance(raw, dict):
            self.error((name,), f"'{name}' is a section: write [{name}].")
            return None
        raw = {key: self.secret((name, key), value) if is_env(value) else value for key, value in raw.items()}
        try:
            return kind.model_validate(raw)
        except ValidationError as error:
            for item in error.errors():
                key = str(item["loc"][0]) if item["loc"] else ""
                if item["type"] == "extra_forbidden":
                    hint = did_you_mean(key, kind.model_fields)
                    self.error((name, key), f"unknown key '{key}' in [{name}].{hint}")
                else:
                    self.error((name, key), f"'{key}': {item['msg'].removeprefix('Value error, ')}.")
            return None

    def tables(self, section: str) -> list[tuple[str, dict[str, Any]]]:
        """The tables of names below a section."""
        tables = self.raw.get(section, {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            self.error((section,), f"write each of the {section} as [{section}.NAME].")
            return []
        for name in tables:
            if not _NAME.fullmatch(name):
                self.error((section, name), f"'{name}' is no name: use small letters, digits, '_' and '-'.")
        return list(tables.items())

    @property
    def count(self) -> int:
        """How many errors were told."""
        return len(self._problems.errors)

    def unknown_keys(self, where: Where, raw: dict[str, Any], known: Collection[str]) -> None:
        """Tell of keys that there are not."""
        for key in raw:
            if key not in known:
                self.error((*where, key), f"unknown key '{key}' in [{'.'.join(where)}].{did_you_mean(key, known)}")

    def secret(self, where: tuple[str, ...], value: Any) -> str:
        """A setting's text, read from the environment where it says so."""
        if is_env(value):
            name = value["env"]
            if name not in os.environ:
                self.error(where, f"the environment variable '{name}' is not set.")
            return os.environ.get(name, "")
        if not isinstance(value, str):
            self.error(where, f"'{where[-1]}' is a text, or {{ env = \"NAME\" }} for a secret.")
            return ""
        return value

    def error(self, where: tuple[str, ...], message: str) -> None:
        """Tell of a problem that the configuration cannot be used with."""
        self._problems.error(shown(self.path), self.line(where), message)

    def warning(self, where: tuple[str, ...], message: str) -> None:
        """Tell of one that it can."""
        self._problems.warning(shown(self.path), self.line(where), message)

    def line(self, where: tuple[str, ...]) -> int:
        """The line of a key: its section's header, then the key below it."""
        best, depth = 1, 0
        section: tuple[str, ...] = ()
        for number, line in enumerate(self._lines, 1):
            header = re.match(r"\s*\[([^\]]+)\]", line)
            key = re.match(r"\s*([\w-]+)\s*=", line)
            if header:
                section = tuple(part.strip(" \"'") for part in header[1].split("."))
                here = section
            elif key:
                here = (*section, key[1])
            else:
                continue
            shared = next(
                (i for i, (a, b) in enumerate(zip(here, where, strict=False)) if a != b), min(len(here), len(where))
            )
            if shared == len(here) and shared > depth:
                best, depth = number, shared
        return best


def is_env(value: Any) -> bool:
    """Whether a value is read from the environment: { env = "NAME" }."""
    return isinstance(value, dict) and set(value) == {"env"} and isinstance(value["env"], str)


def shown(path: Path) -> str:
    """A file's name, as problems call it."""
    return path.name if path.resolve().parent == Path.cwd() else str(path)
