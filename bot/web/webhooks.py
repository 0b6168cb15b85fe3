"""POST /webhooks/{channel}: verify, parse, hand to the pipeline, and answer when that has committed."""

from __future__ import annotations

import orjson
import structlog
from aiohttp import web
from yarl import URL

from adapters import NUMBERS
from adapters.contract import WebhookRequest
from adapters.errors import BadPayload, BadSignature
from adapters.simulator import Simulator
from bot.clock import MICROSECONDS
from bot.intake import Overloaded, Result
from bot.phones import queried_phone
from bot.services import SERVICES, Services
from bot.store.contract import StoreError
from bot.web.problems import Problem

_RETRY_SECONDS = "5"
_MAX_EVENTS = 1000
_MAX_ID = 255

_log = structlog.get_logger("webhooks")


def webhook_routes(services: Services) -> list[web.RouteDef]:
    """The routes; also below the path of public_url, for a proxy that leaves it on."""
    prefix = URL(services.config.server.public_url).path.rstrip("/") if services.config.server.public_url else ""
    # A path that is written out is found by one look-up; the pattern, for unknown channels, is tried one by one.
    names = [*services.config.channels, "{channel}"]
    paths = dict.fromkeys(f"{start}/webhooks/{name}" for name in names for start in ("", prefix))
    routes = [web.route(method, path, receive) for path in paths for method in ("GET", "POST")]
    voice = [web.post(f"{start}/webhooks/{{channel}}/voice", take_call) for start in dict.fromkeys(("", prefix))]
    voice += [web.get(f"{start}/webhooks/{{channel}}/voice", take_call) for start in dict.fromkeys(("", prefix))]
    routes += voice
    if services.config.server.is_loopback:
        routes.append(web.get("/simulator/{channel}/sent", simulated_deliveries))
    return routes


async def receive(request: web.Request) -> web.Response:
    """Take one provider request. 200 means: stored, decided and applied, for good."""
    services = request.app[SERVICES]
    name = request.match_info.get("channel") or request.path.rpartition("/")[2]
    channel = services.config.channels.get(name)
    if channel is None:
        raise Problem(404, "There is no such channel.")
    adapter = services.adapters[name]
    methods = adapter.capabilities.webhook_methods
    if request.method not in methods:
        raise web.HTTPMethodNotAllowed(request.method, methods)
    status, reason = 500, ""
    try:
        received = await _received(services, request)
        once = adapter.verify(received)
        events = adapter.parse(received)
        if len(events) > _MAX_EVENTS:
            raise BadPayload(f"more than {_MAX_EVENTS} events in one request")
        if any(len(event.provider_id or "") > _MAX_ID for event in events):
            raise BadPayload(f"an id of more than {_MAX_ID} characters")
        results = await services.intake.submit(channel, events, once)
        status = 200
    except BadSignature as error:
        status, reason = 403, str(error)
        raise Problem(403, "The request is not signed as this channel's requests are.") from error
    except BadPayload as error:
        status = 400
        raise Problem(400, str(error)) from error
    except web.RequestPayloadError:
        status = 400
        raise
    except (Overloaded, StoreError) as error:
        status = 503
        raise Problem(503, "Not stored. Try again.", headers={"Retry-After": _RETRY_SECONDS}) from error
    except web.HTTPRequestEntityTooLarge as error:
        status = 413
        raise Problem(413, f"The body is larger than {services.config.server.max_body_bytes} bytes.") from error
    finally:
        services.metrics.webhook(name, status)
        if status not in (200, 500):
            _log.warning("webhook.refused", channel=name, status=status, reason=reason)
    return _acknowledged(services, name, results)


async def take_call(request: web.Request) -> web.Response:
    """A call to one of our numbers: put through to the account's primary number. Nothing is stored."""
    services, name = request.app[SERVICES], request.match_info["channel"]
    channel = services.config.channels.get(name)
    forward_to = services.config.numbers.forward_calls_to
    if channel is None or channel.adapter not in NUMBERS or not forward_to:
        raise Problem(404, "There is nobody to put calls of this channel through to.")
    received = await _received(services, request)
    try:
        services.adapters[name].verify(received)
    except BadSignature as error:
        services.metrics.webhook(name, 403)
        raise Problem(403, "The request is not signed as this channel's requests are.") from error
    answer = NUMBERS[channel.adapter](channel.settings).forwarded(forward_to)
    if answer is None:
        raise Problem(404, f"{channel.adapter} forwards calls by its own settings.")
    services.metrics.webhook(name, 200)
    return web.Response(body=answer.body, content_type=answer.content_type)


async def _received(services: Services, request: web.Request) -> WebhookRequest:
    at = services.clock() / MICROSECONDS
    body = await request.read()
    return WebhookRequest(_public_url(services, request), request.headers, body, request.method, at)


def _acknowledged(services: Services, name: str, results: list[Result]) -> web.Response:
    acknowledgement = services.adapters[name].acknowledgement
    if not isinstance(services.adapters[name], Simulator):
        return web.Response(body=acknowledgement.body, content_type=acknowledgement.content_type)
    answer = {"messages": [{"id": result.id, "status": result.status} for result in results]}
    return web.Response(body=orjson.dumps(answer), content_type="application/json")


def _public_url(services: Services, request: web.Request) -> str:
    """The address that the provider called: what it signed. Never taken from a header, which anybody can write."""
    public_url = services.config.server.public_url
    if not public_url:
        return str(request.url)
    base = URL(public_url)
    path = request.raw_path
    prefix = base.raw_path.rstrip("/")
    if prefix and path.startswith(f"{prefix}/webhooks/"):
        path = path.removeprefix(prefix)
    return f"{public_url}{path}"


async def simulated_deliveries(request: web.Request) -> web.Response:
    """GET /simulator/{channel}/sent: what the simulator "delivered", oldest first."""
    adapter = request.app[SERVICES].adapters.get(request.match_info["channel"])
    if not isinstance(adapter, Simulator):
        raise Problem(404, "There is no such simulator channel.")
    country = request.app[SERVICES].config.business.country
    phone = request.query.get("phone")
    return web.json_response({"items": adapter.sent(queried_phone(phone, country) if phone else None)})
