"""Twilio's phone numbers: found, bought, set up, given back and listed through its API, and calls put through.

Sources: Twilio's published API descriptions (api_v2010, messaging_v1), its error pages and its guide to <Dial>.
FriendlyName carries the name of a purchase until `set_up` gives the number a label. A number of a Messaging Service is
attached to it; its 10DLC campaign is the service's.
"""

import logging
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote
from xml.sax.saxutils import escape

from adapters.contract import Acknowledgement
from adapters.errors import Misconfigured, Rejected, Unknown
from adapters.http import Http
from adapters.numbers import NumberProvider, Offer, Ownership, OwnNumber, Setup, Wanted
from adapters.text import clean_text
from adapters.twilio_api import E164, NOT_AVAILABLE, PAGE_SIZE, Item, TwilioApi, good, listed, refused, sid, text

log = logging.getLogger(__name__)

# Twilio's word for its 10DLC campaign -> ours. PENDING and FAILED are in its published examples, the others are what
# its users see: any word that is not here is logged, and says nothing.
CAMPAIGN_STATES: Mapping[str, str] = {
    "PENDING": "pending",
    "IN_PROGRESS": "pending",
    "VERIFIED": "registered",
    "FAILED": "rejected",
    "SUSPENDED": "rejected",
}

MAX_FRIENDLY_NAME = 64
TOLL_FREE = ("+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888")


