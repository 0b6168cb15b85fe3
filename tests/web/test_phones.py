"""The phones of a contact over the API: consent, block, flags, label, and the tags and lists that act on them."""

from __future__ import annotations

import pytest
from yarl import URL

from tests.web.site import make_contact
from tests.web.tables import execute


def _phone(contact, number):
    return next(phone for phone in contact["phones"] if phone["number"] == number)


async def _patch(admin, contact, number, **body):
    return await admin.call("PATCH", f"/contacts/{contact['id']}/phones/{number}", body)


async def _events(admin, contact):
    """(event, reason) of the history, the oldest first."""
    items = (await admin.get(f"/contacts/{contact['id']}/consent"))["items"]
    return [(item["event"], item["reason"]) for item in reversed(items)]


async def _send(admin, number):
    """Why a text to the number is refused; None when it is queued."""
    status, accepted = await admin.call("POST", "/messages", {"to": {"phone": number}, "body": "Hello"})
    assert status == 202
    return accepted["recipients"][0]["reason"]


async def test_a_phone_is_added_not_opted_in(admin, new_phone):
    first, second = new_phone(), new_phone()
    contact = await make_contact(admin, first)
    status, changed = await admin.call("POST", f"/contacts/{contact['id']}/phones", {"number": second, "label": "work"})
    assert status == 201
    assert _phone(changed, first)["opted_in"] is True
    assert (_phone(changed, second)["opted_in"], _phone(changed, second)["label"]) == (False, "work")
    assert changed == await admin.get(f"/contacts/{contact['id']}")
    assert (await admin.get(f"/contacts/{contact['id']}/phones"))["items"] == changed["phones"]
    assert (await _events(admin, contact))[-1] == ("created", "added by staff")


async def test_a_phone_that_has_a_contact_is_not_added(admin, new_phone):
    phone = new_phone()
    contact, other = await make_contact(admin, phone), await make_contact(admin, new_phone())
    for id_ in (contact["id"], other["id"]):
        status, problem = await admin.call("POST", f"/contacts/{id_}/phones", {"number": phone})
        assert status == 409
        assert contact["id"] in problem["detail"]


@pytest.mark.parametrize("body", [{"number": "abc"}, {"number": 5}, {}, {"number": "+12025550142", "label": "fax"}])
async def test_what_is_no_phone_is_not_added(any_site, client, new_phone, body):
    admin = any_site.api(client)
    contact = await make_contact(admin, new_phone())
    assert (await admin.call("POST", f"/contacts/{contact['id']}/phones", body))[0] == 422


async def test_a_phone_that_is_added_to_a_do_not_contact_person_is_not_contacted_either(admin, new_phone):
    contact = await make_contact(admin, new_phone(), tags=["do-not-contact"])
    number = new_phone()
    _, changed = await admin.call("POST", f"/contacts/{contact['id']}/phones", {"number": number})
    assert _phone(changed, number)["do_not_contact"] is True
    await _patch(admin, contact, number, opted_in=True, reason="asked")
    assert await _send(admin, number) == "the phone is marked Do Not Contact"


@pytest.mark.parametrize("reason", [{}, {"reason": ""}, {"reason": " "}])
async def test_opting_in_needs_a_reason(admin, new_phone, reason):
    phone = new_phone()
    contact = await make_contact(admin, phone, opted_in=False)
    status, problem = await _patch(admin, contact, phone, opted_in=True, **reason)
    assert status == 422
    assert problem["errors"] == [{"field": "reason", "detail": "missing"}]
    assert (await admin.phone(phone))["opted_in"] is False


async def test_opting_in_with_a_reason_is_in_the_history_with_who_and_why(admin, new_phone):
    phone = new_phone()
    contact = await make_contact(admin, phone, opted_in=False, evidence="")
    status, changed = await _patch(admin, contact, phone, opted_in=True, reason="signed at the counter")
    assert (status, changed["phones"][0]["opted_in"]) == (200, True)
    assert await _send(admin, phone) is None
    latest = (await admin.get(f"/contacts/{contact['id']}/consent"))["items"][0]
    assert (latest["event"], latest["actor"], latest["reason"]) == (
        "opted_in", "staff the admin", "signed at the counter",
    )  # fmt: skip
    assert (latest["before"]["opted_in"], latest["after"]["opted_in"]) == (False, True)


