"""The conditions on what the message says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import re2

from rules.conditions import MISSING, Condition
from rules.message import Message
from rules.reader import compile_pattern, source
from rules.text import has_emoji

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Phrases(Condition):
    """A condition on words or phrases."""

    phrases: tuple[Phrase, ...]

    @property
    def argument(self) -> str:
        """The phrases."""
        return source(self.phrases)

    def saw(self, message: Message) -> str:
        """The folded message; its beginning where it is long."""
        joined = " ".join(message.folded.symbols)
        return f"'{joined[:60]}{'…' if len(joined) > 60 else ''}'" if joined else "no words"


def _words(message: Message, phrase: Phrase) -> Phrase:
    return message.folded.symbols if has_emoji(phrase) else message.folded.words


@dataclass(frozen=True)
class Keyword(Phrases):
    """The message begins with one of these."""

    name = "keyword"

    def holds(self, message: Message) -> bool:
        """True for 'Price?' and 'price of Dune', not for 'priceless'."""
        return any(_words(message, phrase)[: len(phrase)] == phrase for phrase in self.phrases)


@dataclass(frozen=True)
class Exact(Phrases):
    """The whole message is one of these."""

    name = "exact"

    def holds(self, message: Message) -> bool:
        """True when nothing else is said."""
        return any(_words(message, phrase) == phrase for phrase in self.phrases)


def _contains(words: Phrase, phrase: Phrase) -> bool:
    size = len(phrase)
    return any(words[start : start + size] == phrase for start in range(len(words) - size + 1))


@dataclass(frozen=True)
class Contains(Phrases):
    """One of these stands anywhere, as whole words."""

    name = "contains"

    def holds(self, message: Message) -> bool:
        """True when any is there."""
        return any(_contains(_words(message, phrase), phrase) for phrase in self.phrases)


@dataclass(frozen=True)
class ContainsAll(Phrases):
    """All of these stand somewhere, in any order."""

    name = "contains_all"

    def holds(self, message: Message) -> bool:
        """True when every one is there."""
        return all(_contains(_words(message, phrase), phrase) for phrase in self.phrases)


@dataclass(frozen=True)
class Substring(Phrases):
    """One of these stands anywhere, even inside a word (for languages without spaces)."""

    name = "substring"

    def holds(self, message: Message) -> bool:
        """True when any is there."""
        return any(" ".join(phrase) in " ".join(_words(message, phrase)) for phrase in self.phrases)


@dataclass(frozen=True)
class Regex(Condition):
    """A pattern is found in the original text."""

    name = "regex"
    patterns: tuple[str, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "_compiled", _searched(self.patterns))

    def holds(self, message: Message) -> bool:
        """True when any pattern is found."""
        text = message.encoded
        compiled: tuple[object, ...] = self.__dict__["_compiled"]
        return any(pattern.search(text) is not None for pattern in compiled)  # type: ignore[attr-defined]

    def saw(self, message: Message) -> str:
        """The original text."""
        return f"'{message.original[:60]}'"

    @property
    def argument(self) -> str:
        """The patterns."""
        return source(self.patterns)


def _searched(patterns: tuple[str, ...]) -> tuple[object, ...]:
    """The patterns as one, which is searched in half the time; one by one where they cannot be joined."""
    together = "|".join(f"(?:{pattern})" for pattern in patterns)
    try:
        return (compile_pattern(together),)
    except re2.error:
        return tuple(compile_pattern(pattern) for pattern in patterns)


@dataclass(frozen=True)
class Number(Condition):
    """The whole message is a number, within bounds where they are given."""

    name = "number"
    low: int | None = None
    high: int | None = None

    def holds(self, message: Message) -> bool:
        """True for '3', '3!' and '3️⃣'."""
        value = message.number
        if value is None:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    def saw(self, message: Message) -> str:
        """The number."""
        return MISSING if message.number is None else str(message.number)

    @property
    def argument(self) -> str:
        """The bounds."""
        bounds = {key: value for key, value in (("min", self.low), ("max", self.high)) if value is not None}
        return source(bounds) if bounds else "true"


PHRASES: Mapping[str, type[Phrases]] = {kind.name: kind for kind in (Keyword, Exact, Contains, ContainsAll, Substring)}
