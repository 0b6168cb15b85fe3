"""Contacts over the API: making, looking up, paging, changing and deleting them."""

from __future__ import annotations

import pytest

from tests.web.site import eventually, make_contact


async def test_a_contact_is_made_with_all_that_was_given(admin, new_phone):
    phone, landline = new_phone(), new_phone()
    status, made = await admin.call(
        "POST",
        "/contacts",
        {
            "name": "Ana Ortiz",
            "phones": [{"number": phone}, {"number": landline, "label": "home"}],
            "lists": ["club", "All Contacts"],
            "tags": ["regular"],
            "fields": {"favourite": "Poirot"},
            "opted_in": True,
            "evidence": "paper form, 1 May",
        },
    )
    assert status == 201
    assert made == await admin.get(f"/contacts/{made['id']}")
    assert (made["name"], made["lists"], made["tags"]) == ("Ana Ortiz", ["All Contacts", "club"], ["regular"])
    assert made["fields"] == {"favourite": "Poirot"}
    assert made["source"] == "staff the admin"
    cell, home = sorted(made["phones"], key=lambda item: item["label"])
    assert (cell["number"], cell["opted_in"], cell["textable"], cell["not_textable_because"]) == (
        phone, True, True, None,
    )  # fmt: skip
    assert (home["number"], home["textable"]) == (landline, False)
    assert home["not_textable_because"] == "the phone is labelled home, not cell"
    history = (await admin.get(f"/contacts/{made['id']}/consent"))["items"]
    assert {event["phone"] for event in history} == {phone, landline}
    assert {(event["event"], event["actor"], event["reason"]) for event in history} == {
        ("created", "staff the admin", "paper form, 1 May")
    }
    assert all(event["before"] == {} and event["after"]["opted_in"] for event in history)


async def test_a_contact_is_not_opted_in_unless_somebody_says_so(admin, new_phone):
    made = await make_contact(admin, new_phone(), opted_in=False, evidence="")
    assert made["phones"][0]["opted_in"] is False
    assert made["phones"][0]["not_textable_because"] == "the phone is opted out"


@pytest.mark.parametrize("evidence", [{}, {"evidence": ""}, {"evidence": "  "}, {"evidence": "\u200b \u2060"}])
async def test_opting_in_without_evidence_is_refused(admin, new_phone, evidence):
    phone = new_phone()
    body = {"phones": [{"number": phone}], "opted_in": True} | evidence
    status, problem = await admin.call("POST", "/contacts", body)
    assert status == 422
    assert "evidence" in problem["detail"]
    assert (await admin.get("/contacts", q=phone))["items"] == []


async def test_a_number_that_has_a_contact_is_refused_with_that_contact(admin, new_phone):
    phone = new_phone()
    first = await make_contact(admin, phone)
    written = f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}"
    status, problem = await admin.call("POST", "/contacts", {"phones": [{"number": new_phone()}, {"number": written}]})
    assert status == 409
    assert first["id"] in problem["detail"]


async def test_the_same_number_twice_in_one_contact_is_one_phone(admin, new_phone):
    phone = new_phone()
    status, made = await admin.call("POST", "/contacts", {"phones": [{"number": phone}, {"number": phone[2:]}]})
    assert status == 201
    assert [item["number"] for item in made["phones"]] == [phone]


@pytest.mark.parametrize("number", ["abc", "12345", "+1202555", "+12025550123456789", "   ", "+99999999999"])
async def test_what_is_no_number_is_refused_with_its_place(admin, new_phone, number):
    status, problem = await admin.call("POST", "/contacts", {"phones": [{"number": new_phone()}, {"number": number}]})
    assert status == 422
    assert problem["errors"] == [{"field": "phones.1.number", "detail": "no phone number"}]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"phones": []}, "phones"),
        ({"phones": None}, "phones"),
        ({"name": 5}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"opted_in": "yes"}, "opted_in"),
        ({"opted_in": 1}, "opted_in"),
        ({"colour": "red"}, "colour"),
        ({"fields": {"1st": "x"}}, "fields.1st.[key]"),
        ({"tags": ["a/b"]}, "tags.0"),
        ({"lists": [""]}, "lists.0"),
    ],
)
async def test_a_value_that_is_not_as_described_is_refused_by_name(admin, new_phone, change, field):
    status, problem = await admin.call("POST", "/contacts", {"phones": [{"number": new_phone()}]} | change)
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_nul_characters_are_refused_on_every_engine(admin, new_phone):
    for change in ({"name": "a\0b"}, {"fields": {"note": "\0"}}):
        status, _ = await admin.call("POST", "/contacts", {"phones": [{"number": new_phone()}]} | change)
        assert status == 422


