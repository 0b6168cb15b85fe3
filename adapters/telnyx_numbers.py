"""Telnyx's numbers: found, ordered, set up, released and listed through its v2 API.

Sources: Telnyx's published descriptions of number ordering and number management, through its official Python SDK
4.189. An order may wait (documents, the losing carrier), so a number is ours when it is in the list of numbers.
"""

import logging
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from adapters.contract import Acknowledgement
from adapters.errors import Misconfigured, Rejected
from adapters.http import Http
from adapters.numbers import NumberProvider, Offer, Ownership, OwnNumber, Setup, Wanted
from adapters.telnyx_api import TelnyxApi, accepted, objects, text
from adapters.text import bare_digits

log = logging.getLogger(__name__)

# A number's `status`.
STATUSES: Mapping[str, Ownership] = {
    **dict.fromkeys(("active", "emergency-only", "port-out-pending"), "owned"),
    **dict.fromkeys(("purchase-pending", "port-pending", "provision-pending"), "pending"),
    **dict.fromkeys(
        ("requirement-info-pending", "requirement-info-under-review", "requirement-info-exception"), "pending"
    ),
    **dict.fromkeys(("purchase-failed", "port-failed", "deleted", "ported-out"), "absent"),
}
# An order's `status`. The number of an order that succeeded may be in the list of numbers only a little later.
ORDER_STATUSES: Mapping[str, Ownership] = {"pending": "pending", "success": "owned", "failure": "absent"}
# The `assignmentStatus` of a number in a 10DLC campaign. One that is to leave it, or could not, is in it still.
REGISTRATIONS: Mapping[str, str] = {
    "ASSIGNED": "registered",
    "PENDING_ASSIGNMENT": "pending",
    "FAILED_ASSIGNMENT": "rejected",
    "PENDING_UNASSIGNMENT": "registered",
    "FAILED_UNASSIGNMENT": "registered",
}
CAMPAIGN_PAGE = 100
MAX_CAMPAIGN_PAGES = 10_000


