"""Past messages through changed rules: what would have been decided otherwise. Each message by itself, with the facts
of its time; nothing is stored or sent."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace

import orjson

from bot.clock import first_id
from bot.config import Config
from bot.deciding import facts_of_row, surroundings_of
from bot.store.contract import Row, Store
from bot.versions import kept_book
from rules.book import RuleBook
from rules.decide import Decision, Ruleset
from rules.effects import Effect, Reply
from rules.facts import Facts

_PAGE = 500
_EXAMPLES = 3
_KEPT_VERSIONS = 4


@dataclass(frozen=True, slots=True)
class Difference:
    """One message that would be decided otherwise: the rules that fired and the texts that they sent, then and now.

    `was_texts` is None where the rules of that time are not kept."""

    id: str
    at: int
    text: str
    was: tuple[str, ...]
    now: tuple[str, ...]
    was_texts: tuple[str, ...] | None
    now_texts: tuple[str, ...]


@dataclass(slots=True)
class Replay:
    """What a replay found. `examples` are the first differences of each kind, (rules then, rules now)."""

    messages: int = 0
    versions: set[str] = field(default_factory=set)
    counts: Counter[tuple[tuple[str, ...], tuple[str, ...]]] = field(default_factory=Counter)
    examples: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Difference]] = field(
        default_factory=lambda: defaultdict(list)
    )

    @property
    def differing(self) -> int:
        """How many would be decided otherwise."""
        return sum(self.counts.values())


async def replay(store: Store, config: Config, book: RuleBook, since: int) -> Replay:
    """Decide about every message that came in since then (UTC microseconds) again, by these rules."""
    found = Replay()
    past = _Past(store, config)
    changed = Ruleset(book)
    business = surroundings_of(config).business
    try:
        async for row in _rows(store, since):
            found.messages += 1
            found.versions.add(row["version"])
            facts = facts_of_row(row, business)
            now = changed.decide(_asked_now(facts, book), row["at"])
            difference = await _difference(row, facts, now, past)
            if difference is not None:
                key = (difference.was, difference.now)
                found.counts[key] += 1
                if len(found.examples[key]) < _EXAMPLES:
                    found.examples[key].append(difference)
    finally:
        changed.close()
        past.close()
    return found


async def _rows(store: Store, since: int) -> AsyncIterator[Row]:
    cursor = first_id(since)
    while True:
        async with store.snapshot() as transaction:
            rows = await transaction.rows("inbound_decisions", cursor=cursor, limit=_PAGE)
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        cursor = rows[-1]["id"]


def _asked_now(facts: Facts, book: RuleBook) -> Facts:
    """The question that was open, as the changed rules call it, if they have it still."""
    name, _, rest = facts.waiting.partition("@")
    workflow, step = book.workflows.get(name), rest.partition("/")[2]
    if workflow is None or workflow.place(step) is None:
        return facts
    return replace(facts, waiting=workflow.question(step))


async def _difference(row: Row, facts: Facts, now: Decision, past: _Past) -> Difference | None:
    was = tuple(orjson.loads(row["fired"]))
    fired = tuple(item.rule for item in now.fired)
    rules = await past.rules(row["version"])
    # A question of a workflow that came from yet other files is not among those rules: what fired says enough.
    is_known = rules is not None and (not facts.waiting or facts.waiting.rpartition("/")[0] in rules.workflows)
    before = rules.decide(facts, row["at"]) if rules is not None and is_known else None
    # Without the rules of that time there is only what fired; with them, every effect.
    is_same = was == fired and (before is None or _effects(before) == _effects(now))
    if is_same:
        return None
    texts = _texts(before) if before is not None else None
    return Difference(row["id"], row["at"], row["body"], was, fired, texts, _texts(now))


def _effects(decision: Decision) -> list[Effect]:
    return [effect for item in decision.fired for effect in item.effects]


def _texts(decision: Decision) -> tuple[str, ...]:
    return tuple(effect.text for effect in _effects(decision) if isinstance(effect, Reply))


class _Past:
    """The rules of earlier versions, compiled as they are asked for; a few are kept."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config
        self._compiled: dict[str, Ruleset | None] = {}

    async def rules(self, version: str) -> Ruleset | None:
        """Those of a version; None when its files are not kept."""
        if version not in self._compiled:
            if len(self._compiled) >= _KEPT_VERSIONS:
                self.close()
            async with self._store.snapshot() as transaction:
                book = await kept_book(transaction, self._config, version)
            self._compiled[version] = Ruleset(book) if book is not None else None
        return self._compiled[version]

    def close(self) -> None:
        """Give the engines' memory back."""
        for rules in self._compiled.values():
            if rules is not None:
                rules.close()
        self._compiled.clear()
