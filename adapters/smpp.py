"""SMPP 3.4 and 5.0: straight to an SMSC or to an aggregator, over a connection that is kept.

The protocol has no ids for inbound messages and no idempotency for submitted ones; what is not answered is Unknown.
Sources: the SMPP specifications 3.4 issue 1.2 and 5.0. The parts: smpp_session.py keeps the bind, smpp_wire.py is one
connection, smpp_pdu.py its packets, smpp_text.py alphabets and long messages, smpp_inbound.py what comes in.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import ClassVar

from adapters.contract import (
    Acknowledgement,
    Adapter,
    Capabilities,
    Connecting,
    Inbound,
    Outbound,
    Receipt,
    Receive,
    Sent,
    Setting,
    WebhookRequest,
)
from adapters.errors import (
    BadPayload,
    BadSignature,
    Misconfigured,
    NumberRefused,
    OptedOut,
    Rejected,
    Retry,
    SendError,
    Throttled,
    Unknown,
)
from adapters.http import Http
from adapters.smpp_inbound import IDS, STATUSES, Reading, message_id
from adapters.smpp_pdu import (
    ESME_ROK,
    ESME_RX_P_APPN,
    ESME_RX_T_APPN,
    Address,
    ShortMessage,
    first_octet_string,
)
from adapters.smpp_session import Session
from adapters.smpp_settings import SETTINGS, TYPES, Given, account
from adapters.smpp_text import ALPHABETS, encode
from adapters.text import BARE_NUMBERS, bare_digits, clean_text

__all__ = ["ERRORS", "STATUSES", "Smpp"]

log = logging.getLogger(__name__)

_PAUSES = (0.5, 1.0, 2.0, 4.0)
"""Seconds between the tries of a part that is too much for the SMSC, while others of its message have left."""

# command_status of a submit_sm_resp. One that is not here refuses this message (Rejected), the SMSC's own (0x400 and
# up) too; which of those says "opted out" differs from SMSC to SMSC: `opt_out_statuses`.
ERRORS: Mapping[str, type[SendError]] = {
    # message queue full, throttled
    **dict.fromkeys(("0x00000014", "0x00000058"), Throttled),
    # system error, temporary error, service type unavailable for now
    **dict.fromkeys(("0x00000008", "0x00000064", "0x00000102"), Retry),
    # this recipient, or this message
    **dict.fromkeys(("0x00000001", "0x0000000B", "0x00000045", "0x00000065", "0x00000066", "0x000000FE"), Rejected),
    # what we say about every message: commands, flags, TON and NPI, service and system type, parameters, encoding
    **dict.fromkeys(
        ("0x00000002", "0x00000003", "0x00000006", "0x00000007", "0x00000015", "0x00000043", "0x00000048", "0x00000049",
         "0x00000050", "0x00000051", "0x00000053", "0x00000061", "0x00000062", "0x000000C0", "0x000000C1", "0x000000C2",
         "0x000000C3", "0x000000C4", "0x00000104"),
        Misconfigured,
    ),
    # our number
    "0x0000000A": NumberRefused,
    # our bind, our account and what it may do
    **dict.fromkeys(
        ("0x00000004", "0x0000000D", "0x0000000E", "0x0000000F", "0x00000100", "0x00000101",
         "0x00000103"),
        Misconfigured,
    ),
    # "unknown error" does not say that the message was not taken
    "0x000000FF": Unknown,
}  # fmt: skip

_LONGEST_ADDRESS = 20


class Smpp(Adapter, Connecting):
    """One account (system_id) at one SMSC."""

    settings: ClassVar[Mapping[str, Setting]] = SETTINGS
    # An SMSC forwards; a gateway that answers STOP by itself is set in config.toml.
    capabilities: ClassVar[Capabilities] = Capabilities(carrier_confirms_opt_out=False, supports_media=False)
    acknowledgement: ClassVar[Acknowledgement] = Acknowledgement()

    def __init__(self, settings: Mapping[str, str]) -> None:
        given = Given(settings)
        self._account = account(given)
        self._types = {name: given.number(name, 0, 255) if given[name] else None for name in TYPES}
        self._service_type = given.ascii("service_type")
        self._alphabet = given.one_of("alphabet", ALPHABETS)
        bases = IDS[given.one_of("receipt_id_base", IDS)]
        self._id_base = bases[0] if bases else None
        self._opt_out_statuses = {_status(code) for code in given.listed("opt_out_statuses")}
        opt_out_errors = frozenset(code.lstrip("0") for code in given.listed("opt_out_errors"))
        self._reading = Reading(
            self._alphabet,
            bases[1] if bases else None,
            lambda code: bool(code) and code.lstrip("0") in opt_out_errors,
            is_national=given.one_of("bare_numbers", BARE_NUMBERS) == "national",
        )
        self._references = count(secrets.randbelow(256))
        self._session: Session | None = None

    def verify(self, request: WebhookRequest) -> None:
        raise BadSignature("this channel speaks SMPP, not HTTP")

    def parse(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        return []

    @asynccontextmanager
    async def connected(self, receive: Receive) -> AsyncIterator[None]:
        session = Session(self._account)

        async def take(body: bytes) -> int:
            return await self._take(body, receive)

        self._session = session
        try:
            async with session.kept(take):
                yield
        finally:
            self._session = None

    async def _take(self, body: bytes, receive: Receive) -> int:
        """The answer to a deliver_sm: "taken" only when it is stored for good."""
        try:
            events = self._reading.read(body)
        except BadPayload as error:
            log.warning("smpp: a deliver_sm is refused: %s", error)
            return ESME_RX_P_APPN
        try:
            if events:
                await receive(events)
        except Exception as error:  # noqa: BLE001 - whatever it is, the SMSC must keep the message and send it again
            log.error("smpp: what came in is not stored (%s); the SMSC will send it again", type(error).__name__)
            return ESME_RX_T_APPN
        return ESME_ROK

    async def send(self, message: Outbound, http: Http) -> Sent:
        """Submit it, in as many parts as it takes, one after the other."""
        if self._session is None:
            raise Retry("the channel is not connected")
        self._session.check_bound()
        if message.media:
            raise Rejected("SMPP carries text only, no media")
        packets = self._packets(message)
        ids: list[str] = []
        for packet in packets:
            try:
                ids.append(await self._patiently(self._session, packet, _PAUSES if ids else ()))
            except SendError as error:
                if not ids:
                    raise
                raise Unknown(f"{len(ids)} of {len(packets)} parts left, then: {error.detail}", error.code) from error
        return Sent(ids[0], len(ids), tuple(ids) if len(ids) > 1 else ())

    async def _patiently(self, session: Session, packet: bytes, pauses: Sequence[float]) -> str:
        """Submit a part, and again after each of these pauses (seconds) while it is too much for the SMSC."""
        for pause in pauses:
            try:
                return await self._submit(session, packet)
            except Throttled:
                await asyncio.sleep(pause)
        return await self._submit(session, packet)

    def _packets(self, message: Outbound) -> list[bytes]:
        source = self._source(message.sender)
        destination = self._destination(message.recipient)
        try:
            text = encode(clean_text(message.body), self._alphabet, next(self._references))
        except ValueError as error:
            raise Rejected(str(error)) from error
        several = len(text.parts) > 1
        return [
            ShortMessage(
                source=source,
                destination=destination,
                text=part,
                esm_class=0x40 if several else 0,
                data_coding=text.data_coding,
                registered_delivery=1,
                service_type=self._service_type,
            ).encoded()
            for part in text.parts
        ]

    def _source(self, number: str) -> Address:
        digits = bare_digits(number)
        # A short code is network-specific (3), a name alphanumeric (5).
        ton, npi = (1, 1) if number != digits else (3, 0) if digits.isdigit() else (5, 0)
        address = self._address(digits, "source", ton, npi)
        if address is None:
            raise NumberRefused("our number is none that SMPP can carry")
        return address

    def _destination(self, number: str) -> Address:
        digits = bare_digits(number)
        address = self._address(digits, "dest", 1 if number != digits else 0, 1)
        if address is None:
            raise Rejected("the recipient is none that SMPP can carry")
        return address

    def _address(self, text: str, side: str, ton: int, npi: int) -> Address | None:
        if not text.isascii() or not text.isprintable() or not 0 < len(text) <= _LONGEST_ADDRESS:
            return None
        set_ton, set_npi = self._types[f"{side}_ton"], self._types[f"{side}_npi"]
        return Address(ton if set_ton is None else set_ton, npi if set_npi is None else set_npi, text)

    async def _submit(self, session: Session, packet: bytes) -> str:
        answer = await session.submit(packet)
        if answer.status != ESME_ROK:
            code = f"0x{answer.status:08X}"
            kind = OptedOut if answer.status in self._opt_out_statuses else ERRORS.get(code, Rejected)
            raise kind("the SMSC refuses the message", code)
        id = message_id(first_octet_string(answer.body), self._id_base)
        if not id:
            raise Unknown("the SMSC took the message without giving it an id")
        return id


def _status(code: str) -> int:
    """A command_status, in hex (0x40B) or decimal (1035)."""
    try:
        return int(code, 0)
    except ValueError as error:
        raise ValueError(f"opt_out_statuses: {code!r} is no command_status, like 0x40B or 1035") from error
