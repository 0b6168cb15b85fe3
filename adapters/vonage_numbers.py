"""The numbers of a Vonage account: Vonage's Numbers API, by its published description (1.1.0).

A number is known by itself and its country. An answer says `error-code`, "200" for success; "420" is "this cannot be
done", for whatever reason, so that after it the account is asked whose the number is.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import phonenumbers

from adapters.contract import Acknowledgement
from adapters.errors import Misconfigured, Rejected, SendError, Unknown
from adapters.http import Answer, Http
from adapters.numbers import NumberProvider, Offer, Ownership, OwnNumber, Setup, Wanted
from adapters.refusals import detail, refusal
from adapters.text import bare_digits, clean_text, international
from adapters.vonage import Vonage

PAGE = 100
# Far more than anybody owns; an account whose pages never end would be asked forever.
MAX_PAGES = 1000
TOLL_FREE = "landline-toll-free"
ERRORS: Mapping[str, type[SendError]] = {"401": Misconfigured, "420": Rejected}


class VonageNumbers(NumberProvider):
    """Where a country's numbers begin with an area code, it can be searched by it; by region it cannot."""

    countries: ClassVar[frozenset[str]] = frozenset()
    needs: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._base = (settings.get("api_base") or Vonage.settings["api_base"].default).rstrip("/")
        self._login = (settings["api_key"], settings["api_secret"])

    async def search(self, wanted: Wanted, http: Http) -> list[Offer]:
        if wanted.region and not wanted.area_code:
            raise Rejected("Vonage cannot be searched by region: name an area code")
        query = [("country", wanted.country), ("features", "SMS,VOICE"), ("size", str(max(1, min(wanted.limit, PAGE))))]
        if wanted.area_code:
            calling_code = phonenumbers.country_code_for_region(wanted.country)
            query += [("pattern", f"{calling_code}{wanted.area_code}"), ("search_pattern", "0")]
        if wanted.kind == "toll_free":
            query.append(("type", TOLL_FREE))
        found = await self._ask("GET", "number/search", http, query=query)
        local = wanted.kind == "local"
        return [_offer(item) for item in _items(found) if not (local and item.get("type") == TOLL_FREE)][: wanted.limit]

    async def order(self, number: str, reference: str, http: Http) -> Ownership:
        """Vonage refuses to sell a number twice, also to who has it: then it is asked who that is."""
        form = [("country", _country(number)), ("msisdn", bare_digits(number))]
        try:
            await self._ask("POST", "number/buy", http, form=form)
        except Rejected as error:
            if await self._own(number, http) is None:
                raise _of_country(error) from error
        return "owned"

    async def state_of(self, number: str, reference: str, http: Http) -> Ownership:
        return "absent" if await self._own(number, http) is None else "owned"

    async def set_up(self, number: str, setup: Setup, http: Http) -> None:
        """What an update leaves out is taken away, so what the number has is said again. Vonage tells of calls only
        to an Application, made in its dashboard; `calls_url` has nowhere to go.

        Vonage calls `messages_url` before it believes in it: the server must be up.
        """
        own = await self._own(number, http)
        if own is None:
            raise Rejected("the number is not in this account")
        form = _named(own, number)
        form.append(("moHttpUrl", setup.messages_url or _text(own, "moHttpUrl")))
        if setup.forward_to:
            form += [("voiceCallbackType", "tel"), ("voiceCallbackValue", bare_digits(setup.forward_to))]
        elif _text(own, "voiceCallbackType") != "tel":
            form += [(name, _text(own, name)) for name in ("voiceCallbackType", "voiceCallbackValue")]
        form.append(("app_id", _text(own, "app_id")))
        try:
            await self._ask("POST", "number/update", http, form=[(name, value) for name, value in form if value])
        except Rejected as error:
            raise Misconfigured(f"Vonage does not take this set-up: {error.detail}", error.code) from error

    async def release(self, number: str, http: Http) -> None:
        own = await self._own(number, http)
        if own is None:
            return
        try:
            await self._ask("POST", "number/cancel", http, form=_named(own, number))
        except Rejected:
            if await self._own(number, http) is not None:
                raise

    async def owned(self, http: Http) -> list[OwnNumber]:
        """Vonage has no id of a number but the number, no label, and nothing about 10DLC here."""
        found: dict[str, OwnNumber] = {}
        for page in range(1, MAX_PAGES + 1):
            query = [("size", str(PAGE)), ("index", str(page))]
            said = await self._ask("GET", "account/numbers", http, query=query)
            known = len(found)
            for item in _items(said):
                digits = _text(item, "msisdn")
                found[digits] = OwnNumber(international(digits), digits, messages_url=_text(item, "moHttpUrl"))
            count = said.get("count")
            # A page that says nothing new is the last one, whatever the count is.
            if len(found) == known or (isinstance(count, int) and page * PAGE >= count):
                return list(found.values())
        raise Unknown(f"Vonage answered a list of more than {MAX_PAGES} pages")

    def forwarded(self, forward_to: str) -> Acknowledgement | None:
        """The number's own setting forwards calls (set_up)."""
        return None

    async def _own(self, number: str, http: Http) -> Mapping[str, Any] | None:
        """The number as the account has it; None if it has not."""
        digits = bare_digits(number)
        query = [("pattern", digits), ("search_pattern", "0"), ("size", str(PAGE))]
        said = await self._ask("GET", "account/numbers", http, query=query)
        return next((item for item in _items(said) if _text(item, "msisdn") == digits), None)

    async def _ask(
        self,
        method: str,
        path: str,
        http: Http,
        query: list[tuple[str, str]] | None = None,
        form: list[tuple[str, str]] | None = None,
    ) -> dict[str, Any]:
        """What a good answer says; raises a SendError for any other."""
        url = f"{self._base}/{path}"
        answer = await http.request(method, url, query=query or (), form=form, basic=self._login)
        said = answer.json()
        code = _text(said, "error-code")
        if answer.status == 200 and (code == "200" or (method == "GET" and _is_list(said, answer))):
            return said
        label = said.get("error-code-label")
        if 200 <= answer.status < 300:
            raise ERRORS.get(code, Unknown)(detail(answer, label, self._login), code)
        raise refusal(answer, code, label, ERRORS, self._login)


