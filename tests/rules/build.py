"""Short ways to a rule book, facts and decisions for the tests of rules/."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rules.book import RuleBook, SourceFile
from rules.decide import Ruleset
from rules.facts import Business, Contact, Facts
from rules.load import load
from rules.problems import Problems

CASES = Path(__file__).parents[1] / "cases" / "rules"

NOON = 1_772_540_000_000_000 // 86_400_000_000 * 86_400_000_000 + 43_200_000_000
"""2026-03-03 12:00 UTC, a Tuesday, in UTC microseconds."""

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

ROUTES = ("front_desk", "sales")
CHANNELS = ("main", "second")


def case_file(name: str) -> Any:
    """A file of tests/cases/rules."""
    return yaml.safe_load((CASES / f"{name}.yaml").read_text(encoding="utf-8"))


def read(*texts: str, timezone: str = "UTC") -> tuple[RuleBook | None, Problems]:
    """Load texts as the files a.yaml, b.yaml and so on, beside ROUTES and CHANNELS."""
    problems = Problems()
    sources = [SourceFile(chr(97 + i), f"{chr(97 + i)}.yaml", text) for i, text in enumerate(texts)]
    return load(sources, problems, timezone=timezone, routes=ROUTES, channels=CHANNELS), problems


def book(*texts: str, timezone: str = "UTC") -> RuleBook:
    """The rule book of texts that must be without errors."""
    found, problems = read(*texts, timezone=timezone)
    assert found is not None, [str(problem) for problem in problems.sorted()]
    return found


def said(*texts: str) -> list[str]:
    """The problems of these texts, as `check` shows them."""
    return [str(problem) for problem in read(*texts)[1].sorted()]


def rules(text: str) -> Ruleset:
    """Compiled rules from the `rules:` of one file."""
    return Ruleset(book(f"version: 1\n{text}"))


def facts(text: str = "hello", contact: Mapping[str, Any] | None = None, **others: Any) -> Facts:
    """Facts of an ordinary message; lists of a case file become what Facts holds."""
    known = {key: _plain(value) for key, value in (contact or {}).items()}
    values: dict[str, Any] = {
        "phone": "+12025550123",
        "number": "+12025550100",
        "channel": "main",
        "country": "US",
        "business": Business(name="Harbor Books", contact="555-0100"),
    }
    values |= {key: _plain(value) for key, value in others.items()}
    values["media"] = tuple(others.get("media", ()))
    return Facts(
        text=text, contact=Contact(**{"name": "Ana Lee", "known": True, "first_message": False} | known), **values
    )


def _plain(value: Any) -> Any:
    return frozenset(value) if isinstance(value, list) else value
