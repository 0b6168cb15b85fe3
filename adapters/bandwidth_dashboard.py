"""Bandwidth's Dashboard API: one request, and what its answers of refusal mean."""

from collections.abc import Mapping, Sequence
from urllib.parse import quote
from xml.etree.ElementTree import Element

from adapters.bandwidth import Bandwidth
from adapters.bandwidth_xml import read, text
from adapters.contract import Setting
from adapters.errors import Misconfigured, Rejected, SendError, Unknown
from adapters.http import Answer, Http
from adapters.refusals import refusal

DASHBOARD = "https://dashboard.bandwidth.com"

ERRORS: Mapping[str, type[SendError]] = {
    # this number cannot be had
    **dict.fromkeys(("5001", "5005", "5008", "5018", "5070", "5071", "5124"), Rejected),
    # the account, the site or the location
    **dict.fromkeys(
        ("5000", "5007", "5011", "5012", "5016", "5020", "5021", "5022", "5023", "5051", "5052", "5094", "5183"),
        Misconfigured,
    ),
}


class Dashboard:
    """Asks for one channel's account. `account` is the path of what belongs to it."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        defaults: Mapping[str, Setting] = Bandwidth.settings
        messages_base = (settings.get("api_base") or defaults["api_base"].default).rstrip("/")
        # Whoever puts something else in Bandwidth's place means all of Bandwidth.
        elsewhere = messages_base if messages_base != defaults["api_base"].default else DASHBOARD
        self._base = (settings.get("numbers_api_base") or elsewhere).rstrip("/") + "/api"
        self._login = (settings["user"], settings["password"])
        self.account_id = settings["account_id"]
        self.account = f"/accounts/{quote(self.account_id, safe='')}"

    async def answer(
        self, http: Http, method: str, path: str, *, query: Sequence[tuple[str, str]] = (), xml: str | None = None
    ) -> Answer:
        """Whatever Bandwidth answers."""
        return await http.request(method, self._base + path, query=query, xml=xml, basic=self._login)

    async def ask(
        self, http: Http, method: str, path: str, *, query: Sequence[tuple[str, str]] = (), xml: str | None = None
    ) -> Element:
        """The XML that Bandwidth answers; raises the SendError of a refusal."""
        return accepted(await self.answer(http, method, path, query=query, xml=xml))


def accepted(answer: Answer) -> Element:
    """The XML of a success; raises the SendError of a refusal."""
    if not 200 <= answer.status < 300:
        code, description = error(answer)
        raise refusal(answer, code, description, ERRORS)
    return read(answer)


def error(answer: Answer) -> tuple[str, str]:
    """The code and the words of a refusal, "" where it has none."""
    # <OrderResponse><ErrorList><Error><Code>5016</Code><Description>The SiteId submitted is invalid.</Description>...
    # <TelephoneNumberResponse><ResponseStatus><ErrorCode>12512</ErrorCode><Description>...</Description>...
    try:
        root = read(answer)
    except Unknown:
        return "", ""
    return (text(root, ".//Code") or text(root, ".//ErrorCode"))[:40], text(root, ".//Description")
