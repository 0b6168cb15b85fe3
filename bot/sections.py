"""The sections of config.toml that are not tables of names: their keys, types, limits and defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import phonenumbers
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StrictBool


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown timezone '{name}'; use an IANA name such as America/New_York") from error
    return name


def _country(code: str) -> str:
    if code.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"unknown country '{code}'; use two letters such as US")
    return code.upper()


def _store_url(url: str) -> str:
    if not re.match(r"(sqlite:///.+|postgres(ql)?://.+)", url):
        raise ValueError("the store is sqlite:///FILE or postgresql://USER@HOST/NAME")
    return url


def _http_url(url: str) -> str:
    if url and not re.match(r"https?://[^/\s]+", url):
        raise ValueError("an address begins with https://")
    return url.rstrip("/")


def _network(value: object) -> IPv4Network | IPv6Network:
    try:
        return ip_network(str(value))
    except ValueError as error:
        raise ValueError(f"'{value}' is no address such as 10.0.0.5, and no network such as 10.0.0.0/8") from error


class Section(BaseModel):
    """A section: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(Section):
    """[server]: where we listen, and how providers reach us. Sizes are in bytes, times in seconds."""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    public_url: Annotated[str, AfterValidator(_http_url)] = ""
    max_body_bytes: int = Field(256 * 1024, ge=1024, le=16 * 1024 * 1024)
    drain_seconds: float = Field(20.0, ge=0, le=300)
    log_format: Literal["auto", "json", "text"] = "auto"
    trusted_proxies: tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)], ...] = ()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach us: a proxy on it would let others in."""
        return not self.trusted_proxies and self._listens_to_itself

    @property
    def _listens_to_itself(self) -> bool:
        return self.host in ("localhost", "::1") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", self.host))


class StoreSection(Section):
    """[store]."""

    url: Annotated[str, AfterValidator(_store_url)] = "sqlite:///textwright.db"


class BusinessSection(Section):
    """[business]: who we are in every answer to STOP, START and HELP."""

    name: str = Field("Textwright", min_length=1, max_length=60)
    contact: str = Field("", max_length=80)
    country: Annotated[str, AfterValidator(_country)] = "US"
    timezone: Annotated[str, AfterValidator(_zone)] = "UTC"


class RulesSection(Section):
    """[rules]: the rule files, as globs relative to config.toml."""

    files: tuple[str, ...] = ()
    watch: StrictBool = True
    check_seconds: float = Field(10.0, ge=1, le=300)


class ConsentSection(Section):
    """[consent]."""

    any_message_opts_in: StrictBool = False


class OutboxSection(Section):
    """[outbox]: sending. Times are in seconds."""

    on_unknown: Literal["hold", "resend"] = "hold"
    max_attempts: int = Field(8, ge=1, le=50)
    retry_base_seconds: float = Field(2.0, gt=0, le=600)
    retry_max_seconds: float = Field(600.0, gt=0, le=86400)
    answer_seconds: float = Field(10.0, gt=0, le=120)
    concurrency: int = Field(64, ge=1, le=512)
    auto_reply_cap: int = Field(20, ge=1, le=10_000)
    auto_reply_window_seconds: int = Field(600, ge=1, le=86400)
    dedupe_window_seconds: int = Field(60, ge=1, le=86400)
    join_seconds: float = Field(60.0, gt=0, le=3600)
    staff_seconds: int = Field(4 * 3600, ge=60, le=30 * 86400)


class ConsoleSection(Section):
    """[console]: how long a browser stays signed in, and how large a file of contacts may be."""

    idle_hours: float = Field(12.0, gt=0, le=720)
    session_days: float = Field(7.0, gt=0, le=365)
    max_upload_bytes: int = Field(512 * 1024 * 1024, ge=1024)


class NumbersSection(Section):
    """[numbers]: buying numbers for the people who text. Off unless `automatic`.

    `channel` "" is the first whose provider sells any; `countries` empty is the business's own. `monthly_cap` counts
    every number that was ordered in a calendar month (UTC).
    """

    automatic: StrictBool = False
    dry_run: StrictBool = False
    channel: str = ""
    countries: tuple[Annotated[str, AfterValidator(_country)], ...] = ()
    monthly_cap: int = Field(5, ge=0, le=10_000)
    meanwhile: Literal["pool", "wait"] = "pool"
    wait_hours: float = Field(24.0, gt=0, le=24 * 30)
    forward_calls_to: str = ""
    quarantine_days: float = Field(30.0, ge=0, le=365)


class EmailSection(Section):
    """[email]: an SMTP server, to tell people by. Without a host nobody is told by email."""

    host: str = ""
    port: int = Field(587, ge=1, le=65535)
    user: str = ""
    password: str = ""
    sender: str = ""
    security: Literal["starttls", "tls", "none"] = "starttls"


SECTIONS: Mapping[str, type[Section]] = {
    "server": Server,
    "store": StoreSection,
    "business": BusinessSection,
    "rules": RulesSection,
    "consent": ConsentSection,
    "outbox": OutboxSection,
    "console": ConsoleSection,
    "numbers": NumbersSection,
    "email": EmailSection,
}
