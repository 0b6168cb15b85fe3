"""The channels of config.toml: provider accounts, the pools that they are in, and how their numbers are registered."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from adapters import ADAPTERS
from adapters.simulator import Simulator
from bot.config_file import ConfigFile, Where, is_env
from bot.phones import parse_phone
from bot.sections import Server
from rules.problems import did_you_mean

_CHANNEL_KEYS = ("adapter", "numbers", "carrier_confirms_opt_out", "rate_per_second")
_REGISTRATION_KEYS = ("numbers", "state", "brand", "campaign")
RegistrationState = Literal["registered", "pending", "rejected", "unregistered"]


@dataclass(frozen=True, slots=True)
class Channel:
    """[channels.NAME]: one provider account and its numbers (E.164). `rate_per_second` is per number, 0 for none;
    `line` is where config.toml has its numbers."""

    name: str
    adapter: str
    numbers: tuple[str, ...]
    carrier_confirms_opt_out: bool
    rate_per_second: float
    settings: Mapping[str, str]
    line: int = 1


@dataclass(frozen=True, slots=True)
class Registration:
    """[registrations.NAME]: a brand's campaign (10DLC) or a toll-free verification, and the numbers that it covers."""

    name: str
    numbers: tuple[str, ...]
    state: RegistrationState
    brand: str = ""
    campaign: str = ""


def read_channel(file: ConfigFile, name: str, raw: dict[str, Any], country: str) -> Channel | None:
    """[channels.NAME]; None, with its problems told, where its adapter is unknown."""
    where = ("channels", name)
    numbers = own_numbers(file, where, raw.get("numbers", []), country)
    rate = raw.get("rate_per_second", 0)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < math.inf:
        file.error((*where, "rate_per_second"), "'rate_per_second' is a number from 0.")
        rate = 0
    confirms = raw.get("carrier_confirms_opt_out")
    if not isinstance(confirms, bool | None):
        file.error((*where, "carrier_confirms_opt_out"), "'carrier_confirms_opt_out' is true or false.")
    known_problems = file.count
    adapter = str(raw.get("adapter", ""))
    if adapter not in ADAPTERS:
        hint = did_you_mean(adapter, ADAPTERS) or f" It is one of {', '.join(ADAPTERS)}."
        file.error((*where, "adapter"), f"unknown adapter '{adapter}'.{hint}" if adapter else "needs an 'adapter'.")
        return None
    kind = ADAPTERS[adapter]
    file.unknown_keys(where, raw, (*_CHANNEL_KEYS, *kind.settings))
    settings = {}
    for key, setting in kind.settings.items():
        value = file.secret((*where, key), _as_text(raw[key])) if key in raw else setting.default
        if setting.required and not value:
            if key not in raw:
                file.error(where, f"[channels.{name}] needs '{key}'.")
            elif raw[key] == "" or (is_env(raw[key]) and raw[key]["env"] in os.environ):
                file.error((*where, key), f"'{key}' is empty.")
        elif setting.secret and key in raw and not is_env(raw[key]):
            file.warning((*where, key), f"'{key}' is a secret: write {{ env = \"NAME\" }}.")
        settings[key] = value
    if file.count == known_problems and kind is not Simulator:
        # An adapter refuses what it cannot work with; a simulator would open its file already.
        try:
            kind(settings)
        except ValueError as error:
            file.error(where, f"{error}.")
    if confirms is None:
        confirms = kind.capabilities.carrier_confirms_opt_out
    line = file.line((*where, "numbers"))
    return Channel(name, adapter, numbers, bool(confirms), float(rate), settings, line)


def _as_text(value: Any) -> Any:
    """An adapter's settings are texts; a number or a truth value may be written as one."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if isinstance(value, int | float) else value


def own_numbers(file: ConfigFile, where: Where, numbers: Any, country: str) -> tuple[str, ...]:
    """Numbers as they are written down, in E.164 or as short codes."""
    if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
        file.error((*where, "numbers"), "'numbers' is a list of texts such as [\"+12025550100\"].")
        return ()
    found = []
    for number in numbers:
        phone = parse_phone(number, country)
        if phone is None and not re.fullmatch(r"\d{3,8}", number):
            file.error((*where, "numbers"), f"'{number}' is no phone number. Write it as +12025550100.")
        found.append(phone or number)
    return tuple(found)


def read_pools(file: ConfigFile, channels: Mapping[str, Channel | None]) -> dict[str, tuple[str, ...]]:
    """[pools.NAME]: channels that stand in for each other."""
    pools: dict[str, tuple[str, ...]] = {}
    for name, raw in file.tables("pools"):
        where = ("pools", name)
        file.unknown_keys(where, raw, ("channels",))
        members = raw.get("channels", [])
        if not isinstance(members, list) or not members or not all(isinstance(item, str) for item in members):
            file.error((*where, "channels"), '\'channels\' is a list of channels such as ["main", "spare"].')
            continue
        for item in members:
            other = next((pool for pool, own in pools.items() if item in own), "")
            if item not in channels:
                file.error((*where, "channels"), f"there is no channel '{item}'.{did_you_mean(item, channels)}")
            elif other:
                file.error((*where, "channels"), f"channel '{item}' is in pool '{other}' too.")
        pools[name] = tuple(dict.fromkeys(members))
    return pools


def read_registrations(file: ConfigFile, country: str) -> dict[str, Registration]:
    """[registrations.NAME]."""
    found: dict[str, Registration] = {}
    for name, raw in file.tables("registrations"):
        where = ("registrations", name)
        file.unknown_keys(where, raw, _REGISTRATION_KEYS)
        state = raw.get("state", "registered")
        if state not in get_args(RegistrationState):
            file.error((*where, "state"), f"'state' is one of {', '.join(get_args(RegistrationState))}.")
            continue
        texts = {key: raw.get(key, "") for key in ("brand", "campaign")}
        for key, text in texts.items():
            if not isinstance(text, str):
                file.error((*where, key), f"'{key}' is a text.")
        numbers = own_numbers(file, where, raw.get("numbers", []), country)
        if not numbers:
            file.error((*where, "numbers"), f"[registrations.{name}] needs the 'numbers' that it covers.")
        found[name] = Registration(name, numbers, state, **{key: str(text) for key, text in texts.items()})
    return found


def numbers_once(
    file: ConfigFile, channels: Mapping[str, Channel | None], pools: Mapping[str, tuple[str, ...]]
) -> None:
    """Tell of numbers that several channels have, unless they stand in for each other."""
    seen: dict[str, str] = {}
    for name, channel in channels.items():
        for number in channel.numbers if channel else ():
            if number in seen and not any({name, seen[number]} <= set(members) for members in pools.values()):
                file.error(("channels", name, "numbers"), f"'{number}' belongs to channel '{seen[number]}' too.")
            seen[number] = name


def open_simulators(file: ConfigFile, channels: Mapping[str, Channel | None], server: Server) -> None:
    """Tell of simulators that anybody can reach."""
    for name, channel in channels.items():
        is_open = channel is not None and channel.adapter == "simulator" and not channel.settings["token"]
        if is_open and not server.is_loopback:
            message = f"whoever reaches {server.host} can text as anybody here: set a 'token'."
            file.warning(("channels", name), message)
