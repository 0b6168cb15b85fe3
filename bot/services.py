"""What a running server is made of, made once and handed to whoever needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aiohttp import web

from adapters.contract import Adapter
from adapters.http import Http
from bot.clock import Clock
from bot.config import Config
from bot.import_jobs import Imports
from bot.intake import Intake
from bot.live import Live
from bot.metrics import Metrics
from bot.routes import Routes
from bot.rulebook import Rules
from bot.senders import Senders
from bot.store.contract import Store
from bot.suppression import Suppressions


@dataclass(frozen=True, slots=True)
class Services:
    """The parts of one server."""

    config: Config
    store: Store
    rules: Rules
    intake: Intake
    adapters: Mapping[str, Adapter]
    http: Http
    suppressions: Suppressions
    routes: Routes
    live: Live
    senders: Senders
    imports: Imports
    metrics: Metrics
    clock: Clock


SERVICES = web.AppKey("services", Services)
