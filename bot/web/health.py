"""GET /healthz, /readyz and /metrics: for load balancers and Prometheus."""

from __future__ import annotations

from aiohttp import web

from bot.registration import warning_of
from bot.services import SERVICES
from bot.store.contract import StoreError


def health_routes() -> list[web.RouteDef]:
    """The routes."""
    return [web.get("/healthz", alive), web.get("/readyz", ready), web.get("/metrics", metrics)]


async def alive(_request: web.Request) -> web.Response:
    """The process answers."""
    return web.json_response({"status": "ok"})


async def ready(request: web.Request) -> web.Response:
    """The store answers, its schema is ours, and rules are loaded. A refused reload is told, and is not unready."""
    services = request.app[SERVICES]
    checks: dict[str, object] = {"rules": services.rules.current.version}
    status = 200
    try:
        async with services.store.snapshot() as transaction:
            row = await transaction.row("is_ready")
        checks["migrations"] = row["count"] if row else 0
        checks["store"] = "ok"
    except StoreError as error:
        checks["store"] = type(error).__name__
        status = 503
    if services.rules.rejected:
        checks["rejected_rules"] = [str(problem) for problem in services.rules.rejected]
    return web.json_response({"status": "ready" if status == 200 else "not ready", **checks}, status=status)


async def metrics(request: web.Request) -> web.Response:
    """Prometheus' text format."""
    services = request.app[SERVICES]
    lines, out = services.senders.lines, services.senders.outages.all
    warned = [line.channel for line in lines.all if warning_of(services.config, line)]
    for name in services.config.channels:
        services.metrics.channel(name, out=name in out, unregistered=warned.count(name))
    body = services.metrics.exposition()
    return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})
