"""A whole server and a stand-in for Twilio: signed webhooks behind a proxy, sending, receipts, and what goes wrong."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.bot.conftest import Shop, everything, ids, settled, until
from tests.providers.standin import Reply, Request
from tests.providers.twilio import TwilioStandIn, refused, signed_webhook
from tests.server import Customer, free_port

RULES = """
version: 1
name: shop
rules:
  - id: hours
    when: {keyword: hours}
    do: [{reply: "We are open 9 to 6."}]
  - id: picture
    when: {has_media: true}
    do: [{reply: {text: "Nice!", media: "https://shop.example/thanks.png"}}]
"""
ACCOUNT, TOKEN = "AC" + "0" * 32, "the auth token"
NUMBER = "+12025550142"
PUBLIC = "https://sms.example.org/desk/text"
OUTBOX = {"retry_base_seconds": 0.05, "retry_max_seconds": 0.1, "answer_seconds": 0.7}


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


def channel(port: int, **settings: Any) -> dict[str, Any]:
    return {
        "adapter": "twilio",
        "numbers": [NUMBER],
        "account_sid": ACCOUNT,
        "auth_token": {"env": "TWILIO_TOKEN"},
        "api_base": f"http://127.0.0.1:{port}",
        **settings,
    }


@pytest.fixture(scope="module")
def shop(open_shop, port) -> Shop:
    return open_shop(
        rules=RULES,
        env={"TWILIO_TOKEN": TOKEN},
        server={"public_url": PUBLIC},
        outbox=OUTBOX,
        channels__main=channel(port),
    )


@pytest.fixture(scope="module")
def other_shop(open_shop, port) -> Shop:
    """Unknown outcomes are sent again, we confirm every STOP, and the public address has no path but /webhooks."""
    return open_shop(
        rules=RULES,
        env={"TWILIO_TOKEN": TOKEN},
        server={"public_url": "https://sms.example.org/webhooks"},
        outbox={**OUTBOX, "on_unknown": "resend"},
        channels__main=channel(port, carrier_confirms_opt_out=False),
    )


@pytest.fixture
async def twilio(port) -> AsyncIterator[TwilioStandIn]:
    async with TwilioStandIn(ACCOUNT, TOKEN, port=port) as stand_in:
        yield stand_in


class Phone:
    """A customer's phone, as Twilio tells of it."""

    def __init__(self, shop: Shop, customer: Customer) -> None:
        self.shop = shop
        self.client = customer.client
        self.number = customer.phone
        self.staff = shop.staff(customer.client)
        self._count = 0

    async def post(self, fields: dict[str, str], path: str, signed_url: str, token: str = TOKEN) -> int:
        headers, body = signed_webhook(signed_url, fields, token)
        async with self.client.post(self.shop.server.url + path, data=body, headers=headers) as response:
            return response.status

    def fields(self, body: str, **more: str) -> dict[str, str]:
        self._count += 1
        sid = f"SM{self.number[1:]}x{self._count}"
        return {"MessageSid": sid, "AccountSid": ACCOUNT, "From": self.number, "To": NUMBER, "Body": body, **more}

    async def text(self, body: str, **more: str) -> None:
        assert await self.post(self.fields(body, **more), "/webhooks/main", f"{PUBLIC}/webhooks/main") == 200

    async def receipt(self, sid: str, status: str, error: str = "") -> None:
        fields = {"MessageSid": sid, "MessageStatus": status, "To": self.number, "From": NUMBER, "ErrorCode": error}
        assert await self.post(fields, "/webhooks/main", f"{PUBLIC}/webhooks/main") == 200

    async def sent(self) -> list[dict[str, Any]]:
        """Our messages to this phone, oldest first, when none is on its way any more."""
        return await settled(self.staff, phone=self.number)

    async def opted_in(self) -> bool:
        return bool((await self.staff.phone(self.number))["opted_in"])


@pytest.fixture
def phone(shop, customer_of) -> Phone:
    return Phone(shop, customer_of(shop))


def bodies(twilio: TwilioStandIn, phone: Phone) -> list[str]:
    return [request.fields["Body"] for request in twilio.requests if request.fields["To"] == phone.number]


