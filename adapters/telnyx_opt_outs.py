"""Telnyx's list of opt-outs: who texted STOP to a number of a messaging profile."""

import logging
import re
from collections.abc import Mapping

from adapters.http import Http
from adapters.opt_outs import OptOut, OptOutList
from adapters.telnyx_api import TelnyxApi, text

log = logging.getLogger(__name__)

_PHONE = re.compile(r"\+[1-9][0-9]{6,14}", re.ASCII)


class TelnyxOptOuts(OptOutList):
    """The opt-outs of the channel's messaging profile; without one, of the whole account."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._api = TelnyxApi(settings)
        profile_id = settings.get("messaging_profile_id", "")
        self._query = [("filter[messaging_profile_id]", profile_id)] if profile_id else []

    async def opted_out(self, http: Http) -> list[OptOut]:
        # {"data": [{"from": "+15551234567", "to": "+15559876543", "keyword": "STOP", "created_at":
        #   "2019-01-23T18:10:02.574Z", "messaging_profile_id": "3fa85f64-..."}], "meta": {...}}
        # As in a message of ours, `from` is our number and `to` the customer: it is `to` that Telnyx can redact.
        found = []
        unreadable = 0
        async for item in self._api.items(http, "/v2/messaging_optouts", self._query):
            phone = text(item, "to")
            if _PHONE.fullmatch(phone):
                found.append(OptOut(phone, text(item, "from"), text(item, "created_at")))
            else:
                unreadable += 1
        if unreadable:
            log.warning("telnyx: %d opt-outs without a phone number: does the account redact them?", unreadable)
        return found
