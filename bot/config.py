"""config.toml: read once, checked whole, every problem with its line."""

from __future__ import annotations

import base64
import binascii
import glob
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adapters import ADAPTERS
from bot.phones import parse_phone
from bot.sections import (
    SECTIONS,
    BusinessSection,
    ConsentSection,
    OutboxSection,
    RulesSection,
    Section,
    Server,
    StoreSection,
)
from rules.problems import Problems, did_you_mean

DEFAULT_NAME = "config.toml"
_PACKAGE = Path(__file__).resolve().parent
_NAME = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_CHANNEL_KEYS = ("adapter", "numbers", "carrier_confirms_opt_out", "rate_per_second")


class ConfigError(Exception):
    """The configuration cannot be used; `problems` say why. `readable` is what could be read of it all the same, so
    that `check` can look at the rule files too."""

    def __init__(self, problems: Problems, readable: Config | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems.errors))
        self.problems = problems
        self.readable = readable


@dataclass(frozen=True, slots=True)
class Channel:
    """[channels.NAME]: one provider account and its numbers (E.164). `rate_per_second` is per number, 0 for none."""

    name: str
    adapter: str
    numbers: tuple[str, ...]
    carrier_confirms_opt_out: bool
    rate_per_second: float
    settings: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Route:
    """[routes.NAME]: where staff are told."""

    name: str
    url: str
    secret: str
    allow_private: bool
    default: bool


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration. `base` is the folder that relative paths start from, `arguments` what names this
    configuration on a command line."""

    path: Path
    arguments: tuple[str, ...]
    base: Path
    store_base: Path
    server: Server
    store: StoreSection
    business: BusinessSection
    rules: RulesSection
    consent: ConsentSection
    outbox: OutboxSection
    channels: Mapping[str, Channel]
    routes: Mapping[str, Route]

    @property
    def default_route(self) -> str:
        """The route of what no rule routed: the one marked default, else the first; "" when there is none."""
        marked = [route.name for route in self.routes.values() if route.default]
        return (marked or list(self.routes) or [""])[0]

    def rule_files(self) -> list[Path]:
        """The rule files, in name order, each once."""
        globs = (glob.glob(pattern, root_dir=self.base, recursive=True) for pattern in self.rules.files)
        return sorted({path for found in globs for name in found if (path := self.base / name).is_file()})


def load_config(path: Path | None, problems: Problems) -> Config:
    """Read a configuration; without a path ./config.toml, and where there is none, the one that we ship.

    Raises ConfigError, after everything has been looked at.
    """
    found = path or Path(DEFAULT_NAME)
    base = found.resolve().parent
    store_base = base
    arguments: tuple[str, ...] = ("--config", str(found.resolve()))
    if path is None and not found.exists():
        found = next(p for p in (_PACKAGE / DEFAULT_NAME, _PACKAGE.parent / DEFAULT_NAME) if p.exists())
        base, store_base, arguments = _PACKAGE.parent, Path.cwd(), ()
    try:
        text = found.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except OSError as error:
        problems.error(str(found), 1, f"cannot be read: {error.strerror}.")
        raise ConfigError(problems) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        line = re.search(r"line (\d+)", str(error))
        problems.error(_shown(found), int(line[1]) if line else 1, f"not valid TOML: {error}.")
        raise ConfigError(problems) from error
    config = _Reading(found, text, raw, problems).config(base, store_base, arguments)
    if problems.errors:
        raise ConfigError(problems, config)
    return config


def _shown(path: Path) -> str:
    return path.name if path.resolve().parent == Path.cwd() else str(path)


class _Reading:
    """One reading of one file."""

    def __init__(self, path: Path, text: str, raw: dict[str, Any], problems: Problems) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._raw = raw
        self._problems = problems

    def config(self, base: Path, store_base: Path, arguments: tuple[str, ...]) -> Config:
        """The configuration; a section with an error counts as not given."""
        known = [*SECTIONS, "channels", "routes"]
        for name in self._raw:
            if name not in known:
                self._error((name,), f"unknown section '{name}'.{did_you_mean(name, known)}")
        sections: dict[str, Any] = {name: self._section(name, kind) or kind() for name, kind in SECTIONS.items()}
        country = sections["business"].country
        channels = {name: self._channel(name, raw, country) for name, raw in self._tables("channels")}
        routes = {name: self._route(name, raw) for name, raw in self._tables("routes")}
        if not self._raw.get("channels"):
            self._error(("channels",), "there is no channel: nothing can be received. Add [channels.NAME].")
        self._numbers_once(channels)
        self._open_simulators(channels, sections["server"])
        return Config(
            path=self._path,
            arguments=arguments,
            base=base,
            store_base=store_base,
            **sections,
            channels={name: channel for name, channel in channels.items() if channel},
            routes={name: route for name, route in routes.items() if route},
        )

    def _section(self, name: str, kind: type[Section]) -> Section | None:
        raw = self._raw.get(name, {})
        if not isinstance(raw, dict):
            self._error((name,), f"'{name}' is a section: write [{name}].")
            return None
        raw = {key: self._secret((name, key), value) if _is_env(value) else value for key, value in raw.items()}
        try:
            return kind.model_validate(raw)
        except ValidationError as error:
            for item in error.errors():
                key = str(item["loc"][0]) if item["loc"] else ""
                if item["type"] == "extra_forbidden":
                    hint = did_you_mean(key, kind.model_fields)
                    self._error((name, key), f"unknown key '{key}' in [{name}].{hint}")
                else:
                    self._error((name, key), f"'{key}': {item['msg'].removeprefix('Value error, ')}.")
            return None

    def _tables(self, section: str) -> list[tuple[str, dict[str, Any]]]:
        tables = self._raw.get(section, {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            self._error((section,), f"write each of the {section} as [{section}.NAME].")
            return []
        for name in tables:
            if not _NAME.fullmatch(name):
                self._error((section, name), f"'{name}' is no name: use small letters, digits, '_' and '-'.")
        return list(tables.items())

    def _channel(self, name: str, raw: dict[str, Any], country: str) -> Channel | None:
        where = ("channels", name)
        adapter = str(raw.get("adapter", ""))
        if adapter not in ADAPTERS:
            hint = did_you_mean(adapter, ADAPTERS) or f" It is one of {', '.join(ADAPTERS)}."
            self._error(
                (*where, "adapter"), f"unknown adapter '{adapter}'.{hint}" if adapter else "needs an 'adapter'."
            )
            return None
        kind = ADAPTERS[adapter]
        for key in raw:
            if key not in (*_CHANNEL_KEYS, *kind.settings):
                hint = did_you_mean(key, [*_CHANNEL_KEYS, *kind.settings])
                self._error((*where, key), f"unknown key '{key}' in [channels.{name}].{hint}")
        settings = {}
        for key, setting in kind.settings.items():
            value = self._secret((*where, key), raw[key]) if key in raw else setting.default
            if setting.required and not value:
                if key not in raw:
                    self._error(where, f"[channels.{name}] needs '{key}'.")
                elif raw[key] == "" or (_is_env(raw[key]) and raw[key]["env"] in os.environ):
                    self._error((*where, key), f"'{key}' is empty.")
            elif setting.secret and key in raw and not _is_env(raw[key]):
                self._warning((*where, key), f"'{key}' is a secret: write {{ env = \"NAME\" }}.")
            settings[key] = value
        confirms = raw.get("carrier_confirms_opt_out", kind.capabilities.carrier_confirms_opt_out)
        if not isinstance(confirms, bool):
            self._error((*where, "carrier_confirms_opt_out"), "'carrier_confirms_opt_out' is true or false.")
        rate = raw.get("rate_per_second", 0)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < math.inf:
            self._error((*where, "rate_per_second"), "'rate_per_second' is a number from 0.")
            rate = 0
        return Channel(name, adapter, self._own_numbers(where, raw, country), bool(confirms), float(rate), settings)

    def _open_simulators(self, channels: Mapping[str, Channel | None], server: Server) -> None:
        for name, channel in channels.items():
            is_open = channel is not None and channel.adapter == "simulator" and not channel.settings["token"]
            if is_open and not server.is_loopback:
                message = f"whoever reaches {server.host} can text as anybody here: set a 'token'."
                self._warning(("channels", name), message)

    def _own_numbers(self, where: tuple[str, ...], raw: dict[str, Any], country: str) -> tuple[str, ...]:
        numbers = raw.get("numbers", [])
        if not isinstance(numbers, list) or not all(isinstance(number, str) for number in numbers):
            self._error((*where, "numbers"), "'numbers' is a list of texts such as [\"+12025550100\"].")
            return ()
        found = []
        for number in numbers:
            phone = parse_phone(number, country)
            if phone is None and not re.fullmatch(r"\d{3,8}", number):
                self._error((*where, "numbers"), f"'{number}' is no phone number. Write it as +12025550100.")
            found.append(phone or number)
        return tuple(found)

    def _numbers_once(self, channels: Mapping[str, Channel | None]) -> None:
        seen: dict[str, str] = {}
        for name, channel in channels.items():
            for number in channel.numbers if channel else ():
                if number in seen:
                    self._error(("channels", name, "numbers"), f"'{number}' belongs to channel '{seen[number]}' too.")
                seen[number] = name

    def _route(self, name: str, raw: dict[str, Any]) -> Route | None:
        where = ("routes", name)
        known = ("url", "secret", "allow_private", "default")
        for key in raw:
            if key not in known:
                self._error((*where, key), f"unknown key '{key}' in [routes.{name}].{did_you_mean(key, known)}")
        url = raw.get("url")
        if not isinstance(url, str) or not re.match(r"https?://[^/\s]+", url):
            self._error((*where, "url"), f"[routes.{name}] needs a 'url' that begins with https://.")
            return None
        given = raw.get("secret", "")
        secret = self._secret((*where, "secret"), given)
        if isinstance(given, str) and given:
            self._warning((*where, "secret"), "'secret' is a secret: write { env = \"NAME\" }.")
        is_unset = _is_env(given) and given["env"] not in os.environ
        if not is_unset and not _is_webhook_secret(secret):
            self._error(
                (*where, "secret"), "'secret' is whsec_ and 24 to 64 random bytes in base64 (Standard Webhooks)."
            )
        for key in ("allow_private", "default"):
            if not isinstance(raw.get(key, False), bool):
                self._error((*where, key), f"'{key}' is true or false.")
        return Route(name, url, secret, raw.get("allow_private", False) is True, raw.get("default", False) is True)

    def _secret(self, where: tuple[str, ...], value: Any) -> str:
        """A setting's text, read from the environment where it says so."""
        if _is_env(value):
            name = value["env"]
            if name not in os.environ:
                self._error(where, f"the environment variable '{name}' is not set.")
            return os.environ.get(name, "")
        if not isinstance(value, str):
            self._error(where, f"'{where[-1]}' is a text, or {{ env = \"NAME\" }} for a secret.")
            return ""
        return value

    def _error(self, where: tuple[str, ...], message: str) -> None:
        self._problems.error(_shown(self._path), self._line(where), message)

    def _warning(self, where: tuple[str, ...], message: str) -> None:
        self._problems.warning(_shown(self._path), self._line(where), message)

    def _line(self, where: tuple[str, ...]) -> int:
        """The line of a key: its section's header, then the key below it."""
        best, depth = 1, 0
        section: tuple[str, ...] = ()
        for number, line in enumerate(self._lines, 1):
            header = re.match(r"\s*\[([^\]]+)\]", line)
            key = re.match(r"\s*([\w-]+)\s*=", line)
            if header:
                section = tuple(part.strip(" \"'") for part in header[1].split("."))
                here = section
            elif key:
                here = (*section, key[1])
            else:
                continue
            shared = next(
                (i for i, (a, b) in enumerate(zip(here, where, strict=False)) if a != b), min(len(here), len(where))
            )
            if shared == len(here) and shared > depth:
                best, depth = number, shared
        return best


def _is_env(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"env"} and isinstance(value["env"], str)


def _is_webhook_secret(secret: str) -> bool:
    try:
        return 24 <= len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) <= 64
    except (binascii.Error, ValueError):
        return False