@pytest.mark.parametrize("path", ["/webhooks/main", "/desk/text/webhooks/main"], ids=["stripped", "left on"])
@pytest.mark.parametrize("query", ["", "?shop=1&a=%20b"])
async def test_a_signed_post_is_accepted_whether_the_proxy_strips_the_path_or_not(path, query, phone, twilio):
    fields = phone.fields("HOURS")
    assert await phone.post(fields, path + query, f"{PUBLIC}/webhooks/main{query}") == 200
    [request] = await twilio.wait_for(1)
    assert request.fields["Body"] == "We are open 9 to 6."


async def test_a_public_address_whose_path_is_itself_called_webhooks_is_signed_right(other_shop, customer_of, twilio):
    phone = Phone(other_shop, customer_of(other_shop))
    signed = "https://sms.example.org/webhooks/webhooks/main"
    for path in ("/webhooks/main", "/webhooks/webhooks/main"):
        assert await phone.post(phone.fields("hello"), path, signed) == 200


@pytest.mark.parametrize(
    ("signed_url", "token", "change"),
    [
        (f"{PUBLIC}/webhooks/main", TOKEN, {"Body": "STOP"}),
        (f"{PUBLIC}/webhooks/main", TOKEN, {"From": "+12025550199"}),
        (f"{PUBLIC}/webhooks/main", TOKEN, {"More": "x"}),
        (f"{PUBLIC}/webhooks/main", "another token", {}),
        (f"{PUBLIC}/webhooks/sim", TOKEN, {}),
        ("https://sms.example.org/webhooks/main", TOKEN, {}),
        ("http://127.0.0.1/webhooks/main", TOKEN, {}),
    ],
)
async def test_a_post_that_is_not_signed_as_it_is_gets_403_and_stores_nothing(signed_url, token, change, phone, client):
    before = await ids(phone.staff)
    fields = phone.fields("HOURS")
    headers, _ = signed_webhook(signed_url, fields, token)
    _, body = signed_webhook(signed_url, {**fields, **change}, token)
    for given in (headers, {"Content-Type": headers["Content-Type"]}):
        async with client.post(f"{phone.shop.server.url}/webhooks/main", data=body, headers=given) as response:
            assert response.status == 403
            assert "X-Twilio" not in await response.text()
    assert await ids(phone.staff) == before


