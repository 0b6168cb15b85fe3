"""Lists over the API: by hand, and by query, whose people are whoever meets it at this moment."""

from __future__ import annotations

import random

import pytest

from bot.web.models import CriteriaIn
from rules.facts import ALL_CONTACTS
from tests.web.site import make_contact


@pytest.fixture
def name(new_phone):
    """A name that no list has."""
    return f"list {new_phone()}"


@pytest.fixture
def tag(new_phone):
    """A tag that nobody has."""
    return f"tag {new_phone()}"


async def people(admin, name):
    """The ids of the people on a list."""
    return {contact["id"] for contact in (await admin.get("/contacts", list=name, limit="500"))["items"]}


async def by_query(admin, name, **query):
    status, made = await admin.call("POST", "/lists", {"name": name, "query": query})
    assert status == 201, made
    return made


async def test_a_list_is_made_and_shown_with_what_it_is_for(admin, name):
    status, made = await admin.call("POST", "/lists", {"name": name, "purpose": "marketing"})
    empty = {"contacts": 0, "textable": 0, "opted_out": 0, "blocked": 0}
    assert status == 201
    assert made == {"id": name, "name": name, "purpose": "marketing", "query": None} | empty
    assert made == await admin.get(f"/lists/{name}")
    assert made in (await admin.get("/lists"))["items"]
    assert (await admin.call("POST", "/lists", {"name": name}))[0] == 409
    assert (await admin.call("POST", "/lists", {"name": ALL_CONTACTS}))[0] == 409


@pytest.mark.parametrize("wrong", ["", " ", "a/b", "x" * 101, "new\nline", 5, ".", "..", " .. ", "\u200b", "\u3164"])
async def test_what_cannot_be_a_name_of_a_list_or_a_token_is_none(any_site, client, wrong):
    api = any_site.api(client)
    for path in ("/lists", "/tokens"):
        assert (await api.call("POST", path, {"name": wrong}))[0] == 422


async def test_blanks_around_a_name_are_no_part_of_it(admin, name):
    status, made = await admin.call("POST", "/lists", {"name": f" {name}\u2003"})
    assert (status, made["name"]) == (201, name)
    assert (await admin.call("POST", "/lists", {"name": f"\t{name} "}))[0] in (409, 422)
    assert (await admin.call("POST", "/lists", {"name": f" {ALL_CONTACTS} "}))[0] == 409


async def test_a_list_by_query_is_up_to_date_whatever_happens(admin, new_phone, name, tag):
    made = await by_query(admin, name, tag=tag, opted_in=True)
    assert made["query"] == {"tag": tag, "opted_in": True}
    assert await people(admin, name) == set()
    phone = new_phone()
    contact = await make_contact(admin, phone, tags=[tag])
    id_ = contact["id"]
    path = f"/contacts/{id_}"
    steps = [
        ("DELETE", f"{path}/tags/{tag}", None, False),
        ("PUT", f"{path}/tags/{tag}", None, True),
        ("PATCH", f"{path}/phones/{phone}", {"opted_in": False}, False),
        ("PATCH", f"{path}/phones/{phone}", {"opted_in": True, "reason": "asked"}, True),
    ]
    assert await people(admin, name) == {id_}
    for method, where, body, is_on in steps:
        assert (await admin.call(method, where, body))[0] == 200
        assert await people(admin, name) == ({id_} if is_on else set())
        assert (await admin.get(f"/lists/{name}"))["contacts"] == int(is_on)
    # It is no list of theirs: who is on it is not written down.
    assert (await admin.get(path))["lists"] == [ALL_CONTACTS]
    assert (await admin.get(f"{path}/lists"))["items"] == []
    await admin.call("DELETE", path, confirm="true")
    assert await people(admin, name) == set()


async def test_every_criterion_can_be_asked_of_a_list(admin, name):
    asked = {
        "q": "ana", "list": "club", "tag": "a", "without_tag": "b", "field": "size", "value": "XL", "opted_in": False,
        "blocked": False, "textable": True, "texted_within_days": 7, "silent_for_days": 1,
    }  # fmt: skip
    assert set(asked) == {field.alias or key for key, field in CriteriaIn.model_fields.items()}
    assert (await by_query(admin, name, **asked))["query"] == asked
    assert (await admin.get(f"/lists/{name}"))["query"] == asked


