"""Routes whose people go home: who is told instead, what the customer is told, and being away for a while."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from bot.routes import Absence, Route, Routes
from bot.staff import StaffReply, queue_staff_replies
from bot.store.open import open_store
from tests.bot.conftest import NOBODY, until
from tests.bot.load import table
from tests.bot.service import at, service
from tests.server import free_port
from tests.staff.conftest import SECRET
from tests.staff.receiver import Receiver
from tests.web.site import running_site

RULES = """
version: 1
rules:
  - {id: urgent, interrupt: true, when: {keyword: urgent}, do: [{handoff: {route: desk}}]}
  - {id: person, when: {keyword: person}, do: [{handoff: {route: desk}}]}
  - {id: sales, when: {keyword: sales}, do: [{notify: {route: desk}}]}
"""
ANA = "+12025550131"
AWAY = "We are back at nine."
DESK = NOBODY | {"hours": ["mon-fri 09:00-17:00"], "closed": ["2026-03-04"]}


def desk(store_url, tmp_path, now, **more):
    """A node whose desk works from nine to five; `now` is a wall clock's, and 3 March 2026 a Tuesday."""
    routes = {"routes__desk": DESK | more, "routes__night": NOBODY | {"hours": ["mon 00:00-00:01"]}}
    return service(store_url, tmp_path, RULES, now, **routes)


async def told(node, phone):
    """(route that is told, kind, route that was meant) of all about a phone."""
    rows = await table(
        node.store,
        "SELECT n.route, n.type, n.payload FROM notifications n JOIN conversations c ON c.id = n.conversation_id"
        f" WHERE c.phone = '{phone}' ORDER BY n.seq",
    )
    return [(row["route"], row["type"], json.loads(row["payload"])["route"]) for row in rows]


