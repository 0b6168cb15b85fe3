"""Rules and notifications over the API."""

from __future__ import annotations

import pytest

from tests.server import NUMBER
from tests.web.conftest import OTHER_NUMBER
from tests.web.site import eventually


async def test_the_rules_in_force_are_shown_by_file(any_site, client):
    rules = await any_site.api(client, "read").get("/rules")
    assert [(file["name"], file["path"], file["rules"]) for file in rules["files"]] == [
        ("rules", "rules.yaml", ["rules.hours", "rules.person", "rules.tell", "rules.begin"])
    ]
    assert rules["version"]
    assert rules["rejected"] == []


async def test_a_reload_of_the_same_files_changes_nothing(any_site, client):
    admin = any_site.api(client)
    version = (await admin.get("/rules"))["version"]
    status, reloaded = await admin.call("POST", "/rules/reload")
    assert (status, reloaded) == (200, {"version": version, "changed": False})


class TestExplain:
    async def _explain(self, api, status=200, **body):
        got, answer = await api.call("POST", "/rules/explain", {"text": "hours", "from": "+12025550142"} | body)
        assert got == status, answer
        return answer

    async def test_it_says_what_would_be_answered_and_stores_nothing(self, any_site, client, new_phone):
        reader = any_site.api(client, "read")
        phone = new_phone()
        explanation = await self._explain(reader, **{"from": phone})
        assert explanation["rule"] == "rules.hours"
        assert explanation["effects"][0]["effect"] == "Reply"
        assert explanation["effects"][0]["text"] == "9 to 5"
        assert all(tried["reasons"] or tried["outcome"] for tried in explanation["tried"])
        assert (await reader.get("/messages", phone=phone))["items"] == []
        assert (await reader.get("/contacts", q=phone))["items"] == []

    async def test_consent_lists_and_time_are_taken_as_given(self, any_site, client):
        reader = any_site.api(client, "read")
        opted_out = await self._explain(reader, opted_out=True)
        assert opted_out["effects"] == []
        at = await self._explain(reader, at="2026-03-05T15:00:00+01:00")
        assert at["at"] == "2026-03-05T14:00:00.000Z"

    async def test_the_channel_is_that_of_the_number_that_is_texted(self, any_site, client):
        reader = any_site.api(client, "read")
        for number in (NUMBER, OTHER_NUMBER):
            assert (await self._explain(reader, to=number))["rule"] == "rules.hours"

    @pytest.mark.parametrize("sender", ["72345", "BANK"])
    async def test_a_sender_that_is_no_phone_is_explained_too(self, any_site, client, sender):
        """Short codes and names text us as well: nothing automatic answers them."""
        explanation = await self._explain(any_site.api(client), **{"from": sender})
        assert "rules.hours" not in explanation["fired"]

    @pytest.mark.parametrize(
        "change",
        [
            {"text": None},
            {"text": "x" * 1601},
            {"from": "?"},
            {"at": "yesterday"},
            {"at": ""},
            {"at": "0001-01-01T00:00:00Z"},
            {"at": "0001-01-01T00:00:00+14:00"},
            {"at": "9999-12-31T23:59:59.999999Z"},
            {"at": "9999-12-31T23:59:59.999999-14:00"},
            {"opted_out": "no"},
            {"lists": ["a/b"]},
            {"colour": "red"},
        ],
    )
    async def test_what_is_not_as_described_is_refused(self, any_site, client, change):
        await self._explain(any_site.api(client), 422, **change)


class TestNotifications:
    """The route goes to loopback without allow_private: each delivery is dead at once, and says why."""

    async def _dead(self, admin, texter):
        (conversation,) = (await admin.get("/conversations", phone=texter.phone))["items"]

        async def found():
            page = await admin.get("/notifications", state="dead", limit="500")
            return [item for item in page["items"] if item["conversation"] == conversation["id"]]

        return await eventually(found, "the notification is dead")

    async def test_they_are_listed_with_their_fate(self, admin, texter):
        await texter.text("TELL")
        (dead,) = await self._dead(admin, texter)
        assert (dead["route"], dead["type"], dead["attempts"]) == ("desk", "conversation.notified", 1)
        assert dead["error"] == "the address is not public; the route needs allow_private = true"
        assert dead["next_try_at"] is None
        for state in ("queued", "delivered"):
            page = await admin.get("/notifications", state=state, limit="500")
            assert dead["id"] not in [item["id"] for item in page["items"]]
        assert (await admin.call("GET", "/notifications", state="lost"))[0] == 422

    async def test_pages_are_complete_and_without_repeats(self, admin, texter):
        for _ in range(3):
            await texter.text("TELL")
        await eventually(lambda: self._three(admin, texter), "three are dead")
        seen, cursor = [], {}
        while True:
            page = await admin.get("/notifications", limit="2", **cursor)
            seen += [item["id"] for item in page["items"]]
            if page["next"] is None:
                break
            cursor = {"cursor": page["next"]}
        assert len(seen) >= 3
        assert len(set(seen)) == len(seen)

    async def _three(self, admin, texter):
        return len(await self._dead(admin, texter)) == 3

    async def test_a_dead_one_is_tried_again_under_its_id(self, admin, texter):
        await texter.text("TELL")
        (dead,) = await self._dead(admin, texter)
        status, replayed = await admin.call("POST", f"/notifications/{dead['id']}/replay")
        assert (status, replayed["id"], replayed["state"]) == (200, dead["id"], "queued")
        assert (replayed["attempts"], replayed["error"]) == (0, None)
        assert replayed["next_try_at"]
        (again,) = await self._dead(admin, texter)
        assert (again["id"], again["attempts"]) == (dead["id"], 1)