async def test_opting_in_while_blocked_is_refused_and_unblocking_leaves_the_phone_opted_out(admin, new_phone):
    phone = new_phone()
    contact = await make_contact(admin, phone)
    _, blocked = await _patch(admin, contact, phone, blocked=True, reason="threats")
    assert (blocked["phones"][0]["blocked"], blocked["phones"][0]["opted_in"]) == (True, False)
    assert await _send(admin, phone) == "the phone is blocked"
    status, problem = await _patch(admin, contact, phone, opted_in=True, reason="asked")
    assert (status, problem["detail"]) == (409, "The phone is blocked. Unblock it first.")
    assert (await _patch(admin, contact, phone, opted_in=True))[0] == 409
    _, unblocked = await _patch(admin, contact, phone, blocked=False)
    assert (unblocked["phones"][0]["blocked"], unblocked["phones"][0]["opted_in"]) == (False, False)
    assert await _send(admin, phone) == "the phone is opted out"
    assert (await _events(admin, contact))[1:] == [("blocked", "threats"), ("unblocked", "")]


async def test_one_phone_of_a_person_says_nothing_about_the_other(admin, new_phone):
    first, second = new_phone(), new_phone()
    contact = await make_contact(admin, first, phones=[{"number": first}, {"number": second}])
    await _patch(admin, contact, first, blocked=True)
    assert await _send(admin, first) == "the phone is blocked"
    assert await _send(admin, second) is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"opted_in": False}, "the phone is opted out"),
        ({"do_not_contact": True}, "the phone is marked Do Not Contact"),
        ({"wrong_number": True}, "the phone is marked Wrong Number"),
        ({"label": "home"}, "the phone is labelled home, not cell"),
        ({"label": "work"}, "the phone is labelled work, not cell"),
        ({"label": "other"}, "the phone is labelled other, not cell"),
    ],
)
async def test_what_may_not_be_texted_says_why_and_may_be_undone(admin, new_phone, change, reason):
    phone = new_phone()
    contact = await make_contact(admin, phone)
    status, changed = await _patch(admin, contact, phone, **change)
    assert status == 200
    assert (changed["phones"][0]["textable"], changed["phones"][0]["not_textable_because"]) == (False, reason)
    assert await _send(admin, phone) == reason
    undo = {key: "cell" if key == "label" else not value for key, value in change.items()}
    _, undone = await _patch(admin, contact, phone, reason="a mistake", **undo)
    assert undone["phones"][0]["textable"] is True
    assert await _send(admin, phone) is None


async def test_a_change_that_changes_nothing_leaves_no_line_in_the_history(admin, new_phone):
    phone = new_phone()
    contact = await make_contact(admin, phone)
    for body in ({}, {"label": "cell"}, {"opted_in": True, "reason": "again"}, {"blocked": False}):
        assert (await _patch(admin, contact, phone, **body))[0] == 200
    assert await _events(admin, contact) == [("created", "paper form, 1 May")]


async def test_a_phone_of_somebody_else_is_404_and_no_number_422(admin, new_phone):
    contact = await make_contact(admin, new_phone())
    other = new_phone()
    await make_contact(admin, other)
    assert (await _patch(admin, contact, other, blocked=True))[0] == 404
    assert (await admin.phone(other))["blocked"] is False
    assert (await _patch(admin, contact, "nonsense", blocked=True))[0] == 422


async def test_opting_out_cancels_what_waits_for_the_phone(admin, new_phone):
    phone = new_phone()
    contact = await make_contact(admin, phone)
    later = {"to": {"phone": phone}, "body": "Sale!", "send_at": "2026-12-31T12:00:00Z"}
    status, accepted = await admin.call("POST", "/messages", later)
    assert (status, accepted["queued"]) == (202, 1), accepted
    id_ = accepted["recipients"][0]["id"]
    assert (await admin.get(f"/messages/{id_}"))["state"] == "held"
    await _patch(admin, contact, phone, opted_in=False)
    assert (await admin.get(f"/messages/{id_}"))["state"] == "cancelled"


class TestSeveralChangesAtOnce:
    async def test_each_is_a_line_of_the_history_and_keeps_its_evidence(self, admin, new_phone):
        phone = new_phone()
        contact = await make_contact(admin, phone)
        await _patch(admin, contact, phone, blocked=True)
        before = len(await _events(admin, contact))
        await _patch(admin, contact, phone, blocked=False, opted_in=True, wrong_number=True, reason="paper form 7")
        assert (await _events(admin, contact))[before:] == [
            ("unblocked", "paper form 7"), ("opted_in", "paper form 7"), ("wrong_number", "paper form 7"),
        ]  # fmt: skip