async def test_a_list_that_there_is_not_is_refused(admin, new_phone):
    status, problem = await admin.call("POST", "/contacts", {"phones": [{"number": new_phone()}], "lists": ["nope"]})
    assert (status, problem["detail"]) == (422, "There is no list 'nope'.")


async def test_tags_that_act_on_consent_act_when_a_contact_is_made_with_them(admin, new_phone):
    """A contact who is marked Do Not Contact from the start is not texted, whatever else was said."""
    stay_away = await make_contact(admin, new_phone(), tags=["do-not-contact"])
    assert stay_away["phones"][0]["do_not_contact"] is True
    assert stay_away["phones"][0]["textable"] is False
    wrong = await make_contact(admin, new_phone(), tags=["wrong-number"])
    assert wrong["phones"][0]["wrong_number"] is True
    assert wrong["phones"][0]["textable"] is False
    body = {"phones": [{"number": new_phone()}], "tags": ["opt-in"]}
    assert (await admin.call("POST", "/contacts", body))[0] == 422
    agreed = await make_contact(admin, new_phone(), tags=["opt-in"], opted_in=False, evidence="by phone")
    assert agreed["phones"][0]["opted_in"] is True


async def test_a_suppressed_number_is_not_opted_in_by_making_it_again(admin, texter, new_phone):
    await texter.text("STOP")
    await texter.wait_for(1)
    contact = await admin.contact_of(texter.phone)
    assert await admin.call("DELETE", f"/contacts/{contact['id']}", confirm="true") == (204, None)
    again = await make_contact(admin, texter.phone)
    assert again["phones"][0]["opted_in"] is False
    history = (await admin.get(f"/contacts/{again['id']}/consent"))["items"]
    assert [event["reason"] for event in history] == ["opted out before the contact was deleted"]
    number = texter.phone
    status, changed = await admin.call(
        "PATCH", f"/contacts/{again['id']}/phones/{number}", {"opted_in": True, "reason": "signed again, 2 May"}
    )
    assert (status, changed["phones"][0]["opted_in"]) == (200, True)


class TestLookUp:
    async def test_by_name_and_by_number(self, admin, new_phone):
        phone, other = new_phone(), new_phone()
        ana = await make_contact(admin, phone, name="Zebulon 100% O_Hara")
        await make_contact(admin, other, name="Zebulon 1000 OxHara")
        for q in (
            "zebulon 100% o",
            "100% O_H",
            phone,
            phone[2:],
            phone[-8:],
            f"({phone[2:5]}) {phone[5:8]}-{phone[8:]}",
        ):
            found = (await admin.get("/contacts", q=q))["items"]
            assert [item["id"] for item in found] == [ana["id"]], q
        assert (await admin.get("/contacts", q="zebulon!"))["items"] == []

    async def test_a_name_with_a_digit_does_not_find_every_number_with_that_digit(self, admin, new_phone):
        await make_contact(admin, new_phone(), name="Somebody")
        seven = await make_contact(admin, new_phone(), name="Wing 5 Reception")
        found = (await admin.get("/contacts", q="Wing 5"))["items"]
        assert [item["id"] for item in found] == [seven["id"]]

    @pytest.mark.parametrize(("name", "q"), [("Élodie Brûlé", "Élodie"), ("Ñandú", "Ñandú"), ("Łukasz", "Łukasz")])
    async def test_a_name_that_is_not_ascii_is_found_as_it_is_written(self, admin, new_phone, name, q):
        made = await make_contact(admin, new_phone(), name=name)
        assert made["id"] in [item["id"] for item in (await admin.get("/contacts", q=q, limit="500"))["items"]]

    async def test_by_list_and_tag(self, admin, new_phone):
        await admin.call("POST", "/lists", {"name": "Look-up"})
        tag = f"tag-of-{new_phone()}"
        listed = await make_contact(admin, new_phone(), lists=["Look-up"])
        tagged = await make_contact(admin, new_phone(), tags=[tag])
        found = (await admin.get("/contacts", tag=tag))["items"]
        assert [item["id"] for item in found] == [tagged["id"]]
        on_list = [item["id"] for item in (await admin.get("/contacts", list="Look-up", limit="500"))["items"]]
        assert listed["id"] in on_list
        assert tagged["id"] not in on_list
        everybody = [item["id"] for item in (await admin.get("/contacts", list="All Contacts", limit="500"))["items"]]
        assert {listed["id"], tagged["id"]} <= set(everybody)
        assert (await admin.get("/contacts", list="nope"))["items"] == []

    async def test_by_consent_and_block(self, admin, new_phone):
        tag = f"tag-of-{new_phone()}"
        opted_in = await make_contact(admin, new_phone(), tags=[tag])
        out = await make_contact(admin, new_phone(), tags=[tag], opted_in=False)
        blocked = await make_contact(admin, new_phone(), tags=[tag])
        number = blocked["phones"][0]["number"]
        await admin.call("PATCH", f"/contacts/{blocked['id']}/phones/{number}", {"blocked": True, "reason": "rude"})

        async def ids(**filters):
            return {item["id"] for item in (await admin.get("/contacts", tag=tag, **filters))["items"]}

        assert await ids(opted_in="true") == {opted_in["id"]}
        assert await ids(opted_in="false") == {out["id"], blocked["id"]}
        assert await ids(blocked="true") == {blocked["id"]}
        assert await ids(blocked="false") == {opted_in["id"], out["id"]}
        assert await ids(blocked="false", opted_in="false") == {out["id"]}


