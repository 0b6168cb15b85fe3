"""Who plays the part of each adapter's provider. A test demands a line for every adapter that speaks HTTP."""

from collections.abc import Mapping

from tests.providers import (
    bandwidth,
    clickatell,
    generic_http,
    infobip,
    messagebird,
    plivo,
    sinch,
    smsc,
    telnyx,
    twilio,
    vonage,
)
from tests.providers.provider import Provider

PROVIDERS: Mapping[str, Provider] = {
    "bandwidth": bandwidth.PROVIDER,
    "clickatell": clickatell.PROVIDER,
    "http": generic_http.PROVIDER,
    "infobip": infobip.PROVIDER,
    "messagebird": messagebird.PROVIDER,
    "plivo": plivo.PROVIDER,
    "sinch": sinch.PROVIDER,
    "smpp": smsc.PROVIDER,
    "telnyx": telnyx.PROVIDER,
    "twilio": twilio.PROVIDER,
    "vonage": vonage.PROVIDER,
}
