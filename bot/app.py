"""The server put together: what is opened, in which order, and closed in the opposite one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import structlog
from aiohttp import web

from adapters import ADAPTERS
from adapters.contract import Adapter, Connecting, Inbound, Receipt, Receive
from adapters.http import Http
from bot.broadcasting import Broadcaster
from bot.buying import Buying
from bot.channels import Channel
from bot.clock import Clock, system_clock
from bot.config import Config
from bot.due import Due
from bot.escalation import Escalation
from bot.import_jobs import Imports
from bot.intake import Intake
from bot.live import Live
from bot.metrics import Metrics
from bot.notify import Notifier
from bot.opt_out_sync import OptOutSync
from bot.outbox import Outbox
from bot.routes import Routes
from bot.rulebook import Rules
from bot.senders import Senders
from bot.services import SERVICES, Services
from bot.store.contract import Store
from bot.store.open import open_store
from bot.suppression import Suppressions
from bot.tidying import Tidying
from bot.web.api import routes_of_api
from bot.web.console.routes import console_routes
from bot.web.health import health_routes
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
        await _declare(config, store)
        routes = Routes(config.routes, config.default_route)
        await routes.load(store)
        live = Live(store)
        suppressions = await Suppressions.of(store)
        adapters = {name: make_adapter(config, channel) for name, channel in config.channels.items()}
        http = await stack.enter_async_context(Http(answer_seconds=config.outbox.answer_seconds))
        senders = Senders(config, store, clock)
        await senders.load()
        intake = Intake(config, store, rules, suppressions, metrics, clock, senders.lines, routes)
        outbox = Outbox(config, store, rules, adapters, http, suppressions, metrics, clock, senders)
        notifier = Notifier(config, store, metrics, clock)
        due = Due(config, store, rules, suppressions, metrics, clock, senders, routes)
        limits = frozenset(name for name, adapter in adapters.items() if not adapter.capabilities.supports_media)
        broadcaster = Broadcaster(config, store, rules, senders, limits, clock)
        escalation = Escalation(store, routes, clock)
        imports = Imports(config, store, clock)
        buying = Buying(config, store, senders, http, clock)
        opt_outs = OptOutSync(config, store, suppressions, http, clock)
        tidying = Tidying(config, store, intake, clock)
        await imports.recover()
        await outbox.recover()
        await buying.recover()
        await notifier.recover()
        await notifier.open()
        stack.push_async_callback(notifier.close)
        await stack.enter_async_context(_stopped(intake.work()))
        await stack.enter_async_context(_stopped(routes.work(store)))
        await stack.enter_async_context(_stopped(senders.lines.work(store)))
        await stack.enter_async_context(_stopped(senders.outages.work()))
        for name, adapter in adapters.items():
            if isinstance(adapter, Connecting):
                await stack.enter_async_context(adapter.connected(_receiver(intake, config.channels[name])))
        if config.rules.watch:
            await stack.enter_async_context(_stopped(rules.watch()))
        loops = (outbox, notifier, due, broadcaster, escalation, imports, tidying, buying, opt_outs)
        workers = [asyncio.create_task(worker.work(draining)) for worker in loops]
        stack.push_async_callback(_drain, draining, workers, config.server.drain_seconds)
        yield Services(
            config, store, rules, intake, adapters, http, suppressions, routes, live, senders, imports, metrics, clock
        )


def _receiver(intake: Intake, channel: Channel) -> Receive:
    """Takes what a channel's own connection brings."""

    async def receive(events: Sequence[Inbound | Receipt]) -> None:
        await intake.submit(channel, events)

    return receive


async def _declare(config: Config, store: Store) -> None:
    """Which routes are told of which events, where every node and every command can see it."""
    rows = [{"event": name, "route": route.name} for route in config.routes.values() for name in route.events]
    async with store.transaction() as transaction:
        await transaction.rows("forget_subscriptions")
        await transaction.each("add_subscriptions", rows)


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


async def _hang_up(app: web.Application) -> None:
    """Whoever listens would keep the server from stopping."""
    app[SERVICES].live.close()


def make_app(services: Services) -> web.Application:
    """The HTTP side of a running server."""
    app = web.Application(middlewares=[problems], client_max_size=services.config.server.max_body_bytes)
    app[SERVICES] = services
    app.add_routes(webhook_routes(services))
    app.add_routes(health_routes())
    app.add_routes(routes_of_api())
    app.add_routes(console_routes(app))
    app.on_shutdown.append(_hang_up)
    return app
