"""Something of everything, so that no page is empty: people, texts, lists, files. Made by the API, as programs do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from bot.clock import new_id, system_clock
from bot.purchases import number_row
from bot.web.console.phone import FIRST_PHONE
from tests.server import Api, Customer, Server
from tests.web.browser import PASSWORD, store_of
from tests.web.site import Site, eventually, make_contact

PEOPLE = (
    ("Zoë Brontë", ["club"], ["regular"], {"visit": "2026-11-03", "colour": "green"}),
    ("Maximilian von und zu Hohenlohe-Langenburg-Waldenburg-Schillingsfürst", ["club", "vip"], [], {}),
    ("محمد الفاتح", ["vip"], ["arabic"], {}),
    ("李小龙", [], [], {"colour": "yellow"}),
    ("Bo", [], [], {}),
)
LONG = "Good morning! Is the second volume of the letters in, and would you keep it for me until Saturday? 📚 " * 2
FILE = "name,cell,lists\nIda,+12025550177,club\nNobody,12,club\nOtto,+12025550178,nowhere\n"


@dataclass(frozen=True)
class Samples:
    """What the paths of pages name, by the page's path."""

    of: Mapping[str, Mapping[str, str]]

    def path(self, page: str) -> str:
        """A page's path with something in it. Fails for a page that nobody made something for."""
        assert "{" not in page or page in self.of, f"{page}: make something for it in tests/browser/samples.py"
        return page.format(**self.of.get(page, {}))


async def made(api: Api, path: str, body: Any) -> Any:
    """What a POST made."""
    status, value = await api.call("POST", path, body)
    assert status in (200, 201, 202), value
    return value


async def conversation_of(api: Api, phone: str) -> dict[str, Any]:
    """The conversation of a phone."""
    (found,) = (await api.get("/conversations", phone=phone))["items"]
    conversation: dict[str, Any] = found
    return conversation


async def contact(api: Api, phone: str, name: str, **more: Any) -> str:
    """A contact who opted in; the id."""
    return str((await make_contact(api, phone, name=name, **more))["id"])


async def upload(server: Server, api: Api, text: str, name: str, **query: str) -> dict[str, Any]:
    """Import a file, to its end."""
    url, headers = f"{server.url}/api/v1/imports", {**api.headers, "Content-Type": "text/csv"}
    async with api.client.post(url, data=text.encode(), params={"name": name, **query}, headers=headers) as answer:
        assert answer.status in (200, 201, 202), await answer.text()
        id_ = orjson.loads(await answer.read())["id"]

    async def over() -> Any:
        file = await api.get(f"/imports/{id_}")
        return file if file["state"] in ("done", "failed") else None

    file: dict[str, Any] = await eventually(over, f"the import of {name}", seconds=20)
    return file


async def make_samples(
    server: Server, api: Api, client: aiohttp.ClientSession, new_phone: Callable[[], str]
) -> Samples:
    """Make everything."""
    ids = []
    for name, lists, tags, fields in PEOPLE:
        ids.append(await contact(api, new_phone(), name, lists=lists, tags=tags, fields=fields))
    first = (await api.get(f"/contacts/{ids[0]}"))["phones"][0]["number"]
    texter = Customer(server, client, first)
    for text in ("HOURS", "JOIN", LONG, "BEGIN"):
        await texter.text(text)
    await texter.text("Look at this", media=["https://pictures.example/shelf.png"])
    await texter.wait_for(2)
    talk = (await conversation_of(api, first))["id"]
    await made(api, f"/conversations/{talk}/messages", {"body": "Yes, it is here.", "take_over": True})
    for text in ("HOURS", "PERSON"):
        await Customer(server, client, FIRST_PHONE).text(text)
    for text in ("PERSON", "STOP", "TELL"):
        await Customer(server, client, new_phone()).text(text)
    await made(api, f"/contacts/{ids[0]}/notes", {"body": "Likes first editions."})
    await made(api, f"/contacts/{ids[0]}/phones", {"number": new_phone(), "label": "work"})
    await api.call("PATCH", f"/contacts/{ids[4]}/phones/{await _number(api, ids[4])}", {"blocked": True})
    await made(api, "/lists", {"name": "silent since spring", "query": {"silent_for_days": 90}})
    await made(api, "/answers", {"name": "Hours", "body": 'Hi {{ contact.first_name | default("there") }}, 9 to 5.'})
    await made(api, "/answers", {"name": "Parking", "body": "You can park behind the house."})
    text = await made(api, "/broadcasts", {"to": {"contacts": ids}, "body": "The reading is on Friday at 7."})
    file = await upload(server, api, FILE, "people from the fair.csv")
    await made(api, "/tokens", {"name": "the till", "role": "read"})
    await _numbers(server, api)
    inbound = (await api.get("/messages", phone=first, direction="inbound"))["items"]
    asked = next(item for item in inbound if item["body"] == "HOURS")
    return Samples(
        {
            "/inbox/{id}": {"id": talk},
            "/messages/{id}/why": {"id": asked["id"]},
            "/contacts/{id}": {"id": ids[0]},
            "/lists/{list}": {"list": "club"},
            "/texts/{id}": {"id": text["id"]},
            "/imports/{id}": {"id": file["id"]},
        }
    )


async def _numbers(server: Server, api: Api) -> None:
    """Numbers that were bought, one of them on its way out, and purchases that went well and not."""
    ana = {
        "name": "ana",
        "full_name": "Ana Lee",
        "password": PASSWORD,
        "cell": "+14155550142",
        "email": "ana@x.example",
    }
    user, now = await made(api, "/users", ana), system_clock()
    own, leaving = "+14155550101", "+14155550102"
    trouble = "rented has no number in area code 212, those of the same area, those near it or in the same state"
    common = {"channel": "rented", "country": "US", "requested_by": "user ana", "at": now, "due_at": now}
    purchases = (
        {"state": "done", "step": "tell", "number": own, "found_by": "area code", "area_code": "415",
         "user_id": user["id"], "error": ""},
        {"state": "pool", "step": "search", "number": "", "found_by": "pool", "area_code": "212", "user_id": None,
         "error": trouble},
    )  # fmt: skip
    rows = [number_row(own, "rented", "bought", user_id=user["id"]), number_row(leaving, "rented", "bought")]
    async with store_of(Site(server, {})) as store, store.transaction() as transaction:
        await transaction.each("upsert_numbers", rows, now=now)
        await transaction.each(
            "add_purchases",
            [{"id": new_id(), "need": f"sample:{n}", "ordered_at": 0, **common, **p} for n, p in enumerate(purchases)],
        )
    status, _ = await api.call("DELETE", f"/numbers/{leaving}")
    assert status == 200


async def _number(api: Api, id_: str) -> str:
    number: str = (await api.get(f"/contacts/{id_}"))["phones"][0]["number"]
    return number
