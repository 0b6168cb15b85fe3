"""Webhook bodies that are JSON, as several providers send them."""

import json
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from adapters.contract import Inbound, Receipt, WebhookRequest
from adapters.errors import BadPayload
from adapters.text import clean_text

Event = Inbound | Receipt


def json_body(request: WebhookRequest) -> Any:
    """What the body says. Raises BadPayload unless it is JSON in UTF-8.

    Half an emoji (an escape like \\ud83d alone) is let through, for clean_text to replace: it is no reason to lose
    a customer's message.
    """
    try:
        return json.loads(request.body.decode("utf-8"), parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        raise BadPayload("the body is not JSON") from error


def required_text(item: Any, name: str) -> str:
    """A field that must be there and not be blank, cleaned."""
    text = optional_text(item, name)
    if not text:
        raise BadPayload(f"{name} is missing")
    return text


def optional_text(item: Any, name: str) -> str:
    """A field that may be missing or null: "" then. Raises BadPayload where it is anything else than text."""
    value = _object(item, name).get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadPayload(f"{name} is not text")
    return clean_text(value)


def listed(item: Any, name: str) -> list[Any]:
    """A list that may be missing or null: [] then."""
    value = _object(item, name).get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise BadPayload(f"{name} is not a list")
    return value


def readable(items: Iterable[Any], read: Callable[[Any], Iterable[Event]], log: logging.Logger) -> list[Event]:
    """What is said by each of several events in one request. One that cannot be read takes no other with it: it is
    logged, for not every provider sends again what it is told is wrong. Raises BadPayload where none can be read."""
    events: list[Event] = []
    wrong: BadPayload | None = None
    for item in items:
        try:
            events += read(item)
        except BadPayload as error:
            log.warning("one of several events cannot be read, and is left out: %s", error)
            wrong = error
    if wrong is not None and not events:
        raise wrong
    return events


def _object(item: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(item, Mapping):
        raise BadPayload(f"{name} is missing: there is no object to hold it")
    return item


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