class TestHours:
    @pytest.mark.parametrize(
        ("now", "is_open"),
        [
            ("2026-03-03 08:59", False), ("2026-03-03 09:00", True), ("2026-03-03 16:59", True),
            ("2026-03-03 17:00", False), ("2026-03-07 12:00", False), ("2026-03-04 12:00", False),
            ("2026-03-09 09:00", True),
        ],
    )  # fmt: skip
    async def test_by_the_clock_of_the_business_the_desk_is_told_or_who_is_there_instead(self, tmp_path, now, is_open):
        """Also on the Monday after the clocks went forward."""
        url = f"sqlite:///{tmp_path / 'store.db'}"
        async with desk(url, tmp_path, now, away_reply=AWAY, away_to="night") as node:
            await node.text(ANA, "PERSON")
            assert await told(node, ANA) == [("desk" if is_open else "night", "conversation.routed", "desk")]
            assert node.notebook.to(ANA) == ([] if is_open else [AWAY])

    async def test_the_reply_is_said_once_and_every_further_text_is_told_to_whoever_is_there(self, store_url, tmp_path):
        async with desk(store_url, tmp_path, "2026-03-03 20:00", away_reply=AWAY, away_to="night") as node:
            for body in ("PERSON", "hello?", "PERSON", "URGENT"):
                await node.text(ANA, body)
            assert node.notebook.to(ANA) == [AWAY]
            assert [route for route, _, _ in await told(node, ANA)] == ["night"] * 4
            (conversation,) = await table(node.store, "SELECT * FROM conversations")
            assert (conversation["mode"], conversation["route"]) == ("staff", "desk"), "it stays theirs"
            node.clock.now = at("2026-03-05 09:00")
            await node.text(ANA, "PERSON")
            assert len(await told(node, ANA)) == 5
            assert (await told(node, ANA))[-1][0] == "desk"
            assert node.notebook.to(ANA) == [AWAY]

    async def test_the_next_handoff_at_night_is_answered_again(self, store_url, tmp_path):
        async with desk(store_url, tmp_path, "2026-03-03 20:00", away_reply=AWAY) as node:
            await node.text(ANA, "PERSON")
            (conversation,) = await table(node.store, "SELECT * FROM conversations")
            node.clock.now = conversation["staff_until"]
            await node.text(ANA, "PERSON")
            assert node.notebook.to(ANA) == [AWAY, AWAY]
            (after,) = await table(node.store, "SELECT * FROM conversations")
            assert after["waiting_since"] == node.clock.now

    async def test_without_anybody_to_be_told_instead_the_desk_is(self, tmp_path):
        url = f"sqlite:///{tmp_path / 'store.db'}"
        async with desk(url, tmp_path, "2026-03-03 20:00") as node:
            await node.text(ANA, "PERSON")
            assert await told(node, ANA) == [("desk", "conversation.routed", "desk")]
            assert node.notebook.to(ANA) == []

    async def test_a_notice_goes_to_whoever_is_there_and_is_not_answered(self, tmp_path):
        url = f"sqlite:///{tmp_path / 'store.db'}"
        async with desk(url, tmp_path, "2026-03-03 20:00", away_reply=AWAY, away_to="night") as node:
            await node.text(ANA, "SALES")
            assert await told(node, ANA) == [("night", "conversation.notified", "desk")]
            assert node.notebook.to(ANA) == []

    async def test_whoever_opted_out_is_told_nothing(self, tmp_path):
        url = f"sqlite:///{tmp_path / 'store.db'}"
        async with desk(url, tmp_path, "2026-03-03 20:00", away_reply=AWAY) as node:
            await node.text(ANA, "STOP")
            sent = node.notebook.to(ANA)
            await node.text(ANA, "URGENT")
            assert node.notebook.to(ANA) == sent

    async def test_a_webhooks_answer_ends_the_waiting_and_extends_the_time_of_staff(self, store_url, tmp_path):
        async with desk(store_url, tmp_path, "2026-03-03 12:00") as node:
            await node.text(ANA, "PERSON")
            (before,) = await table(node.store, "SELECT * FROM conversations")
            node.clock.now += 60 * 10**6
            reply = StaffReply(before["id"], "Hello.", "route desk")
            async with node.store.transaction() as transaction:
                seconds = node.config.outbox.staff_seconds
                await queue_staff_replies(transaction, [reply], now=node.clock(), staff_seconds=seconds)
            (after,) = await table(node.store, "SELECT * FROM conversations")
            assert before["waiting_since"]
            assert before["unread"]
            assert (after["waiting_since"], after["unread"]) == (0, 0)
            assert after["staff_until"] == before["staff_until"] + 60 * 10**6


class TestWhoIsTold:
    def test_nobody_is_told_in_the_place_of_a_stand_in(self):
        """A stand-in who is away too is told all the same: never a third one."""
        routes = Routes({name: Route(name, "", "", away_to=to) for name, to in (("a", "b"), ("b", "c"), ("c", ""))})
        routes.absences = {name: Absence(10, stand_in) for name, stand_in in (("a", "b"), ("b", "c"))}
        assert (routes.told("a", 9), routes.told("b", 9), routes.told("c", 9)) == ("b", "c", "c")
        assert routes.told("a", 10) == "a", "it is over at that moment"

    def test_a_stand_in_that_there_is_no_more_leaves_the_route_itself(self):
        routes = Routes({"a": Route("a", "", "")}, "a")
        routes.absences = {"a": Absence(10, "gone"), "other": Absence(10, "a")}
        assert (routes.told("a", 9), routes.told("", 9), routes.told("gone", 9)) == ("a", "a", "")
        assert (routes.is_away("a", 9), routes.is_away("gone", 9)) == (True, False)


@pytest.fixture(scope="module")
def port():
    return free_port()


@pytest.fixture(scope="module")
def site(tmp_path_factory, port):
    def route(name, **more):
        url = f"http://127.0.0.1:{port}/{name}"
        return {"url": url, "secret": {"env": "DESK_SECRET"}, "allow_private": True} | more

    with running_site(
        tmp_path_factory.mktemp("absence"), "sqlite:///test.db", rules=RULES, env={"DESK_SECRET": SECRET},
        routes__night=route("night"), routes__desk=route("desk", away_to="night", default=True),
    ) as running:  # fmt: skip
        yield running


