"""A stand-in for an SMSC: an SMPP server on loopback with a codec of its own, which shares nothing with the adapter's.

async with Smsc("textwright", "secret") as smsc:
    ...                                     # a channel with host = "127.0.0.1", port = str(smsc.port)
    await smsc.bound(1)
    smsc.answer_with((0x58, {}, {}))        # throttled, once; then it takes messages again
    smsc.hang()                             # the next message gets no answer
    smsc.hang_up()                          # at the next message the link is dropped
    status = await smsc.deliver(b'{"source_addr": "12025550123", ...}')
"""

import asyncio
import inspect
import json
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn

NAMES = {0x01: "bind_receiver", 0x02: "bind_transmitter", 0x04: "submit_sm", 0x05: "deliver_sm", 0x06: "unbind",
         0x09: "bind_transceiver", 0x15: "enquire_link"}  # fmt: skip
COMMANDS = {name: command for command, name in NAMES.items()}
# The words of receipts for our states, and the message_state that goes with each.
RECEIPT_WORDS: Mapping[ReceiptState, tuple[str, int]] = {
    "sent": ("ACCEPTD", 6),
    "delivered": ("DELIVRD", 2),
    "undelivered": ("UNDELIV", 5),
    "failed": ("REJECTD", 8),
}


def packet(command: int, status: int, sequence: int, body: bytes = b"") -> bytes:
    """A whole PDU."""
    return struct.pack("!4L", 16 + len(body), command, status, sequence) + body


def message_body(fields: Mapping[str, Any]) -> bytes:
    """The body of a deliver_sm. `short_message` is in Latin-1, or `short_message_hex`; `tlvs` are hex by hex tag."""
    text = bytes.fromhex(fields.get("short_message_hex", "")) or fields.get("short_message", "").encode("latin-1")
    body = fields.get("service_type", "").encode() + b"\0"
    for side, ton in (("source", "source_addr"), ("dest", "destination_addr")):
        body += bytes([fields.get(f"{side}_ton", 1), fields.get(f"{side}_npi", 1)])
        body += fields.get(ton, "").encode("latin-1") + b"\0"
    body += bytes([fields.get("esm_class", 0), 0, 0]) + b"\0\0" + bytes([0, 0, fields.get("data_coding", 0), 0])
    body += bytes([len(text)]) + text
    for tag, value in fields.get("tlvs", {}).items():
        octets = bytes.fromhex(value)
        body += struct.pack("!2H", int(tag, 16), len(octets)) + octets
    return body


def message_fields(body: bytes) -> dict[str, Any]:
    """The fields of a submit_sm, short_message in hex."""
    fields: dict[str, Any] = {}
    rest = body

    def text() -> str:
        nonlocal rest
        value, _, rest = rest.partition(b"\0")
        return value.decode("latin-1")

    def octet() -> int:
        nonlocal rest
        value, rest = rest[0], rest[1:]
        return value

    fields["service_type"] = text()
    for side, address in (("source", "source_addr"), ("dest", "destination_addr")):
        fields[f"{side}_ton"], fields[f"{side}_npi"] = octet(), octet()
        fields[address] = text()
    for name in ("esm_class", "protocol_id", "priority_flag"):
        fields[name] = octet()
    for name in ("schedule_delivery_time", "validity_period"):
        fields[name] = text()
    for name in ("registered_delivery", "replace_if_present_flag", "data_coding", "sm_default_msg_id"):
        fields[name] = octet()
    length = octet()
    fields["short_message"] = rest[:length].hex()
    assert len(rest) == length, "no parameters are expected after the message, and no rest"
    return fields


@dataclass(eq=False)
class Link:
    """One connection of a client."""

    writer: asyncio.StreamWriter
    bound_as: str = ""
    version: int = 0
    silent: bool = False
    """Takes everything and answers nothing."""
    sequence: int = 0
    answers: dict[int, "asyncio.Future[int]"] = field(default_factory=dict)


