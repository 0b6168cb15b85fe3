"""Workflows of a running server: who comes in and out, who is asked, and what happens is told to the rules once."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from tests.bot.conftest import NOBODY, Shop, everything, in_a_loop_of_its_own, until
from tests.bot.course import newcomer
from tests.server import Api, Customer

pytestmark = pytest.mark.slow

RULES = """
version: 1
name: shop
lists: {course: service, quick: service}
fields:
  timezone: text
  likes: text
  joined: integer
  left: integer
  added: integer
  in: integer
  out: integer
  failed: integer
  ended: integer
rules:
  - {id: join, when: {exact: sign me up}, do: [{add_to_list: course}]}
  - {id: leave, when: {exact: not for me}, do: [{remove_from_list: course}]}
  - {id: study, when: {exact: study}, do: [{start: course}]}
  - {id: rate, when: {exact: rate}, do: [{start: survey}]}
  - {id: no more, when: {exact: no more}, do: [{stop: course}]}
  - {id: person, when: {exact: person}, do: [{handoff: staff}]}
  - {id: joined, event: list_joined, when: {list: quick}, do: [{increment: {joined: 1}}]}
  - {id: left, event: list_left, do: [{increment: {left: 1}}]}
  - {id: added, event: contact_added, do: [{increment: {added: 1}}]}
  - {id: in, event: opted_in, do: [{increment: {in: 1}}]}
  - {id: out, event: opted_out, do: [{increment: {out: 1}}]}
  - {id: failed, event: delivery_failed, when: {error: "30005"}, do: [{increment: {failed: 1}}]}
  - {id: ended, event: workflow_ended, do: [{increment: {ended: 1}}]}
workflows:
  course:
    list: course
    enroll: {again: after_end}
    steps:
      - id: drink
        ask:
          text: Tea or milk?
          timeout: 1h
          replies: [{when: {exact: [tea, milk]}}]
          save_as: likes
      - id: noted
        send: '{{ contact.likes | default("?") }} it is'
      - id: rest
        wait: 1s
      - id: bye
        send: See you
  survey:
    steps:
      - id: stars
        ask: {text: How many stars?, timeout: 1h, replies: [{when: {number: true}}]}
      - send: Thank you
