"""Plivo's phone numbers: its PhoneNumber (for rent), Number (ours) and Application resources.

Source: Plivo's documents on phone numbers and the calls of its Python SDK. Texts and calls of a number are told to the
URLs of an application, which all numbers of a channel share (`app_id`).
"""

from collections.abc import AsyncIterator, Mapping
from typing import Any, ClassVar
from xml.sax.saxutils import escape

from adapters.contract import Acknowledgement
from adapters.errors import Misconfigured, Rejected, Retry, SendError, Unknown
from adapters.http import Answer, Http
from adapters.numbers import NumberProvider, Offer, Ownership, OwnNumber, Setup, Wanted
from adapters.plivo import Plivo
from adapters.refusals import detail, refusal
from adapters.text import bare_digits, clean_text, international

PAGE = 20
# An answer that never comes to an end would be a fault of Plivo's: 10,000 numbers are enough.
MAX_PAGES = 500

KINDS: Mapping[str, str] = {"local": "local", "toll_free": "tollfree"}
TEN_DLC, TOLL_FREE = "tendlc_registration_status", "toll_free_sms_verification"
REGISTRATIONS: Mapping[str, str] = {
    # 10DLC campaigns
    "UNREGISTERED": "unregistered",
    "PROCESSING": "pending",
    "COMPLETED": "registered",
    # toll-free verification
    "UNVERIFIED": "unregistered",
    "PENDING_VERIFICATION": "pending",
    "VERIFIED": "registered",
}


