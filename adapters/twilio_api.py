"""Twilio's REST API for what is not a message: its hosts, its login, its pages and its refusals."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from adapters.errors import Misconfigured, Rejected, SendError, Throttled, Unknown
from adapters.http import Answer, Http
from adapters.refusals import refusal
from adapters.text import clean_text
from adapters.twilio import Twilio

ERRORS: Mapping[str, type[SendError]] = {
    # this number cannot be had: invalid, gone, none in this area code, or fit for no text
    **dict.fromkeys(("21421", "21422", "21452", "21715"), Rejected),
    # the law wants an address or a bundle of papers first, or the number is another Messaging Service's
    **dict.fromkeys(("21613", "21631", "21649", "21712"), Misconfigured),
    # our account
    "20003": Misconfigured,
    "20429": Throttled,
}
NOT_AVAILABLE = "21422"

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
# A number takes about 1.5 KB of an answer, and Http reads no more than 256 KB of one.
PAGE_SIZE = 100
MAX_PAGES = 200

Item = Mapping[str, Any]


class TwilioApi:
    """One account, at the hosts that its channel's `api_base` means."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        account_sid = settings["account_sid"]
        api_base = (settings.get("api_base") or Twilio.settings["api_base"].default).rstrip("/")
        self.account = f"{api_base}/2010-04-01/Accounts/{account_sid}"
        self.messaging = f"{_messaging_base(api_base)}/v1"
        self._login = (account_sid, settings["auth_token"])
        if settings.get("api_key_sid"):
            self._login = (settings["api_key_sid"], settings.get("api_key_secret", ""))

    async def ask(
        self,
        http: Http,
        method: str,
        url: str,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
    ) -> Answer:
        """One request; whatever was answered."""
        return await http.request(method, url, query=query, form=form, basic=self._login)

    async def pages(self, http: Http, url: str, name: str, query: Sequence[tuple[str, str]] = ()) -> list[Item]:
        """The items of every page of a list.

        Of the next page's address only path and query count: our login goes to no other host.
        """
        host = urlsplit(url)
        found: list[Item] = []
        query = [*query, ("PageSize", str(PAGE_SIZE))]
        for _ in range(MAX_PAGES):
            answer = await self.ask(http, "GET", url, query=query)
            said = good(answer)
            found += listed(said, name, answer)
            meta = said.get("meta")
            following = said.get("next_page_uri") or (isinstance(meta, dict) and meta.get("next_page_url"))
            if not isinstance(following, str) or not following:
                return found
            page = _split(following)
            url, query = page._replace(scheme=host.scheme, netloc=host.netloc, fragment="").geturl(), []
        raise Unknown(f"more than {MAX_PAGES} pages of {name}")


def good(answer: Answer) -> Item:
    """The JSON of a success; raises for anything else."""
    if not 200 <= answer.status < 300:
        raise refused(answer)
    return answer.json()


def refused(answer: Answer) -> SendError:
    """What an answer that is no success means."""
    # {"code": 21422, "message": "+15005550000 is not available", "more_info": "...", "status": 400}
    said = answer.json()
    return refusal(answer, str(said.get("code") or ""), said.get("message"), ERRORS)


def listed(said: Item, name: str, answer: Answer) -> list[Item]:
    """A list of objects that the answer must have."""
    items = said.get(name)
    if not isinstance(items, list):
        raise Unknown(f"HTTP {answer.status} without {name}")
    return [item for item in items if isinstance(item, dict)]


def text(item: Item, name: str) -> str:
    """A field of text, "" where there is none."""
    value = item.get(name)
    return clean_text(value) if isinstance(value, str) else ""


def sid(item: Item) -> str:
    """An item's own id."""
    value = text(item, "sid")
    if not value:
        raise Unknown("an item of Twilio's answer has no sid")
    return value


def _split(address: str) -> Any:
    try:
        return urlsplit(address)
    except ValueError as error:
        raise Unknown("the address of the next page is none") from error


def _messaging_base(api_base: str) -> str:
    """The host of Messaging Services beside the host of numbers; anything but Twilio's own plays both parts."""
    host = urlsplit(api_base).netloc
    if host.startswith("api.") and host.endswith(".twilio.com"):
        return api_base.replace("//api.", "//messaging.", 1)
    return api_base
