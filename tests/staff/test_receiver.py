"""docs/receiver.py, as somebody would run it: it hears, verifies and answers."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from standardwebhooks.webhooks import Webhook

from bot.events import EVENTS
from tests.server import Customer, Server, free_port

ROOT = Path(__file__).resolve().parent.parent.parent
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
RULES = """
version: 1
rules:
  - {id: person, when: {keyword: person}, do: [{handoff: {route: desk}}]}
"""


@pytest.fixture
def receiver() -> Iterator[int]:
    """The example, running; its port."""
    port = free_port()
    command = [sys.executable, str(ROOT / "docs" / "receiver.py"), "--port", str(port)]
    process = subprocess.Popen(command, env=os.environ | {"FRONT_DESK_SECRET": SECRET}, stdout=subprocess.DEVNULL)
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield port
    process.terminate()
    process.wait(10)


async def test_it_answers_the_customer_through_the_webhooks_own_answer(tmp_path, client, receiver):
    route = {"url": f"http://127.0.0.1:{receiver}/textwright", "secret": {"env": "DESK"}, "allow_private": True}
    async with Server(tmp_path, rules=RULES, env={"DESK": SECRET}, routes__desk=route) as server:
        customer = Customer(server, client, "+12025550123")
        await customer.text("PERSON")
        await customer.text("Thank you!")
        assert await customer.wait_for(1) == ["You are welcome!"]


async def test_what_is_not_signed_is_refused_and_a_repeat_is_answered_with_nothing(client, receiver):
    url, body = (
        f"http://127.0.0.1:{receiver}/textwright",
        '{"type": "message.received", "data": {"message": {"body": "thanks"}}}',
    )
    async with client.post(url, data=body) as response:
        assert response.status == 401
    now = datetime.now(UTC)
    signature = Webhook(SECRET).sign("m1", now, body)
    headers = {"webhook-id": "m1", "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}
    answers = []
    for _ in range(2):
        async with client.post(url, data=body, headers=headers) as response:
            answers.append(await response.json())
    assert answers == [{"reply": "You are welcome!"}, {}]


def test_the_page_names_every_event():
    page = (ROOT / "docs" / "staff.md").read_text(encoding="utf-8")
    assert not [name for name in EVENTS if f"| `{name}` |" not in page]


def test_it_can_be_imported_without_running():
    spec = importlib.util.spec_from_file_location("receiver", ROOT / "docs" / "receiver.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.answer("message.received", {"message": {"body": "Thanks"}}) == {"reply": "You are welcome!"}
