"""The routes of config.toml."""

from __future__ import annotations

import base64
import binascii
import os
import re
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

from bot.config_file import ConfigFile, is_env
from bot.events import EVENTS
from bot.routes import Route, opening_hours
from rules.problems import did_you_mean
from rules.schedule import Schedule

_ROUTE_TYPES: tuple[tuple[str, type, str], ...] = (
    ("allow_private", bool, "true or false"),
    ("default", bool, "true or false"),
    ("hours", list, 'a list of texts such as ["mon-fri 09:00-17:00"]'),
    ("closed", list, 'a list of texts such as ["2026-12-25"]'),
    ("away_reply", str, "a text"),
    ("away_to", str, "the name of another route"),
    ("escalate_minutes", int, "a number of minutes"),
    ("escalate_to", str, "the name of another route"),
    ("events", list, 'a list of texts such as ["contact.created"]'),
)
_ROUTE_KEYS = ("url", "secret", *(key for key, _, _ in _ROUTE_TYPES))
_ROUTE_PLAIN = ("allow_private", "default", "away_reply", "away_to", "escalate_minutes", "escalate_to")


def read_route(file: ConfigFile, name: str, raw: dict[str, Any], zone: ZoneInfo) -> Route | None:
    """[routes.NAME]; None, with its problems told, where it cannot be used."""
    where = ("routes", name)
    file.unknown_keys(where, raw, _ROUTE_KEYS)
    url = raw.get("url")
    if not isinstance(url, str) or not re.match(r"https?://[^/\s]+", url):
        file.error((*where, "url"), f"[routes.{name}] needs a 'url' that begins with https://.")
        return None
    given = raw.get("secret", "")
    secret = file.secret((*where, "secret"), given)
    if isinstance(given, str) and given:
        file.warning((*where, "secret"), "'secret' is a secret: write { env = \"NAME\" }.")
    is_unset = is_env(given) and given["env"] not in os.environ
    if not is_unset and not _is_webhook_secret(secret):
        file.error((*where, "secret"), "'secret' is whsec_ and 24 to 64 random bytes in base64 (Standard Webhooks).")
    for key, kind, what in _ROUTE_TYPES:
        if key in raw and (not isinstance(raw[key], kind) or isinstance(raw[key], bool) != (kind is bool)):
            file.error((*where, key), f"'{key}' is {what}.")
            return None
    events = tuple(dict.fromkeys(str(item) for item in raw.get("events", [])))
    for item in events:
        if item not in EVENTS:
            hint = did_you_mean(item, EVENTS) or f" It is one of {', '.join(EVENTS)}."
            file.error((*where, "events"), f"unknown event '{item}'.{hint}")
    others = [other for other in file.raw["routes"] if other != name]
    for key in ("away_to", "escalate_to"):
        if raw.get(key) and raw[key] not in others:
            what = "is the route itself" if raw[key] == name else "is no route"
            file.error((*where, key), f"'{raw[key]}' {what}.{did_you_mean(raw[key], others)}")
    if raw.get("escalate_minutes", 0) < 0:
        file.error((*where, "escalate_minutes"), "'escalate_minutes' is a number of minutes, from 0.")
    if bool(raw.get("escalate_minutes")) != bool(raw.get("escalate_to")):
        file.error(where, "'escalate_minutes' and 'escalate_to' go together.")
    plain = {key: raw[key] for key in _ROUTE_PLAIN if key in raw}
    return Route(name, url, secret, hours=_hours(file, name, raw, zone), events=events, **plain)


def _hours(file: ConfigFile, name: str, raw: dict[str, Any], zone: ZoneInfo) -> Schedule | None:
    """When somebody is there; without lines of hours, on every day that is not closed."""
    lines, closed = ([str(item) for item in raw.get(key, [])] for key in ("hours", "closed"))
    if not lines and not closed:
        return None
    try:
        hours = opening_hours(lines or ["mon-sun 00:00-00:00"])
    except ValueError as error:
        file.error(("routes", name, "hours"), str(error))
        return None
    try:
        days_off = frozenset(date.fromisoformat(day) for day in closed)
    except ValueError:
        file.error(("routes", name, "closed"), "a closed day is written as 2026-12-25.")
        return None
    return Schedule(name, zone, hours, days_off)


def _is_webhook_secret(secret: str) -> bool:
    try:
        return 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False
