"""Telnyx's API beside its messages: one request, and lists of however many pages."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from adapters.contract import Setting
from adapters.errors import Unknown
from adapters.http import Answer, Http
from adapters.telnyx import Telnyx, send_refusal

# A number is described in about a kilobyte: a larger page could be cut by Http.
PAGE_SIZE = 100
MAX_PAGES = 10_000

Query = Sequence[tuple[str, str]]


class TelnyxApi:
    """Asks for one channel's account."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        defaults: Mapping[str, Setting] = Telnyx.settings
        self._base = (settings.get("api_base") or defaults["api_base"].default).rstrip("/")
        self._headers = {"Authorization": f"Bearer {settings['api_key']}"}

    async def answer(self, http: Http, method: str, path: str, *, query: Query = (), json: Any = None) -> Answer:
        """Whatever Telnyx answers."""
        return await http.request(method, self._base + path, query=query, json=json, headers=self._headers)

    async def ask(
        self, http: Http, method: str, path: str, *, query: Query = (), json: Any = None
    ) -> Mapping[str, Any]:
        """What Telnyx answers; raises the SendError of a refusal."""
        return accepted(await self.answer(http, method, path, query=query, json=json))

    async def items(self, http: Http, path: str, query: Query = ()) -> AsyncIterator[Mapping[str, Any]]:
        """Each object of a list, of all its pages."""
        # {"data": [{...}], "meta": {"page_number": 1, "page_size": 100, "total_pages": 3, "total_results": 250}}
        before: list[Mapping[str, Any]] = []
        for page in range(1, MAX_PAGES):
            pages = [("page[number]", str(page)), ("page[size]", str(PAGE_SIZE))]
            said = await self.ask(http, "GET", path, query=[*query, *pages])
            if not isinstance(said.get("data"), list):
                raise Unknown("Telnyx answered a list without data")
            data = objects(said, "data")
            if data and data == before:
                raise Unknown("Telnyx answered the same page of a list twice")
            before = data
            for item in data:
                yield item
            meta = said.get("meta")
            total = meta.get("total_pages") if isinstance(meta, dict) else None
            if not data or (page >= total if isinstance(total, int) else len(data) < PAGE_SIZE):
                return
        raise Unknown(f"Telnyx answered a list of more than {MAX_PAGES} pages")


def accepted(answer: Answer) -> Mapping[str, Any]:
    """The JSON of a success; raises the SendError of a refusal."""
    if not 200 <= answer.status < 300:
        raise send_refusal(answer)
    return answer.json()


def text(item: Any, name: str) -> str:
    """A text of an answer, "" where it is missing or anything else."""
    value = item.get(name) if isinstance(item, dict) else None
    return value if isinstance(value, str) else ""


def objects(item: Any, name: str) -> list[Mapping[str, Any]]:
    """The objects of a list of an answer, [] where it is missing or anything else."""
    value = item.get(name) if isinstance(item, dict) else None
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