async def test_a_list_of_nothing_asked_or_within_a_list_by_query_is_refused(admin, name, tag):
    await by_query(admin, name, tag=tag)
    for query, why in (
        ({}, "asks for nothing"),
        ({"tag": None}, "asks for nothing"),
        ({"list": ALL_CONTACTS}, "asks for nothing"),
        ({"list": name}, "is a list by query itself"),
        ({"list": "nope"}, "there is no list 'nope'"),
        ({"value": "XL"}, "of which field"),
        ({"colour": "red"}, "colour"),
        ({"opted_in": "yes"}, "opted_in"),
    ):
        status, problem = await admin.call("POST", "/lists", {"name": f"{name}2", "query": query})
        assert status == 422, query
        assert why in problem["detail"]
        assert (await admin.call("PATCH", f"/lists/{name}", {"query": query}))[0] == 422, query
    assert (await admin.call("GET", f"/lists/{name}2"))[0] == 404
    assert (await admin.get(f"/lists/{name}"))["query"] == {"tag": tag}


async def test_nobody_is_put_on_a_list_by_query_or_taken_off_it_by_hand(admin, new_phone, name, tag):
    await by_query(admin, name, tag=tag)
    contact = await make_contact(admin, new_phone(), tags=[tag])
    asked = [
        ("PUT", f"/lists/{name}/contacts/{contact['id']}", None),
        ("DELETE", f"/lists/{name}/contacts/{contact['id']}", None),
        ("POST", f"/lists/{name}/contacts", {"contacts": [contact["id"]]}),
    ]
    for method, path, body in asked:
        status, problem = await admin.call(method, path, body)
        assert (status, problem["detail"]) == (409, "Who is on this list follows from its query.")
    status, problem = await admin.call("POST", "/contacts", {"phones": [{"number": new_phone()}], "lists": [name]})
    assert (status, problem["detail"]) == (422, f"Who is on the list '{name}' follows from its query.")
    assert (await admin.get(f"/contacts/{contact['id']}"))["lists"] == [ALL_CONTACTS]


async def test_a_list_is_changed_in_what_it_is_for_and_in_what_it_asks(admin, new_phone, name, tag):
    await admin.call("POST", "/lists", {"name": name})
    status, changed = await admin.call("PATCH", f"/lists/{name}", {"purpose": "marketing"})
    assert (status, changed["purpose"], changed["query"]) == (200, "marketing", None)
    status, problem = await admin.call("PATCH", f"/lists/{name}", {"query": {"tag": tag}})
    assert (status, problem["detail"]) == (409, "It is a list by hand. Make a list by query beside it.")
    await by_query(admin, f"{name}2", tag="nobody's")
    contact = await make_contact(admin, new_phone(), tags=[tag])
    status, changed = await admin.call("PATCH", f"/lists/{name}2", {"query": {"tag": tag}})
    assert (status, changed["query"], changed["purpose"], changed["contacts"]) == (200, {"tag": tag}, "service", 1)
    assert await people(admin, f"{name}2") == {contact["id"]}
    assert (await admin.call("PATCH", f"/lists/{name}2", {}))[1] == changed
    assert (await admin.call("PATCH", f"/lists/{ALL_CONTACTS}", {"purpose": "marketing"}))[0] == 409
    assert (await admin.call("PATCH", "/lists/nope", {}))[0] == 404
    assert (await admin.call("PATCH", f"/lists/{name}", {"name": "other"}))[0] == 422


async def test_a_list_that_is_deleted_leaves_its_people_and_their_history(admin, new_phone, name):
    await admin.call("POST", "/lists", {"name": name})
    ids = [(await make_contact(admin, new_phone(), lists=[name]))["id"] for _ in range(2)]
    assert (await admin.call("DELETE", f"/lists/{name}"))[0] == 422
    assert (await admin.call("DELETE", f"/lists/{name}", confirm="false"))[0] == 422
    assert (await admin.call("DELETE", f"/lists/{name}", confirm="true"))[0] == 204
    assert (await admin.call("GET", f"/lists/{name}"))[0] == 404
    assert (await admin.call("DELETE", f"/lists/{name}", confirm="true"))[0] == 404
    for id_ in ids:
        assert (await admin.get(f"/contacts/{id_}"))["lists"] == [ALL_CONTACTS]
        events = (await admin.get(f"/contacts/{id_}/lists"))["items"]
        assert [(item["event"], item["list"], item["actor"]) for item in events] == [
            ("list_left", name, "staff the admin"), ("list_joined", name, "staff the admin"),
        ]  # fmt: skip
    # One of the same name begins empty.
    await admin.call("POST", "/lists", {"name": name})
    assert await people(admin, name) == set()