async def test_pages_are_complete_in_order_and_without_repeats(admin, new_phone):
    tag = f"tag-of-{new_phone()}"
    made = [(await make_contact(admin, new_phone(), tags=[tag]))["id"] for _ in range(5)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    sizes = []
    while True:
        page = await admin.get("/contacts", tag=tag, limit="2", **cursor)
        seen += [item["id"] for item in page["items"]]
        sizes.append(len(page["items"]))
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    assert seen == made[::-1]
    assert sizes == [2, 2, 1]
    whole = await admin.get("/contacts", tag=tag, limit="5")
    assert (len(whole["items"]), whole["next"]) == (5, None)


@pytest.mark.parametrize(
    "path", ["/contacts", "/messages", "/conversations", "/notifications", "/contacts/{id}/consent"]
)
@pytest.mark.parametrize("cursor", ["nonsense", "", "-1", "9" * 19, "1:", "1:~", "٣", "'"])
async def test_a_cursor_that_no_page_gave_is_refused(any_site, client, new_phone, path, cursor):
    admin = any_site.api(client)
    if "{id}" in path:
        path = path.replace("{id}", (await make_contact(admin, new_phone()))["id"])
    status, problem = await admin.call("GET", path, cursor=cursor)
    assert status == 422
    assert [error["field"] for error in problem["errors"]] == ["cursor"]


@pytest.mark.parametrize("limit", ["0", "501", "-1", "many"])
async def test_a_limit_out_of_range_is_refused(any_site, client, limit):
    status, problem = await any_site.api(client).call("GET", "/contacts", limit=limit)
    assert (status, problem["errors"][0]["field"]) == (422, "limit")


async def test_a_query_that_is_unknown_or_given_twice_is_refused(any_site, client):
    admin = any_site.api(client)
    assert (await admin.call("GET", "/contacts", colour="red"))[0] == 422
    url = f"{any_site.server.url}/api/v1/contacts?limit=1&limit=2"
    async with client.get(url, headers=admin.headers) as response:
        assert response.status == 422
        assert "given twice" in (await response.json(content_type=None))["detail"]


async def test_name_and_fields_change_and_null_removes_a_field(admin, new_phone):
    made = await make_contact(admin, new_phone(), fields={"a": "1", "b": "2"})
    status, changed = await admin.call("PATCH", f"/contacts/{made['id']}", {"fields": {"a": None, "c": "3"}})
    assert (status, changed["fields"], changed["name"]) == (200, {"b": "2", "c": "3"}, "Ana")
    status, changed = await admin.call("PATCH", f"/contacts/{made['id']}", {"name": "Ana María"})
    assert (status, changed["name"], changed["fields"]) == (200, "Ana María", {"b": "2", "c": "3"})
    assert changed["updated_at"] > made["updated_at"]
    assert changed == await admin.get(f"/contacts/{made['id']}")
    status, same = await admin.call("PATCH", f"/contacts/{made['id']}", {})
    assert (status, same) == (200, changed)


async def test_deleting_needs_a_word_and_removes_every_trace_of_the_number(admin, texter, site):
    await texter.text("HOURS")
    await texter.wait_for(1)
    contact = await admin.contact_of(texter.phone)
    for query in ({}, {"confirm": "false"}):
        assert (await admin.call("DELETE", f"/contacts/{contact['id']}", **query))[0] == 422
    assert (await admin.call("DELETE", f"/contacts/{contact['id']}", confirm="true"))[0] == 204
    assert (await admin.call("GET", f"/contacts/{contact['id']}"))[0] == 404
    assert (await admin.call("DELETE", f"/contacts/{contact['id']}", confirm="true"))[0] == 404
    for path in ("/messages", "/conversations"):
        assert (await admin.get(path, phone=texter.phone))["items"] == []
    assert (await admin.get("/contacts", q=texter.phone))["items"] == []


async def test_a_deleted_contact_who_was_opted_in_comes_back_as_anybody_else(admin, texter):
    await texter.text("HOURS")
    await texter.wait_for(1)
    contact = await admin.contact_of(texter.phone)
    await admin.call("DELETE", f"/contacts/{contact['id']}", confirm="true")
    await texter.text("HOURS")
    await texter.wait_for(2)
    again = await admin.contact_of(texter.phone)
    assert again["id"] != contact["id"]
    assert again["phones"][0]["opted_in"] is True


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/contacts/{id}", None),
        ("PATCH", "/contacts/{id}", {"name": "x"}),
        ("GET", "/contacts/{id}/phones", None),
        ("POST", "/contacts/{id}/phones", {"number": "+12025550142"}),
        ("PATCH", "/contacts/{id}/phones/+12025550142", {"label": "home"}),
        ("PUT", "/contacts/{id}/tags/x", {}),
        ("DELETE", "/contacts/{id}/tags/x", None),
        ("GET", "/contacts/{id}/consent", None),
        ("PUT", "/lists/club/contacts/{id}", None),
        ("DELETE", "/lists/club/contacts/{id}", None),
        ("GET", "/messages/{id}", None),
        ("GET", "/messages/{id}/decision", None),
        ("GET", "/conversations/{id}", None),
        ("GET", "/conversations/{id}/messages", None),
        ("POST", "/conversations/{id}/messages", {"body": "x"}),
        ("POST", "/conversations/{id}/close", None),
        ("POST", "/notifications/{id}/replay", None),
    ],
)
async def test_what_there_is_not_is_404(admin, method, path, body):
    for id_ in ("nope", "%00", "é" * 300):
        status, problem = await admin.call(method, path.replace("{id}", id_), body)
        assert status == 404, problem
        assert problem["status"] == 404


