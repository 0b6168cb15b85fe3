"""A workflow of waits, sends and questions, the people who go through it, and what each of them must get of it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp

from bot.store.contract import Store
from tests.bot.load import table
from tests.server import NUMBER, Server

RULES = """
version: 1
name: shop
lists: {course: service}
fields: {timezone: text, likes: text, ended: integer}
rules:
  - id: ended
    event: workflow_ended
    do: [{increment: {ended: 1}}]
workflows:
  course:
    list: course
    steps:
      - id: hello
        send: 1 hello
      - id: nap
        wait: 1s
      - id: again
        send: 2 again
      - id: which
        ask:
          text: 3 tea or milk?
          timeout: 1h
          replies: [{when: {exact: [tea, milk]}}]
          otherwise: {reply: tea or milk, repeat: 1}
          save_as: likes
      - id: rest
        wait: 1s
      - id: noted
        send: '4 {{ contact.likes | default("nothing") }}'
      - id: tagged
        do: [{tag: taught}]
      - id: sure
        ask: {text: 5 sure?, timeout: 1s, replies: [{when: {exact: sure}}], on_timeout: {goto: bye}}
      - id: bye
        send: 6 bye
      - id: over
        end: done
"""
TEXTS = ["1 hello", "2 again", "3 tea or milk?", "4 tea", "5 sure?", "6 bye"]


def noon() -> str:
    """A time zone in which it is between 12 and 13 o'clock: nothing that a business begins is held there."""
    ahead = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-ahead:+d}"


def newcomer(phone: str, *lists: str, **fields: str) -> dict[str, Any]:
    """A contact to make through the API, at whose place it is noon."""
    return {
        "name": "", "phones": [{"number": phone}], "lists": list(lists), "opted_in": True, "evidence": "a form",
        "fields": {"timezone": noon(), **fields},
    }  # fmt: skip


@dataclass
class Class:
    """People who are taught together, on servers that may be killed at any moment. Who asks them for an answer gets
    it, however often they have to text."""

    servers: list[Server]
    token: str
    phones: Sequence[str]
    _turn: itertools.count[int] = field(default_factory=itertools.count)

    async def begin(self) -> None:
        """Make the contacts, which starts the workflow for them."""
        async with self._client() as client:
            for phone in self.phones:
                # 409: it was made by a request whose answer a kill has swallowed.
                await self._call(client, "POST", "/contacts", newcomer(phone, "course"), until=(201, 409))

    async def learn(self, seconds: float) -> None:
        """Answer until everybody is through."""
        async with asyncio.timeout(seconds), self._client() as client:
            while len(await self._runs(client, "ended")) < len(self.phones):
                for run in await self._runs(client, "active"):
                    if (run["waits_for"], run["step"]) == ("reply", "which"):
                        await self._text(client, run["phone"], "tea")
                await asyncio.sleep(0.1)

    async def _runs(self, client: aiohttp.ClientSession, state: str) -> list[dict[str, Any]]:
        path = f"/workflows/course/runs?state={state}&limit=500"
        found: dict[str, list[dict[str, Any]]] = await self._call(client, "GET", path, until=(200,))
        return found["items"]

    async def _text(self, client: aiohttp.ClientSession, phone: str, body: str) -> None:
        """Text once; like a provider, until it is taken."""
        message = {"id": f"{phone}-{next(self._turn)}", "from": phone, "to": NUMBER, "body": body}
        while True:
            try:
                async with client.post(f"{self._server().url}/webhooks/sim", json=message) as response:
                    if response.status == 200:
                        return
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.05)

    async def _call(
        self, client: aiohttp.ClientSession, method: str, path: str, body: Any = None, *, until: Sequence[int]
    ) -> Any:
        """Call whichever server is there, until one says what is to be heard."""
        while True:
            try:
                url = f"{self._server().url}/api/v1{path}"
                async with client.request(method, url, json=body) as response:
                    if response.status in until:
                        return await response.json(content_type=None)
            except (aiohttp.ClientError, TimeoutError, OSError):
                pass
            await asyncio.sleep(0.05)

    def _server(self) -> Server:
        return self.servers[next(self._turn) % len(self.servers)]

    def _client(self) -> aiohttp.ClientSession:
        headers = {"Authorization": f"Bearer {self.token}"}
        return aiohttp.ClientSession(headers=headers, timeout=aiohttp.ClientTimeout(total=5))


def arrived(*folders: Path) -> dict[str, list[str]]:
    """The texts that reached each phone, in order."""
    lines = [line for folder in folders for line in (folder / "deliveries.jsonl").read_text().splitlines() if line]
    found: dict[str, list[str]] = defaultdict(list)
    for delivery in sorted((json.loads(line) for line in lines), key=lambda delivery: delivery["at"]):
        found[delivery["to"]].append(delivery["body"])
    return found


async def assert_taught_once(store: Store, phones: Sequence[str], *folders: Path) -> Counter[str]:
    """Everybody went through once, and got each text once, in order; how the messages ended.

    What was being sent when a server was killed is held where staff see it: it may or may not have arrived.
    """
    runs = await table(store, "SELECT * FROM runs")
    assert Counter((run["phone"], run["state"], run["outcome"]) for run in runs) == Counter(
        (phone, "ended", "done") for phone in phones
    )
    people = await table(store, "SELECT p.number, c.fields FROM phones p JOIN contacts c ON c.id = p.contact_id")
    assert {(row["number"], json.loads(row["fields"])["ended"]) for row in people} == {(p, "1") for p in phones}
    tags = await table(store, "SELECT contact_id, tag FROM tags")
    assert Counter(row["tag"] for row in tags) == {"taught": len(phones)}
    messages = await table(store, "SELECT * FROM messages WHERE direction = 'outbound' ORDER BY seq")
    texts = arrived(*folders)
    ends: Counter[str] = Counter()
    for phone in phones:
        own = [row for row in messages if row["phone"] == phone]
        assert [row["body"] for row in own] == TEXTS, phone
        for row in own:
            times = texts[phone].count(row["body"])
            assert row["state"] == "unknown" or (row["state"], times) == ("sent", 1), (row["state"], times)
            assert times <= 1
            ends[f"{row['state']}, arrived {times} times"] += 1
        assert texts[phone] == [text for text in TEXTS if text in texts[phone]], "and in order"
    return ends
