"""From rules to the flat messages and engine rules that durable-rules is safe and fast with.

Each alternative of a rule's normal form becomes one engine rule: a conjunction of equalities over fields that
we name, with values that we chose. A customer's text never enters the engine. Two kinds of field exist:

* single-valued: `kw1`..`kw8` and `ex` hold the class of the message's first words and of the whole message
  (`ke1`.., `ee` the same for phrases with emoji), `st` and `ch` its status and channel, `ws` the question that
  is open, `ev` the event. A class is a number shared by all phrases that occur in exactly the same conditions, so
  five synonyms are one equality.
* flags: `a7` is 1 or 0, whether the leaf with that number holds.

Engine rules are packed into shards that stay below the engine's hard limits (a node with more than 56 true
children overruns its stack), and each shard is consulted only by messages that carry one of its gates.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rules.conditions import Bit, Channel, Condition, FirstMessage, HasMedia, InList, MediaType, StatusIs, Tagged
from rules.history_conditions import Waiting
from rules.language import Rule
from rules.message import Message
from rules.normal_form import MAX_ALTERNATIVES, Conjunction, Literal, TooManyAlternatives, alternatives
from rules.text import has_emoji
from rules.text_conditions import Contains, Exact, Keyword, Number, Phrases
from rules.vocabulary import Saying, Says, Vocabulary, said

MAX_ENGINE_RULES = 400
MAX_CHILDREN = 400
MAX_FIELDS = 200
MAX_IDENTICAL = 200
MAX_STACK = 56
_KEPT_TEXTS = 4096
_KEPT_CHARACTERS = 60
_FEW = 48
"""So few engine rules are asked together: choosing among shards would cost more than it saves."""
MAX_CLASSES = 4
"""A condition of more classes is asked as a flag instead, which keeps the normal form small."""

Equality = tuple[str, int | str]
Phrase = tuple[str, ...]
_SINGLE_VALUED = ("kw", "ke", "ex", "ee", "st", "ch", "ws", "ev")
_GATES = ("ws", "ev", "kw", "ke", "ex", "ee")
_STATES = (FirstMessage, HasMedia, MediaType, Tagged, InList)


@dataclass(slots=True)
class _Node:
    """A node of the tree that the engine makes of a shard's conjunctions."""

    children: dict[Equality, _Node] = field(default_factory=dict)
    together: set[str | Equality] = field(default_factory=set)
    """The children that can be true at once: of a single-valued field only one."""
    ends: int = 0
    deepest: int = 0

    def child(self, equality: Equality) -> _Node:
        """The child behind an equality; it is made where there is none."""
        found = self.children.get(equality)
        if found is None:
            found = self.children[equality] = _Node()
            self.together.add(equality[0] if equality[0].startswith(_SINGLE_VALUED) else equality)
        return found

    @property
    def depth(self) -> int:
        """A bound on the engine's stack at this node and below."""
        return len(self.together) - 1 + self.deepest if self.children else 1

    @property
    def fits(self) -> bool:
        """Whether it stays below the limits."""
        return self.depth <= MAX_STACK and len(self.children) <= MAX_CHILDREN and self.ends <= MAX_IDENTICAL


@dataclass(slots=True)
class ShardPlan:
    """The engine rules of one shard: (rule index, equalities)."""

    conjunctions: list[tuple[int, tuple[Equality, ...]]] = field(default_factory=list)
    fields: set[str] = field(default_factory=set)
    root: _Node = field(default_factory=_Node)
    is_full: bool = False

    def add(self, rule: int, equalities: tuple[Equality, ...]) -> bool:
        """Add a conjunction; False if the shard would grow too large: then it is full, and takes no other."""
        names = {name for name, _ in equalities}
        self.is_full = (
            self.is_full or len(self.conjunctions) >= MAX_ENGINE_RULES or len(self.fields | names) > MAX_FIELDS
        )
        if self.is_full:
            return False
        path = [self.root]
        for equality in equalities:
            path.append(path[-1].child(equality))
        path[-1].ends += 1
        for parent, node in zip(path[-2::-1], path[:0:-1], strict=True):
            parent.deepest = max(parent.deepest, node.depth)
        if not all(node.fits for node in path):
            self.is_full = True
            return False
        self.conjunctions.append((rule, equalities))
        self.fields |= names
        return True


