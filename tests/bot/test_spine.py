"""The main job, end to end on a real server process, on both engines."""

from __future__ import annotations

import asyncio

import pytest


async def test_an_unknown_number_is_answered_once_and_becomes_an_opted_in_contact(serve, customer, api, store_url):
    server = await serve(store_url)
    ana = customer(server)
    await ana.text("HOURS")
    assert len(await ana.wait_for(1)) == 1
    staff = api(server)
    contact = await staff.contact_of(ana.phone)
    assert contact["lists"] == ["All Contacts"]
    assert contact["source"] == "text on sim"
    assert contact["phones"][0]["opted_in"] is True
    history = (await staff.get(f"/contacts/{contact['id']}/consent"))["items"]
    assert [event["event"] for event in history] == ["created"]
    assert history[0]["message_id"]


@pytest.mark.slow
async def test_the_same_id_posted_fifty_times_in_parallel_is_one_message(serve, customer, api, store_url):
    server = await serve(store_url)
    ana = customer(server)
    results = await asyncio.gather(*(ana.text("HOURS", id="same") for _ in range(50)))
    assert len({result["id"] for result in results}) == 1
    assert sorted(result["status"] for result in results) == ["duplicate"] * 49 + ["received"]
    assert len(await ana.wait_for(1)) == 1
    assert len(await ana.quiet()) == 1
    assert len((await api(server).get("/messages", direction="inbound"))["items"]) == 1
