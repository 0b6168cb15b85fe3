"""Canned answers over the API: kept, checked, and read out in a conversation."""

from __future__ import annotations

import asyncio

import pytest

from rules.segments import segments
from tests.web.site import make_contact


@pytest.fixture
def name(new_phone):
    """A name that no answer has."""
    return f"answer {new_phone()}"


async def made(admin, name, body="Hello!"):
    status, answer = await admin.call("POST", "/answers", {"name": name, "body": body})
    assert status == 201, answer
    return answer


async def test_an_answer_is_made_changed_and_deleted(admin, name):
    answer = await made(admin, name, 'Hello {{ contact.first_name | default("there") }}!')
    path = f"/answers/{answer['id']}"
    assert answer == await admin.get(path)
    assert answer in (await admin.get("/answers"))["items"]
    status, changed = await admin.call("PUT", path, {"name": f"{name}2", "body": "Hi!"})
    assert (status, changed["name"], changed["body"]) == (200, f"{name}2", "Hi!")
    assert changed["updated_at"] >= answer["updated_at"]
    assert (await admin.call("PUT", path, {"name": f"{name}2", "body": "Hi again!"}))[0] == 200
    assert (await admin.call("DELETE", path))[0] == 204
    for method, body in (("GET", None), ("PUT", {"name": name, "body": "Hi!"}), ("DELETE", None)):
        assert (await admin.call(method, path, body))[0] == 404


async def test_answers_are_listed_by_name(admin, name):
    for end in "bca":
        await made(admin, name + end)
    names = [item["name"] for item in (await admin.get("/answers"))["items"] if item["name"].startswith(name)]
    assert names == [name + end for end in "abc"]


async def test_a_name_is_given_once_also_when_two_ask_at_once(admin, name):
    body = {"name": name, "body": "Hello!"}
    answers = await asyncio.gather(*(admin.call("POST", "/answers", body) for _ in range(3)))
    assert sorted(status for status, _ in answers) == [201, 409, 409]
    other = await made(admin, f"{name}2")
    status, problem = await admin.call("PUT", f"/answers/{other['id']}", body)
    assert (status, problem["detail"]) == (409, f"There is an answer '{name}' already.")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("Hello {{ contact.nmae }}", "Did you mean 'contact.name'?"),
        ("Hello {{ contact.name }}", "default"),
        ('Hello {{ contact.nope | default("x") }}', "unknown path"),
        ('You wrote {{ message.text | default("x") }}', "message.text"),
        ("Hello {{ contact.number", "}}"),
        ("Hello {{ contact.number | shout }}", "shout"),
        ("", "at least 1 character"),
        ("x" * 1601, "at most 1600 characters"),
    ],
)
async def test_a_text_that_could_not_be_read_out_is_refused_with_what_was_meant(any_site, client, body, why):
    admin = any_site.api(client)
    known = next((item for item in (await admin.get("/answers"))["items"] if item["name"] == "kept"), None)
    known = known or await made(admin, "kept")
    asked = [
        ("POST", "/answers", {"name": "new", "body": body}),
        ("PUT", f"/answers/{known['id']}", {"name": "kept", "body": body}),
    ]
    for method, path, given in asked:
        status, problem = await admin.call(method, path, given)
        assert (status, problem["errors"][0]["field"]) == (422, "body")
        assert why in problem["detail"]
    assert (await admin.get(f"/answers/{known['id']}"))["body"] == "Hello!"


@pytest.mark.parametrize("wrong", ["", "x" * 61, "new\nline"])
async def test_what_is_no_name_is_refused(any_site, client, wrong):
    assert (await any_site.api(client).call("POST", "/answers", {"name": wrong, "body": "Hi"}))[0] == 422