class Smsc(StandIn):
    """Knows one account. `seen` are the names of all requests, in order; `requests` are the messages only, with the
    fields of submit_sm as JSON."""

    def __init__(self, system_id: str, password: str, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(port)
        self.links: list[Link] = []
        self.seen: list[str] = []
        self.bind_status = 0
        self._account = (system_id, password)
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._ids = 0

    @property
    def url(self) -> str:
        return f"smpp://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    async def start(self) -> None:
        self._stopping.clear()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, ssl=self._tls)
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        self._stopping.set()
        if self._server is not None:
            self._server.close()
            self.drop()
            await asyncio.sleep(0)
            self._server = None

    async def until(self, condition: Any, seconds: float = 5.0) -> None:
        """Wait for what some request will make true."""
        async with asyncio.timeout(seconds), self._arrived:
            await self._arrived.wait_for(condition)

    async def bound(self, count: int = 1) -> list[Link]:
        """The links that are bound, once there are so many."""
        await self.until(lambda: sum(bool(link.bound_as) for link in self.links) >= count)
        return [link for link in self.links if link.bound_as]

    def drop(self) -> None:
        """Break all connections off."""
        for link in self.links:
            link.writer.transport.abort()

    def say(self, raw: bytes) -> None:
        """Send these bytes by all links, whatever they are."""
        for link in self.links:
            link.writer.write(raw)

    async def deliver(self, body: bytes, seconds: float = 5.0) -> int:
        """Send a deliver_sm (its fields as JSON, or its body as bytes) and give the command_status of the answer."""
        await self.bound()
        [link, *_] = [link for link in self.links if link.bound_as in ("bind_transceiver", "bind_receiver")]
        link.sequence += 1
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        link.answers[link.sequence] = answer
        raw = message_body(json.loads(body)) if body.startswith(b"{") else body
        link.writer.write(packet(0x05, 0, link.sequence, raw))
        async with asyncio.timeout(seconds):
            return await answer

    def refusal(self, request: Request) -> Reply | None:
        fields = request.json
        if not fields["source_addr"]:
            return 0x0A, {}, {}
        if not fields["destination_addr"].isdigit() or len(fields["destination_addr"]) > 15:
            return 0x0B, {}, {}
        if len(fields["short_message"]) // 2 > 254:
            return 0x01, {}, {}
        return None

    def usual(self, request: Request) -> Reply:
        self._ids += 1
        return 0, {}, {"message_id": f"smsc-{self._ids}"}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = Link(writer)
        self.links.append(link)
        tasks: set[asyncio.Task[None]] = set()
        try:
            while True:
                length, command, status, sequence = struct.unpack("!4L", await reader.readexactly(16))
                body = await reader.readexactly(length - 16)
                if command & 0x80000000:
                    if sequence in link.answers:
                        link.answers.pop(sequence).set_result(status)
                    continue
                # A slow answer must not keep the requests after it.
                tasks.add(asyncio.create_task(self._respond(link, command, sequence, body)))
                if command == 0x06:
                    await asyncio.gather(*tasks)
                    break
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            pass
        finally:
            self.links.remove(link)
            for task in tasks:
                task.cancel()
            for answer in link.answers.values():
                answer.set_exception(ConnectionError("the client is gone"))
            writer.close()
            async with self._arrived:
                self._arrived.notify_all()

    async def _respond(self, link: Link, command: int, sequence: int, body: bytes) -> None:
        name = NAMES.get(command, f"{command:#x}")
        self.seen.append(name)
        status, answer = 0, b""
        if name.startswith("bind_"):
            status = self._bind(link, name, body)
            answer = self._account[0].encode() + b"\0"
        elif name == "submit_sm":
            assert link.bound_as in ("bind_transceiver", "bind_transmitter")
            status, answer = await self._take(link, body)
        async with self._arrived:
            self._arrived.notify_all()
        if not link.silent and status >= 0 and not link.writer.is_closing():
            link.writer.write(packet(command | 0x80000000, status, sequence, answer))

    def _bind(self, link: Link, name: str, body: bytes) -> int:
        system_id, password, _, rest = body.split(b"\0", 3)
        assert len(rest) == 4, "interface_version, addr_ton, addr_npi and an empty address_range"
        if system_id.decode() != self._account[0]:
            return 0x0F
        if password.decode() != self._account[1]:
            return 0x0E
        if self.bind_status:
            return self.bind_status
        link.bound_as, link.version = name, rest[0]
        return 0

    async def _take(self, link: Link, body: bytes) -> tuple[int, bytes]:
        """The status and body of the answer; -1 for none at all."""
        request = Request("submit_sm", "", {}, json.dumps(message_fields(body)).encode())
        self.requests.append(request)
        async with self._arrived:
            self._arrived.notify_all()
        await asyncio.sleep(self.delay)
        given = self._answers.popleft() if self._answers else self._checked
        if getattr(given, "__func__", None) is StandIn._never:
            return -1, b""
        if getattr(given, "__name__", "") == "_closed":
            link.writer.transport.abort()
            return -1, b""
        answer: Any = given(request) if callable(given) else given
        if inspect.isawaitable(answer):
            answer = await answer
        status, _, content = answer
        self.answered.append(content)
        id = content.get("message_id")
        return status, b"" if id is None else id.encode() + b"\0"


class _Smpp(Provider):
    """What others call by webhook comes by deliver_sm here: the body of a Webhook is one for `Smsc.deliver`."""

    settings: Mapping[str, str] = {"host": "127.0.0.1", "system_id": "textwright", "password": "secret"}

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        return Smsc(settings["system_id"], settings["password"], port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        fields = {
            "source_addr": text.sender.removeprefix("+"),
            "destination_addr": text.recipient.removeprefix("+"),
            "data_coding": 8,
            "tlvs": {"0424": text.body.encode("utf-16-be").hex()},
        }
        return Webhook(body=json.dumps(fields).encode(), method="deliver_sm")

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        word, number = RECEIPT_WORDS[state]
        fields = {
            "source_addr": "12025550123",
            "destination_addr": "12025550100",
            "esm_class": 4,
            "short_message": f"id:{id} sub:001 dlvrd:001 submit date:2611221015 done date:2611221015 stat:{word} "
            f"err:{error or '000'} text:",
            "tlvs": {"001e": id.encode().hex() + "00", "0427": f"{number:02x}"},
        }
        return Webhook(body=json.dumps(fields).encode(), method="deliver_sm")

    def asked(self, request: Request) -> Text:
        """The part of it that one submit_sm holds."""
        fields = request.json
        octets = bytes.fromhex(fields["short_message"])
        if fields["esm_class"] & 0x40:
            octets = octets[1 + octets[0] :]
        # Letters, digits and most signs have the same place in the GSM alphabet as in ASCII.
        body = octets.decode("utf-16-be" if fields["data_coding"] == 8 else "latin-1")
        plus = {side: "+" if fields[f"{side}_ton"] == 1 else "" for side in ("source", "dest")}
        return Text(plus["source"] + fields["source_addr"], plus["dest"] + fields["destination_addr"], body)

    def throttled(self, seconds: int) -> Answer:
        """SMPP has no way to say for how long."""
        return 0x58, {}, {}

    def given_id(self, answer: Any) -> str:
        return str(answer["message_id"])


PROVIDER = _Smpp()
