"""Disjunctive normal form: a `when` as alternatives, each a set of leaves that must hold or must not."""

from __future__ import annotations

from rules.conditions import Condition
from rules.when import All, Not, When

MAX_ALTERNATIVES = 24

Literal = tuple[Condition, bool]
"""A leaf, and whether it must hold."""

Conjunction = frozenset[Literal]


class TooManyAlternatives(Exception):
    """The condition says too much for one rule."""


def alternatives(when: When | None) -> list[Conjunction]:
    """The alternatives in order; none of them contradicts itself. Raises TooManyAlternatives above 24."""
    if when is None:
        return [frozenset()]
    return _expand(when, wanted=True)


def _expand(when: When, wanted: bool) -> list[Conjunction]:
    if isinstance(when, Not):
        return _expand(when.part, not wanted)
    if isinstance(when, Condition):
        return [frozenset({(when, wanted)})]
    expanded = [_expand(part, wanted) for part in when.parts]
    if isinstance(when, All) is wanted:
        return _product(expanded)
    return _bounded(list(dict.fromkeys(item for items in expanded for item in items)))


def _product(groups: list[list[Conjunction]]) -> list[Conjunction]:
    product: list[Conjunction] = [frozenset()]
    for group in groups:
        joined = (left | right for left in product for right in group)
        product = _bounded(list(dict.fromkeys(item for item in joined if not _contradicts_itself(item))))
    return product


def _contradicts_itself(conjunction: Conjunction) -> bool:
    return any((leaf, not wanted) in conjunction for leaf, wanted in conjunction)


def _bounded(items: list[Conjunction]) -> list[Conjunction]:
    if len(items) > MAX_ALTERNATIVES:
        raise TooManyAlternatives(len(items))
    return items
