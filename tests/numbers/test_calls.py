"""Calls to our numbers are put through to the business's own, when the provider asks what to do with them."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from tests.numbers.renting import POOL, PUBLIC, webhook

CALL = {"CallSid": "CA" + "1" * 32, "From": "+13035550142", "To": POOL, "CallStatus": "ringing"}
PATH = "/webhooks/twilio/voice"


async def test_a_call_is_put_through(open_office):
    office = await open_office(numbers={"forward_calls_to": "(415) 555-0199"})
    status, body = await office.call_webhook(CALL, PATH)
    assert status == 200
    document = ElementTree.fromstring(body)
    assert document.tag == "Response"
    assert document.findtext("Dial/Number") == "+14155550199"
    headers, _ = webhook(CALL, PATH)
    async with office.client.post(f"{office.server.url}{PATH}", data=webhook(CALL, PATH)[1], headers=headers) as answer:
        assert answer.content_type == "text/xml"


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_call_that_is_not_signed_as_the_channels_are_is_refused(open_office, method):
    office = await open_office(numbers={"forward_calls_to": "+14155550199"})
    headers, body = webhook(CALL, PATH)
    url = f"{office.server.url}{PATH}"
    wrong = [
        ({**headers, "X-Twilio-Signature": "AAAA"}, body),
        ({name: value for name, value in headers.items() if name != "X-Twilio-Signature"}, body),
        (headers, body + b"&More=1"),
        (webhook(CALL, "/webhooks/twilio")[0], body),
    ]
    for given, sent in wrong:
        async with office.client.request(method, url, data=sent, headers=given) as answer:
            text = await answer.text()
            assert answer.status == 403, text
            assert "4155550199" not in text


async def test_a_get_is_signed_with_its_query(open_office):
    import hmac
    from base64 import b64encode

    office = await open_office(numbers={"forward_calls_to": "+14155550199"})
    query = "?CallSid=CA1&From=%2B13035550142"
    signature = b64encode(hmac.digest(b"the token of the account", f"{PUBLIC}{PATH}{query}".encode(), "sha1")).decode()
    headers = {"X-Twilio-Signature": signature}
    async with office.client.get(f"{office.server.url}{PATH}{query}", headers=headers) as answer:
        assert answer.status == 200
        assert "+14155550199" in await answer.text()


async def test_where_nobody_takes_calls_there_is_nothing(open_office):
    office = await open_office()
    assert (await office.call_webhook(CALL, PATH))[0] == 404


async def test_other_channels_put_no_calls_through(open_office):
    office = await open_office(numbers={"forward_calls_to": "+14155550199"})
    for channel in ("sim", "nothing"):
        path = f"/webhooks/{channel}/voice"
        assert (await office.call_webhook(CALL, path))[0] == 404


async def test_below_the_path_of_the_public_url(open_office):
    office = await open_office(numbers={"forward_calls_to": "+14155550199"}, server={"public_url": f"{PUBLIC}/texts"})
    headers, body = webhook(CALL, "/texts/webhooks/twilio/voice")
    for path in ("/texts/webhooks/twilio/voice", "/webhooks/twilio/voice"):
        async with office.client.post(f"{office.server.url}{path}", data=body, headers=headers) as answer:
            assert answer.status == 200, path


async def test_a_call_stores_nothing(open_office):
    office = await open_office(numbers={"forward_calls_to": "+14155550199"})
    for _ in range(3):
        assert (await office.call_webhook(CALL, PATH))[0] == 200
    assert (await office.admin.get("/messages"))["items"] == []
    assert (await office.admin.get("/contacts"))["items"] == []


async def test_a_huge_body_is_refused(open_office):
    office = await open_office(numbers={"forward_calls_to": "+14155550199"})
    url = f"{office.server.url}{PATH}"
    async with office.client.post(url, data=b"x" * 400_000) as answer:
        assert answer.status == 413
