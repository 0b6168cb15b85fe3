"""The part of the Twilio stand-in that rents out numbers: its inventory, and the requests that change it."""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

from tests.providers.standin import Reply, Request

NUMBER = re.compile(r"\+[1-9][0-9]{6,14}")
TOLL_FREE = re.compile(r"\+18(00|33|44|55|66|77|88)[0-9]{7}")
MAX_PAGE = 1000
# What an update may name, and the resource's own name for it.
SETTABLE = {
    "FriendlyName": "friendly_name",
    "SmsUrl": "sms_url",
    "SmsMethod": "sms_method",
    "VoiceUrl": "voice_url",
    "VoiceMethod": "voice_method",
}

Resource = dict[str, Any]
Refused = Callable[[int, str, int], Reply]


class TwilioInventory:
    """Numbers that can be bought, numbers of the account, and one Messaging Service with its 10DLC campaign.

    `available` maps a number to what is particular about it ({"region": "CA", "locality": "San Francisco"}, or {});
    `needs` maps one to the error that ordering it gives (21631, say); `owned` maps a number to its resource.
    """

    def __init__(self, account_sid: str, refused: Refused) -> None:
        self.available: dict[str, Resource] = {}
        self.needs: dict[str, int] = {}
        self.owned: dict[str, Resource] = {}
        self.services: dict[str, Resource] = {}
        """Messaging Services by SID; any that is asked for exists, and defers to its numbers' webhooks."""
        self.pools: dict[str, set[str]] = {}
        """The SIDs of the numbers in each service."""
        self.campaigns: dict[str, list[Resource]] = {}
        self._account = f"/2010-04-01/Accounts/{account_sid}"
        self._account_sid = account_sid
        self._refused = refused

    def own(self, number: str, **particulars: Any) -> Resource:
        """Put a number into the account, as if bought before."""
        self.owned[number] = {
            "sid": f"PN{uuid4().hex}",
            "account_sid": self._account_sid,
            "phone_number": number,
            "friendly_name": number,
            "sms_url": "",
            "sms_method": "POST",
            "sms_application_sid": "",
            "voice_url": None,
            "voice_method": "POST",
            "voice_application_sid": None,
            "trunk_sid": None,
            "status": "in-use",
            "type": "tollfree" if TOLL_FREE.fullmatch(number) else "local",
            "capabilities": {"voice": True, "sms": True, "mms": True, "fax": False},
            **particulars,
        }
        return self.owned[number]

    def route(self, request: Request) -> Callable[[], Reply] | None:
        """What answers the request; None where it is about something else."""
        path = urlsplit(request.path).path
        routes: list[tuple[str, str, Callable[..., Reply]]] = [
            ("GET", rf"{self._account}/AvailablePhoneNumbers/(\w+)/(Local|TollFree)\.json", self._search),
            ("GET", rf"{self._account}/IncomingPhoneNumbers\.json", self._list),
            ("POST", rf"{self._account}/IncomingPhoneNumbers\.json", self._buy),
            ("GET", rf"{self._account}/IncomingPhoneNumbers/(\w+)\.json", self._fetch),
            ("POST", rf"{self._account}/IncomingPhoneNumbers/(\w+)\.json", self._update),
            ("DELETE", rf"{self._account}/IncomingPhoneNumbers/(\w+)\.json", self._delete),
            ("GET", r"/v1/Services/(MG\w+)", self._service),
            ("GET", r"/v1/Services/(MG\w+)/PhoneNumbers", self._pool),
            ("POST", r"/v1/Services/(MG\w+)/PhoneNumbers", self._attach),
            ("GET", r"/v1/Services/(MG\w+)/PhoneNumbers/(\w+)", self._member),
            ("GET", r"/v1/Services/(MG\w+)/Compliance/Usa2p", self._campaign),
        ]
        for method, pattern, route in routes:
            match = re.fullmatch(pattern, path)
            if match and method == request.method:
                return partial(route, request, *match.groups())
        return None

    def _search(self, request: Request, country: str, kind: str) -> Reply:
        if country not in ("US", "CA"):
            return self._absent(request)
        query = request.query
        found = []
        for number, particulars in self.available.items():
            about = {"region": "", "locality": "", "iso_country": "US", **particulars}
            if (
                about["iso_country"] == country
                and bool(TOLL_FREE.fullmatch(number)) == (kind == "TollFree")
                and number.startswith("+1" + query.get("AreaCode", ""))
                and query.get("InRegion", about["region"]) == about["region"]
            ):
                found.append({"phone_number": number, "friendly_name": number, "address_requirements": "none",
                              "capabilities": {"voice": True, "SMS": True, "MMS": True}, **about})  # fmt: skip
        size = min(int(query.get("PageSize", "50")), MAX_PAGE)
        return 200, {}, {"available_phone_numbers": found[:size], "uri": request.path}

    def _buy(self, request: Request) -> Reply:
        number = request.fields.get("PhoneNumber", "")
        if "AreaCode" in request.fields and not number:
            code = "+1" + request.fields["AreaCode"]
            number = next((one for one in self.available if one.startswith(code)), "")
            if not number:
                return self._refused(21452, "No phone numbers found in area code", 400)
        if not NUMBER.fullmatch(number):
            return self._refused(21421, "PhoneNumber is invalid", 400)
        if number not in self.available:
            return self._refused(21422, f"{number} is not available", 400)
        if number in self.needs:
            return self._refused(self.needs[number], "Phone Number Requires an Address", 400)
        del self.available[number]
        bought = self.own(number)
        self._set(bought, request)
        return 201, {}, bought

    def _list(self, request: Request) -> Reply:
        query = request.query
        wanted = query.get("PhoneNumber", "").lstrip("+")
        name = query.get("FriendlyName")
        found = [one for one in self.owned.values() if wanted in one["phone_number"]]
        found = [one for one in found if name in (None, one["friendly_name"])]
        items, following = self._page(found, request)
        return 200, {}, {"incoming_phone_numbers": items, "next_page_uri": following or None, "uri": request.path}

    def _fetch(self, request: Request, sid: str) -> Reply:
        found = self._by_sid(sid)
        return (200, {}, found) if found else self._absent(request)

    def _update(self, request: Request, sid: str) -> Reply:
        found = self._by_sid(sid)
        if not found:
            return self._absent(request)
        self._set(found, request)
        return 200, {}, found

    def _delete(self, request: Request, sid: str) -> Reply:
        found = self._by_sid(sid)
        if not found:
            return self._absent(request)
        del self.owned[found["phone_number"]]
        for pool in self.pools.values():
            pool.discard(sid)
        return 204, {}, ""

    def _service(self, request: Request, service: str) -> Reply:
        about = {"sid": service, "inbound_request_url": None, "use_inbound_webhook_on_number": True}
        return 200, {}, about | self.services.get(service, {})

    def _pool(self, request: Request, service: str) -> Reply:
        found = [self._entry(service, sid) for sid in sorted(self.pools.get(service, ()))]
        items, following = self._page(found, request)
        # An absolute address here, where the older API gives a path: of its own host, wherever we were asked.
        address = f"https://messaging.twilio.com{following}" if following else None
        return 200, {}, {"phone_numbers": items, "meta": {"key": "phone_numbers", "next_page_url": address}}

    def _attach(self, request: Request, service: str) -> Reply:
        sid = request.fields.get("PhoneNumberSid", "")
        if self._by_sid(sid) is None:
            return self._refused(21421, "Phone Number is invalid", 400)
        for other, pool in self.pools.items():
            if sid in pool:
                code = 21710 if other == service else 21712
                return self._refused(code, "Phone Number is associated with a Messaging Service", 409)
        self.pools.setdefault(service, set()).add(sid)
        return 201, {}, self._entry(service, sid)

    def _member(self, request: Request, service: str, sid: str) -> Reply:
        if sid not in self.pools.get(service, ()):
            return self._absent(request)
        return 200, {}, self._entry(service, sid)

    def _campaign(self, request: Request, service: str) -> Reply:
        items, following = self._page(self.campaigns.get(service, []), request)
        return 200, {}, {"compliance": items, "meta": {"key": "compliance", "next_page_url": following or None}}

    def _page(self, found: Sequence[Resource], request: Request) -> tuple[list[Resource], str]:
        """The items of the page that is asked for, and the path and query of the next one, "" after the last."""
        query: Mapping[str, str] = request.query
        size = min(int(query.get("PageSize", "50")), MAX_PAGE)
        page = int(query.get("Page", "0"))
        following = ""
        if len(found) > (page + 1) * size:
            more = {**query, "Page": str(page + 1), "PageToken": f"PA{page + 1}"}
            following = f"{urlsplit(request.path).path}?{urlencode(more)}"
        return list(found[page * size : (page + 1) * size]), following

    def _entry(self, service: str, sid: str) -> Resource:
        found = self._by_sid(sid) or {}
        return {"sid": sid, "service_sid": service, "phone_number": found.get("phone_number"), "country_code": "US"}

    def _by_sid(self, sid: str) -> Resource | None:
        return next((one for one in self.owned.values() if one["sid"] == sid), None)

    def _set(self, resource: Resource, request: Request) -> None:
        for field, name in SETTABLE.items():
            if field in request.fields:
                resource[name] = request.fields[field]

    def _absent(self, request: Request) -> Reply:
        return self._refused(20404, f"The requested resource {request.path} was not found", 404)
