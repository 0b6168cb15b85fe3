"""Conversations through the API: the inbox, who waits, whose they are, and why somebody cannot be answered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot.store.open import open_store
from tests.bot.conftest import everything
from tests.server import NUMBER
from tests.web.conftest import OTHER_NUMBER
from tests.web.site import in_own_loop, make_contact

PASSWORD = "correct horse battery staple"


async def one(admin, phone):
    """The one conversation of a phone."""
    (conversation,) = (await admin.get("/conversations", phone=phone))["items"]
    return conversation


async def act(admin, conversation, action, body=None, expect=200):
    """Act upon a conversation; what the answer says."""
    status, answer = await admin.call("POST", f"/conversations/{conversation['id']}/{action}", body)
    assert status == expect, answer
    return answer


async def patch(admin, conversation, expect=200, **body):
    """Change a conversation; what the answer says."""
    status, answer = await admin.call("PATCH", f"/conversations/{conversation['id']}", body)
    assert status == expect, answer
    return answer


async def new_user(admin, name, **more):
    status, user = await admin.call("POST", "/users", {"name": name, "password": PASSWORD} | more)
    assert status == 201, user
    return user


@pytest.fixture
def query(site):
    """Run a statement in the store of the server."""

    def run(sql):
        async def work():
            url = next(line.split('"')[1] for line in site.server.config.read_text().splitlines() if line[:3] == "url")
            opened = open_store(url, site.server.folder, exclusive=False)
            async with opened as store, store.transaction() as transaction:
                connection = transaction._connection
                await (connection.execute_fetchall if url.startswith("sqlite") else connection.execute)(sql)

        in_own_loop(work)

    return run


def time_passes(query, conversation):
    """As if the time of staff were over."""
    query(f"UPDATE conversations SET staff_until = 1 WHERE id = '{conversation['id']}'")


class TestInbox:
    async def test_the_most_recent_is_first_and_shows_its_last_message_whoever_wrote_it(
        self, site, admin, client, new_phone
    ):
        first, second = (site.customer(client, new_phone()) for _ in range(2))
        await first.text("first")
        await second.text("second")
        await first.text("HOURS")
        await first.wait_for(1)
        answered, other = await one(admin, first.phone), await one(admin, second.phone)
        items = (await admin.get("/conversations"))["items"]
        places = [next(i for i, item in enumerate(items) if item["id"] == c["id"]) for c in (answered, other)]
        assert places == sorted(places)
        last = answered["last_message"]
        assert (last["direction"], last["body"], last["media"]) == ("outbound", "9 to 5", 0)
        assert last["at"] == answered["last_message_at"]
        assert (other["last_message"]["direction"], other["last_message"]["body"]) == ("inbound", "second")

    async def test_a_preview_is_cut_and_counts_pictures(self, texter, admin):
        await texter.text("é" * 1000, media=["https://example.org/a.png", "https://example.org/b.png"])
        last = (await one(admin, texter.phone))["last_message"]
        assert (last["body"], last["media"]) == ("é" * 200, 2)

    async def test_each_of_our_numbers_has_a_conversation_of_its_own(self, site, admin, client, new_phone):
        customer = site.customer(client, new_phone())
        await customer.text("here")
        customer.channel = "spare"
        await customer.text("there", to=OTHER_NUMBER)
        items = (await admin.get("/conversations", phone=customer.phone))["items"]
        assert [(item["number"], item["last_message"]["body"]) for item in items] == [
            (OTHER_NUMBER, "there"), (NUMBER, "here"),
        ]  # fmt: skip

    async def test_every_filter_finds_its_own_and_nothing_else(self, site, admin, client, new_phone):
        phones = {name: new_phone() for name in ("auto", "waiting", "answered", "listed", "read")}
        customers = {name: site.customer(client, phone) for name, phone in phones.items()}
        await make_contact(admin, phones["listed"], lists=["club"])
        for name, customer in customers.items():
            await customer.text("PERSON" if name in ("waiting", "answered") else "hello")
        found = {name: await one(admin, phone) for name, phone in phones.items()}
        await act(admin, found["answered"], "messages", {"body": "Here I am."}, 202)
        await act(admin, found["read"], "read")

        async def of(**filters):
            ids = {item["id"] for item in await everything(admin, "/conversations", **filters)}
            return {name for name, item in found.items() if item["id"] in ids}

        assert await of() == set(phones)
        assert await of(mode="staff") == {"waiting", "answered"}
        assert await of(mode="auto") == {"auto", "listed", "read"}
        assert await of(mode="paused") == set()
        assert await of(route="desk") == {"waiting", "answered"}
        assert await of(unanswered="true") == {"waiting"}
        assert await of(unread="true") == {"auto", "waiting", "listed"}
        assert await of(list="club") == {"listed"}
        assert await of(list="All Contacts") == set(phones)
        assert await of(phone=phones["read"]) == {"read"}
        assert await of(phone=phones["read"], unread="true") == set()
        assert await of(route="sales") == set()
        assert await of(mode="staff", unanswered="true", route="desk", unread="true") == {"waiting"}

    async def test_a_list_by_query_is_a_filter_too_and_an_unknown_list_is_refused(self, site, admin, client, new_phone):
        phones = [new_phone(), new_phone()]
        tag = f"vip-{phones[0][2:]}"
        await make_contact(admin, phones[0], tags=[tag])
        for phone in phones:
            await site.customer(client, phone).text("hello")
        body = {"name": tag, "purpose": "marketing", "query": {"tag": tag}}
        status, made = await admin.call("POST", "/lists", body)
        assert status == 201, made
        items = (await admin.get("/conversations", list=tag))["items"]
        assert [item["phone"] for item in items] == [phones[0]]
        assert (await admin.call("GET", "/conversations", list="no such list"))[0] == 422

    async def test_my_conversations_are_those_that_are_assigned_to_me(self, site, admin, client, new_phone):
        name = f"bo{new_phone()[2:]}"
        await new_user(admin, name)
        status, token = await admin.call("POST", "/tokens", {"name": name, "role": "staff"})
        assert status == 201, token
        customers = [site.customer(client, new_phone()) for _ in range(2)]
        for customer in customers:
            await customer.text("hello")
        mine = await one(admin, customers[0].phone)
        assert (await patch(admin, mine, assigned_to=name))["assigned_to"] == name
        me = type(admin)(site.server, client, token["secret"])
        for filters in ({"assigned_to": "me"}, {"assigned_to": name}):
            assert [item["id"] for item in (await me.get("/conversations", **filters))["items"]] == [mine["id"]]

    async def test_pages_stay_right_while_conversations_move(self, site, admin, client, new_phone):
        """Whoever does not text meanwhile is on exactly one page; whoever does, on one at most."""
        customers = [site.customer(client, new_phone()) for _ in range(9)]
        for customer in customers:
            await customer.text("PERSON")
        own = {(await one(admin, customer.phone))["id"]: customer for customer in customers}
        moved = {customers[1].phone, customers[5].phone, customers[8].phone}
        seen, cursor = [], {}
        while True:
            page = await admin.get("/conversations", limit="2", unanswered="true", **cursor)
            seen += [own[item["id"]].phone for item in page["items"] if item["id"] in own]
            if page["next"] is None or len(seen) > 20:
                break
            cursor = {"cursor": page["next"]}
            for customer in customers:
                if customer.phone in moved:
                    await customer.text("still there?")
        assert len(seen) == len(set(seen))
        assert {customer.phone for customer in customers} - moved <= set(seen)
        latest = (await admin.get("/conversations", limit="3"))["items"]
        assert {item["phone"] for item in latest} == moved

    async def test_a_cursor_that_no_page_gave_is_refused(self, admin):
        for cursor in ("x", "5", "5:x", ":", f"{10**30}:019a0000-0000-7000-8000-000000000000"):
            assert (await admin.call("GET", "/conversations", cursor=cursor))[0] == 422

    async def test_the_messages_of_a_conversation_are_paged_from_the_newest(self, texter, admin):
        for number in range(5):
            await texter.text(f"text {number}")
        conversation = await one(admin, texter.phone)
        path = f"/conversations/{conversation['id']}/messages"
        page = await admin.get(path, limit="2")
        rest = await admin.get(path, limit="100", cursor=page["next"])
        bodies = [message["body"] for message in page["items"] + rest["items"]]
        assert bodies == [f"text {number}" for number in range(4, -1, -1)]
        assert rest["next"] is None
        nothing = "/conversations/019a0000-0000-7000-8000-000000000000"
        for path in (nothing, f"{nothing}/messages"):
            assert (await admin.call("GET", path))[0] == 404


class TestWaiting:
    async def test_what_came_in_is_unread_until_it_is_read_or_answered(self, texter, admin):
        await texter.text("one")
        await texter.text("two")
        conversation = await one(admin, texter.phone)
        assert conversation["unread"] == 2
        assert (await act(admin, conversation, "read"))["unread"] == 0
        await texter.text("three")
        assert (await one(admin, texter.phone))["unread"] == 1
        await act(admin, conversation, "messages", {"body": "Hello."}, 202)
        assert (await one(admin, texter.phone))["unread"] == 0

    async def test_reading_answers_nobody(self, texter, admin):
        await texter.text("PERSON")
        conversation = await one(admin, texter.phone)
        assert conversation["waiting_since"] == conversation["last_message_at"]
        read = await act(admin, conversation, "read")
        assert (read["unread"], read["waiting_since"]) == (0, conversation["waiting_since"])

    async def test_nobody_waits_for_staff_where_automation_answers(self, texter, admin):
        await texter.text("hello")
        assert (await one(admin, texter.phone))["waiting_since"] is None

    @pytest.mark.parametrize("how", ["answer", "message", "close", "auto"])
    async def test_they_wait_from_the_handoff_on_until_something_ends_it(self, texter, admin, how):
        await texter.text("PERSON")
        await texter.text("anybody?")
        conversation = await one(admin, texter.phone)
        assert conversation["waiting_since"] < conversation["last_message_at"], "since the first of both"
        if how == "answer":
            await act(admin, conversation, "messages", {"body": "Yes."}, 202)
        elif how == "message":
            await admin.call("POST", "/messages", {"to": {"phone": texter.phone}, "body": "Yes."})
        elif how == "close":
            await act(admin, conversation, "close")
        else:
            await patch(admin, conversation, mode="auto")
        after = await one(admin, texter.phone)
        assert after["waiting_since"] is None
        assert after["mode"] == ("staff" if how in ("answer", "message") else "auto")
        if after["mode"] == "staff":
            await texter.text("and now?")
            again = await one(admin, texter.phone)
            assert again["waiting_since"] == again["last_message_at"]

    async def test_an_answer_for_later_leaves_them_waiting(self, texter, admin):
        await texter.text("PERSON")
        later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        body = {"to": {"phone": texter.phone}, "body": "Tomorrow.", "send_at": later}
        assert (await admin.call("POST", "/messages", body))[0] == 202
        assert (await one(admin, texter.phone))["waiting_since"] is not None

    async def test_whoever_texts_stop_waits_for_nothing(self, texter, admin):
        await texter.text("PERSON")
        await texter.text("STOP")
        assert (await one(admin, texter.phone))["waiting_since"] is None

    async def test_when_the_time_of_staff_has_passed_it_is_nobodys_and_the_next_handoff_begins_anew(
        self, texter, admin, query, new_phone
    ):
        name = f"cy{new_phone()[2:]}"
        await new_user(admin, name)
        await texter.text("PERSON")
        conversation = await one(admin, texter.phone)
        await patch(admin, conversation, assigned_to=name)
        time_passes(query, conversation)
        after = await admin.get(f"/conversations/{conversation['id']}")
        assert (after["mode"], after["route"], after["assigned_to"]) == ("auto", "", None)
        assert (after["waiting_since"], after["staff_until"]) == (None, None)
        assert (await admin.get("/conversations", assigned_to=name))["items"] == []
        await texter.text("PERSON")
        anew = await one(admin, texter.phone)
        assert (anew["mode"], anew["route"], anew["assigned_to"]) == ("staff", "desk", None)
        assert anew["waiting_since"] == anew["last_message_at"]


class TestWhose:
    async def test_reopening_takes_it_over_and_closing_gives_it_back(self, texter, admin):
        await texter.text("hello")
        conversation = await one(admin, texter.phone)
        taken = await act(admin, conversation, "reopen")
        assert (taken["mode"], taken["route"], taken["assigned_to"]) == ("staff", "", None)
        await texter.text("HOURS")
        assert (await one(admin, texter.phone))["waiting_since"] is not None
        closed = await act(admin, conversation, "close")
        assert (closed["mode"], closed["unread"], closed["staff_until"]) == ("auto", 0, None)
        await texter.text("HOURS")
        assert await texter.wait_for(1) == ["9 to 5"]

    async def test_an_answer_leaves_automation_on_unless_it_takes_over(self, texter, admin):
        await texter.text("hello")
        conversation = await one(admin, texter.phone)
        await act(admin, conversation, "messages", {"body": "Hi."}, 202)
        assert (await one(admin, texter.phone))["mode"] == "auto"
        await act(admin, conversation, "messages", {"body": "I take this.", "take_over": True}, 202)
        assert (await one(admin, texter.phone))["mode"] == "staff"

    async def test_every_answer_of_staff_extends_their_time(self, texter, admin, query):
        await texter.text("PERSON")
        conversation = await one(admin, texter.phone)
        soon = int((datetime.now(UTC) + timedelta(minutes=1)).timestamp()) * 10**6
        query(f"UPDATE conversations SET staff_until = {soon} WHERE id = '{conversation['id']}'")
        await act(admin, conversation, "messages", {"body": "Hi."}, 202)
        until = datetime.fromisoformat((await one(admin, texter.phone))["staff_until"])
        assert until > datetime.now(UTC) + timedelta(minutes=30)

    async def test_a_user_who_signs_in_may_be_given_it_and_nobody_else(self, texter, admin, new_phone):
        names = [f"di{new_phone()[2:]}", f"ed{new_phone()[2:]}"]
        for name in names:
            user = await new_user(admin, name)
        assert (await admin.call("PATCH", f"/users/{user['id']}", {"active": False}))[0] == 200
        await texter.text("hello")
        conversation = await one(admin, texter.phone)
        given = await patch(admin, conversation, assigned_to=names[0])
        assert (given["mode"], given["assigned_to"]) == ("staff", names[0])
        for wrong in (names[1], "nobody-at-all", "No Name", ""):
            await patch(admin, conversation, 422, assigned_to=wrong)
        assert (await patch(admin, conversation, assigned_to=None))["assigned_to"] is None

    async def test_a_route_that_is_given_it_is_told_once(self, texter, admin):
        await texter.text("hello")
        conversation = await one(admin, texter.phone)
        given = await patch(admin, conversation, route="desk", note="Please, Bo.")
        assert (given["mode"], given["route"]) == ("staff", "desk")

        async def told():
            items = (await admin.get("/notifications", limit="500"))["items"]
            return [(n["route"], n["type"]) for n in items if n["conversation"] == conversation["id"]]

        assert await told() == [("desk", "conversation.routed")]
        await patch(admin, conversation, route="desk")
        assert len(await told()) == 1, "it has it already"
        assert (await patch(admin, conversation, route=None))["route"] == ""
        await patch(admin, conversation, route="desk")
        assert len(await told()) == 2

    async def test_a_route_whose_time_had_passed_is_told_again(self, texter, admin, query):
        await texter.text("PERSON")
        conversation = await one(admin, texter.phone)
        time_passes(query, conversation)
        await patch(admin, conversation, route="desk")
        items = (await admin.get("/notifications", limit="500"))["items"]
        assert len([n for n in items if n["conversation"] == conversation["id"]]) == 2

    @pytest.mark.parametrize(
        "body",
        [
            {"route": "dessk"},
            {"route": 5},
            {"mode": "paused"},
            {"mode": "auto", "route": "desk"},
            {"mode": "auto", "assigned_to": "bo"},
            {"note": "x" * 501},
            {"assigned": "bo"},
        ],
    )
    async def test_what_makes_no_sense_is_refused_and_changes_nothing(self, texter, admin, body):
        await texter.text("hello")
        conversation = await one(admin, texter.phone)
        problem = await patch(admin, conversation, 422, **body)
        assert problem["detail"]
        if body == {"route": "dessk"}:
            assert "Did you mean 'desk'?" in problem["detail"]
        assert await one(admin, texter.phone) == conversation

    async def test_a_reader_may_look_and_not_act(self, site, client, texter, admin):
        await texter.text("hello")
        conversation = await one(admin, texter.phone)
        reader = site.api(client, "read")
        assert (await reader.get(f"/conversations/{conversation['id']}"))["id"] == conversation["id"]
        calls = [("PATCH", "", {"mode": "staff"}), ("POST", "/messages", {"body": "x"})]
        calls += [("POST", f"/{action}", None) for action in ("close", "reopen", "read")]
        for method, path, body in calls:
            assert (await reader.call(method, f"/conversations/{conversation['id']}{path}", body))[0] == 403


REFUSALS = {
    "opted_out": ({"opted_in": False}, "the phone is opted out"),
    "blocked": ({"blocked": True}, "the phone is blocked"),
    "wrong-number": ("wrong-number", "the phone is marked Wrong Number"),
    "do-not-contact": ("do-not-contact", "the phone is marked Do Not Contact"),
    "label": ({"label": "home"}, "the phone is labelled home, not cell"),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_why_somebody_cannot_be_answered_is_said_and_is_so(name, texter, admin):
    change, why = REFUSALS[name]
    await texter.text("hello")
    contact = await admin.contact_of(texter.phone)
    path = f"/contacts/{contact['id']}"
    if isinstance(change, str):
        assert (await admin.call("PUT", f"{path}/tags/{change}"))[0] == 200
    else:
        assert (await admin.call("PATCH", f"{path}/phones/{texter.phone}", change | {"reason": "a test"}))[0] == 200
    conversation = await one(admin, texter.phone)
    assert (conversation["textable"], conversation["not_textable_because"]) == (False, why)
    problem = await act(admin, conversation, "messages", {"body": "Hi."}, 409)
    assert problem["detail"] == f"Not sent: {why}."


async def test_a_short_code_belongs_to_no_contact(site, admin, client):
    await site.customer(client, "72346").text("your code")
    conversation = (await admin.get("/conversations", limit="1"))["items"][0]
    assert (conversation["phone"], conversation["contact"], conversation["textable"]) == ("72346", None, False)
    assert conversation["not_textable_because"] == "the phone belongs to no contact"
