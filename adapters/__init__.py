"""Provider adapters: what config.toml may name as a channel's `adapter`. ADDING.md says how to add one."""

from collections.abc import Mapping

from adapters.contract import Adapter
from adapters.simulator import Simulator
from adapters.twilio import Twilio

ADAPTERS: Mapping[str, type[Adapter]] = {
    "simulator": Simulator,
    "twilio": Twilio,
}
