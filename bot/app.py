"""The server put together: what is opened, in which order, and closed in the opposite one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import structlog
from aiohttp import web

from adapters import ADAPTERS
from adapters.contract import Adapter
from adapters.http import Http
from bot.clock import Clock, system_clock
from bot.config import Channel, Config
from bot.due import Due
from bot.intake import Intake
from bot.metrics import Metrics
from bot.notify import Notifier
from bot.outbox import Outbox
from bot.rulebook import Rules
from bot.services import SERVICES, Services
from bot.store.open import open_store
from bot.suppression import Suppressions
from bot.web.api import api_routes
from bot.web.health import health_routes
from bot.web.pages import page_routes
from bot.web.problems import problems
from bot.web.webhooks import webhook_routes
from rules.book import RuleBook


def make_adapter(config: Config, channel: Channel) -> Adapter:
    """The adapter of a channel, with its settings. A simulator's phones outlive the server, as real ones do."""
    settings = dict(channel.settings)
    if channel.adapter == "simulator":
        name = settings["deliveries"] or f"textwright-{channel.name}.deliveries.jsonl"
        settings["deliveries"] = str(config.store_base / name)
    return ADAPTERS[channel.adapter](settings)


@asynccontextmanager
async def running(
    config: Config, book: RuleBook, clock: Clock = system_clock, draining: asyncio.Event | None = None
) -> AsyncIterator[Services]:
    """A server without its HTTP side: store, rules, pipeline, outbox and notifier at work.

    At the end, or once `draining` is set, what is under way is finished and nothing new is claimed.
    """
    draining = draining or asyncio.Event()
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(config.store.url, config.store_base))
        metrics = Metrics()
        rules = Rules(config, store, metrics, book)
        stack.callback(rules.close)
        await rules.start()
        suppressions = await Suppressions.of(store)
        adapters = {name: make_adapter(config, channel) for name, channel in config.channels.items()}
        http = await stack.enter_async_context(Http(answer_seconds=config.outbox.answer_seconds))
        intake = Intake(config, store, rules, suppressions, metrics, clock)
        outbox = Outbox(config, store, rules, adapters, http, suppressions, metrics, clock)
        notifier = Notifier(config, store, metrics, clock)
        due = Due(config, store, rules, suppressions, metrics, clock)
        await outbox.recover()
        await notifier.open()
        stack.push_async_callback(notifier.close)
        await stack.enter_async_context(_stopped(intake.work()))
        if config.rules.watch:
            await stack.enter_async_context(_stopped(rules.watch()))
        workers = [asyncio.create_task(worker.work(draining)) for worker in (outbox, notifier, due)]
        stack.push_async_callback(_drain, draining, workers, config.server.drain_seconds)
        yield Services(config, store, rules, intake, adapters, suppressions, metrics, clock)


@asynccontextmanager
async def _stopped(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _drain(draining: asyncio.Event, workers: list[asyncio.Task[None]], seconds: float) -> None:
    draining.set()
    done, late = await asyncio.wait(workers, timeout=seconds)
    for worker in late:
        worker.cancel()
    results = await asyncio.gather(*done, *late, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            structlog.get_logger("server").error("worker.failed", error=str(result)[:200])


def make_app(services: Services) -> web.Application:
    """The HTTP side of a running server."""
    app = web.Application(middlewares=[problems], client_max_size=services.config.server.max_body_bytes)
    app[SERVICES] = services
    app.add_routes(webhook_routes(services))
    app.add_routes(health_routes())
    app.add_routes(api_routes())
    app.add_routes(page_routes())
    return app