class PhraseTable:
    """Looks up the numbers of the conditions that a phrase belongs to, and its class."""

    def __init__(self, numbered: Iterable[tuple[int, Condition]], kind: type[Phrases]) -> None:
        members: dict[Phrase, list[int]] = defaultdict(list)
        for number, condition in numbered:
            if type(condition) is kind:
                for phrase in condition.phrases:
                    members[phrase].append(number)
        self.conditions = {phrase: frozenset(found) for phrase, found in members.items()}
        numbers: dict[frozenset[int], int] = {}
        self.classes = {
            phrase: numbers.setdefault(found, len(numbers) + 1) for phrase, found in self.conditions.items()
        }
        self.lengths = sorted({len(phrase) for phrase in members})
        self.starts: dict[str, set[int]] = defaultdict(set)
        for phrase in members:
            self.starts[phrase[0]].add(len(phrase))


@dataclass(slots=True)
class Asked:
    """One message as the engine is asked about it: its single-valued fields and the flags of the phrases that
    it has (the others are 0), and its gates."""

    message: Message
    fields: dict[str, int | str]
    gates: list[Equality]
    tested: dict[str, int] = field(default_factory=dict)
    """What conditions said already, by flag."""


class Program:
    """Compiled rules: the shards to build, and how a message is put to them."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        expanded = [[_sorted(item) for item in alternatives(rule.when)] for rule in rules]
        leaves = list(dict.fromkeys(leaf for items in expanded for item in items for leaf, _ in item))
        self.flags: dict[Condition, int] = {leaf: number for number, leaf in enumerate(leaves)}
        self.leaves = leaves
        self._keyword = PhraseTable(enumerate(leaves), Keyword)
        self._exact = PhraseTable(enumerate(leaves), Exact)
        self._contains = PhraseTable(enumerate(leaves), Contains)
        self._numbers = [(number, leaf) for number, leaf in enumerate(leaves) if isinstance(leaf, Number)]
        self._says: dict[Vocabulary, dict[Saying, int]] = defaultdict(dict)
        for number, leaf in enumerate(leaves):
            if isinstance(leaf, Says):
                self._says[leaf.vocabulary][leaf.saying] = number
        self._kept: dict[tuple[str, str, str, bool], tuple[dict[str, int | str], list[Equality]]] = {}
        self.shards: list[ShardPlan] = []
        self.routes: dict[Equality, dict[int, set[str]]] = defaultdict(dict)
        """By gate: the shards that have its conjunctions, and the fields that those ask for."""
        self._states: dict[str, Condition] = {}
        self.open_shards: list[int] = []
        self._pack(
            (index, (*_event(rules[index]), *conjunction))
            for index, items in enumerate(expanded)
            for conjunction in self._conjunctions(items)
        )

    def ask(self, message: Message) -> Asked:
        """Look the message's words up. Short texts are many people's: what depends on the text alone is kept."""
        facts = message.facts
        place: dict[str, int | str] = {"st": facts.status, "ch": facts.channel}
        if facts.event != "message":
            return Asked(message, {**place, "ev": facts.event}, [("ev", facts.event)])
        contact = facts.contact
        key = (message.facts.text, contact.name, contact.first_name, message.facts.carrier_stopped)
        known = self._kept.get(key)
        if known is None:
            known = self._looked_up(message)
            if len(key[0]) <= _KEPT_CHARACTERS:
                if len(self._kept) >= _KEPT_TEXTS:
                    self._kept.clear()
                self._kept[key] = known
        fields, gates = known
        if facts.waiting:
            place["ws"] = facts.waiting
            gates = [*gates, ("ws", facts.waiting)]
        if not self._states:
            return Asked(message, {**fields, **place}, gates)
        tested = {name: int(leaf.holds(message)) for name, leaf in self._states.items()}
        held = [(name, 1) for name, holds in tested.items() if holds]
        return Asked(message, {**fields, **place}, [*gates, *held], tested)

    def _looked_up(self, message: Message) -> tuple[dict[str, int | str], list[Equality]]:
        """The fields and gates that the text gives."""
        folded = message.folded
        fields: dict[str, int | str] = {}
        hits: set[int] = set()
        for words, keyword, exact in ((folded.words, "kw", "ex"), (folded.symbols, "ke", "ee")):
            if keyword == "ke" and words == folded.words:
                break  # no emoji
            for length in self._keyword.lengths:
                run = words[:length]
                if run in self._keyword.classes and len(run) == length and has_emoji(run) == (keyword == "ke"):
                    fields[f"{keyword}{length}"] = self._keyword.classes[run]
                    hits |= self._keyword.conditions[run]
            if words in self._exact.classes and has_emoji(words) == (exact == "ee"):
                fields[exact] = self._exact.classes[words]
                hits |= self._exact.conditions[words]
        contains = self._contains.conditions
        for run in message.phrases(self._contains.starts):
            if run in contains:
                hits |= contains[run]
        if self._numbers and message.number is not None:
            hits |= {number for number, leaf in self._numbers if leaf.holds(message)}
        fields |= {f"a{number}": 1 for number in hits}
        gates = list(fields.items())
        for vocabulary, numbers in self._says.items():
            fields |= {f"a{numbers[saying]}": 1 for saying in said(message, vocabulary) if saying in numbers}
        return fields, gates

    def consulted(self, asked: Asked) -> dict[int, list[Equality | None]]:
        """The shards whose rules could match, and the gates by which; None where every rule of it could."""
        is_message = asked.message.facts.event == "message"
        found: dict[int, list[Equality | None]] = {number: [None] for number in self.open_shards if is_message}
        for gate in asked.gates:
            for number in self.routes.get(gate, ()):
                found.setdefault(number, []).append(gate)
        return found

    @staticmethod
    def is_looked_up(leaf: Condition) -> bool:
        """Whether `ask` says that it holds: by table, not by testing each."""
        return isinstance(leaf, Keyword | Exact | Contains | Number | Says)

    def leaf(self, name: str) -> Condition | None:
        """The leaf behind a flag; None for a single-valued field."""
        return self.leaves[int(name[1:])] if name.startswith("a") else None

    def _conjunctions(self, items: list[list[Literal]]) -> list[tuple[Equality, ...]]:
        try:
            return self._with_classes(items)
        except TooManyAlternatives:
            return [tuple((f"a{self.flags[leaf]}", int(wanted)) for leaf, wanted in item) for item in items]

    def _with_classes(self, items: list[list[Literal]]) -> list[tuple[Equality, ...]]:
        found: dict[tuple[Equality, ...], None] = {}
        for item in items:
            product: list[tuple[Equality, ...]] = [()]
            for leaf, wanted in item:
                options = self._equalities(leaf) if wanted else []
                options = options or [(f"a{self.flags[leaf]}", int(wanted))]
                product = [(*left, right) for left in product for right in options]
                if len(product) > MAX_ALTERNATIVES:
                    raise TooManyAlternatives(len(product))
            found |= dict.fromkeys(_possible(product))
        if len(found) > MAX_ALTERNATIVES:
            raise TooManyAlternatives(len(found))
        return list(found)

    def _equalities(self, leaf: Condition) -> list[Equality]:
        """The leaf as alternatives of single-valued equalities; none where it is asked as a flag."""
        if isinstance(leaf, StatusIs | Channel):
            name = "st" if isinstance(leaf, StatusIs) else "ch"
            return [(name, value) for value in leaf.values] if len(leaf.values) <= MAX_CLASSES else []
        if isinstance(leaf, Waiting):
            return [("ws", leaf.question)]
        if isinstance(leaf, Keyword):
            found = {
                (f"{'ke' if has_emoji(phrase) else 'kw'}{len(phrase)}", self._keyword.classes[phrase])
                for phrase in leaf.phrases
            }
        elif isinstance(leaf, Exact):
            found = {("ee" if has_emoji(phrase) else "ex", self._exact.classes[phrase]) for phrase in leaf.phrases}
        else:
            return []
        return sorted(found) if len(found) <= MAX_CLASSES else []

    def _gate(self, equalities: tuple[Equality, ...]) -> Equality | None:
        for wanted in _GATES:
            for name, value in equalities:
                if name.startswith(wanted):
                    return name, value
        for name, value in equalities:
            if name[0] == "a" and value == 1 and isinstance(self.leaves[int(name[1:])], Contains | Number):
                return name, value
        return self._state_gate(equalities)

    def _state_gate(self, equalities: tuple[Equality, ...]) -> Equality | None:
        """For a rule without a word: what is true of few messages, and cheap to see."""
        flags = [(name, self.leaves[int(name[1:])]) for name, value in equalities if name[0] == "a" and value == 1]
        for kind in _STATES:
            for name, leaf in flags:
                if isinstance(leaf, kind) and not (isinstance(leaf, Bit) and not leaf.wanted):
                    self._states[name] = leaf
                    return name, 1
        return None

    def _pack(self, conjunctions: Iterable[tuple[int, tuple[Equality, ...]]]) -> None:
        gated: list[tuple[Equality, int, tuple[Equality, ...]]] = []
        ungated: list[tuple[int, tuple[Equality, ...]]] = []
        for index, equalities in conjunctions:
            gate = self._gate(equalities)
            if gate is None:
                ungated.append((index, equalities))
            else:
                rest = tuple(item for item in equalities if item != gate)
                gated.append((gate, index, (gate, *rest)))
        if len(gated) + len(ungated) <= _FEW:
            self._states.clear()
            ungated += [(index, equalities) for gate, index, equalities in gated if gate[0] != "ev"]
            gated = [item for item in gated if item[0][0] == "ev"]
        gated.sort(key=lambda item: (item[0][0], str(item[0][1]).rjust(12), item[1]))
        first = len(self.shards)
        for gate, index, equalities in gated:
            number = self._place(first, index, equalities)
            self.routes[gate].setdefault(number, set()).update(name for name, _ in equalities)
        first = len(self.shards)
        for index, equalities in ungated:
            self._place(first, index, equalities)
        self.open_shards = list(range(first, len(self.shards)))

    def _place(self, first: int, index: int, equalities: tuple[Equality, ...]) -> int:
        if len(self.shards) == first or not self.shards[-1].add(index, equalities):
            self.shards.append(ShardPlan())
            added = self.shards[-1].add(index, equalities)
            assert added, "one conjunction always fits into an empty shard"
        return len(self.shards) - 1


def _event(rule: Rule) -> tuple[Equality, ...]:
    """What a rule waits for, unless it is a message: then the engine adds it to every conjunction."""
    return () if rule.event == "message" else (("ev", rule.event),)


def _possible(product: list[tuple[Equality, ...]]) -> list[tuple[Equality, ...]]:
    """Drop repeated equalities, and conjunctions that ask one single-valued field for two values."""
    kept = []
    for equalities in product:
        unique = tuple(dict.fromkeys(equalities))
        names = [name for name, _ in unique]
        if len(names) == len(set(names)):
            kept.append(unique)
    return kept


def _sorted(conjunction: Conjunction) -> list[tuple[Condition, bool]]:
    """A fixed order, so that equal files compile alike: single-valued leaves first."""
    return sorted(
        conjunction,
        key=lambda item: (
            not isinstance(item[0], Waiting),
            not isinstance(item[0], Keyword | Exact | StatusIs | Channel),
            str(item[0]),
            item[1],
        ),
    )
