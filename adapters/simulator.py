"""The simulator: a provider in plain JSON, for trying rules out and for tests. It sends nothing anywhere.

Its format is Textwright's own and is described in the `_message` and `_receipt` readers below. Keys that
they do not know are ignored.
"""

import contextlib
import fcntl
import hmac
import json
import logging
import os
from collections import deque
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    Inbound,
    Media,
    Outbound,
    Receipt,
    ReceiptState,
    Sent,
    Setting,
    WebhookRequest,
)
from adapters.errors import BadPayload, BadSignature, Retry
from adapters.http import Http
from adapters.text import clean_text, is_carrier_stop

log = logging.getLogger(__name__)

KEPT_DELIVERIES = 10_000
_CHUNK_BYTES = 1 << 20

STATUSES: Mapping[str, ReceiptState] = {
    "sent": "sent",
    "delivered": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
}


class Deliveries:
    """The newest `kept` deliveries, oldest first, in memory or, given a path, in a file of JSON lines.

    Each delivery is appended in one write and so survives the death of the process (not of the machine).
    Several processes may share the file: what others append is read when somebody asks. It is made shorter at a
    start at which nobody else has it.
    """

    def __init__(self, path: str, kept: int = KEPT_DELIVERIES) -> None:
        self._newest: deque[dict[str, Any]] = deque(maxlen=kept)
        self._path = Path(path) if path else None
        self._file: int | None = None
        self._read_to = 0
        # A file that cannot be opened now is tried again at every delivery: until then, nothing is delivered.
        with contextlib.suppress(OSError):
            self._open()

    def _open(self) -> None:
        if self._path is None or self._file is not None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._begin(self._file, self._newest.maxlen or KEPT_DELIVERIES)

    def _begin(self, file: int, kept: int) -> None:
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":
            os.write(file, b"\n")  # a line that was cut short must not spoil the next one
        count = self._catch_up()
        if count > 2 * kept and self._is_mine_alone(file):
            os.ftruncate(file, 0)
            os.write(file, b"".join(map(_line, self._newest)))
            self._read_to = os.fstat(file).st_size
        fcntl.flock(file, fcntl.LOCK_SH)

    @staticmethod
    def _is_mine_alone(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _catch_up(self) -> int:
        """Read what the file has gained; returns the number of lines."""
        count = 0
        rest = b""
        while self._file is not None and (chunk := os.pread(self._file, _CHUNK_BYTES, self._read_to + len(rest))):
            whole, newline, tail = (rest + chunk).rpartition(b"\n")
            lines = whole.split(b"\n") if newline else []
            self._newest.extend(_readable(line for line in lines if line))
            self._read_to += len(whole) + len(newline)
            count += len(lines)
            rest = tail
        return count

    def add(self, delivery: dict[str, Any]) -> None:
        """Raises OSError when the file does not take it; then it is not kept in memory either."""
        self._open()
        if self._file is None:
            self._newest.append(delivery)
            return
        line = _line(delivery)
        if os.write(self._file, line) != len(line):
            raise OSError("the deliveries file took only a part of a line")

    def to(self, phone: str | None) -> list[dict[str, Any]]:
        """Copies of those to one phone, or of all."""
        self._catch_up()
        return [dict(delivery) for delivery in self._newest if phone is None or delivery["to"] == phone]


def _line(delivery: Mapping[str, Any]) -> bytes:
    return json.dumps(delivery).encode() + b"\n"


def _readable(lines: Iterable[bytes]) -> Iterable[dict[str, Any]]:
    for line in lines:
        try:
            delivery = json.loads(line)
        except ValueError:
            delivery = None
        if isinstance(delivery, dict) and "to" in delivery:
            yield delivery
        else:
            log.warning("simulator: a line of the deliveries file is not a delivery; it is left out")


class Simulator(Adapter):
    """One simulated provider account."""

    settings: ClassVar[Mapping[str, Setting]] = {
        "deliveries": Setting(help="a file that keeps what was sent, one JSON object a line; without it, memory only"),
        "token": Setting(secret=True, help="when set, webhooks must carry Authorization: Bearer <token>"),
    }
    capabilities: ClassVar[Capabilities] = Capabilities(carrier_confirms_opt_out=False, supports_media=True)
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._token = settings.get("token", "").encode()
        self._deliveries = Deliveries(settings.get("deliveries", ""))

    def verify(self, request: WebhookRequest) -> None:
        if not self._token:
            return
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        given = token.strip().encode("utf-8", "replace")
        if scheme.lower() != "bearer" or not hmac.compare_digest(given, self._token):
            raise BadSignature("Authorization does not carry this channel's token")

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        # {"id": "m1", "from": "+12025550123", "to": "+12025550100", "body": "HOURS", "media": []}
        # {"receipt_for": "sim-<message id>", "state": "failed", "error": "30005", "opted_out": false}
        # or a list of such objects
        try:
            value = json.loads(request.body.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise BadPayload(f"the body is not JSON in UTF-8: {error}") from error
        return [_event(item) for item in (value if isinstance(value, list) else [value])]

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Record it. A message that is sent twice is recorded twice: tests look for exactly that."""
        provider_id = f"sim-{message.id}"
        delivery = {
            "id": message.id,
            "provider_id": provider_id,
            "to": message.recipient,
            "from": message.sender,
            "body": clean_text(message.body),
            "media": list(message.media),
            "at": datetime.now(UTC).isoformat(),
        }
        try:
            self._deliveries.add(delivery)
        except OSError as error:
            raise Retry(f"the deliveries file cannot be written ({type(error).__name__})") from error
        return Sent(provider_id)

    def sent(self, phone: str | None) -> list[dict[str, Any]]:
        """What was "delivered" to one phone, or to all, oldest first; `at` is ISO 8601 in UTC."""
        return self._deliveries.to(phone)


def _event(item: object) -> Inbound | Receipt:
    if not isinstance(item, dict):
        raise BadPayload("expected an object, or a list of objects")
    return _receipt(item) if "receipt_for" in item else _message(item)


def _message(item: Mapping[str, Any]) -> Inbound:
    provider_id = item.get("id")
    if provider_id is not None:
        provider_id = _text_or_number("id", provider_id)
    media = item.get("media", [])
    if not isinstance(media, list):
        raise BadPayload("media must be a list")
    body = _text("body", item.get("body", ""))
    return Inbound(
        provider_id=provider_id or None,
        sender=_required(item, "from"),
        recipient=_required(item, "to"),
        body=body,
        media=tuple(_media(entry) for entry in media),
        # Counts only where the channel says carrier_confirms_opt_out: then the simulator plays such a carrier.
        carrier_action="stop" if is_carrier_stop(body) else None,
    )


def _media(entry: object) -> Media:
    if isinstance(entry, str):
        entry = {"url": entry}
    if not isinstance(entry, dict):
        raise BadPayload("media must hold URLs, or objects with a url")
    return Media(_required(entry, "url"), _text("content_type", entry.get("content_type", "")))


def _receipt(item: Mapping[str, Any]) -> Receipt:
    state = STATUSES.get(_required(item, "state"))
    if state is None:
        raise BadPayload(f"state must be one of {', '.join(STATUSES)}")
    opted_out = item.get("opted_out", False)
    if not isinstance(opted_out, bool):
        raise BadPayload("opted_out must be true or false")
    code = _text_or_number("error", item.get("error", ""))
    return Receipt(_required(item, "receipt_for"), state, code, opted_out)


def _required(item: Mapping[str, Any], field: str) -> str:
    text = _text(field, item.get(field, ""))
    if not text:
        raise BadPayload(f"{field} is missing")
    return text


def _text(field: str, value: object) -> str:
    if not isinstance(value, str):
        raise BadPayload(f"{field} must be a string")
    return clean_text(value)


def _text_or_number(field: str, value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return _text(field, value)
