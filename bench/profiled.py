"""`python -m bench.profiled serve`: textwright under cProfile, with the cost of each SQL statement.

The profile begins with SIGUSR1, when the server is warm. At the end it prints the functions of the event loop's
thread by their own time, and the statements of the store's thread by their CPU time. cProfile makes small functions
look dearer than they are: read the order, not the numbers.
"""

from __future__ import annotations

import cProfile
import pstats
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from aiosqlite import Connection

from bench.servers import PROFILE_MARK
from bot.cli import main

_SHOWN = 25
_spent: dict[str, list[float]] = defaultdict(lambda: [0, 0.0])


def _measured(execute: Callable[..., Any]) -> Callable[..., Any]:
    """Connection._execute, which hands a function of sqlite3 and its arguments, SQL first, to the store's thread."""

    def hand_over(self: Connection, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        def run(*given: Any, **also: Any) -> Any:
            started = time.thread_time()
            try:
                return function(*given, **also)
            finally:
                spent = _spent[" ".join(given[0].split())[:90] if given and isinstance(given[0], str) else "(close)"]
                spent[0] += 1
                spent[1] += time.thread_time() - started

        return execute(self, run, *arguments, **options)

    return hand_over


def _print_statements() -> None:
    print(f"\n{'CPU s':>8} {'calls':>8} {'us/call':>8}  statement (the store's threads)")
    for sql, (calls, seconds) in sorted(_spent.items(), key=lambda item: -item[1][1])[:_SHOWN]:
        print(f"{seconds:8.3f} {calls:8.0f} {1e6 * seconds / calls:8.0f}  {sql}")


def _print_functions(profiler: cProfile.Profile) -> None:
    """Like pstats, with places as this project writes them."""
    functions = [(row[2], row[3], row[1], name) for name, row in _rows(profiler)]
    print(f"{'own s':>8} {'all s':>8} {'calls':>9}  function (the event loop's thread)")
    for own, total, calls, (file, line, name) in sorted(functions, reverse=True)[:_SHOWN]:
        place = "/".join(Path(file).parts[-2:])
        print(f"{own:8.3f} {total:8.3f} {calls:9}  {f'{place}:{line} ' if line else ''}{name}")


def _rows(profiler: cProfile.Profile) -> Any:
    stats: Any = pstats.Stats(profiler)
    return stats.stats.items()


def _run() -> int:
    profiler = cProfile.Profile()

    def begin(*_: object) -> None:
        _spent.clear()
        profiler.enable()

    signal.signal(signal.SIGUSR1, begin)
    connection: Any = Connection
    connection._execute = _measured(connection._execute)
    code = main()
    profiler.disable()
    print(PROFILE_MARK)
    _print_functions(profiler)
    _print_statements()
    return code


if __name__ == "__main__":
    sys.exit(_run())