async def test_a_list_that_rules_declare_or_another_list_asks_for_is_not_deleted(admin, name, tag):
    for path, why in (("/lists/club", "A rule file declares this list."), (f"/lists/{ALL_CONTACTS}", "stays")):
        status, problem = await admin.call("DELETE", path, confirm="true")
        assert (status, why in problem["detail"]) == (409, True)
    await admin.call("POST", "/lists", {"name": name})
    await by_query(admin, f"{name}2", list=name, tag=tag)
    status, problem = await admin.call("DELETE", f"/lists/{name}", confirm="true")
    assert (status, problem["detail"]) == (409, f"The list '{name}2' asks who is on it.")
    assert (await admin.call("DELETE", f"/lists/{name}2", confirm="true"))[0] == 204
    assert (await admin.call("DELETE", f"/lists/{name}", confirm="true"))[0] == 204


async def test_a_list_within_a_list_by_query_is_up_to_date_too(admin, new_phone, name, tag):
    await admin.call("POST", "/lists", {"name": name})
    on, off = [(await make_contact(admin, new_phone(), tags=[tag], lists=lists))["id"] for lists in ([name], [])]
    await by_query(admin, f"{name}2", list=name, tag=tag)
    assert await people(admin, f"{name}2") == {on}
    await admin.call("PUT", f"/lists/{name}/contacts/{off}")
    assert await people(admin, f"{name}2") == {on, off}


async def test_everybody_is_on_all_contacts_and_stays(admin, new_phone):
    contact = await make_contact(admin, new_phone())
    path = f"/lists/{ALL_CONTACTS}/contacts/{contact['id']}"
    assert (await admin.call("PUT", path))[1]["lists"] == [ALL_CONTACTS]
    assert (await admin.call("DELETE", path))[0] == 409
    status, joined = await admin.call("POST", f"/lists/{ALL_CONTACTS}/contacts", {"contacts": [contact["id"], "x"]})
    assert (status, joined) == (200, {"joined": 0, "already": 1, "unknown": ["x"]})
    first = (await admin.get("/lists"))["items"][0]
    assert (first["name"], first["query"]) == (ALL_CONTACTS, None)
    assert first == await admin.get(f"/lists/{ALL_CONTACTS}")


def counted(contacts):
    """The counts of a list, by plain Python."""
    return {
        "contacts": len(contacts),
        "textable": sum(any(phone["textable"] for phone in contact["phones"]) for contact in contacts),
        "opted_out": sum(not any(phone["opted_in"] for phone in contact["phones"]) for contact in contacts),
        "blocked": sum(any(phone["blocked"] for phone in contact["phones"]) for contact in contacts),
    }


async def test_the_counts_are_right_in_every_state(admin, new_phone, name, tag):
    chance = random.Random(3)
    await admin.call("POST", "/lists", {"name": name})
    await by_query(admin, f"{name}2", tag=tag)
    ids, all_before = [], await admin.get(f"/lists/{ALL_CONTACTS}")
    for _ in range(10):
        first, *more = [new_phone() for _ in range(chance.choice((1, 2, 3)))]
        contact = await make_contact(admin, first, opted_in=chance.random() < 0.6)
        path = f"/contacts/{contact['id']}"
        ids.append(contact["id"])
        for phone in more:
            await admin.call("POST", f"{path}/phones", {"number": phone})
        for phone in (first, *more):
            change = chance.choice(
                [{"blocked": True}, {"opted_in": True, "reason": "asked"}, {"do_not_contact": True, "opted_in": True,
                 "reason": "asked"}, {"wrong_number": True}, {"label": "home"}, {"opted_in": False}]
            )  # fmt: skip
            await admin.call("PATCH", f"{path}/phones/{phone}", change)
        if chance.random() < 0.7:
            await admin.call("PUT", f"/lists/{name}/contacts/{contact['id']}")
        if chance.random() < 0.7:
            await admin.call("PUT", f"{path}/tags/{tag}")
    contacts = [await admin.get(f"/contacts/{id_}") for id_ in ids]
    lists = {item["name"]: item for item in (await admin.get("/lists"))["items"]}
    wanted = {
        name: counted([contact for contact in contacts if name in contact["lists"]]),
        f"{name}2": counted([contact for contact in contacts if tag in contact["tags"]]),
        ALL_CONTACTS: {key: value + all_before[key] for key, value in counted(contacts).items()},
    }
    for list_, counts in wanted.items():
        assert {key: lists[list_][key] for key in counts} == counts, list_
        assert await admin.get(f"/lists/{list_}") == lists[list_]
    assert 0 < wanted[name]["opted_out"] < wanted[name]["contacts"]


async def test_a_list_may_have_braces_in_its_name(any_site, client):
    api = any_site.api(client)
    name = "summer {2026}"
    assert (await api.call("POST", "/lists", {"name": name}))[0] == 201
    assert (await api.get("/lists/summer%20%7B2026%7D"))["name"] == name