def _is_list(said: Mapping[str, Any], answer: Answer) -> bool:
    # {"count": 1, "numbers": [{"country": "US", "msisdn": "12025550100", "type": "mobile-lvn", "cost": "0.90",
    #   "features": ["VOICE", "SMS"]}]}; {} where there are none; {"error-code": "200", "error-code-label": "success"}
    return isinstance(said.get("numbers"), list) or said.get("count") == 0 or answer.body.strip() == b"{}"


def _items(said: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The numbers of a list; one that does not say which it is, is none."""
    numbers = said.get("numbers")
    for item in numbers if isinstance(numbers, list) else ():
        if isinstance(item, dict) and _text(item, "msisdn"):
            yield item


def _offer(item: Mapping[str, Any]) -> Offer:
    return Offer(international(_text(item, "msisdn")), price=_text(item, "cost"))


def _named(own: Mapping[str, Any], number: str) -> list[tuple[str, str]]:
    return [("country", _text(own, "country") or _country(number)), ("msisdn", bare_digits(number))]


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return clean_text(str(value)) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _country(number: str) -> str:
    """The country's two letters, which Vonage wants beside the number."""
    try:
        parsed = phonenumbers.parse(number)
    except phonenumbers.NumberParseException as error:
        raise Rejected("the country of this number is not known") from error
    calling_code = parsed.country_code or 0
    country = phonenumbers.region_code_for_number(parsed) or phonenumbers.region_code_for_country_code(calling_code)
    if len(country) != 2 or country == "ZZ":
        raise Rejected("the country of this number is not known")
    return country


def _of_country(error: Rejected) -> SendError:
    """Some countries want an address first, which is given in Vonage's dashboard: there no number can be had."""
    wants_address = "dashboard" in error.detail.lower() or "address" in error.detail.lower()
    return Misconfigured(error.detail, error.code) if wants_address else error
