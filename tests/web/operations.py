"""A request that succeeds, for every operation that changes something: what the generated tests send.

An operation that is not here fails them (test_machinery.py).
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from bot.clock import MICROSECONDS, iso, new_id, system_clock
from bot.purchases import number_row
from tests.server import Api, Customer
from tests.web.browser import PASSWORD, Caller, signed_in, store_of
from tests.web.site import Site, eventually, make_contact

TEXT = "zebra crossing at noon"
"""What people write to each other, wherever a request has such."""
MEDIA = "https://pictures.example/zebra.png"
_NAMES = (f"thing {number}" for number in itertools.count(1))


@dataclass(frozen=True)
class Asked:
    """A request. `contact` is whom the audit log should name; `by` calls in the place of whoever else would."""

    path: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)
    contact: str | None = None
    by: Caller | None = None


@dataclass(frozen=True)
class World:
    """Where requests find what they are about: everything is made by `the admin`."""

    site: Site
    client: aiohttp.ClientSession
    phone: Callable[[], str]

    @property
    def api(self) -> Api:
        """Who makes things."""
        return self.site.api(self.client)

    async def made(self, path: str, body: Any) -> Any:
        """What a POST that succeeds made."""
        status, value = await self.api.call("POST", path, body)
        assert status in (201, 202), value
        return value

    async def contact(self, **more: Any) -> str:
        """A new contact's id."""
        return str((await make_contact(self.api, self.phone(), **more))["id"])

    async def texted(self, *texts: str) -> Customer:
        """Somebody who texted us."""
        customer = self.site.customer(self.client, self.phone())
        for text in texts:
            await customer.text(text)
        return customer

    async def conversation(self) -> tuple[str, str]:
        """(conversation, contact) of somebody who texted us."""
        customer = await self.texted("HOURS")

        async def answered() -> Any:
            (found,) = (await self.api.get("/conversations", phone=customer.phone))["items"]
            return found if found["last_message"]["state"] == "sent" else None

        found = await eventually(answered, "the answer has left, and nothing changes by itself any more")
        return found["id"], found["contact"]

    async def list(self, **more: Any) -> str:
        """A new list's name."""
        return str((await self.made("/lists", {"name": next(_NAMES)} | more))["name"])


Operation = Callable[[World], Awaitable[Asked]]


async def _of_contact(world: World, body: Any = None, query: Mapping[str, str] | None = None, **more: Any) -> Asked:
    id_ = await world.contact(**more)
    return Asked({"id": id_}, body, query or {}, contact=id_)


async def _of_phone(world: World, **asked: Any) -> Asked:
    id_, number = await world.contact(), world.phone()
    await world.made(f"/contacts/{id_}/phones", {"number": number})
    return Asked({"id": id_, "number": number}, contact=id_, **asked)


async def _of_tag(world: World, **more: Any) -> Asked:
    id_ = await world.contact(**more)
    return Asked({"id": id_, "tag": "vip"}, contact=id_)


async def _of_member(world: World, *, is_on: bool) -> Asked:
    name = await world.list()
    id_ = await world.contact(lists=[name] if is_on else [])
    return Asked({"id": id_, "list": name}, contact=id_)


async def _of_conversation(world: World, body: Any = None) -> Asked:
    id_, contact = await world.conversation()
    # What shows a conversation names its contact; an answer is about its message.
    return Asked({"id": id_}, body, contact=None if body and "body" in body else contact)


async def _of_run(world: World) -> Asked:
    id_ = await world.contact()
    return Asked({"id": id_, "workflow": "rules.care"})


async def _new_contact(world: World) -> Asked:
    return Asked(body={"name": "Ana", "phones": [{"number": world.phone()}]}, contact="its own")


async def _join_many(world: World) -> Asked:
    return Asked({"list": await world.list()}, {"contacts": [await world.contact()]})


async def _new_message(world: World) -> Asked:
    id_ = await world.contact()
    return Asked(body={"to": {"contact": id_}, "body": TEXT, "media": [MEDIA]}, contact=id_)


async def _new_broadcast(world: World, **more: Any) -> Asked:
    return Asked(body={"to": {"contacts": [await world.contact()]}, "body": TEXT} | more)


async def _cancel_broadcast(world: World) -> Asked:
    to = {"contacts": [await world.contact()]}
    made = await world.made("/broadcasts", {"to": to, "body": TEXT})
    return Asked({"id": made["id"]})


async def _of_answer(world: World, body: Any = None) -> Asked:
    made = await world.made("/answers", {"name": next(_NAMES), "body": TEXT})
    return Asked({"id": made["id"]}, body)


async def _away(world: World) -> Asked:
    status, _ = await world.api.call("PUT", "/routes/desk/absence", {"until": _tomorrow()})
    assert status == 200
    return Asked({"route": "desk"})


def _tomorrow() -> str:
    return iso(system_clock() + 86_400 * MICROSECONDS)


async def _replay(world: World) -> Asked:
    customer = await world.texted("TELL")
    (found,) = (await world.api.get("/conversations", phone=customer.phone))["items"]

    async def dead() -> Any:
        items = (await world.api.get("/notifications", state="dead", limit="500"))["items"]
        return [item for item in items if item["conversation"] == found["id"]]

    items = await eventually(dead, "a dead notification")
    return Asked({"id": items[0]["id"]})


async def _stop_enrolment(world: World) -> Asked:
    made = await world.made("/workflows/rules.care/enrolments", {"list": await world.list()})
    return Asked({"id": made["id"]})


async def _own_password(world: World) -> Asked:
    browser = await signed_in(world.site, world.client, "read")
    return Asked(body={"present": PASSWORD, "password": PASSWORD + "-new"}, by=browser)


