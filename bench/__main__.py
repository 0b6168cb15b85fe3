"""`python -m bench`: bare aiohttp and Textwright in turn, in one run, on two measures. `make bench` runs it.

(a) To the 200. Bare aiohttp answers the signed Twilio post when it has read it; Textwright when it has verified,
    deduplicated, decided, stored and queued it, and committed with synchronous=FULL. Sending is kept out of it: the
    outbox has one slot, and the provider took that slot's message and never answers. So the outbox is woken by each
    commit, as always, finds no free slot, and asks the store nothing. (A rate limit, or a provider that refuses,
    would have it claim again and again over a queue that grows without end, which no real server does.)
(b) The full loop. Bare aiohttp takes the post, texts through a stand-in provider, waits for the 201 and answers,
    storing nothing; Textwright does all that it does. A message is done when the provider has the reply: that is
    what is counted and timed. Each connection has one message under way, in bare and in ours, so neither can answer
    faster than it sends.

64 keep-alive connections, 20 rules, 10,000 contacts. The server has one core; load and provider have the other. The
rounds alternate, and the ratio of each pair counts: what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import orjson
import uvloop

from bench import memory, rules, staff
from bench.load import Load, Round
from bench.provider import Provider
from bench.report import Measure
from bench.servers import PROFILE_MARK, Process, bare, cores, textwright
from bench.shop import SEED_TEXT, phones
from bench.wire import Request, prepared, request, traffic

TARGETS = {"a": 0.25, "b": 0.45}
NAMES = {"a": "(a) to the 200", "b": "(b) the full loop, until the provider has the reply"}
_WARM_SECONDS = 1.0
_BUILT_PER_SECOND = 8000
Stores = Callable[[str], str]


async def measure(key: str, options: argparse.Namespace, folder: Path, stores: Stores) -> Measure:
    """Run one measure."""
    core, _ = cores()
    found = Measure(NAMES[key], TARGETS[key])
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(Provider())
        provider.answers = key == "b"
        relay = await stack.enter_async_context(Provider()) if key == "b" else None
        outbox = {} if key == "b" else {"concurrency": 1, "answer_seconds": 120}
        ours = textwright(
            folder / f"ours-{key}", core, store=stores(key), provider=provider.url, profiled=options.profile,
            outbox=outbox,
        )  # fmt: skip
        stack.callback(ours.stop)
        theirs = bare(folder / f"bare-{key}", core, relay.url if relay else "")
        stack.callback(theirs.stop)
        await _seed(ours)
        our_load = await stack.enter_async_context(Load(ours, provider if relay else None))
        bare_load = await stack.enter_async_context(Load(theirs, relay))
        requests = traffic()
        await _round(bare_load, requests, _WARM_SECONDS)
        await _round(our_load, requests, _WARM_SECONDS)
        if options.profile:
            ours.begin_profile()
        cpu, loop_cpu = ours.cpu_seconds(), ours.loop_seconds()
        for number in range(options.rounds):
            _progress(f"{NAMES[key]}: round {number + 1} of {options.rounds}")
            found.bare.append(await _round(bare_load, requests, options.seconds))
            found.ours.append(await _round(our_load, requests, options.seconds))
        found.loop_share = min(1.0, (ours.loop_seconds() - loop_cpu) / max(1e-9, ours.cpu_seconds() - cpu))
        if lost := provider.taken - ours.sent():
            raise SystemExit(f"the provider took {provider.taken} replies; {lost} of them were not settled as sent")
        if our_load.failed or bare_load.failed:
            raise SystemExit(f"{our_load.failed} requests of ours and {bare_load.failed} of bare's failed")
    if options.profile:
        print(f"\n{NAMES[key]}: profile\n{ours.log.read_text(errors='replace').partition(PROFILE_MARK)[2]}")
    return found


async def _seed(server: Process) -> None:
    """Every contact texts once what is not answered."""
    async with Load(server) as load:
        await load.post_all([request(phone, SEED_TEXT) for phone in phones()])


async def _round(load: Load, requests: Iterator[Request], seconds: float) -> Round:
    measured = await load.drive(prepared(requests, round(_BUILT_PER_SECOND * seconds)), seconds)
    await asyncio.sleep(0.2)  # whoever was measured comes to rest
    return measured


def _progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r{line:<70}", end="", file=sys.stderr, flush=True)


@contextmanager
def _stores(postgres: bool, folder: Path) -> Iterator[Stores]:
    """Where each measure stores: a SQLite file, or a database of a PostgreSQL that is started for it."""
    if not postgres:
        # Measures that start several servers on one store need its whole path.
        yield lambda key: f"sqlite:///{folder}/{key}.db"
        return
    from bench.postgres import running_postgres

    with running_postgres(folder / "postgres") as made:
        yield made


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Textwright held against bare aiohttp.")
    parser.add_argument("--seconds", type=float, default=4.0, help="of each round (default 4)")
    parser.add_argument("--rounds", type=int, default=5, help="of bare and of ours, in turn (default 5)")
    parser.add_argument("--only", choices=("a", "b"), help="one measure")
    parser.add_argument("--postgres", action="store_true", help="store in PostgreSQL, not in SQLite")
    parser.add_argument("--profile", action="store_true", help="print where our time goes; the rates then mean nothing")
    parser.add_argument("--memory", action="store_true", help="measure memory instead: 200,000 messages")
    parser.add_argument("--rules", action="store_true", help="measure loading and deciding instead, without a server")
    parser.add_argument("--staff", action="store_true", help="measure what staff wait for instead: 1,000,000 messages")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def main() -> int:
    """Run; 0 when every target is met."""
    options = _options()
    _, core = cores()
    if options.rules:
        return rules.report(rules.measure(_progress), as_json=options.json)
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, _stores(options.postgres, folder) as stores:
            if options.staff:
                return staff.report(runner.run(staff.measure(folder, stores("s"), _progress)), as_json=options.json)
            if core:
                os.sched_setaffinity(0, core)
            if options.memory:
                return memory.report(runner.run(memory.grow(folder, stores("m"), _progress)), as_json=options.json)
            keys = [options.only] if options.only else ["a", "b"]
            found = [runner.run(measure(key, options, folder, stores)) for key in keys]
    _progress("")
    if options.json:
        print(orjson.dumps([item.as_json() for item in found], option=orjson.OPT_INDENT_2).decode())
    else:
        for item in found:
            item.print()
    return 0 if all(item.as_json()["passed"] for item in found) else 1


if __name__ == "__main__":
    sys.exit(main())
