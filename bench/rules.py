"""`python -m bench --rules`: loading, deciding and reloading, each in a process of its own, without a server."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from statistics import median
from time import perf_counter, perf_counter_ns
from typing import Any

import orjson
import psutil  # type: ignore[import-untyped]

from bench.rulefiles import Made
from bench.servers import ROOT
from rules.book import RuleBook, SourceFile
from rules.decide import Ruleset
from rules.facts import Facts
from rules.load import load
from rules.problems import Problems
from rules.text import fold

LOADED = (100, 400, 2_000, 10_000)
LOAD_SECONDS = {10_000: 5.0}
DECIDED = {100: 0.15, 10_000: 0.5}
"""Rules, and the most that p99 may be, in milliseconds."""
RELOADED = 400
RELOAD_SAMPLES = (50, 100, 250, 500, 1_000)
RELOAD_MB = 2.0
_FLAT_AFTER = 100
_EACH_SAMPLE = 10
_COMPARED = 30
"""So many samples after the first hundred reloads, and at the end: the allocator gives some back now and then."""
_TEXTS = 20_000
_ROUNDS = 3
_WARM = 2_000
_NOON = 1_772_540_400_000_000
_SECOND = 1_000_000


def _rss_mb() -> float:
    return float(psutil.Process().memory_info().rss) / 1e6


def _book(sources: Sequence[SourceFile]) -> RuleBook:
    problems = Problems()
    book = load(sources, problems)
    if book is None:
        raise SystemExit("\n".join(map(str, problems.errors)))
    return book


def _load(count: int) -> dict[str, Any]:
    """As a reload's child does it: read, check, compile."""
    sources = Made(count).sources
    before, started = _rss_mb(), perf_counter()
    book = _book(sources)
    read = perf_counter()
    with closing(Ruleset(book)):
        compiled = perf_counter()
        return {
            "rules": count, "files": len(sources), "load_seconds": read - started, "compile_seconds": compiled - read,
            "mb_before": before, "mb_after": _rss_mb(),
        }  # fmt: skip


def _decide(count: int) -> dict[str, Any]:
    """The figures are medians of the rounds'."""
    made = Made(count)
    facts = made.facts(_TEXTS)
    with closing(Ruleset(_book(made.sources))) as ruleset:
        _collect_as_a_server_does()
        _timed(ruleset, facts[:_WARM])
        rounds = [_timed(ruleset, facts) for _ in range(_ROUNDS)]
        hits = sum(ruleset.decide(item, _NOON).rule is not None for item in facts)
    figures = {key: median(item[key] for item in rounds) for key in rounds[0]}
    return {"rules": count, "hits": hits / len(facts), **figures}


def _collect_as_a_server_does() -> None:
    # A reload's child has no server in it; its memory is not to count here either.
    from bot.commands.serve import _collect_less_often

    _collect_less_often()