async def test_a_reply_is_sent_with_the_form_and_the_login_that_twilio_asks_for(phone, twilio):
    await phone.text("HOURS")
    [message] = await phone.sent()
    [request] = twilio.requests
    assert (request.method, request.path) == ("POST", f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json")
    assert dict(request.form) == {
        "To": phone.number,
        "From": NUMBER,
        "Body": "We are open 9 to 6.",
        "StatusCallback": f"{PUBLIC}/webhooks/main",
    }
    assert (message["state"], message["attempts"], message["parts"]) == ("sent", 1, 1)
    assert message["provider_id"].startswith("SM")


async def test_a_picture_comes_in_and_one_goes_out(phone, twilio):
    await phone.text("", NumMedia="1", MediaUrl0="https://api.example/a.jpg", MediaContentType0="image/jpeg")
    [request] = await twilio.wait_for(1)
    assert request.fields["MediaUrl"] == "https://shop.example/thanks.png"
    [stored] = await everything(phone.staff, "/messages", phone=phone.number, direction="inbound")
    assert stored["media"] == [{"url": "https://api.example/a.jpg", "content_type": "image/jpeg"}]


async def test_staff_send_pictures_from_a_number(phone, twilio):
    await phone.text("hello")
    media = ["https://shop.example/1.png", "https://shop.example/2.png"]
    body = {"to": {"phone": phone.number}, "body": "", "media": media, "from": NUMBER}
    status, accepted = await phone.staff.call("POST", "/messages", body)
    assert (status, accepted["queued"]) == (202, 1)
    [request] = await twilio.wait_for(1)
    assert [value for name, value in request.form if name == "MediaUrl"] == media
    assert "Body" not in request.fields


async def test_21610_as_the_answer_to_a_send_opts_the_phone_out_and_cancels_what_waits(phone, twilio):
    await phone.text("hello")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    later = {"to": {"phone": phone.number}, "body": "Tomorrow", "send_at": tomorrow}
    assert (await phone.staff.call("POST", "/messages", later))[0] == 202
    twilio.answer_with(refused(21610, "unsubscribed recipient"))
    await phone.text("HOURS")
    scheduled, reply = await phone.sent()
    assert scheduled["state"] == "cancelled"
    assert (reply["state"], reply["error"].split(":")[0]) == ("failed", "21610")
    assert not await phone.opted_in()
    contact = await phone.staff.contact_of(phone.number)
    [event, *_] = (await phone.staff.get(f"/contacts/{contact['id']}/consent"))["items"]
    assert (event["event"], event["actor"]) == ("opted_out", "provider")
    await phone.text("HOURS")
    assert len(await phone.sent()) == 2


async def test_21610_as_a_receipt_opts_the_phone_out(phone, twilio):
    await phone.text("HOURS")
    [message] = await phone.sent()
    await phone.receipt(message["provider_id"], "failed", "21610")
    [message] = await phone.sent()
    assert (message["state"], message["error"]) == ("failed", "21610")
    assert not await phone.opted_in()


def with_receipts_first(phone: Phone, *receipts: tuple[str, str]) -> Any:
    """An answer that Twilio gives only after the receipts of the message have come."""

    async def answer(request: Request) -> Reply:
        sid = f"SM{request.fields['To'][1:]}early"
        for status, error in receipts:
            await phone.receipt(sid, status, error)
        return 201, {}, {"sid": sid, "status": "queued", "num_segments": "1"}

    return answer


@pytest.mark.parametrize(
    ("receipts", "state"),
    [
        (["delivered"], "delivered"),
        (["sent", "delivered"], "delivered"),
        (["delivered", "sent"], "delivered"),
        (["delivered", "delivered"], "delivered"),
        (["delivered", "undelivered"], "delivered"),
        (["undelivered", "sent"], "undelivered"),
        (["undelivered", "delivered"], "delivered"),
        (["failed", "queued", "sending"], "failed"),
        (["unheard_of"], "sent"),
    ],
)
@pytest.mark.parametrize("early", [True, False], ids=["before the answer", "after it"])
async def test_receipts_in_any_order_end_in_the_furthest_state(receipts, state, early, phone, twilio):
    if early:
        twilio.answer_with(with_receipts_first(phone, *[(status, "") for status in receipts]))
    await phone.text("HOURS")
    [message] = await phone.sent()
    if not early:
        assert message["state"] == "sent"
        for status in receipts:
            await phone.receipt(message["provider_id"], status)
    [message] = await phone.sent()
    assert message["state"] == state


async def test_a_receipt_that_opts_out_before_the_answer_to_the_send_counts(phone, twilio):
    twilio.answer_with(with_receipts_first(phone, ("failed", "21610")))
    await phone.text("HOURS")
    [message] = await phone.sent()
    assert (message["state"], message["error"]) == ("failed", "21610")
    assert not await phone.opted_in()


async def test_429_is_tried_again_not_earlier_than_retry_after_says(phone, twilio):
    twilio.answer_with((429, {"Retry-After": "1"}, {"code": 20429, "message": "Too Many Requests"}))
    await phone.text("HOURS")
    await twilio.wait_for(1)
    refused_at = time.monotonic()
    await twilio.wait_for(2)
    assert time.monotonic() - refused_at >= 0.98
    [message] = await phone.sent()
    assert (message["state"], message["attempts"]) == ("sent", 2)


async def test_500_is_tried_again_and_the_message_arrives_once(phone, twilio):
    twilio.answer_with((500, {}, {"code": 20500, "message": "Internal Server Error"}))
    await phone.text("HOURS")
    [message] = await phone.sent()
    assert (message["state"], message["attempts"], message["error"]) == ("sent", 2, None)
    assert bodies(twilio, phone) == ["We are open 9 to 6."] * 2


async def test_without_an_answer_a_message_is_unknown_and_never_sent_again(phone, twilio):
    twilio.hang()
    await phone.text("HOURS")
    [message] = await phone.sent()
    assert message["state"] == "unknown"
    assert "no answer" in message["error"]
    unknown = await everything(phone.staff, "/messages", state="unknown")
    assert message["id"] in [item["id"] for item in unknown]
    await phone.text("HOURS")
    assert [item["state"] for item in await phone.sent()] == ["unknown", "sent"], "and what follows is not held up"
    assert len(bodies(twilio, phone)) == 2


async def test_when_the_connection_breaks_after_the_request_the_message_is_unknown(phone, twilio):
    twilio.hang_up()
    await phone.text("HOURS")
    assert [item["state"] for item in await phone.sent()] == ["unknown"]


async def test_without_an_answer_a_message_is_sent_again_where_that_is_configured(other_shop, customer_of, twilio):
    phone = Phone(other_shop, customer_of(other_shop))
    twilio.hang()
    assert (
        await phone.post(phone.fields("HOURS"), "/webhooks/main", "https://sms.example.org/webhooks/webhooks/main")
        == 200
    )
    [message] = await phone.sent()
    assert (message["state"], message["attempts"]) == ("sent", 2)
    assert len(bodies(twilio, phone)) == 2


async def test_while_twilio_cannot_be_reached_messages_wait_and_are_sent_when_it_is_back(phone, port):
    await phone.text("HOURS")

    async def has_been_tried_again() -> bool:
        [message] = await everything(phone.staff, "/messages", phone=phone.number, direction="outbound")
        assert message["state"] in ("queued", "sending")
        return int(message["attempts"]) >= 2

    await until(has_been_tried_again)
    async with TwilioStandIn(ACCOUNT, TOKEN, port=port) as twilio:
        [message] = await phone.sent()
        assert message["state"] == "sent"
        assert bodies(twilio, phone) == ["We are open 9 to 6."]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(21211, "Invalid 'To' Phone Number"), "21211: Invalid 'To' Phone Number"),
        (refused(20003, "Authenticate", 401), "20003: Authenticate"),
    ],
)
async def test_a_refusal_for_good_is_told_and_not_tried_again(answer, error, phone, twilio):
    twilio.answer_with(answer)
    await phone.text("HOURS")
    [message] = await phone.sent()
    assert (message["state"], message["error"], message["attempts"]) == ("failed", error, 1)
    assert await phone.opted_in()


