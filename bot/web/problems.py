"""Errors over HTTP: RFC 9457 problem+json, for whoever asks and whatever fails."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from bot.store.contract import StoreError

_log = structlog.get_logger("http")


class Problem(Exception):
    """A request that is refused: the status, what is wrong in words, and `errors` per field where there are some."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers


def problem_response(problem: Problem) -> web.Response:
    """The answer to a refused request."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = problem.errors
    return web.Response(
        status=problem.status,
        body=orjson.dumps(body),
        content_type="application/problem+json",
        headers=problem.headers,
    )


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error leaves as problem+json; what we did not foresee is logged and says no more than that."""
    try:
        return await handler(request)
    except web.RequestPayloadError:
        response = problem_response(Problem(400, "The body cannot be decoded."))
        response.force_close()  # what is left of it cannot be read either
        return response
    except Problem as problem:
        return problem_response(problem)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
        return problem_response(Problem(error.status, error.reason, headers=headers))
    except StoreError as error:
        _log.error("store.failed", error=str(error)[:200])
        return problem_response(Problem(503, "The store does not answer. Try again.", headers={"Retry-After": "5"}))
    except Exception:  # noqa: BLE001 - the last resort of the server, logged with its traceback
        # The path as it is declared: the one that was called can hold a phone number.
        resource = request.match_info.route.resource
        path = resource.canonical if resource else None
        _log.error("request.failed", method=request.method, path=path, exc_info=True)
        return problem_response(Problem(500, "Something went wrong on our side. It is logged."))
