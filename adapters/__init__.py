"""Provider adapters: what config.toml may name as a channel's `adapter`. ADDING.md says how to add one."""

from collections.abc import Mapping

from adapters.bandwidth import Bandwidth
from adapters.bandwidth_numbers import BandwidthNumbers
from adapters.clickatell import Clickatell
from adapters.contract import Adapter
from adapters.generic_http import GenericHttp
from adapters.infobip import Infobip
from adapters.messagebird import MessageBird
from adapters.numbers import NumberProvider
from adapters.opt_outs import OptOutList
from adapters.plivo import Plivo
from adapters.plivo_numbers import PlivoNumbers
from adapters.simulator import Simulator
from adapters.sinch import Sinch
from adapters.smpp import Smpp
from adapters.telnyx import Telnyx
from adapters.telnyx_numbers import TelnyxNumbers
from adapters.telnyx_opt_outs import TelnyxOptOuts
from adapters.twilio import Twilio
from adapters.twilio_numbers import TwilioNumbers
from adapters.vonage import Vonage
from adapters.vonage_numbers import VonageNumbers

ADAPTERS: Mapping[str, type[Adapter]] = {
    "bandwidth": Bandwidth,
    "clickatell": Clickatell,
    "http": GenericHttp,
    "infobip": Infobip,
    "messagebird": MessageBird,
    "plivo": Plivo,
    "simulator": Simulator,
    "sinch": Sinch,
    "smpp": Smpp,
    "telnyx": Telnyx,
    "twilio": Twilio,
    "vonage": Vonage,
}

NUMBERS: Mapping[str, type[NumberProvider]] = {
    "bandwidth": BandwidthNumbers,
    "plivo": PlivoNumbers,
    "telnyx": TelnyxNumbers,
    "twilio": TwilioNumbers,
    "vonage": VonageNumbers,
}
"""Adapters whose provider rents out numbers through its API."""

OPT_OUTS: Mapping[str, type[OptOutList]] = {
    "telnyx": TelnyxOptOuts,
}
"""Adapters whose provider has a list of opt-outs to read."""