class TestTags:
    async def test_any_tag_comes_and_goes_and_touches_no_consent(self, admin, new_phone):
        contact = await make_contact(admin, new_phone())
        for _ in range(2):
            status, tagged = await admin.call("PUT", f"/contacts/{contact['id']}/tags/book%20club")
            assert (status, tagged["tags"]) == (200, ["book club"])
        assert tagged["phones"] == contact["phones"]
        assert tagged == await admin.get(f"/contacts/{contact['id']}")
        for _ in range(2):
            status, untagged = await admin.call("DELETE", f"/contacts/{contact['id']}/tags/book%20club")
            assert (status, untagged["tags"]) == (200, [])

    @pytest.mark.parametrize(
        ("tag", "flag", "reason"),
        [
            ("wrong-number", "wrong_number", "the phone is marked Wrong Number"),
            ("do-not-contact", "do_not_contact", "the phone is marked Do Not Contact"),
        ],
    )
    async def test_a_flag_is_set_on_every_phone_and_taken_back(self, admin, new_phone, tag, flag, reason):
        first, second = new_phone(), new_phone()
        contact = await make_contact(admin, first, phones=[{"number": first}, {"number": second}])
        path = f"/contacts/{contact['id']}/tags/{tag}"
        status, tagged = await admin.call("PUT", path, {"reason": "said so"})
        assert (status, tagged["tags"]) == (200, [tag])
        assert [phone[flag] for phone in tagged["phones"]] == [True, True]
        assert await _send(admin, first) == reason
        assert await _send(admin, second) == reason
        _, untagged = await admin.call("DELETE", path)
        assert (untagged["tags"], [phone[flag] for phone in untagged["phones"]]) == ([], [False, False])
        assert await _send(admin, first) is None
        assert (await _events(admin, contact))[2:] == [
            *[(flag, f"tagged {tag}: said so")] * 2,
            *[(f"{flag}_cleared", f"untagged {tag}")] * 2,
        ]

    @pytest.mark.parametrize("wording", ["Wrong-Number", "wrong%20number", "WRONG_Number", "%20wrong-number%20"])
    async def test_a_tag_that_acts_on_consent_acts_in_any_wording(self, admin, new_phone, wording):
        contact = await make_contact(admin, new_phone())
        path = f"{admin.server.url}/api/v1/contacts/{contact['id']}/tags/{wording}"
        async with admin.client.put(URL(path, encoded=True), headers=admin.headers) as response:
            tagged = await response.json()
        assert (tagged["tags"], tagged["phones"][0]["wrong_number"]) == (["wrong-number"], True)
        found = (await admin.get("/contacts", tag="Wrong Number", q=contact["phones"][0]["number"]))["items"]
        assert found == [tagged]
        async with admin.client.delete(URL(path, encoded=True), headers=admin.headers) as response:
            untagged = await response.json()
        assert (untagged["tags"], untagged["phones"][0]["wrong_number"]) == ([], False)

    async def test_a_tag_loses_the_blanks_around_it_and_is_more_than_blanks(self, admin, new_phone):
        contact = await make_contact(admin, new_phone(), tags=[" Gold Card ", "Do Not Contact"])
        assert contact["tags"] == ["Gold Card", "do-not-contact"]
        assert contact["phones"][0]["do_not_contact"] is True
        assert (await admin.call("POST", "/contacts", {"phones": [{"number": new_phone()}], "tags": [" "]}))[0] == 422

    async def test_a_tag_that_an_earlier_version_kept_as_a_plain_one_can_be_taken_off(self, site, admin, new_phone):
        contact = await make_contact(admin, new_phone(), tags=["gold"])
        await execute(site, f"UPDATE tags SET tag = 'Wrong Number' WHERE contact_id = '{contact['id']}'")
        _, untagged = await admin.call("DELETE", f"/contacts/{contact['id']}/tags/wrong-number")
        assert (untagged["tags"], untagged["phones"]) == ([], contact["phones"])

    async def test_opt_in_needs_a_reason_and_taking_it_back_opts_out(self, admin, new_phone):
        phone = new_phone()
        contact = await make_contact(admin, phone, opted_in=False)
        path = f"/contacts/{contact['id']}/tags/opt-in"
        for body in (None, {}, {"reason": " "}):
            assert (await admin.call("PUT", path, body))[0] == 422
        assert (await admin.contact_of(phone))["tags"] == []
        status, tagged = await admin.call("PUT", path, {"reason": "web form"})
        assert (status, tagged["tags"], tagged["phones"][0]["opted_in"]) == (200, ["opt-in"], True)
        assert (await _events(admin, contact))[-1] == ("opted_in", "tagged opt-in: web form")
        _, untagged = await admin.call("DELETE", path)
        assert (untagged["tags"], untagged["phones"][0]["opted_in"]) == ([], False)

    async def test_undoing_opt_in_leaves_whoever_opted_in_by_another_way(self, admin, texter, new_phone):
        await texter.text("HOURS")
        contact, other = await admin.contact_of(texter.phone), new_phone()
        await admin.call("POST", f"/contacts/{contact['id']}/phones", {"number": other})
        path = f"/contacts/{contact['id']}/tags/opt-in"
        await admin.call("PUT", path, {"reason": "form"})
        _, untagged = await admin.call("DELETE", path)
        assert untagged["tags"] == []
        assert _phone(untagged, texter.phone)["opted_in"] is True
        assert _phone(untagged, other)["opted_in"] is False
        await admin.call("PUT", path, {"reason": "form"})
        await _patch(admin, contact, other, opted_in=False)
        await _patch(admin, contact, other, opted_in=True, reason="said so since")
        _, untagged = await admin.call("DELETE", path)
        assert _phone(untagged, other)["opted_in"] is True

    async def test_undoing_opt_in_of_somebody_who_was_made_with_it_opts_out(self, admin, new_phone):
        contact = await make_contact(admin, new_phone(), opted_in=False, tags=["opt-in"])
        assert contact["phones"][0]["opted_in"] is True
        _, untagged = await admin.call("DELETE", f"/contacts/{contact['id']}/tags/opt-in")
        assert untagged["phones"][0]["opted_in"] is False

    @pytest.mark.parametrize("tag", ["opt-in", "wrong-number", "do-not-contact"])
    async def test_a_tag_that_was_never_on_takes_nothing_back(self, admin, new_phone, tag):
        phone = new_phone()
        contact = await make_contact(admin, phone)
        _, marked = await _patch(admin, contact, phone, wrong_number=True, do_not_contact=True)
        status, untagged = await admin.call("DELETE", f"/contacts/{contact['id']}/tags/{tag}")
        assert (status, untagged["phones"]) == (200, marked["phones"])

    async def test_opt_in_of_a_person_with_a_blocked_phone_changes_nothing_at_all(self, admin, new_phone):
        first, second = new_phone(), new_phone()
        phones = [{"number": first}, {"number": second}]
        contact = await make_contact(admin, first, phones=phones, opted_in=False)
        await _patch(admin, contact, second, blocked=True)
        status, problem = await admin.call("PUT", f"/contacts/{contact['id']}/tags/opt-in", {"reason": "web form"})
        assert (status, problem["detail"]) == (409, "The phone is blocked. Unblock it first.")
        after = await admin.contact_of(first)
        assert (after["tags"], [phone["opted_in"] for phone in after["phones"]]) == ([], [False, False])

    @pytest.mark.parametrize("tag", ["x" * 65, "a%2Fb", "a%0Ab"])
    async def test_a_tag_that_a_contact_could_not_be_made_with_is_refused(self, any_site, client, new_phone, tag):
        admin = any_site.api(client)
        contact = await make_contact(admin, new_phone())
        url = f"{any_site.server.url}/api/v1/contacts/{contact['id']}/tags/{tag}"
        async with client.put(URL(url, encoded=True), headers=admin.headers) as response:
            assert response.status in (404, 422), await response.text()
        assert (await admin.get(f"/contacts/{contact['id']}"))["tags"] == []

    @pytest.mark.parametrize(("tag", "flag"), [("do-not-contact", "do_not_contact"), ("wrong-number", "wrong_number")])
    async def test_a_tag_goes_with_the_last_of_its_flags_by_hand(self, admin, new_phone, tag, flag):
        first, second = new_phone(), new_phone()
        contact = await make_contact(admin, first, phones=[{"number": first}, {"number": second}], tags=[tag, "gold"])
        _, changed = await _patch(admin, contact, first, **{flag: False})
        assert changed["tags"] == sorted([tag, "gold"])
        _, changed = await _patch(admin, contact, second, **{flag: False})
        assert changed["tags"] == ["gold"]
        assert changed == await admin.get(f"/contacts/{contact['id']}")
        _, changed = await admin.call("POST", f"/contacts/{contact['id']}/phones", {"number": new_phone()})
        assert [phone[flag] for phone in changed["phones"]] == [False] * 3

    async def test_a_tag_goes_with_the_last_of_its_flags_by_start(self, site, admin, client, new_phone):
        first, second = (site.customer(client, new_phone()) for _ in range(2))
        phones = [{"number": first.phone}, {"number": second.phone}]
        contact = await make_contact(admin, first.phone, phones=phones, tags=["do-not-contact", "wrong-number"])
        await first.text("START")
        assert (await admin.get(f"/contacts/{contact['id']}"))["tags"] == ["do-not-contact", "wrong-number"]
        await second.text("START")
        assert (await admin.get(f"/contacts/{contact['id']}"))["tags"] == []
        rows = await execute(site, f"SELECT * FROM tag_events WHERE contact_id = '{contact['id']}'")
        removed = sorted((row["tag"], row["actor"]) for row in rows if row["event"] == "removed")
        assert removed == [("do-not-contact", "contact"), ("wrong-number", "contact")]