async def _of_user(world: World, body: Any = None) -> Asked:
    given = {"name": next(_NAMES).replace(" ", "."), "password": PASSWORD}
    return Asked({"id": (await world.made("/users", given))["id"]}, body)


async def _new_user(world: World) -> Asked:
    return Asked(body={"name": next(_NAMES).replace(" ", "."), "password": PASSWORD})


async def _delete_token(world: World) -> Asked:
    return Asked({"id": (await world.made("/tokens", {"name": next(_NAMES)}))["id"]})


async def _just(asked: Asked) -> Asked:
    return asked


async def _new_list(world: World) -> Asked:
    return Asked(body={"name": next(_NAMES)})


async def _of_list(world: World, **asked: Any) -> Asked:
    return Asked({"list": await world.list()}, **asked)


async def _enrol(world: World) -> Asked:
    return Asked({"workflow": "rules.care"}, {"list": await world.list()})


async def _of_import(world: World) -> Asked:
    id_, now, options = new_id(), system_clock(), '{"dry_run": false}'
    async with store_of(world.site) as store, store.transaction() as transaction:
        # As one that another node reads: what this server reads itself may be over too soon.
        await transaction.rows("add_import", id=id_, file="people.csv", actor="another", options=options, now=now)
    return Asked({"id": id_})


async def _buy(world: World) -> Asked:
    number = world.phone()
    await _bought(world, f"number:{number}", number, None)
    return Asked(body={"number": number})


async def _give_a_line(world: World) -> Asked:
    asked = await _of_user(world)
    await _bought(world, f"user:{asked.path['id']}", world.phone(), asked.path["id"])
    return asked


async def _bought(world: World, need: str, number: str, user: str | None) -> None:
    """A purchase that is done: whoever asks for it again gets that one, and no provider is needed."""
    row = {"id": new_id(), "need": need, "channel": "rented", "user_id": user, "country": "US", "area_code": "",
           "state": "done", "step": "tell", "number": number, "found_by": "asked for", "error": "",
           "requested_by": "the admin", "at": system_clock(), "due_at": 0, "ordered_at": 0}  # fmt: skip
    async with store_of(world.site) as store, store.transaction() as transaction:
        await transaction.each("add_purchases", [row])


async def _of_number(world: World, body: Any = None) -> Asked:
    number = world.phone()
    async with store_of(world.site) as store, store.transaction() as transaction:
        rows = [number_row(number, "rented", "found")]
        await transaction.each("upsert_numbers", rows, now=system_clock())
    return Asked({"number": number}, body)


async def _give_number(world: World) -> Asked:
    user = await _of_user(world)
    return await _of_number(world, {"user": user.path["id"]})


OPERATIONS: Mapping[str, Operation] = {
    "create_contact": _new_contact,
    "change_contact": lambda world: _of_contact(world, {"name": "Bo", "fields": {"size": "XL"}}),
    "delete_contact": lambda world: _of_contact(world, query={"confirm": "true"}),
    "create_phone": lambda world: _of_contact(world, {"number": world.phone()}),
    "change_phone": lambda world: _of_phone(world, body={"label": "work"}),
    "remove_phone": lambda world: _of_phone(world, query={"confirm": "true"}),
    "tag_contact": _of_tag,
    "untag_contact": lambda world: _of_tag(world, tags=["vip"]),
    "add_note": lambda world: _of_contact(world, {"body": TEXT}),
    "create_list": _new_list,
    "change_list": lambda world: _of_list(world, body={"purpose": "marketing"}),
    "delete_list": lambda world: _of_list(world, query={"confirm": "true"}),
    "join_list": lambda world: _of_member(world, is_on=False),
    "leave_list": lambda world: _of_member(world, is_on=True),
    "join_many": _join_many,
    "change_conversation": lambda world: _of_conversation(world, {"mode": "staff"}),
    "answer_conversation": lambda world: _of_conversation(world, {"body": TEXT, "media": [MEDIA]}),
    "close_conversation": _of_conversation,
    "reopen_conversation": _of_conversation,
    "read_conversation": _of_conversation,
    "send_message": _new_message,
    "create_broadcast": lambda world: _new_broadcast(world, media=[MEDIA]),
    "preview_broadcast": _new_broadcast,
    "cancel_broadcast": _cancel_broadcast,
    "create_answer": lambda world: _just(Asked(body={"name": next(_NAMES), "body": TEXT})),
    "change_answer": lambda world: _of_answer(world, {"name": next(_NAMES), "body": TEXT}),
    "delete_answer": _of_answer,
    "count_segments": lambda world: _just(Asked(body={"body": TEXT})),
    "set_absence": lambda world: _just(Asked({"route": "desk"}, {"until": _tomorrow()})),
    "end_absence": _away,
    "reload_rules": lambda world: _just(Asked()),
    "explain": lambda world: _just(Asked(body={"text": TEXT, "from": "+12025550142"})),
    "replay_notification": _replay,
    "start_run": _of_run,
    "stop_run": _of_run,
    "enrol_list": _enrol,
    "stop_enrolment": _stop_enrolment,
    "change_own_password": _own_password,
    "create_user": _new_user,
    "change_user": lambda world: _of_user(world, {"role": "read", "password": PASSWORD + "-new"}),
    "delete_user": _of_user,
    "create_token": lambda world: _just(Asked(body={"name": next(_NAMES)})),
    "delete_token": _delete_token,
    "cancel_import": _of_import,
    "buy_number": _buy,
    "give_user_a_line": _give_a_line,
    "change_number": _give_number,
    "release_number": _of_number,
    "sync_own_numbers": lambda world: _just(Asked()),
}