""".replace("id: no more", "id: no_more")
QUESTION = "Tea or milk?"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def shop(request, open_shop) -> Shop:
    url = "sqlite:///test.db"
    if request.param == "postgres":
        url = in_a_loop_of_its_own(_database(request.getfixturevalue("postgres")))
    made: Shop = open_shop(url, rules=RULES, routes__staff=NOBODY)
    return made


async def _database(server: str) -> str:
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = await asyncpg.connect(server)
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    return server.replace("/postgres?", f"/{name}?")


@pytest.fixture
def staff(shop, client) -> Api:
    return shop.staff(client)


@pytest.fixture
async def ana(shop, staff, customer_of) -> Customer:
    """A customer whom staff know, and at whose place it is noon."""
    customer: Customer = customer_of(shop)
    await made(staff, customer)
    return customer


async def made(staff: Api, customer: Customer, *lists: str) -> str:
    status, contact = await staff.call("POST", "/contacts", newcomer(customer.phone, *lists))
    assert status == 201, contact
    return str(contact["id"])


async def id_of(staff: Api, customer: Customer) -> str:
    return str((await staff.contact_of(customer.phone))["id"])


async def runs(staff: Api, customer: Customer) -> list[tuple[str, str, str | None]]:
    """The workflows that somebody is in or was, the oldest first: name, step, and what it waits for or how it ended."""
    found = (await staff.get(f"/contacts/{await id_of(staff, customer)}/runs"))["items"]
    return [
        (run["workflow"].removeprefix("shop."), run["step"], run["waits_for"] or run["outcome"]) for run in found[::-1]
    ]


async def where(staff: Api, customer: Customer, *expected: tuple[str, str, str]) -> None:
    async def is_there() -> bool:
        return await runs(staff, customer) == list(expected)

    try:
        await until(is_there)
    except TimeoutError:
        assert await runs(staff, customer) == list(expected)


async def fields(staff: Api, customer: Customer) -> dict[str, str]:
    found = (await staff.contact_of(customer.phone))["fields"]
    return {name: value for name, value in found.items() if name != "timezone"}


async def counted(staff: Api, customer: Customer, **expected: Any) -> None:
    """These happenings were told to the rules so often, and no others (joining aside)."""
    wanted = {name: str(value) for name, value in expected.items()}

    async def is_so() -> bool:
        return await fields(staff, customer) == wanted

    try:
        await until(is_so)
        await customer.quiet(0.2)
    except TimeoutError:
        pass
    assert await fields(staff, customer) == wanted


async def ok(staff: Api, method: str, path: str, body: Any = None, **query: str) -> Any:
    status, value = await staff.call(method, path, body, **query)
    assert status < 300, value
    return value


async def by_list(staff: Api, customer: Customer) -> None:
    await ok(staff, "PUT", f"/lists/course/contacts/{await made(staff, customer)}")


async def by_a_long_list(staff: Api, customer: Customer) -> None:
    await ok(staff, "POST", "/lists/course/contacts", {"contacts": [await made(staff, customer)]})


async def by_creation(staff: Api, customer: Customer) -> None:
    await made(staff, customer, "course")


async def by_rule(_staff: Api, customer: Customer) -> None:
    await customer.text("sign me up")


async def by_start(_staff: Api, customer: Customer) -> None:
    await customer.text("study")


async def by_hand(staff: Api, customer: Customer) -> None:
    await ok(staff, "PUT", f"/workflows/course/contacts/{await made(staff, customer)}")


@pytest.mark.parametrize("join", [by_list, by_a_long_list, by_creation, by_rule, by_start, by_hand])
async def test_joining_in_any_way_begins_the_workflow_once(join, shop, staff, customer_of):
    customer = customer_of(shop)
    await join(staff, customer)
    assert await customer.wait_for(1) == [QUESTION]
    await where(staff, customer, ("course", "drink", "reply"))
    assert await customer.quiet() == [QUESTION]


async def test_a_question_is_answered_and_the_rest_follows(staff, ana):
    await ana.text("sign me up")
    await ana.wait_for(1)
    await ana.text("what do you have?")
    assert await ana.quiet() == [QUESTION]
    await ana.text("Milk!")
    assert await ana.wait_for(3) == [QUESTION, "Milk! it is", "See you"]
    await where(staff, ana, ("course", "bye", "finished"))
    await counted(staff, ana, likes="Milk!", added=1, ended=1)


async def leave_by_api(staff: Api, customer: Customer) -> None:
    await ok(staff, "DELETE", f"/lists/course/contacts/{await id_of(staff, customer)}")


async def leave_by_rule(_staff: Api, customer: Customer) -> None:
    await customer.text("not for me")


@pytest.mark.parametrize("leave", [leave_by_api, leave_by_rule])
async def test_leaving_the_list_ends_it(leave, staff, ana):
    await ana.text("sign me up")
    await ana.wait_for(1)
    await leave(staff, ana)
    await where(staff, ana, ("course", "drink", "left course"))
    await counted(staff, ana, added=1, left=1, ended=1)
    await ana.text("tea")
    assert await ana.quiet() == [QUESTION]


async def stop_by_api(staff: Api, customer: Customer) -> None:
    await ok(staff, "DELETE", f"/workflows/course/contacts/{await id_of(staff, customer)}")


async def stop_by_rule(_staff: Api, customer: Customer) -> None:
    await customer.text("no more")


@pytest.mark.parametrize("stop", [stop_by_api, stop_by_rule])
async def test_it_can_be_stopped_for_one_contact(stop, staff, ana):
    await ana.text("study")
    await ana.wait_for(1)
    await stop(staff, ana)
    await where(staff, ana, ("course", "drink", "stopped"))
    await counted(staff, ana, added=1, ended=1)


async def out_by_word(_staff: Api, customer: Customer) -> None:
    await customer.text("STOP")


async def out_by_api(staff: Api, customer: Customer) -> None:
    path = f"/contacts/{await id_of(staff, customer)}/phones/{customer.phone}"
    await ok(staff, "PATCH", path, {"opted_in": False})


async def out_by_block(staff: Api, customer: Customer) -> None:
    path = f"/contacts/{await id_of(staff, customer)}/phones/{customer.phone}"
    await ok(staff, "PATCH", path, {"blocked": True, "reason": "rude"})


async def out_by_provider(staff: Api, customer: Customer) -> None:
    [sent] = await everything(staff, "/messages", phone=customer.phone, direction="outbound")
    await receipt(customer, sent["id"], "failed", error="21610", opted_out=True)


async def receipt(customer: Customer, id_: str, state: str, **more: Any) -> None:
    said = {"receipt_for": f"sim-{id_}", "state": state, **more}
    async with customer.client.post(f"{customer.server.url}/webhooks/sim", json=said) as response:
        assert response.status == 200


OUT: list[Callable[[Api, Customer], Awaitable[None]]] = [out_by_word, out_by_api, out_by_provider, out_by_block]


@pytest.mark.parametrize("out", OUT)
async def test_whoever_opts_out_leaves_every_workflow_and_gets_no_more_of_it(out, staff, ana):
    await ana.text("rate")
    await ana.wait_for(1)
    await ana.text("study")
    await where(staff, ana, ("survey", "stars", "reply"), ("course", "drink", "turn"))
    await out(staff, ana)
    await where(staff, ana, ("survey", "stars", "opted out"), ("course", "drink", "opted out"))
    if out is out_by_block:
        return  # nothing is decided about a blocked phone
    await counted(staff, ana, added=1, out=1, ended=2)
    if out is not out_by_word:
        return
    await ana.text("START")
    await counted(staff, ana, added=1, out=1, ended=2, **{"in": 1})
    assert len(await runs(staff, ana)) == 2, "START brings back messages, not workflows"
    await ana.text("5")
    assert "Thank you" not in await ana.quiet()


async def test_staff_opting_in_is_told_to_the_rules_once(staff, ana):
    path = f"/contacts/{await id_of(staff, ana)}/phones/{ana.phone}"
    await ok(staff, "PATCH", path, {"opted_in": False})
    await ok(staff, "PATCH", path, {"opted_in": True, "reason": "asked for it at the till"})
    await ok(staff, "PATCH", path, {"opted_in": True, "reason": "asked again"})
    await counted(staff, ana, added=1, out=1, **{"in": 1})


async def test_what_waits_to_be_sent_is_cancelled_by_stop(shop, staff, ana):
    await ana.text("study")
    await ana.wait_for(1)
    await ana.text("tea")
    await ana.text("STOP")
    texts = await ana.quiet(1.5)
    assert "See you" not in texts
    await where(staff, ana, ("course", "rest", "opted out"))


async def test_a_contact_that_is_deleted_takes_its_runs_along(staff, ana):
    await ana.text("study")
    await ana.wait_for(1)
    id_ = await id_of(staff, ana)
    await ok(staff, "DELETE", f"/contacts/{id_}", confirm="true")
    assert not [run for run in await everything(staff, "/workflows/course/runs") if run["contact"] == id_]


async def test_the_questions_of_two_workflows_take_turns(staff, ana):
    await ana.text("rate")
    await ana.text("study")
    await where(staff, ana, ("survey", "stars", "reply"), ("course", "drink", "turn"))
    await ana.text("tea")
    assert await ana.quiet() == ["How many stars?"], "the second question is not open yet"
    await ana.text("5")
    assert await ana.wait_for(3) == ["How many stars?", "Thank you", QUESTION]
    await ana.text("tea")
    assert await ana.wait_for(5) == ["How many stars?", "Thank you", QUESTION, "tea it is", "See you"]


async def test_a_workflow_rests_while_a_person_answers_and_goes_on_when_the_conversation_is_closed(staff, ana):
    await ana.text("study")
    await ana.wait_for(1)
    await ana.text("person")
    await ana.text("tea")
    await where(staff, ana, ("course", "drink", "reply"))
    await ok(staff, "PUT", f"/workflows/survey/contacts/{await id_of(staff, ana)}")
    await where(staff, ana, ("course", "drink", "reply"), ("survey", "stars", "window"))
    await closed(staff, ana)
    await where(staff, ana, ("course", "drink", "reply"), ("survey", "stars", "turn"))
    await ana.text("tea")
    assert await ana.wait_for(3) == [QUESTION, "tea it is", "How many stars?"]


async def closed(staff: Api, customer: Customer) -> None:
    [conversation] = await everything(staff, "/conversations", phone=customer.phone)
    await ok(staff, "POST", f"/conversations/{conversation['id']}/close")


async def test_a_text_that_waits_for_a_person_to_finish_leaves_when_the_conversation_is_closed(staff, ana):
    await ana.text("person")
    await ok(staff, "PUT", f"/workflows/survey/contacts/{await id_of(staff, ana)}")
    await where(staff, ana, ("survey", "stars", "window"))
    assert await ana.quiet() == []
    await closed(staff, ana)
    assert await ana.wait_for(1) == ["How many stars?"]


async def test_list_joined_is_told_once_from_every_source(shop, staff, customer_of):
    first, second, third = customer_of(shop), customer_of(shop), customer_of(shop)
    await made(staff, first, "quick")
    await counted(staff, first, added=1, joined=1)
    id_ = await made(staff, second)
    await ok(staff, "PUT", f"/lists/quick/contacts/{id_}")
    await ok(staff, "PUT", f"/lists/quick/contacts/{id_}")
    await counted(staff, second, added=1, joined=1)
    id_ = await made(staff, third)
    await ok(staff, "POST", "/lists/quick/contacts", {"contacts": [id_, id_]})
    await ok(staff, "POST", "/lists/quick/contacts", {"contacts": [id_]})
    await ok(staff, "DELETE", f"/lists/quick/contacts/{id_}")
    await ok(staff, "DELETE", f"/lists/quick/contacts/{id_}")
    await counted(staff, third, added=1, joined=1, left=1)


async def test_a_contact_that_a_text_made_is_told_once(shop, staff, customer_of):
    customer = customer_of(shop)
    for _ in range(3):
        await customer.text("hello")
    await counted(staff, customer, added=1)


async def test_a_text_that_did_not_arrive_is_told_once_however_often_the_provider_says_so(staff, ana):
    await ana.text("study")
    await ana.wait_for(1)
    [sent] = await everything(staff, "/messages", phone=ana.phone, direction="outbound")
    for _ in range(3):
        await receipt(ana, sent["id"], "undelivered", error="30005")
    await counted(staff, ana, added=1, failed=1)
    await ana.text("tea")
    await ana.wait_for(2)
    sent = (await everything(staff, "/messages", phone=ana.phone, direction="outbound"))[0]
    await receipt(ana, sent["id"], "failed", error="30003")
    await where(staff, ana, ("course", "bye", "finished"))
    await counted(staff, ana, likes="tea", added=1, failed=1, ended=1)
