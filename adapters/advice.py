"""What a provider's error code means for whoever reads it in a conversation, and what to do about it.

From the providers' lists of error codes; only codes that people meet, and that their own words do not explain.
"""

from collections.abc import Mapping

_UNREGISTERED = (
    "The number is not registered for texting in the US (10DLC), so carriers block it. Register a brand and a campaign"
    " at the provider and add this number to the campaign; texts arrive some days after the carriers' approval."
)
_TOLL_FREE = (
    "The toll-free number is not verified, so carriers block it. Send the provider its toll-free verification; until it"
    " is approved, text from another number."
)
_FILTERED = (
    "A carrier or the provider took the text for spam. Leave out shortened links, capitals and prices, say who is"
    " texting, and keep to what the registered campaign describes; ask the provider's support if it happens again."
)
_CAPPED = (
    "The campaign's daily limit at this carrier is used up. Send the rest tomorrow, spread it over days, or have the"
    " brand vetted at the provider for a higher limit."
)
_LANDLINE = "The phone cannot take texts: a landline, or its carrier takes none. Ask for a cell, or call."
_UNREACHABLE = (
    "The phone is off, out of reach or not in service. Try again later; if it stays so, mark the number wrong."
)
_OPTED_OUT = "They opted out of texts from this number. Only they can undo it, by texting START."
_CREDENTIALS = "The provider does not accept our credentials. Look at the channel's settings in config.toml."
_ACCOUNT = "The provider has stopped or limited the account: look at its console, often it is the balance."
_SENDER = "The number may not send texts on this account. Look at the number's settings at the provider."
_REGION = "The account may not text this country. Allow it in the provider's console."
_DEAD = "There is no such phone, or not any more. Mark the number wrong, or ask for the right one."
_REGISTERING = "The number is still being registered. Texts from it leave once that is done, within some days."

ADVICE: Mapping[str, Mapping[str, str]] = {
    "twilio": {
        "30034": _UNREGISTERED,
        "30032": _TOLL_FREE,
        "30035": _REGISTERING,
        **dict.fromkeys(("30004", "30007"), _FILTERED),
        **dict.fromkeys(("30023", "30027"), _CAPPED),
        **dict.fromkeys(("30006", "21614"), _LANDLINE),
        "30003": _UNREACHABLE,
        **dict.fromkeys(("30005", "21211"), _DEAD),
        "21610": _OPTED_OUT,
        "20003": _CREDENTIALS,
        "30002": _ACCOUNT,
        **dict.fromkeys(("21606", "30024"), _SENDER),
        "21408": _REGION,
    },
    "telnyx": {
        "40010": _UNREGISTERED,
        "40329": _TOLL_FREE,
        "40320": _REGISTERING,
        **dict.fromkeys(("40002", "40003", "40015", "40017", "40322"), _FILTERED),
        **dict.fromkeys(("40016",), _CAPPED),
        "40001": _LANDLINE,
        "40008": _UNREACHABLE,
        **dict.fromkeys(("40012", "40310", "10002"), _DEAD),
        "40300": _OPTED_OUT,
        **dict.fromkeys(("10009", "10010"), _CREDENTIALS),
        **dict.fromkeys(("20100", "20012", "40314"), _ACCOUNT),
        **dict.fromkeys(("40013", "40100", "40305", "40315"), _SENDER),
        "40309": _REGION,
    },
    "bandwidth": {
        "4773": _UNREGISTERED,
        "4795": _TOLL_FREE,
        **dict.fromkeys(("4470", "4770", "4771"), _FILTERED),
        **dict.fromkeys(("4780", "4781", "4785"), _CAPPED),
        "4720": _LANDLINE,
        "4702": _UNREACHABLE,
        **dict.fromkeys(("4303", "4406", "4721"), _DEAD),
        "4775": _OPTED_OUT,
        **dict.fromkeys(("4403", "4405", "4740"), _SENDER),
    },
    "sinch": {"60": _UNREGISTERED, **dict.fromkeys(("15", "62"), _FILTERED), "64": _CAPPED},
    "messagebird": {"103": _OPTED_OUT},
    "clickatell": {
        **dict.fromkeys(("105", "128"), _DEAD),
        "122": _OPTED_OUT,
        "301": _ACCOUNT,
        **dict.fromkeys(("106", "607"), _SENDER),
    },
}


def advice(adapter: str, error: str) -> str:
    """What to do about a message's error ("30034", or "30034: and the provider's words"); "" where there is nothing to
    say beyond it."""
    return ADVICE.get(adapter, {}).get(error.partition(":")[0].strip(), "")