class PlivoNumbers(NumberProvider):
    """The numbers of one Plivo account."""

    countries: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[frozenset[str]] = frozenset({"app_id"})

    def __init__(self, settings: Mapping[str, str]) -> None:
        api_base = settings.get("api_base") or Plivo.settings["api_base"].default
        self._account_url = f"{api_base.rstrip('/')}/v1/Account/{settings['auth_id']}"
        self._login = (settings["auth_id"], settings["auth_token"])
        self._app_id = settings.get("app_id", "")

    async def search(self, wanted: Wanted, http: Http) -> list[Offer]:
        query = [("country_iso", wanted.country), ("type", KINDS[wanted.kind]), ("services", "voice,sms")]
        if wanted.area_code:
            # What the number starts with, after the country code.
            query.append(("pattern", wanted.area_code))
        if wanted.region and wanted.kind == "local":
            query.append(("region", wanted.region))
        offers: list[Offer] = []
        async for item in self._listed("PhoneNumber", query, http):
            number = _digits(item.get("number"))
            if number and item.get("sms_enabled") is not False and item.get("voice_enabled") is not False:
                region, locality = _text(item.get("region")), _text(item.get("city"))
                offers.append(Offer(f"+{number}", region, locality, _text(item.get("monthly_rental_rate"))))
            if len(offers) >= wanted.limit:
                break
        return offers

    async def order(self, number: str, reference: str, http: Http) -> Ownership:
        """Plivo takes no reference; but there is one of each number, and a second order of it is refused."""
        answer = await self._ask("POST", f"PhoneNumber/{_path(number)}", http, {"app_id": self._app_id})
        if 200 <= answer.status < 300:
            return _ordered(answer)
        refused = _refused_number(answer)
        if isinstance(refused, Rejected):
            # Refused because it is ours already?
            state = await self.state_of(number, reference, http)
            if state != "absent":
                return state
        raise refused

    async def state_of(self, number: str, reference: str, http: Http) -> Ownership:
        answer = await self._ask("GET", f"Number/{_path(number)}", http)
        if answer.status == 404:
            return "absent"
        if answer.status != 200:
            raise _refused_number(answer)
        said = answer.json()
        if not _digits(said.get("number")):
            raise Retry("HTTP 200 without a number")
        # Countries that ask for documents: ours, but not of use until they are accepted.
        return "pending" if _text(said.get("compliance_status")).lower() == "pending" else "owned"

    async def set_up(self, number: str, setup: Setup, http: Http) -> None:
        """Point the channel's application at our URLs, and the number at the application."""
        if not self._app_id:
            # A number that is changed without an application gets the account's default one.
            raise Misconfigured("app_id is missing: the XML application, from Plivo's console, that numbers are given")
        urls = {"message": setup.messages_url, "answer": setup.calls_url}
        application = {f"{kind}_url": url for kind, url in urls.items() if url}
        if application:
            application |= {f"{kind}_method": "POST" for kind, url in urls.items() if url}
            answer = await self._ask("POST", f"Application/{self._app_id}", http, application)
            if not 200 <= answer.status < 300:
                raise _refused(answer)
        answer = await self._ask(
            "POST", f"Number/{_path(number)}", http, {"app_id": self._app_id, "alias": setup.label}
        )
        if not 200 <= answer.status < 300:
            raise _refused_number(answer)

    async def release(self, number: str, http: Http) -> None:
        answer = await self._ask("DELETE", f"Number/{_path(number)}", http)
        if answer.status != 404 and not 200 <= answer.status < 300:
            raise _refused_number(answer)

    async def owned(self, http: Http) -> list[OwnNumber]:
        # {"number": "17609915566", "alias": null, "application": "/v1/Account/MA.../Application/29986316244302815/",
        #  "sms_enabled": true, "tendlc_campaign_id": "CX1", "tendlc_registration_status": "COMPLETED",
        #  "toll_free_sms_verification": null, ...}
        numbers = []
        async for item in self._listed("Number", [], http):
            digits = _digits(item.get("number"))
            registered_by = TOLL_FREE if item.get("number_type") == "tollfree" else TEN_DLC
            status = _text(item.get(registered_by))
            if digits:
                numbers.append(
                    OwnNumber(
                        number=international(digits),
                        provider_id=digits,
                        label=_text(item.get("alias")),
                        registration=REGISTRATIONS.get(status.upper(), ""),
                        campaign=_text(item.get("tendlc_campaign_id")),
                    )
                )
        return numbers

    def forwarded(self, forward_to: str) -> Acknowledgement | None:
        # Plivo shows the caller's own number to whom it dials.
        xml = f"<Response><Dial><Number>{escape(forward_to)}</Number></Dial></Response>"
        return Acknowledgement("application/xml", f'<?xml version="1.0" encoding="UTF-8"?>{xml}'.encode())

    async def _listed(
        self, resource: str, query: list[tuple[str, str]], http: Http
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Each object of a list, page by page."""
        for page in range(MAX_PAGES):
            asked = [*query, ("limit", str(PAGE)), ("offset", str(page * PAGE))]
            answer = await http.request("GET", f"{self._account_url}/{resource}/", query=asked, basic=self._login)
            if answer.status != 200:
                raise _refused(answer)
            said = answer.json()
            objects = said.get("objects")
            if not isinstance(objects, list):
                raise Retry("HTTP 200 without a list of objects")
            for item in objects:
                if isinstance(item, dict):
                    yield item
            meta = said.get("meta")
            if not objects or not isinstance(meta, dict) or not meta.get("next"):
                return
        raise Unknown(f"a list of more than {MAX_PAGES * PAGE} numbers")

    async def _ask(self, method: str, path: str, http: Http, asked: Mapping[str, str] | None = None) -> Answer:
        json = None if asked is None else {name: value for name, value in asked.items() if value}
        return await http.request(method, f"{self._account_url}/{path}/", json=json, basic=self._login)


def _ordered(answer: Answer) -> Ownership:
    # {"api_id": "aa52882c-1c88-11e4-bd8a-12313f016a39", "message": "created",
    #  "numbers": [{"number": "14154009186", "status": "Success"}], "status": "fulfilled"}
    numbers = answer.json().get("numbers")
    first = numbers[0] if isinstance(numbers, list) and numbers else None
    status = _text(first.get("status")).lower() if isinstance(first, dict) else ""
    if status == "success":
        return "owned"
    if status == "pending":
        return "pending"
    raise Unknown(f"HTTP {answer.status} without the number's status")


def _refused(answer: Answer) -> SendError:
    # {"api_id": "97ceeb52-58b6-11e1-86da-77300b68f8bb", "error": "not found"}
    return refusal(answer, "", answer.json().get("error"), {})


def _refused_number(answer: Answer) -> SendError:
    """Of an address that names a number, a 404 is about that number: it cannot be had, or is not ours."""
    if answer.status == 404:
        return Rejected(detail(answer, answer.json().get("error")))
    return _refused(answer)


def _path(number: str) -> str:
    digits = _digits(bare_digits(number))
    if not digits:
        raise Rejected("this is no phone number")
    return digits


def _digits(value: object) -> str:
    return value if isinstance(value, str) and value.isascii() and value.isdigit() else ""


def _text(value: object) -> str:
    return clean_text(value) if isinstance(value, str) else ""