@pytest.mark.parametrize(("body", "more"), [("STOP", {}), ("FIN", {"OptOutType": "STOP"})])
async def test_a_stop_that_twilio_confirms_itself_is_not_confirmed_twice(body, more, phone, twilio):
    await phone.text(body, **more)
    assert not await phone.opted_in()
    assert await phone.sent() == []


async def test_a_stop_that_twilio_does_not_know_is_confirmed_by_us(phone, twilio):
    await phone.text("stop please")
    assert not await phone.opted_in()
    [message] = await phone.sent()
    assert message["state"] == "sent"
    assert "unsubscribed" in bodies(twilio, phone)[0]


async def test_every_stop_is_confirmed_by_us_where_that_is_configured(other_shop, customer_of, twilio):
    phone = Phone(other_shop, customer_of(other_shop))
    signed = "https://sms.example.org/webhooks/webhooks/main"
    for _ in range(2):
        assert await phone.post(phone.fields("STOP"), "/webhooks/main", signed) == 200
    [message] = await phone.sent()
    assert message["state"] == "sent"
    assert "unsubscribed" in bodies(twilio, phone)[0]


async def test_a_contact_who_texts_two_channels_is_one_contact_answered_on_each(shop, client, customer_of, twilio):
    customer = customer_of(shop)
    phone = Phone(shop, customer)
    await customer.text("HOURS")
    await phone.text("HOURS")
    assert [item["channel"] for item in await phone.sent()] == ["sim", "main"]
    assert len(await everything(phone.staff, "/conversations", phone=phone.number)) == 2
    assert len(await customer.inbox()) == len(bodies(twilio, phone)) == 1
    await phone.text("stop please")
    await customer.text("HOURS")
    await phone.text("HOURS")
    assert [item["channel"] for item in await phone.sent()] == ["sim", "main", "main"], "a STOP counts on every channel"
    assert len((await phone.staff.get("/contacts", q=phone.number))["items"]) == 1


async def test_the_same_post_fifty_times_at_once_is_one_message_and_one_answer(phone, twilio):
    fields = phone.fields("HOURS")
    posts = [phone.post(fields, "/webhooks/main", f"{PUBLIC}/webhooks/main") for _ in range(50)]
    assert set(await asyncio.gather(*posts)) == {200}
    assert len(await phone.sent()) == 1
    await until(lambda: len(bodies(twilio, phone)) == 1)
    assert len(await everything(phone.staff, "/messages", phone=phone.number, direction="inbound")) == 1
