"""config.toml: read once, checked whole, every problem with its line."""

from __future__ import annotations

import glob
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from bot.channels import (
    Channel,
    Registration,
    numbers_once,
    open_simulators,
    read_channel,
    read_pools,
    read_registrations,
)
from bot.config_file import ConfigFile, shown
from bot.config_routes import read_route
from bot.phones import parse_phone
from bot.routes import Route
from bot.sections import (
    SECTIONS,
    BusinessSection,
    ConsentSection,
    ConsoleSection,
    EmailSection,
    NumbersSection,
    OutboxSection,
    RulesSection,
    Server,
    StoreSection,
)
from rules.problems import Problems, did_you_mean

DEFAULT_NAME = "config.toml"
_PACKAGE = Path(__file__).resolve().parent


class ConfigError(Exception):
    """The configuration cannot be used; `problems` say why. `readable` is what could be read of it all the same, so
    that `check` can look at the rule files too."""

    def __init__(self, problems: Problems, readable: Config | None = None) -> None:
        super().__init__("\n".join(str(problem) for problem in problems.errors))
        self.problems = problems
        self.readable = readable


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
    rules_line: int
    """Where the file has [rules] files."""
    consent: ConsentSection
    outbox: OutboxSection
    console: ConsoleSection
    numbers: NumbersSection
    email: EmailSection
    channels: Mapping[str, Channel]
    routes: Mapping[str, Route]
    pools: Mapping[str, tuple[str, ...]]
    """[pools.NAME]: channels that stand in for each other."""
    registrations: Mapping[str, Registration]

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
        problems.error(shown(found), int(line[1]) if line else 1, f"not valid TOML: {error}.")
        raise ConfigError(problems) from error
    config = _config(ConfigFile(found, text, raw, problems), base, store_base, arguments)
    if problems.errors:
        raise ConfigError(problems, config)
    return config


def _config(file: ConfigFile, base: Path, store_base: Path, arguments: tuple[str, ...]) -> Config:
    """The configuration; a section with an error counts as not given."""
    known = [*SECTIONS, "channels", "routes", "pools", "registrations"]
    for name in file.raw:
        if name not in known:
            file.error((name,), f"unknown section '{name}'.{did_you_mean(name, known)}")
    sections: dict[str, Any] = {name: file.section(name, kind) or kind() for name, kind in SECTIONS.items()}
    country = sections["business"].country
    sections["numbers"] = _numbers(file, sections["numbers"], country)
    if sections["email"].host and not (sections["email"].sender or sections["email"].user):
        file.error(("email", "sender"), "[email] needs the address that it is sent from, its 'sender'.")
    channels = {name: read_channel(file, name, raw, country) for name, raw in file.tables("channels")}
    zone = ZoneInfo(sections["business"].timezone)
    routes = {name: read_route(file, name, raw, zone) for name, raw in file.tables("routes")}
    if not file.raw.get("channels"):
        file.error(("channels",), "there is no channel: nothing can be received. Add [channels.NAME].")
    seller = sections["numbers"].channel
    if seller and seller not in channels:
        hint = did_you_mean(seller, channels)
        file.error(("numbers", "channel"), f"there is no channel '{seller}'.{hint}")
    pools = read_pools(file, channels)
    numbers_once(file, channels, pools)
    open_simulators(file, channels, sections["server"])
    return Config(
        path=file.path,
        arguments=arguments,
        base=base,
        store_base=store_base,
        **sections,
        rules_line=file.line(("rules", "files")),
        channels={name: channel for name, channel in channels.items() if channel},
        routes={name: route for name, route in routes.items() if route},
        pools=pools,
        registrations=read_registrations(file, country),
    )


def _numbers(file: ConfigFile, section: NumbersSection, country: str) -> NumbersSection:
    """The section with the number that calls go to in E.164."""
    if not section.forward_calls_to:
        return section
    number = parse_phone(section.forward_calls_to, country)
    if number is None:
        wrong = f"'{section.forward_calls_to}' is no phone number. Write it as +12025550100."
        file.error(("numbers", "forward_calls_to"), wrong)
    return section.model_copy(update={"forward_calls_to": number or ""})
