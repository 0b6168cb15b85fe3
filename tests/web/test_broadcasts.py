"""One text to many: who gets it is what the preview said, and each of them gets it once."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote
from zoneinfo import ZoneInfo

import pytest

from tests.bot.conftest import everything
from tests.server import NUMBER
from tests.web.conftest import OTHER_NUMBER
from tests.web.site import eventually, make_contact

OVER = {"sent", "delivered", "failed", "undelivered", "refused", "cancelled", "held", "unknown"}


async def send(admin, expect=202, **body):
    """Text to many; what the answer says."""
    status, broadcast = await admin.call("POST", "/broadcasts", {"body": "Hello"} | body)
    assert status == expect, broadcast
    return broadcast


async def done(admin, broadcast):
    """The broadcast, once nothing of it is on its way."""

    async def over():
        found = await admin.get(f"/broadcasts/{broadcast['id']}")
        return found if found["finished_at"] and set(found["progress"]) <= OVER else None

    return await eventually(over, "everybody has got it or not", 30)


async def recipients(admin, broadcast, **query):
    """What became of each, by contact."""
    items = await everything(admin, f"/broadcasts/{broadcast['id']}/recipients", **query)
    assert [item["contact"] for item in items] == sorted(item["contact"] for item in items)
    return {item["contact"]: item for item in items}


async def people(admin, new_phone, count, **more):
    return [await make_contact(admin, new_phone(), **more) for _ in range(count)]


def inbox(site, client, contact):
    return site.customer(client, contact["phones"][0]["number"])


async def crowd(admin, new_phone, tag, seed):
    """People in every state of consent, with some phones each."""
    chance = random.Random(seed)
    made = []
    for _ in range(12):
        phones = [{"number": new_phone(), "label": chance.choice(["cell", "cell", "home"])} for _ in range(2)]
        contact = await make_contact(admin, "", phones=phones[: chance.randint(1, 2)], tags=[tag])
        path = f"/contacts/{contact['id']}"
        for phone in contact["phones"]:
            change = chance.choice([None, None, {"opted_in": False}, {"blocked": True}])
            if change:
                assert (await admin.call("PATCH", f"{path}/phones/{phone['number']}", change))[0] == 200
        mark = chance.choice([None, None, None, "wrong-number", "do-not-contact"])
        if mark:
            await admin.call("PUT", f"{path}/tags/{mark}")
        if chance.random() < 0.1:
            for phone in contact["phones"]:
                await admin.call("DELETE", f"{path}/phones/{phone['number']}", None, confirm="true")
        made.append(await admin.get(path))
    return made


def _counted(reasons):
    """How often each; a selection that is no list of people tells all labels but cell together."""
    return Counter("its label" if "labelled" in reason else reason for reason in reasons)


class TestWhoGetsIt:
    @pytest.mark.parametrize("seed", [1, 2, 3])
    async def test_the_preview_is_what_happens_in_every_state_of_consent(self, admin, new_phone, seed):
        tag = f"crowd{seed}-{new_phone()[2:]}"
        made = await crowd(admin, new_phone, tag, seed)
        told = {}
        for to in ({"contacts": [contact["id"] for contact in made]}, {"matching": {"tag": tag}}):
            status, preview = await admin.call("POST", "/broadcasts/preview", {"to": to, "body": "Hello"})
            assert status == 200, preview
            told[next(iter(to))] = preview
            broadcast = await done(admin, await send(admin, to=to))
            assert preview["contacts"] == len(made) == broadcast["total"]
            got = await recipients(admin, broadcast)
            states = Counter(item["state"] for item in got.values())
            assert (
                broadcast["progress"]
                == states
                == +Counter(sent=preview["textable"], refused=sum(preview["refused"].values()))
            )
            for contact in made:
                item = got[contact["id"]]
                textable = [phone["number"] for phone in contact["phones"] if phone["textable"]]
                assert (item["state"] == "sent") == bool(textable)
                assert item["phone"] in (textable[:1] or [phone["number"] for phone in contact["phones"]] or [None])
                assert bool(item["reason"]) == bool(item["message"] is None) == (not textable)
            reasons = [item["reason"] for item in got.values() if item["state"] == "refused"]
            assert _counted(reasons) == _counted(Counter(preview["refused"]).elements())
        assert told["contacts"]["textable"] == told["matching"]["textable"]

    async def test_the_preview_counts_segments(self, admin, new_phone):
        (contact,) = await people(admin, new_phone, 1)
        to = {"contacts": [contact["id"], contact["id"]]}
        _, preview = await admin.call("POST", "/broadcasts/preview", {"to": to, "body": "é" * 161})
        assert (preview["contacts"], preview["textable"]) == (1, 1), "each once"
        assert (preview["encoding"], preview["segments"]) == ("GSM-7", 2)
        _, preview = await admin.call("POST", "/broadcasts/preview", {"to": to, "body": "Ж" * 71})
        assert (preview["encoding"], preview["segments"]) == ("UCS-2", 2)

    async def test_a_list_by_query_and_further_criteria_select_whom_they_select(self, admin, new_phone):
        tag = f"vip-{new_phone()[2:]}"
        vips = await people(admin, new_phone, 3, tags=[tag])
        await people(admin, new_phone, 2)
        renamed = vips[0]["id"]
        assert (await admin.call("PATCH", f"/contacts/{renamed}", {"name": f"Zoë {tag}"}))[0] == 200
        body = {"name": tag, "purpose": "service", "query": {"tag": tag}}
        assert (await admin.call("POST", "/lists", body))[0] == 201
        for matching, wanted in (
            ({"list": tag}, {contact["id"] for contact in vips}),
            ({"list": tag, "q": f"zoe {tag}"}, {renamed}),
            ({"list": tag, "opted_in": False}, set()),
        ):
            broadcast = await done(admin, await send(admin, to={"matching": matching}))
            assert set(await recipients(admin, broadcast)) == wanted
        await send(admin, 422, to={"matching": {"list": "no such list"}})


class TestWhatTheyGet:
    async def test_variables_are_filled_in_for_each(self, site, client, admin, new_phone):
        ana, nobody = await people(admin, new_phone, 2)
        await admin.call("PATCH", f"/contacts/{ana['id']}", {"name": "Ana Ruiz", "fields": {"visit": "2026-05-01"}})
        await admin.call("PATCH", f"/contacts/{nobody['id']}", {"name": ""})
        body = 'Hi {{ contact.first_name | default("you") }}, {{ contact.visit | default("some day") }}!'
        broadcast = await send(admin, to={"contacts": [ana["id"], nobody["id"]]}, body=body, template=True)
        await done(admin, broadcast)
        assert await inbox(site, client, ana).inbox() == ["Hi Ana, 2026-05-01!"]
        assert await inbox(site, client, nobody).inbox() == ["Hi you, some day!"]

    async def test_without_template_braces_are_braces(self, site, client, admin, new_phone):
        (ana,) = await people(admin, new_phone, 1)
        await done(admin, await send(admin, to={"contacts": [ana["id"]]}, body="{{ contact.name }}", template=False))
        assert await inbox(site, client, ana).inbox() == ["{{ contact.name }}"]

    async def test_who_cannot_be_texted_is_said_to_be_so_for_one_reason_however_they_are_chosen(self, admin, new_phone):
        tag = "two phones"
        phones = [{"number": new_phone(), "label": "home"}, {"number": new_phone()}]
        contact = await make_contact(admin, phones[0]["number"], phones=phones, tags=[tag])
        path = f"/contacts/{contact['id']}/phones/{phones[1]['number']}"
        assert (await admin.call("PATCH", path, {"opted_in": False}))[0] == 200
        for to in ({"contacts": [contact["id"]]}, {"matching": {"tag": tag}}):
            status, preview = await admin.call("POST", "/broadcasts/preview", {"to": to, "body": "Hello"})
            assert status == 200, preview
            assert "opted out" in str(preview["refused"]), preview
            broadcast = await done(admin, await send(admin, to=to))
            assert "opted out" in (await recipients(admin, broadcast))[contact["id"]]["reason"]

    async def test_a_marketing_list_gets_it_when_it_is_day_there_unless_a_time_was_chosen(self, admin, new_phone):
        ahead = (3 - datetime.now(UTC).hour + 12) % 24 - 12  # where it is about three in the morning
        zone = f"Etc/GMT{-ahead:+d}"
        contact = await make_contact(admin, new_phone(), fields={"timezone": zone})
        for name, purpose, state in (("night sale", "marketing", "held"), ("night news", "service", "sent")):
            await admin.call("POST", "/lists", {"name": name, "purpose": purpose})
            await admin.call("PUT", f"/lists/{quote(name)}/contacts/{contact['id']}")
            broadcast = await done(admin, await send(admin, to={"matching": {"list": name}}))
            (got,) = (await recipients(admin, broadcast)).values()
            path = f"/messages/{got['message']}"
            assert (await admin.get(path))["state"] == state
            if state == "held":
                message = await eventually(partial(_due, admin, path), "it is known until when")
                assert datetime.fromisoformat(message["send_at"]).astimezone(ZoneInfo(zone)).hour == 8

    async def test_it_comes_from_the_number_they_know_or_the_one_that_was_asked_for(
        self, site, client, admin, new_phone
    ):
        known, other = await people(admin, new_phone, 2)
        customer = site.customer(client, known["phones"][0]["number"])
        customer.channel = "spare"
        await customer.text("hello", to=OTHER_NUMBER)
        to = {"contacts": [known["id"], other["id"]]}
        picture = "https://example.org/a.png"
        for sender, numbers in (({}, {OTHER_NUMBER, NUMBER}), ({"from": OTHER_NUMBER}, {OTHER_NUMBER})):
            broadcast = await done(admin, await send(admin, to=to, media=[picture], **sender))
            got = await recipients(admin, broadcast)
            messages = [await admin.get(f"/messages/{item['message']}") for item in got.values()]
            assert {message["number"] for message in messages} == numbers
            assert {message["media"][0]["url"] for message in messages} == {picture}
            assert {message["sent_by"]["name"] for message in messages} == {"the admin"}
        assert broadcast["author"] == "the admin"

    async def test_for_later_it_is_held_and_can_be_called_back(self, site, client, admin, new_phone):
        made = await people(admin, new_phone, 2)
        later = (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)
        to = {"contacts": [contact["id"] for contact in made]}
        broadcast = await done(admin, await send(admin, to=to, send_at=later.isoformat()))
        assert broadcast["progress"] == {"held": 2}
        assert datetime.fromisoformat(broadcast["send_at"]) == later
        await site.customer(client, made[0]["phones"][0]["number"]).text("STOP")
        status, back = await admin.call("POST", f"/broadcasts/{broadcast['id']}/cancel")
        assert (status, back["cancelled"], back["progress"]) == (200, True, {"cancelled": 2})
        got = await recipients(admin, broadcast)
        assert "opted out" in got[made[0]["id"]]["reason"]
        assert got[made[1]["id"]]["reason"] == "the text was called back"
        assert (await admin.call("POST", f"/broadcasts/{broadcast['id']}/cancel"))[0] == 409

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"to": {}}, "to"),
            ({"to": {"contacts": ["019a0000-0000-7000-8000-000000000000"], "matching": {}}}, "to"),
            ({"to": {"matching": {}}, "body": " "}, "body"),
            ({"to": {"matching": {}}, "body": "{{ contact.nmae }}", "template": True}, "body"),
            ({"to": {"matching": {}}, "body": "{{ message.text }}", "template": True}, "body"),
            ({"to": {"matching": {}}, "from": "+12025550177"}, "from"),
            ({"to": {"matching": {}}, "send_at": "tomorrow"}, "send_at"),
            ({"to": {"matching": {}}, "body": "Hi {{ contact.name }}"}, "template"),
            ({"to": {"matching": {}}, "send_at": "2999-01-01T00:00:00Z"}, "send_at"),
            ({"to": {"matching": {"tga": "x"}}}, "to"),
            ({"to": {"contacts": []}}, "to"),
        ],
    )
    async def test_what_cannot_be_is_refused_and_texts_nobody(self, admin, body, field):
        before = (await admin.get("/broadcasts", limit="1"))["items"]
        assert field in str(await send(admin, 422, **body))
        assert (await admin.get("/broadcasts", limit="1"))["items"] == before


async def _due(admin, path):
    message = await admin.get(path)
    return message if message["send_at"] else None


class TestProgress:
    async def test_broadcasts_and_recipients_are_paged_and_found_by_state(self, admin, new_phone):
        made = await people(admin, new_phone, 5)
        await admin.call("PATCH", f"/contacts/{made[0]['id']}/phones/{made[0]['phones'][0]['number']}",
                         {"opted_in": False})  # fmt: skip
        sent = [await send(admin, to={"contacts": [contact["id"] for contact in made]}) for _ in range(3)]
        for broadcast in sent:
            assert (await done(admin, broadcast))["progress"] == {"sent": 4, "refused": 1}
        page = await admin.get("/broadcasts", limit="2")
        rest = await admin.get("/broadcasts", limit="2", cursor=page["next"])
        assert [item["id"] for item in page["items"] + rest["items"]][:3] == [b["id"] for b in reversed(sent)]
        path = f"/broadcasts/{sent[0]['id']}/recipients"
        few = await admin.get(path, limit="3")
        more = await admin.get(path, limit="3", cursor=few["next"])
        assert [item["contact"] for item in few["items"] + more["items"]] == sorted(c["id"] for c in made)
        assert more["next"] is None
        assert set(await recipients(admin, sent[0], state="refused")) == {made[0]["id"]}
        assert await recipients(admin, sent[0], state="queued") == {}
        for wrong in ("", "/recipients"):
            assert (await admin.call("GET", f"/broadcasts/019a0000-0000-7000-8000-000000000000{wrong}"))[0] == 404

    async def test_a_reader_sees_who_would_get_it_and_sends_nothing(self, site, client, admin):
        reader = site.api(client, "read")
        assert (await reader.call("POST", "/broadcasts/preview", {"to": {"matching": {}}}))[0] == 200
        assert (await reader.call("POST", "/broadcasts", {"to": {"matching": {}}, "body": "x"}))[0] == 403

    async def test_whoever_is_deleted_leaves_the_broadcast_as_if_never_there(self, admin, new_phone):
        made = await people(admin, new_phone, 2)
        broadcast = await done(admin, await send(admin, to={"contacts": [contact["id"] for contact in made]}))
        assert (await admin.call("DELETE", f"/contacts/{made[0]['id']}", None, confirm="true"))[0] == 204
        assert set(await recipients(admin, broadcast)) == {made[1]["id"]}
        assert (await admin.get(f"/broadcasts/{broadcast['id']}"))["progress"] == {"sent": 1}