class TwilioNumbers(NumberProvider):
    """The numbers of one Twilio account."""

    countries: ClassVar[frozenset[str]] = frozenset({"CA", "US"})
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._api = TwilioApi(settings)
        service_sid = settings.get("messaging_service_sid", "")
        self._service = f"{self._api.messaging}/Services/{service_sid}" if service_sid else ""

    async def search(self, wanted: Wanted, http: Http) -> list[Offer]:
        # {"available_phone_numbers": [{"phone_number": "+18089251571", "locality": "Hilo", "region": "HI",
        #  "capabilities": {"mms": true, "sms": true, "voice": true}, "iso_country": "US", ...}], "uri": "..."}
        kind = "TollFree" if wanted.kind == "toll_free" else "Local"
        url = f"{self._api.account}/AvailablePhoneNumbers/{quote(wanted.country, safe='')}/{kind}.json"
        limit = max(1, min(wanted.limit, PAGE_SIZE))
        # A number that needs an address is refused without one (21631), and we have none to give.
        query = [("SmsEnabled", "true"), ("VoiceEnabled", "true"), ("ExcludeAllAddressRequired", "true")]
        query += [("AreaCode", wanted.area_code)] if wanted.area_code else []
        query += [("InRegion", wanted.region)] if wanted.region and kind == "Local" else []
        query.append(("PageSize", str(limit)))
        answer = await self._api.ask(http, "GET", url, query=query)
        if answer.status == 404 and wanted.country not in self.countries:
            # Twilio has no numbers of this kind there. In these countries it has: a 404 is about the account then.
            return []
        offers = [_offer(item) for item in listed(good(answer), "available_phone_numbers", answer)]
        return [offer for offer in offers if offer is not None][:limit]

    async def order(self, number: str, reference: str, http: Http) -> Ownership:
        """A number that this purchase has bought already is not available to it again: then it is looked up."""
        name = _order_name(reference)
        form = [("PhoneNumber", number), ("FriendlyName", name)]
        answer = await self._api.ask(http, "POST", f"{self._api.account}/IncomingPhoneNumbers.json", form=form)
        if 200 <= answer.status < 300:
            if answer.json().get("phone_number") != number:
                raise Unknown(f"HTTP {answer.status} without the number that was ordered")
            return "owned"
        error = refused(answer)
        if error.code == NOT_AVAILABLE:
            found = await self._find(number, http)
            # With another name it is another purchase's, and two must not share a number.
            if found is not None and found.get("friendly_name") == name:
                return "owned"
        raise error

    async def state_of(self, number: str, reference: str, http: Http) -> Ownership:
        """Twilio has no orders: a number is in the account, and until it is set up under the name of its order."""
        found = await self._find(number, http)
        return "owned" if found is not None and found.get("friendly_name") == _order_name(reference) else "absent"

    async def set_up(self, number: str, setup: Setup, http: Http) -> None:
        """Raises Misconfigured where something else in the account overrides the webhooks of the number.

        The number's own StatusCallback tells when calls end, which nobody here wants to know; each message names the
        address of its receipts itself.
        """
        if setup.forward_to and not setup.calls_url:
            raise Misconfigured("Twilio forwards a call only by asking a webhook what to do: public_url is needed")
        found = await self._find(number, http)
        if found is None:
            raise Rejected("the number is not in the account")
        form = [("SmsUrl", setup.messages_url), ("SmsMethod", "POST")] if setup.messages_url else []
        form += [("VoiceUrl", setup.calls_url), ("VoiceMethod", "POST")] if setup.calls_url else []
        form += [("FriendlyName", clean_text(setup.label)[:MAX_FRIENDLY_NAME])] if setup.label else []
        if form:
            good(await self._api.ask(http, "POST", self._resource(found), form=form))
        if setup.messages_url and found.get("sms_application_sid"):
            raise Misconfigured(
                "the number's texts go to the TwiML application that it is bound to, not to its webhook"
            )
        if setup.calls_url and (found.get("voice_application_sid") or found.get("trunk_sid")):
            raise Misconfigured("the number's calls go to the TwiML application or trunk that it is bound to")
        if self._service:
            await self._attach(sid(found), setup.messages_url, http)

    async def release(self, number: str, http: Http) -> None:
        found = await self._find(number, http)
        if found is not None:
            answer = await self._api.ask(http, "DELETE", self._resource(found))
            if answer.status != 404:
                good(answer)

    async def owned(self, http: Http) -> list[OwnNumber]:
        items = await self._api.pages(http, f"{self._api.account}/IncomingPhoneNumbers.json", "incoming_phone_numbers")
        registration, campaign, members = "", "", frozenset[str]()
        if self._service and items:
            registration, campaign = await self._campaign(http)
            pool = await self._api.pages(http, f"{self._service}/PhoneNumbers", "phone_numbers")
            members = frozenset(sid(item) for item in pool)
        numbers = []
        for item in items:
            # Of what is not in the service, and of toll-free numbers (they are verified), the campaign says nothing.
            number = text(item, "phone_number")
            told = sid(item) in members and not number.startswith(TOLL_FREE)
            numbers.append(
                OwnNumber(
                    number=number,
                    provider_id=sid(item),
                    label=text(item, "friendly_name"),
                    messages_url=text(item, "sms_url"),
                    registration=registration if told else "",
                    campaign=campaign if told else "",
                )
            )
        return numbers

    def forwarded(self, forward_to: str) -> Acknowledgement | None:
        # Twilio shows the caller's own number to whom it dials.
        dial = f"<Dial><Number>{escape(clean_text(forward_to))}</Number></Dial>"
        document = f'<?xml version="1.0" encoding="UTF-8"?><Response>{dial}</Response>'
        return Acknowledgement("text/xml", document.encode())

    async def _find(self, number: str, http: Http) -> Item | None:
        # {"incoming_phone_numbers": [{"sid": "PN...", "phone_number": "+18089255327", "friendly_name": "...",
        #  "sms_url": "", "sms_application_sid": "", "voice_url": null, "trunk_sid": null, ...}],
        #  "next_page_uri": null, "page": 0, "page_size": 50, ...}
        url = f"{self._api.account}/IncomingPhoneNumbers.json"
        # The filter matches a part of a number too.
        items = await self._api.pages(http, url, "incoming_phone_numbers", [("PhoneNumber", number)])
        return next((item for item in items if item.get("phone_number") == number), None)

    async def _attach(self, number_sid: str, messages_url: str, http: Http) -> None:
        """Put the number into the service, unless it is there, and see that the service leaves its texts to us."""
        pool = f"{self._service}/PhoneNumbers"
        member = await self._api.ask(http, "GET", f"{pool}/{quote(number_sid, safe='')}")
        if member.status == 404:
            member = await self._api.ask(http, "POST", pool, form=[("PhoneNumberSid", number_sid)])
        good(member)
        # {"sid": "MG...", "use_inbound_webhook_on_number": false, "inbound_request_url": "https://...", ...}
        service = good(await self._api.ask(http, "GET", self._service))
        elsewhere = service.get("inbound_request_url") != messages_url
        if messages_url and elsewhere and service.get("use_inbound_webhook_on_number") is not True:
            raise Misconfigured("the Messaging Service takes its numbers' texts: let it defer to the sender's webhook")

    async def _campaign(self, http: Http) -> tuple[str, str]:
        """Registration and id of the service's 10DLC campaign."""
        # {"compliance": [{"sid": "QE...", "campaign_status": "PENDING", "campaign_id": "CFOOBAR", ...}],
        #  "meta": {"next_page_url": null, ...}}
        url = f"{self._service}/Compliance/Usa2p"
        for item in await self._api.pages(http, url, "compliance"):
            status = text(item, "campaign_status")
            if status not in CAMPAIGN_STATES:
                log.warning("twilio: unknown campaign_status %.40r", status)
            return CAMPAIGN_STATES.get(status, ""), text(item, "campaign_id") or sid(item)
        return "unregistered", ""

    def _resource(self, item: Item) -> str:
        return f"{self._api.account}/IncomingPhoneNumbers/{quote(sid(item), safe='')}.json"


def _offer(item: Item) -> Offer | None:
    number = text(item, "phone_number")
    return Offer(number, text(item, "region"), text(item, "locality")) if E164.fullmatch(number) else None


def _order_name(reference: str) -> str:
    return clean_text(reference)[:MAX_FRIENDLY_NAME]
