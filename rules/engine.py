"""durable-rules, used the safe way.

Its C module directly: facts are asserted, every match is collected, the fact is retracted. No events, no
sessions of ours, no timers, no regex, no callbacks: those crash, hang or leak (docs/engine.md). Not
thread-safe: one engine belongs to one event loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import durable_rules_engine as durable
import orjson

from rules.compile import Asked, Equality, Program, ShardPlan
from rules.language import Rule
from rules.message import Message

_BOOT = "__boot__"
_MAX_COLLECTED = 4096


class EngineError(Exception):
    """The engine failed on a message; the shard was built anew."""


class _Asks:
    """The fields that some rules ask for: those known from the look-up, and the conditions to be tested."""

    __slots__ = ("known", "tested")

    def __init__(self, names: Iterable[str], program: Program) -> None:
        leaves = {name: program.leaf(name) for name in sorted(names)}
        self.tested = tuple(
            (name, leaf) for name, leaf in leaves.items() if leaf is not None and not program.is_looked_up(leaf)
        )
        self.known = tuple(leaves.keys() - dict(self.tested).keys() - {"ev"})


class _Shard:
    """One rule set of the engine."""

    def __init__(self, plan: ShardPlan, program: Program, name: str, gates: Mapping[Equality, set[str]]) -> None:
        self._asks: dict[Equality | None, _Asks] = {gate: _Asks(names, program) for gate, names in gates.items()}
        if not gates:
            self._asks[None] = _Asks(plan.fields, program)
        self._definition = orjson.dumps({
            "boot": {"all": [{"m": {"ev": _BOOT}}]},
            **{
                f"{rule}.{number}": {
                    "all": [{"m": {"$and": _literals(equalities)}}],
                    "pri": min(rule + 1, 65535),
                }
                for number, (rule, equalities) in enumerate(plan.conjunctions)
            },
        }).decode()  # fmt: skip
        self._name = name
        self._handle: int | None = None
        self.open()

    def open(self) -> None:
        """Build it. The boot rule fires once: only then is the engine's delete_state safe."""
        self._handle = durable.create_ruleset(self._name, self._definition)
        self.match({"id": "m", "ev": _BOOT})

    def rebuild(self) -> None:
        """Start anew after a failure. Where that fails too, matching raises EngineError until it works again."""
        try:
            self.close()
            self.open()
        except (durable.error, EngineError, MemoryError) as error:
            self._handle = None
            raise EngineError(f"the shard could not be built anew: {error}") from error

    def close(self) -> None:
        """Give the memory back: delete_state before delete_ruleset, or the engine leaks."""
        if self._handle is not None:
            durable.delete_state(self._handle, None)
            durable.delete_ruleset(self._handle)
            self._handle = None

    def flat(self, asked: Asked, gates: Sequence[Equality | None], tested: dict[str, int]) -> dict[str, int | str]:
        """The message as this shard is asked about it: what the rules behind these gates ask for. (The others want
        a gate that it has not, and an equality over a field that is not there is false.) `tested` keeps what
        conditions said for the next shard.
        """
        known = asked.fields
        fields: dict[str, int | str] = {"id": "m", "ev": known.get("ev", "message")}
        for gate in gates:
            asks = self._asks[gate]
            for name in asks.known:
                fields[name] = known.get(name, 0)
            for name, leaf in asks.tested:
                held = tested.get(name)
                if held is None:
                    held = tested[name] = int(leaf.holds(asked.message))
                fields[name] = held
        return fields

    def match(self, fields: dict[str, int | str]) -> list[str]:
        """The names of the engine rules that match."""
        if self._handle is None:
            raise EngineError("the shard is not built")
        text = orjson.dumps(fields).decode()
        found: list[str] = []
        status, state = durable.assert_fact(self._handle, text)
        if status == 0:
            started = durable.start_action_for_state(self._handle, state)
            action = started[1] if started else None
            while action:
                found.append(action[2 : action.index('"', 2)])
                if len(found) > _MAX_COLLECTED:
                    raise EngineError("the engine does not stop matching")
                action = durable.complete_and_start_action(self._handle, state)
        durable.retract_fact(self._handle, text)
        return found


def _literals(equalities: tuple[Equality, ...]) -> list[dict[str, int | str]]:
    """A conjunction for the engine; without an event of its own it is about messages."""
    event = [] if any(name == "ev" for name, _ in equalities) else [("ev", "message")]
    return [{name: value} for name, value in (*event, *equalities)]


class Engine:
    """The compiled rules. Close it when they are replaced."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._program = Program(rules)
        self._shards: list[_Shard] = []
        gates: dict[int, dict[Equality, set[str]]] = defaultdict(dict)
        for gate, numbers in self._program.routes.items():
            for number, names in numbers.items():
                gates[number][gate] = names
        try:
            for number, plan in enumerate(self._program.shards):
                self._shards.append(_Shard(plan, self._program, f"shard{number}", gates[number]))
        except (durable.error, MemoryError) as error:
            self.close()
            raise EngineError(f"the rules cannot be compiled: {error}") from error

    def close(self) -> None:
        """Give the engine's memory back."""
        for shard in self._shards:
            shard.close()

    def matches(self, message: Message) -> list[int]:
        """The indexes of the rules whose condition is true, in order of precedence. Raises EngineError."""
        program = self._program
        asked = program.ask(message)
        tested = asked.tested
        found: set[int] = set()
        for number, gates in program.consulted(asked).items():
            shard = self._shards[number]
            try:
                found.update(int(name.partition(".")[0]) for name in shard.match(shard.flat(asked, gates, tested)))
            except (durable.error, EngineError, MemoryError) as error:
                shard.rebuild()
                raise EngineError(str(error)) from error
        return sorted(found)