class TelnyxNumbers(NumberProvider):
    """The numbers of one Telnyx account."""

    countries: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[frozenset[str]] = frozenset({"messaging_profile_id"})

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._api = TelnyxApi(settings)
        self._profile_id = settings.get("messaging_profile_id", "")
        self._connection_id = settings.get("connection_id", "")

    async def search(self, wanted: Wanted, http: Http) -> list[Offer]:
        query = [
            ("filter[country_code]", wanted.country),
            ("filter[phone_number_type]", wanted.kind),
            ("filter[features][]", "sms"),
            ("filter[features][]", "voice"),
            ("filter[limit]", str(wanted.limit)),
        ]
        if wanted.area_code:
            query.append(("filter[national_destination_code]", wanted.area_code))
        if wanted.region:
            query.append(("filter[administrative_area]", wanted.region))
        said = await self._api.ask(http, "GET", "/v2/available_phone_numbers", query=query)
        offers = [_offer(item) for item in objects(said, "data")]
        return [offer for offer in offers if offer.number][: wanted.limit]

    async def order(self, number: str, reference: str, http: Http) -> Ownership:
        state = await self._state_for(number, reference, http)
        if state != "absent":
            return state
        order: dict[str, Any] = {"phone_numbers": [{"phone_number": number}], "customer_reference": reference}
        if self._profile_id:
            order["messaging_profile_id"] = self._profile_id
        if self._connection_id:
            order["connection_id"] = self._connection_id
        answer = await self._api.answer(http, "POST", "/v2/number_orders", json=order)
        if answer.status == 404:
            raise Rejected("Telnyx has this number no more", "404")
        try:
            data = accepted(answer).get("data")
        except Rejected:
            # Our own order, of which we lost the answer, may have come first.
            state = await self._state_for(number, reference, http)
            if state == "absent":
                raise
            return state
        status = text(data, "status")
        if status not in ORDER_STATUSES:
            log.warning("telnyx: unknown status of an order %.40r", status)
        state = ORDER_STATUSES.get(status, "pending")
        if state == "absent":
            raise Rejected("Telnyx could not fulfil the order of this number")
        return state

    async def state_of(self, number: str, reference: str, http: Http) -> Ownership:
        if not await self._is_ordered(number, reference, http):
            return "absent"  # whoever else may have it in this account
        item = await self._find(number, http)
        # "owned" says only the list of numbers, which has it soon after the order.
        return _ownership(item) if item is not None else "pending"

    async def _state_for(self, number: str, reference: str, http: Http) -> Ownership:
        """Raises Rejected where the number is in the account by another purchase: two must not share it."""
        state = await self.state_of(number, reference, http)
        if state == "absent" and await self._find(number, http) is not None:
            raise Rejected("the number is in the account already, and not by this order")
        return state

    async def _is_ordered(self, number: str, reference: str, http: Http) -> bool:
        """Whether an order under this reference has the number, or may get it."""
        query = [("filter[customer_reference]", reference)]
        async for order in self._api.items(http, "/v2/number_orders", query):
            ours = text(order, "customer_reference") == reference
            named = any(text(line, "phone_number") == number for line in objects(order, "phone_numbers"))
            if ours and named and ORDER_STATUSES.get(text(order, "status"), "pending") != "absent":
                return True
        return False

    async def set_up(self, number: str, setup: Setup, http: Http) -> None:
        item = await self._find(number, http)
        if item is None or _ownership(item) == "absent":
            raise Rejected("this number is not in the account")
        path = f"/v2/phone_numbers/{_id(item)}"
        if setup.messages_url:
            await self._tell_messages(setup.messages_url, path, http)
        forwarding: dict[str, Any] = {"call_forwarding_enabled": bool(setup.forward_to)}
        if setup.forward_to:
            forwarding |= {"forwards_to": setup.forward_to, "forwarding_type": "always"}
        await self._api.ask(http, "PATCH", f"{path}/voice", json={"call_forwarding": forwarding})
        if setup.label:
            await self._api.ask(http, "PATCH", path, json={"customer_reference": setup.label})

    async def _tell_messages(self, messages_url: str, path: str, http: Http) -> None:
        """Webhooks belong to the messaging profile, and other numbers may share it: only an empty one is filled."""
        if not self._profile_id:
            raise Misconfigured("messaging_profile_id is missing: Telnyx tells of texts by messaging profile")
        profile = f"/v2/messaging_profiles/{self._profile_id}"
        said = await self._api.ask(http, "GET", profile)
        webhook_url = text(said.get("data"), "webhook_url")
        if not webhook_url:
            webhook = {"webhook_url": messages_url, "webhook_api_version": "2"}
            await self._api.ask(http, "PATCH", profile, json=webhook)
        elif webhook_url != messages_url:
            raise Misconfigured("the messaging profile's webhook is another address than this channel's")
        await self._api.ask(http, "PATCH", f"{path}/messaging", json={"messaging_profile_id": self._profile_id})

    async def release(self, number: str, http: Http) -> None:
        item = await self._find(number, http)
        if item is None or _ownership(item) == "absent":
            return
        answer = await self._api.answer(http, "DELETE", f"/v2/phone_numbers/{_id(item)}")
        if answer.status != 404:
            accepted(answer)

    async def owned(self, http: Http) -> list[OwnNumber]:
        items = [item async for item in self._api.items(http, "/v2/phone_numbers")]
        campaigns = await self._campaigns(http)
        return [_own_number(item, campaigns) for item in items if _ownership(item) == "owned"]

    def forwarded(self, forward_to: str) -> Acknowledgement | None:
        return None

    async def _find(self, number: str, http: Http) -> Mapping[str, Any] | None:
        """The number as it is in the account's list, the one that is ours before one that was."""
        # The filter takes digits only, and finds what contains them.
        query = [("filter[phone_number]", bare_digits(number))]
        items = self._api.items(http, "/v2/phone_numbers", query)
        found = [item async for item in items if text(item, "phone_number") == number]
        return min(found, key=lambda item: _ownership(item) == "absent", default=None)

    async def _campaigns(self, http: Http) -> Mapping[str, Mapping[str, Any]] | None:
        """The 10DLC campaign of each number that has one; None for an account that may not ask."""
        # {"records": [{"phoneNumber": "+18005550199", "campaignId": "4b300178-...", "tcrCampaignId": "TCPA3X7",
        #   "assignmentStatus": "ASSIGNED", ...}], "page": 1, "totalRecords": 14}
        found: dict[str, Mapping[str, Any]] = {}
        for page in range(1, MAX_CAMPAIGN_PAGES):
            query = [("page", str(page)), ("recordsPerPage", str(CAMPAIGN_PAGE))]
            try:
                said = await self._api.ask(http, "GET", "/v2/10dlc/phone_number_campaigns", query=query)
            except (Misconfigured, Rejected):
                log.warning("telnyx: the 10DLC campaigns of the numbers cannot be read")
                return None
            records = objects(said, "records")
            known = len(found)
            found |= {text(item, "phoneNumber"): item for item in records}
            # Nothing new, or the last page: totalRecords counts records.
            if len(found) == known or len(records) < CAMPAIGN_PAGE:
                return found
        return found


