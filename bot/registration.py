"""Whether the carriers know our numbers: 10DLC campaigns, toll-free verification, and what to do where they do not.

US carriers have blocked unregistered traffic of ordinary numbers since 2023-09-01, and of toll-free numbers since
2024-01-31: texts are taken, and do not arrive. What is known comes from config.toml ([registrations.NAME]), else
from the provider (`textwright numbers sync`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bot.area_codes import area_code, country_of, is_toll_free
from bot.config import Config
from bot.lines import Line


@dataclass(frozen=True, slots=True)
class Standing:
    """How a number stands with the carriers. `kind` is "10dlc", "toll_free" or "" where none is needed; `state` is
    registered, pending, rejected or unregistered."""

    kind: str
    state: str
    brand: str = ""
    campaign: str = ""


def standing_of(config: Config, line: Line) -> Standing:
    """How one of our numbers stands."""
    kind = kind_of(line.number) if config.channels[line.channel].adapter != "simulator" else ""
    if not kind:
        return Standing("", "registered")
    for registration in config.registrations.values():
        if line.number in registration.numbers:
            return Standing(kind, registration.state, registration.brand, registration.campaign)
    return Standing(kind, line.registration or "unregistered", campaign=line.campaign)


def kind_of(number: str) -> str:
    """The registration that a number needs to text the US: "10dlc", "toll_free", or "" for none."""
    if is_toll_free(number):
        return "toll_free"
    return "10dlc" if country_of(area_code(number)) == "US" else ""


_WHAT: Mapping[str, str] = {
    "10dlc": "with a 10DLC brand and campaign",
    "toll_free": "by toll-free verification",
}


def warning_of(config: Config, line: Line) -> str | None:
    """What is wrong with a number's registration, and what to do; None for nothing."""
    standing = standing_of(config, line)
    if not standing.kind or standing.state == "registered":
        return None
    how = _WHAT[standing.kind]
    match standing.state:
        case "pending":
            return f"{line.number} waits for its registration {how}: until then carriers block its texts to the US"
        case "rejected":
            return (
                f"{line.number} was refused its registration {how}: mend it at the provider, carriers block its texts"
            )
        case _:
            return (
                f"{line.number} is not registered {how}: US carriers block its texts. Register it at the provider, "
                "then run `textwright numbers sync` or add it to a [registrations.NAME]"
            )
