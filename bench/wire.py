"""The cheapest HTTP there is: requests built beforehand, and connections that read a status and a length."""

from __future__ import annotations

import asyncio
import hmac
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import chain, count, cycle, islice
from time import perf_counter
from typing import cast
from urllib.parse import quote_plus

from bench.shop import NUMBER, phones, texts

AUTH_TOKEN = "0123456789abcdef0123456789abcdef"
ACCOUNT_SID = "AC0123456789abcdef0123456789abcdef"
PUBLIC_URL = "https://sms.bench.example"
PATH = "/webhooks/main"
# The fields of a real request, in the order of their names; `{}` where they differ.
_FIELDS = (
    ("AccountSid", ACCOUNT_SID), ("ApiVersion", "2010-04-01"), ("Body", "{body}"), ("From", "{phone}"),
    ("FromCity", "NEW YORK"), ("FromCountry", "US"), ("FromState", "NY"), ("FromZip", "10001"),
    ("MessageSid", "{sid}"), ("NumMedia", "0"), ("NumSegments", "1"), ("SmsMessageSid", "{sid}"),
    ("SmsSid", "{sid}"), ("SmsStatus", "received"), ("To", NUMBER), ("ToCity", "WASHINGTON"), ("ToCountry", "US"),
    ("ToState", "DC"), ("ToZip", "20001"),
)  # fmt: skip
_SIGNED = PUBLIC_URL + PATH + "".join(name + value for name, value in _FIELDS)
_FORM = "&".join(f"{name}={value if '{' in value else quote_plus(value)}" for name, value in _FIELDS)
_HEAD = (
    f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: TwilioProxy/1.1\r\nAccept: */*\r\n"
    "I-Twilio-Idempotency-Token: 6ac33f23-6b8b-4c38-9b7e-8f6f36e2b1f4\r\n"
    "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\n"
    "X-Twilio-Signature: {signature}\r\nContent-Length: {length}\r\n\r\n{form}"
)
_sids = (f"SM{os.urandom(8).hex()}{number:016x}" for number in count())

Request = tuple[str, bytes]
"""The sender's number, and the bytes to write."""


def request(phone: str, body: str) -> Request:
    """One signed webhook request, with a MessageSid of its own."""
    sid = next(_sids)
    signed = _SIGNED.format(body=body, phone=phone, sid=sid)
    signature = b64encode(hmac.digest(AUTH_TOKEN.encode(), signed.encode(), "sha1")).decode()
    form = _FORM.format(body=quote_plus(body), phone="%2B" + phone[1:], sid=sid)
    return phone, _HEAD.format(signature=signature, length=len(form), form=form).encode()


def traffic() -> Iterator[Request]:
    """Requests without end: each contact in turn, whatever they text."""
    return (request(phone, body) for phone, body in zip(cycle(phones()), texts(), strict=False))


def prepared(requests: Iterator[Request], number: int) -> Iterator[Request]:
    """The same requests, the first `number` of them built now."""
    return chain(list(islice(requests, number)), requests)


class Connection(asyncio.Protocol):
    """A keep-alive connection with one request in flight; `answered` gets the time and the HTTP status."""

    def __init__(self, answered: Callable[[Connection, float, int], None]) -> None:
        self._answered = answered
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self.phone = ""
        self.sent_at = 0.0
        self.waits_for = 0
        """How many of answer and reply are still to come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but name

    def data_received(self, data: bytes) -> None:
        data = self._buffer + data if self._buffer else data
        head = data.find(b"\r\n\r\n")
        if head < 0 or len(data) < head + 4 + content_length(data, head):
            self._buffer = data
            return
        self._buffer = b""
        self._answered(self, perf_counter(), int(data[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        if self.waits_for:
            self._answered(self, perf_counter(), 0)

    def post(self, message: Request, waits_for: int) -> None:
        """Write a request."""
        assert self._transport is not None
        self.phone, data = message
        self.waits_for = waits_for
        self.sent_at = perf_counter()
        self._transport.write(data)

    def close(self) -> None:
        """Hang up."""
        self.waits_for = 0
        if self._transport is not None:
            self._transport.close()


def content_length(data: bytes, head: int) -> int:
    """The Content-Length of a message whose head ends at `head`; 0 without one."""
    start = data.find(b"Content-Length: ", 0, head)
    return int(data[start + 16 : data.find(b"\r", start)]) if start >= 0 else 0