def _timed(ruleset: Ruleset, facts: Sequence[Facts]) -> dict[str, float]:
    """Decide and fold in turn: what else the machine does falls on both."""
    deciding, folding = [], []
    for number, item in enumerate(facts):
        now = _NOON + number * _SECOND
        started = perf_counter_ns()
        ruleset.decide(item, now)
        decided = perf_counter_ns()
        fold(item.text)
        folding.append(perf_counter_ns() - decided)
        deciding.append(decided - started)
    deciding.sort()
    return {
        "p50_ms": deciding[len(deciding) // 2] / 1e6,
        "p99_ms": deciding[len(deciding) * 99 // 100] / 1e6,
        "ratio_p50": deciding[len(deciding) // 2] / median(folding),
        "ratio_mean": sum(deciding) / sum(folding),
    }


def _reload(count: int) -> dict[str, Any]:
    """The old rules are closed when the new ones are there, as in a server."""
    made = Made(count)
    facts = made.facts(1)[0]
    _collect_as_a_server_does()
    sizes: list[float] = []
    current = Ruleset(_book(made.sources))
    for number in range(1, RELOAD_SAMPLES[-1] + 1):
        old, current = current, Ruleset(_book(made.sources))
        old.close()
        current.decide(facts, _NOON)
        if number % _EACH_SAMPLE == 0:
            gc.collect()  # what only waits for the collector is no growth
            sizes.append(_rss_mb())
    current.close()
    first = _FLAT_AFTER // _EACH_SAMPLE
    return {
        "rules": count,
        "samples": [(times, sizes[times // _EACH_SAMPLE - 1]) for times in RELOAD_SAMPLES],
        "growth_mb": median(sizes[-_COMPARED:]) - median(sizes[first : first + _COMPARED]),
    }


_CHILDREN: dict[str, Callable[[int], dict[str, Any]]] = {"load": _load, "decide": _decide, "reload": _reload}


def measure(progress: Callable[[str], None]) -> dict[str, list[dict[str, Any]]]:
    """All measures, by name."""
    plan = {"load": LOADED, "decide": tuple(DECIDED), "reload": (RELOADED,)}
    found: dict[str, list[dict[str, Any]]] = {}
    for name, counts in plan.items():
        for count in counts:
            progress(f"rules: {name}, {count:,} rules")
            found.setdefault(name, []).append(_in_child(name, count))
    return found


def _in_child(name: str, count: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.rules", name, str(count)]
    ran = subprocess.run(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE)
    if ran.returncode:
        raise SystemExit(f"measuring '{name}' with {count:,} rules failed (exit {ran.returncode})")
    figures: dict[str, Any] = orjson.loads(ran.stdout)
    return figures


def _missed(found: dict[str, list[dict[str, Any]]]) -> Iterator[str]:
    for row in found["load"]:
        seconds, limit = row["load_seconds"] + row["compile_seconds"], LOAD_SECONDS.get(row["rules"])
        if limit is not None and seconds >= limit:
            yield f"loading {row['rules']:,} rules takes {seconds:.2f} s; target: below {limit} s"
    for row in found["decide"]:
        limit = DECIDED[row["rules"]]
        if row["p99_ms"] >= limit:
            yield f"decide with {row['rules']:,} rules: p99 {row['p99_ms']:.3f} ms; target: below {limit} ms"
    for row in found["reload"]:
        if row["growth_mb"] >= RELOAD_MB:
            yield f"reloading grew by {row['growth_mb']:.1f} MB after {_FLAT_AFTER} times; target: below {RELOAD_MB} MB"


def report(found: dict[str, list[dict[str, Any]]], *, as_json: bool) -> int:
    """Print; 0 when every target is met."""
    missed = list(_missed(found))
    if as_json:
        print(orjson.dumps(found | {"missed": missed}, option=orjson.OPT_INDENT_2).decode())
    else:
        _print(found)
        print("\n" + ("\n".join(f"SHORT: {line}" for line in missed) or "every target: pass"))
    return 1 if missed else 0


def _print(found: dict[str, list[dict[str, Any]]]) -> None:
    print(f"\n{'load':<8}{'rules':>8}{'files':>7}{'load s':>9}{'compile s':>11}{'MB before':>11}{'MB after':>10}")
    for row in found["load"]:
        print("{:<8}{rules:>8,}{files:>7}{load_seconds:>9.3f}{compile_seconds:>11.3f}".format("", **row), end="")
        print("{mb_before:>11.0f}{mb_after:>10.0f}".format_map(row))
    print(f"\n{'decide':<8}{'rules':>8}{'p50 ms':>9}{'p99 ms':>9}{'hits':>7}   by fold alone: median, mean")
    for row in found["decide"]:
        print("{:<8}{rules:>8,}{p50_ms:>9.3f}{p99_ms:>9.3f}{hits:>7.0%}".format("", **row), end="")
        print("   {ratio_p50:.0f}, {ratio_mean:.1f}".format_map(row))
    print(f"\n{'reload':<8}{'times':>8}{'MB':>9}")
    for row in found["reload"]:
        for times, size in row["samples"]:
            print(f"{'':<8}{times:>8,}{size:>9.1f}")
        print("{:<8}growth after {}: {growth_mb:+.1f} MB".format("", _FLAT_AFTER, **row))


if __name__ == "__main__":
    print(orjson.dumps(_CHILDREN[sys.argv[1]](int(sys.argv[2]))).decode())