async def test_a_contact_shows_the_changes_of_a_customers_own_texts(admin, texter):
    await texter.text("HOURS")
    await texter.wait_for(1)
    await texter.text("STOP")
    await texter.wait_for(2)
    contact = await admin.contact_of(texter.phone)

    async def events():
        items = (await admin.get(f"/contacts/{contact['id']}/consent", limit="1"))["items"]
        return items if items[0]["event"] == "opted_out" else None

    (latest,) = await eventually(events, "the STOP is in the history")
    assert latest["actor"] == "contact"
    assert latest["message_id"]
    assert (latest["before"]["opted_in"], latest["after"]["opted_in"]) == (True, False)


async def test_a_field_may_be_given_as_a_number_or_a_truth_value(admin, new_phone):
    made = await make_contact(admin, new_phone(), fields={"seats": 7, "rate": 1.5, "wants_tea": True})
    assert made["fields"] == {"seats": "7", "rate": "1.5", "wants_tea": "true"}
    status, changed = await admin.call("PATCH", f"/contacts/{made['id']}", {"fields": {"seats": 8, "rate": None}})
    assert (status, changed["fields"]) == (200, {"seats": "8", "wants_tea": "true"})
    assert (await admin.call("PATCH", f"/contacts/{made['id']}", {"fields": {"seats": [1]}}))[0] == 422
