"""Structured logs: one line per step of a message, with its id; never a text, a secret or a whole number."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal

import orjson
import structlog
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import RequestPayloadError

from bot.clock import iso, system_clock


def _as_json_line(_logger: object, level: str, event: MutableMapping[str, Any]) -> bytes:
    """Level, time and all in one step: every message writes two lines, and four steps cost three times as much."""
    if event.get("exc_info"):
        structlog.processors.format_exc_info(_logger, level, event)
    # A value that JSON has no word for must not cost the line that says what went wrong.
    return orjson.dumps({**event, "level": level, "timestamp": iso(system_clock())}, default=repr)


def set_up_logs(form: Literal["auto", "json", "text"]) -> None:
    """Log to standard error: text on a terminal, JSON elsewhere, unless the configuration says which."""
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    if as_text:
        processors: list[Any] = [
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # The default prints the values of local variables with a traceback, and so texts and secrets.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ]
        factory: Any = structlog.PrintLoggerFactory(sys.stderr)
    else:
        processors = [_as_json_line]
        factory = structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=processors,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[_Passing()], force=True)
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    logging.getLogger("aiohttp.server").addFilter(_is_our_fault)


class _Passing(logging.Handler):
    """Adapters and libraries log through the standard library; their warnings are lines of the same form."""

    def emit(self, record: logging.LogRecord) -> None:
        said = structlog.get_logger(record.name)
        said.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info or None)


def _is_our_fault(record: logging.LogRecord) -> bool:
    # What is no HTTP, or is packed wrongly, is answered 400 and no news; its log would show tokens among the bytes.
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError | RequestPayloadError))