def _offer(item: Mapping[str, Any]) -> Offer:
    # {"phone_number": "+19705555098", "cost_information": {"monthly_cost": "1.00", "currency": "USD"},
    #  "region_information": [{"region_type": "state", "region_name": "CO"}, ...], "features": [{"name": "sms"}]}
    named = {text(place, "region_type"): text(place, "region_name") for place in objects(item, "region_information")}
    cost = item.get("cost_information")
    price = f"{text(cost, 'monthly_cost')} {text(cost, 'currency')}" if text(cost, "monthly_cost") else ""
    locality = named.get("location") or named.get("rate_center", "")
    return Offer(text(item, "phone_number"), named.get("state", ""), locality, price.strip())


def _ownership(item: Mapping[str, Any]) -> Ownership:
    """A status that nobody knows is of a number that is there: "pending", until it is known."""
    status = text(item, "status")
    if status not in STATUSES:
        log.warning("telnyx: unknown status of a number %.40r", status)
    return STATUSES.get(status, "pending")


def _id(item: Mapping[str, Any]) -> str:
    id = str(item.get("id") or "")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", id, re.ASCII):
        raise Misconfigured("Telnyx lists this number without an id")
    return id


def _is_toll_free(item: Mapping[str, Any]) -> bool:
    """10DLC is not for these. Numbers of before July 2023 have the old spelling."""
    return text(item, "phone_number_type") in ("toll_free", "tollfree")


def _own_number(item: Mapping[str, Any], campaigns: Mapping[str, Mapping[str, Any]] | None) -> OwnNumber:
    # {"id": "1293384261075731499", "phone_number": "+19705555098", "status": "active", "phone_number_type": "local",
    #  "customer_reference": "Front desk", "messaging_profile_id": "abc85f64-...", "country_iso_alpha2": "US", ...}
    number = text(item, "phone_number")
    campaign = campaigns.get(number) if campaigns is not None else None
    registration = ""
    if campaign is not None:
        registration = REGISTRATIONS.get(text(campaign, "assignmentStatus"), "")
    elif campaigns is not None and text(item, "country_iso_alpha2") == "US" and not _is_toll_free(item):
        registration = "unregistered"
    return OwnNumber(
        number,
        _id(item),
        text(item, "customer_reference"),
        registration=registration,
        campaign=text(campaign, "tcrCampaignId") or text(campaign, "campaignId"),
    )
