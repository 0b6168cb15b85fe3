"""A gateway that writes numbers as they are dialled at home: a STOP is of whoever sent it, and of nobody abroad."""

from __future__ import annotations

import pytest

from tests.server import Api

TOKEN = "a token of the gateway's"


@pytest.mark.parametrize("written", ["2025550131", "12025550131", "+12025550131", "(202) 555-0131"])
async def test_a_number_is_the_same_however_it_is_written(serve, api, client, written):
    section = {
        "adapter": "http", "numbers": ["+12025550142"], "token": TOKEN, "bare_numbers": "national",
        "send_url": "http://127.0.0.1:9/send",
    }  # fmt: skip
    server = await serve("sqlite:///test.db", channels__gate=section)
    for id_, sender, text in (("1", "+12025550131", "hello"), ("2", written, "STOP")):
        said = {"id": id_, "from": sender, "to": "2025550142", "text": text}
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with client.post(f"{server.url}/webhooks/gate", json=said, headers=headers) as response:
            assert response.status == 200, await response.text()
    admin: Api = api(server)
    [contact] = (await admin.get("/contacts"))["items"]
    [phone] = contact["phones"]
    assert (phone["number"], phone["opted_in"]) == ("+12025550131", False)
    [conversation] = (await admin.get("/conversations"))["items"]
    assert conversation["number"] == "+12025550142"