class TestLists:
    async def test_a_list_is_made_once_and_counts_its_contacts(self, admin, new_phone):
        name = f"list of {new_phone()}"
        status, made = await admin.call("POST", "/lists", {"name": name, "purpose": "marketing"})
        counts = {"contacts": 0, "textable": 0, "opted_out": 0, "blocked": 0}
        assert (status, made) == (201, {"id": name, "name": name, "purpose": "marketing", "query": None, **counts})
        for taken in (name, "All Contacts", "club"):
            status, problem = await admin.call("POST", "/lists", {"name": taken})
            assert (status, problem["detail"]) == (409, f"There is a list '{taken}' already.")
        await make_contact(admin, new_phone(), lists=[name])
        lists = {item["name"]: item for item in (await admin.get("/lists"))["items"]}
        assert (lists[name]["contacts"], lists[name]["purpose"]) == (1, "marketing")
        assert lists["club"]["purpose"] == "marketing"
        total = lists["All Contacts"]["contacts"]
        await make_contact(admin, new_phone())
        assert (await admin.get("/lists"))["items"][0]["contacts"] == total + 1

    @pytest.mark.parametrize("body", [{}, {"name": ""}, {"name": "a/b"}, {"name": "x", "purpose": "spam"}, [], "x"])
    async def test_what_is_no_list_is_refused(self, any_site, client, body):
        assert (await any_site.api(client).call("POST", "/lists", body))[0] == 422

    async def test_joining_and_leaving_may_be_repeated_and_keeps_all_contacts(self, admin, new_phone):
        contact = await make_contact(admin, new_phone())
        path = f"/lists/club/contacts/{contact['id']}"
        for _ in range(2):
            status, joined = await admin.call("PUT", path)
            assert (status, joined["lists"]) == (200, ["All Contacts", "club"])
        assert joined == await admin.get(f"/contacts/{contact['id']}")
        for _ in range(2):
            status, left = await admin.call("DELETE", path)
            assert (status, left["lists"]) == (200, ["All Contacts"])

    async def test_nobody_leaves_all_contacts_and_everybody_has_joined_it(self, admin, new_phone):
        contact = await make_contact(admin, new_phone())
        path = f"/lists/All%20Contacts/contacts/{contact['id']}"
        status, problem = await admin.call("DELETE", path)
        assert (status, problem["detail"]) == (409, "Everybody is on All Contacts. Delete the contact instead.")
        assert (await admin.call("PUT", path))[0] == 200

    async def test_a_list_that_there_is_not_is_404(self, admin, new_phone):
        contact = await make_contact(admin, new_phone())
        for method in ("PUT", "DELETE"):
            status, problem = await admin.call(method, f"/lists/nope/contacts/{contact['id']}")
            assert (status, problem["detail"]) == (404, "There is no list 'nope'.")