class TestInAConversation:
    @pytest.fixture
    async def read_out(self, admin, texter, name):
        """How a text reads in the conversation of somebody who texted us."""
        await texter.text("HOURS")
        (conversation,) = (await admin.get("/conversations", phone=texter.phone))["items"]

        async def read(body):
            answer = await made(admin, f"{name} {body}"[:60], body)
            items = (await admin.get(f"/conversations/{conversation['id']}/answers"))["items"]
            (item,) = [item for item in items if item["id"] == answer["id"]]
            assert item["name"] == answer["name"]
            await admin.call("DELETE", f"/answers/{answer['id']}")
            return item["body"]

        return read

    async def test_variables_are_filled_in_for_the_person_at_hand(self, admin, texter, read_out):
        contact = await admin.contact_of(texter.phone)
        path, greeting = f"/contacts/{contact['id']}", 'Hi {{ contact.first_name | default("there") }}!'
        assert await read_out(greeting) == "Hi there!"
        await admin.call("PATCH", path, {"name": "Ana Ortiz", "fields": {"visit": "2026-12-24", "other": "{{ x }}"}})
        assert await read_out(greeting) == "Hi Ana!"
        assert await read_out("{{ contact.number }}") == texter.phone
        assert await read_out("{{ business.name }}") == "Corner Books <b>& Sons</b>"
        assert await read_out('{{ contact.visit | default("soon") }}') == "2026-12-24"
        assert await read_out('{{ contact.name | default("x") | upper }}, 100% {off}') == "ANA ORTIZ, 100% {off}"

    async def test_what_a_value_says_is_not_read_again(self, admin, texter, read_out):
        contact = await admin.contact_of(texter.phone)
        await admin.call("PATCH", f"/contacts/{contact['id']}", {"name": "{{ contact.number }}"})
        assert await read_out('Hi {{ contact.name | default("x") }}') == "Hi {{ contact.number }}"

    async def test_somebody_who_was_deleted_is_nobody(self, admin, texter, name):
        await texter.text("HOURS")
        (conversation,) = (await admin.get("/conversations", phone=texter.phone))["items"]
        await admin.call("DELETE", f"/contacts/{conversation['contact']}", confirm="true")
        assert (await admin.call("GET", f"/conversations/{conversation['id']}/answers"))[0] == 404

    async def test_each_conversation_has_its_own_persons_words(self, site, client, admin, new_phone, name):
        answer = await made(admin, name, 'Hi {{ contact.name | default("there") }}')
        for person in ("Ana", "Bo"):
            customer = site.customer(client, new_phone())
            await make_contact(admin, customer.phone, name=person)
            await customer.text("HOURS")
            (conversation,) = (await admin.get("/conversations", phone=customer.phone))["items"]
            items = (await admin.get(f"/conversations/{conversation['id']}/answers"))["items"]
            assert {item["id"]: item["body"] for item in items}[answer["id"]] == f"Hi {person}"


@pytest.mark.parametrize(
    ("body", "encoding", "count", "left"),
    [
        ("", "GSM-7", 1, 160),
        ("Hello", "GSM-7", 1, 155),
        ("x" * 160, "GSM-7", 1, 0),
        ("x" * 161, "GSM-7", 2, 145),
        ("€" * 80, "GSM-7", 1, 0),
        ("Здравствуйте", "UCS-2", 1, 58),
        ("😀" * 35, "UCS-2", 1, 0),
        ("ж" * 71, "UCS-2", 2, 63),
    ],
)
async def test_a_text_is_counted_as_it_will_be_sent(any_site, client, body, encoding, count, left):
    status, counted = await any_site.api(client, "read").call("POST", "/segments", {"body": body})
    assert status == 200
    assert counted == {"encoding": encoding, "segments": count, "characters": len(body), "left": left}


@pytest.mark.parametrize("sign", ["x", "€", "ж", "😀"])
async def test_what_is_left_fits_and_one_more_does_not(any_site, client, sign):
    """As many more as are left may be typed before there is one more segment."""
    api = any_site.api(client)
    for length in (1, 70, 77, 80, 134, 152, 153, 200, 306):
        body = sign * length
        _, counted = await api.call("POST", "/segments", {"body": body})
        plain = "x" if counted["encoding"] == "GSM-7" else "ж"
        assert segments(body + plain * counted["left"]).count == counted["segments"]
        assert segments(body + plain * (counted["left"] + 1)).count == counted["segments"] + 1
