"""textwright serve: the server, until SIGTERM or SIGINT; SIGHUP reads the rule files again."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace

import structlog
from aiohttp import web

from bot.app import make_app, running
from bot.commands.console import Console
from bot.config import Config, ConfigError, load_config
from bot.logs import set_up_logs
from bot.rulebook import Rules, RulesRejected
from bot.versions import load_rules
from rules.book import RuleBook
from rules.problems import Problems

KEEPALIVE_SECONDS = 75.0
_GC_THRESHOLDS = (20_000, 20, 50)


def arguments(parser: argparse.ArgumentParser) -> None:
    """What may be typed."""
    parser.add_argument("--host", help="instead of [server] host")
    parser.add_argument("--port", type=int, help="instead of [server] port")


def run(given: argparse.Namespace, console: Console) -> int:
    """Serve; refuses to start on any error in the configuration or a rule file."""
    with _heeding_signals():
        return _run(given, console)


@contextlib.contextmanager
def _heeding_signals() -> Iterator[None]:
    """Until the loop has handlers of its own: nothing is begun yet that would have to be ended, and no rules are there
    to be read again. The handler of SIGHUP is none that a child process would inherit."""
    handlers = {signal.SIGTERM: _leave, signal.SIGINT: _leave, signal.SIGHUP: _stay}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _leave(number: int, frame: object) -> None:
    sys.exit(0)


def _stay(number: int, frame: object) -> None:
    pass


def _run(given: argparse.Namespace, console: Console) -> int:
    problems = Problems()
    config = load_config(given.config, problems)
    book = load_rules(config, problems)
    if book is None:
        raise ConfigError(problems)
    host = config.server.host if given.host is None else given.host
    port = config.server.port if given.port is None else given.port
    # What listens is what counts, wherever it was said: the simulator's deliveries are shown on loopback only.
    config = replace(config, server=config.server.model_copy(update={"host": host, "port": port}))
    for problem in problems.sorted():
        console.error(str(problem))
    set_up_logs(config.server.log_format)
    with _runner() as runner:
        return runner.run(_serve(config, book))


def _runner() -> asyncio.Runner:
    if sys.platform == "win32":
        return asyncio.Runner()
    import uvloop

    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


async def _serve(config: Config, book: RuleBook) -> int:
    host, port = config.server.host, config.server.port
    log = structlog.get_logger("server")
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    async with running(config, book, draining=stopping) as services:
        reloads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = loop.create_task(_reload(services.rules))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, reload)
        app_runner = web.AppRunner(
            make_app(services), access_log=None, keepalive_timeout=KEEPALIVE_SECONDS, handle_signals=False
        )
        await app_runner.setup()
        try:
            try:
                await web.TCPSite(app_runner, host, port).start()
            except OSError as error:
                log.error("server.cannot_listen", host=host, port=port, error=error.strerror or str(error))
                return 1
            address = app_runner.addresses[0]
            _collect_less_often()
            log.info(
                "server.ready",
                url=f"http://{address[0]}:{address[1]}",
                rules=book.version,
                channels=len(config.channels),
            )
            await stopping.wait()
            log.info("server.draining")
        finally:
            await app_runner.cleanup()
    log.info("server.stopped")
    return 0


def _collect_less_often() -> None:
    """What was made at the start stays; and a batch makes thousands of short-lived values, none of them in cycles.

    Measured with `make bench`: about a tenth of the CPU time of a message.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


async def _reload(rules: Rules) -> None:
    with contextlib.suppress(RulesRejected):
        await rules.reload()
