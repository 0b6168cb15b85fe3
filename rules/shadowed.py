"""Rules that never win, because one before them always does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rules.conditions import Always
from rules.language import FALLBACK, Rule
from rules.problems import Problems
from rules.text_conditions import Contains, Exact, Keyword
from rules.when import All, Any, When

Phrase = tuple[str, ...]


def never_wins(rules: Sequence[Rule], problems: Problems) -> None:
    """Look at rules of one occasion, in order of precedence, and warn of those that never win.

    That two files each greet whoever no rule answered is no mistake: each is whole by itself, and one comes first.
    """
    taken = _Taken()
    catch_all: Rule | None = None
    for rule in rules:
        if catch_all is not None:
            problems.warning(rule.file, rule.line, f"'{rule.id}' never wins: '{catch_all.id}' always does, before it.")
            continue
        first = taken.winner(rule.when) if rule.when is not None else None
        if first is not None and not (rule.band == FALLBACK and rule.file != first.file):
            has = "has its words" if isinstance(rule.when, Keyword | Exact | Contains) else "takes all that it would"
            problems.warning(rule.file, rule.line, f"'{rule.id}' never wins: '{first.id}' {has}, before it.")
        if rule.continues or rule.cooldown or rule.active_from or rule.active_until:
            continue
        if rule.when is None or (isinstance(rule.when, Always) and rule.when.wanted):
            catch_all = rule
        else:
            taken.take(rule, rule.when)


class _Taken:
    """What the rules so far win at: whole conditions, and phrases by where a message has them."""

    def __init__(self) -> None:
        self._whole: dict[When, Rule] = {}
        self._exact: dict[Phrase, Rule] = {}
        self._first: dict[Phrase, Rule] = {}
        self._anywhere: dict[Phrase, Rule] = {}

    def take(self, rule: Rule, when: When) -> None:
        """From here on the rule wins wherever this holds."""
        self._whole.setdefault(when, rule)
        if isinstance(when, Any):
            for part in when.parts:
                self.take(rule, part)
        elif isinstance(when, Keyword | Exact | Contains):
            kinds = {Keyword: self._first, Exact: self._exact, Contains: self._anywhere}
            for phrase in when.phrases:
                kinds[type(when)].setdefault(phrase, rule)

    def winner(self, when: When) -> Rule | None:
        """A rule that wins wherever this holds, or the first of several that do so together."""
        if when in self._whole:
            return self._whole[when]
        if isinstance(when, All):
            return next((found for part in when.parts if (found := self.winner(part))), None)
        winners: list[Rule | None] = []
        if isinstance(when, Any):
            winners = [self.winner(part) for part in when.parts]
        elif isinstance(when, Keyword | Exact | Contains):
            winners = [self._winner_of(when, phrase) for phrase in when.phrases]
        return winners[0] if all(winners) and winners else None

    def _winner_of(self, when: Keyword | Exact | Contains, phrase: Phrase) -> Rule | None:
        """A message that is "price of dune" begins with "price" and has "of" in it."""
        found = self._exact.get(phrase) if isinstance(when, Exact) else None
        if found is None and not isinstance(when, Contains):
            beginnings = (phrase[:size] for size in range(1, len(phrase) + 1))
            found = next((self._first[part] for part in beginnings if part in self._first), None)
        return found or next((self._anywhere[part] for part in _parts(phrase) if part in self._anywhere), None)


def _parts(phrase: Phrase) -> Iterator[Phrase]:
    size = len(phrase)
    return (phrase[start:end] for start in range(size) for end in range(start + 1, size + 1))