@pytest.fixture
async def receiver(port):
    async with Receiver(port) as listening:
        yield listening


class TestAbsence:
    async def test_staff_say_that_they_are_away_and_back_and_the_server_knows_at_once(
        self, site, receiver, admin, new_customer
    ):
        until_ = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
        status, away = await admin.call(
            "PUT", "/routes/desk/absence", {"until": until_.isoformat(), "stand_in": "night"}
        )
        assert (status, away["is_away"], away["stand_in"]) == (200, True, "night")
        assert datetime.fromisoformat(away["away_until"]) == until_
        assert away == await admin.get("/routes/desk")
        await asyncio.sleep(0.2)
        first, second = new_customer(), new_customer()
        await first.text("PERSON")
        (said,) = await receiver.wait_for(first.phone)
        assert (said.path, said.json["data"]["route"]) == ("/night", "desk")
        assert (await admin.get("/routes/desk"))["unanswered"] == 1
        status, back = await admin.call("DELETE", "/routes/desk/absence")
        assert (status, back["is_away"], back["away_until"]) == (200, False, None)
        await asyncio.sleep(0.2)
        await second.text("PERSON")
        (said,) = await receiver.wait_for(second.phone)
        assert said.path == "/desk"
        listed = (await admin.get("/routes"))["items"]
        assert [(item["name"], item["is_default"], item["unanswered"]) for item in listed] == [
            ("night", False, 0), ("desk", True, 2),
        ]  # fmt: skip

    @pytest.mark.parametrize(
        ("path", "body", "status"),
        [
            ("desk", {"until": "2020-01-01T00:00:00Z"}, 422),
            ("desk", {"until": "2999-01-01T00:00:00Z"}, 422),
            ("desk", {"until": "soon"}, 422),
            ("desk", {}, 422),
            ("desk", {"until": "tomorrow", "stand_in": "nihgt"}, 422),
            ("desk", {"until": "tomorrow", "stand_in": "desk"}, 422),
            ("dessk", {"until": "tomorrow"}, 404),
        ],
    )
    async def test_what_cannot_be_is_refused(self, site, admin, path, body, status):
        if body.get("until") == "tomorrow":
            body = body | {"until": (datetime.now(UTC) + timedelta(days=1)).isoformat()}
        answer = await admin.call("PUT", f"/routes/{path}/absence", body)
        assert answer[0] == status, answer
        assert (await admin.get("/routes/desk"))["is_away"] is False

    async def test_a_reader_only_looks(self, site, client):
        reader = site.api(client, "read")
        assert (await reader.get("/routes/desk"))["name"] == "desk"
        assert (await reader.call("DELETE", "/routes/desk/absence"))[0] == 403

    async def test_another_node_hears_of_it_at_once(self, fresh_postgres, tmp_path):
        async with open_store(fresh_postgres, tmp_path) as here, open_store(fresh_postgres, tmp_path) as there:
            known = {"desk": Route("desk", "", ""), "night": Route("night", "", "")}
            nodes = [(Routes(known), store) for store in (here, there)]
            working = [asyncio.create_task(routes.work(store)) for routes, store in nodes]
            await asyncio.sleep(0.3)
            values = {"route": "desk", "until": 10, "stand_in": "night", "actor": "bo", "now": 1}
            async with here.transaction() as transaction:
                await transaction.rows("set_absence", **values)
                await transaction.wake("routes")
            for routes, _ in nodes:
                await until(lambda routes=routes: routes.told("desk", 5) == "night", 2)
            async with there.transaction() as transaction:
                await transaction.rows("end_absence", route="desk")
                await transaction.wake("routes")
            for routes, _ in nodes:
                await until(lambda routes=routes: routes.told("desk", 5) == "desk", 2)
            for task in working:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
