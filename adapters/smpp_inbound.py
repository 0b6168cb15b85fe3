"""What a deliver_sm says: a text, a part of one, or a receipt. SMPP 3.4 issue 1.2, 4.6, 5.2.12 and appendix B."""

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from adapters.contract import Inbound, Part, Receipt, ReceiptState
from adapters.errors import BadPayload
from adapters.smpp_pdu import (
    MESSAGE_PAYLOAD,
    MESSAGE_STATE,
    NETWORK_ERROR_CODE,
    RECEIPTED_MESSAGE_ID,
    SAR_MSG_REF_NUM,
    SAR_SEGMENT_SEQNUM,
    SAR_TOTAL_SEGMENTS,
    Address,
    ShortMessage,
)
from adapters.smpp_text import decode, one_part, split_header
from adapters.text import clean_text, international

log = logging.getLogger(__name__)

# None: no news. ENROUTE and SCHEDULED come before "sent"; UNKNOWN says that the SMSC itself does not know.
# ACCEPTD is, in practice, the word of the next network that took the message.
STATUSES: Mapping[str, ReceiptState | None] = {
    # the seven letters of appendix B
    "ENROUTE": None,
    "ACCEPTD": "sent",
    "DELIVRD": "delivered",
    "EXPIRED": "undelivered",
    "UNDELIV": "undelivered",
    "DELETED": "failed",
    "REJECTD": "failed",
    "UNKNOWN": None,
    # spelt out, as some SMSCs do
    "ACCEPTED": "sent",
    "DELIVERED": "delivered",
    "UNDELIVERABLE": "undelivered",
    "UNDELIVERED": "undelivered",
    "REJECTED": "failed",
    # SMPP 5.0
    "SCHEDULED": None,
    "SKIPPED": "failed",
}
_STATES = ("SCHEDULED", "ENROUTE", "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD",
           "SKIPPED")  # fmt: skip

_UDHI = 0x40
_KIND = 0x3C
_RECEIPT = 0x04
_INTERMEDIATE = 0x20
_UNKNOWN, _INTERNATIONAL, _NATIONAL, _ALPHANUMERIC = 0, 1, 2, 5

# What follows "text:" is the customer's, whatever it looks like.
_FIELD = re.compile(r"(?:^|\s)(id|stat|err|text):[ ]?(\S*)", re.IGNORECASE)

IDS: Mapping[str, tuple[int, int] | None] = {"same": None, "hex": (10, 16), "dec": (16, 10)}
"""`receipt_id_base`: the bases of the id in submit_sm_resp and in receipts, None where they are the same text."""


def message_id(text: str, base: int | None) -> str:
    """An id by which a message and its receipts find each other: the number where the bases differ."""
    text = clean_text(text)
    if base is None:
        return text
    try:
        return str(int(text, base)) if text.isascii() and text.isalnum() else text
    except ValueError:
        return text


@dataclass(frozen=True, slots=True)
class Reading:
    """How this SMSC writes: its alphabet, the base of the ids in its receipts, and its errors for "opted out"."""

    alphabet: str
    receipt_base: int | None
    is_opt_out: Callable[[str], bool]
    is_national: bool = False
    """Whether numbers of an unknown type are of the business's own country."""

    def read(self, body: bytes) -> list[Inbound | Receipt]:
        """The events of one deliver_sm. Raises BadPayload for a body that cannot be read."""
        try:
            message = ShortMessage.decoded(body)
        except ValueError as error:
            raise BadPayload(f"deliver_sm cannot be read: {error}") from error
        octets = message.text or message.tlvs.get(MESSAGE_PAYLOAD, b"")
        kind = message.esm_class & _KIND
        # A text that only looks like a receipt is a customer's: anybody can write one.
        if kind in (_RECEIPT, _INTERMEDIATE) or RECEIPTED_MESSAGE_ID in message.tlvs:
            return self._receipts(message, octets)
        return [self._inbound(message, octets)]

    def _number(self, address: Address, name: str) -> str:
        number = clean_text(address.text).strip()
        if not number:
            raise BadPayload(f"{name} is missing")
        if address.ton == _ALPHANUMERIC:
            return number
        # Which country is the business's own, whoever asks for it knows.
        if address.ton == _NATIONAL or (address.ton == _UNKNOWN and self.is_national):
            return number
        if address.ton == _INTERNATIONAL and len(number) >= 7 and number.isascii() and number.isdigit():
            return f"+{number}"
        return international(number)

    def _inbound(self, message: ShortMessage, octets: bytes) -> Inbound:
        # source 1/1 12025550123, destination 3/0 12345, esm_class 0x40, data_coding 8
        # 05 00 03 2a 02 01 00 48 00 65 00 6c 00 6c 00 6f
        part = _segment(message.tlvs)
        try:
            if message.esm_class & _UDHI:
                from_header, octets = split_header(octets)
                part = from_header or part
            text = decode(octets, message.data_coding, self.alphabet)
        except ValueError as error:
            raise BadPayload(f"short_message cannot be read: {error}") from error
        return Inbound(
            provider_id=None,
            sender=self._number(message.source, "source_addr"),
            recipient=self._number(message.destination, "destination_addr"),
            body=clean_text(text),
            part=part,
        )

    def _receipts(self, message: ShortMessage, octets: bytes) -> list[Inbound | Receipt]:
        # id:0123456789 sub:001 dlvrd:001 submit date:2611221015 done date:2611221015 stat:DELIVRD err:000 text:Hello
        # and, or instead, receipted_message_id "0123456789", message_state 2, network_error_code 03 0000
        fields = self._fields(message, octets)
        tlv = message.tlvs.get(RECEIPTED_MESSAGE_ID, b"").split(b"\x00")[0].decode("ascii", "replace").strip()
        # Where the bases differ it is the text that is known to be written in the other one.
        ids = (tlv, fields.get("id", "")) if self.receipt_base is None else (fields.get("id", ""), tlv)
        id = message_id(next(filter(None, ids), ""), self.receipt_base)
        if not id:
            raise BadPayload("a receipt without receipted_message_id or id")
        status = _state_word(message.tlvs) or fields.get("stat", "").upper()
        if not status:
            raise BadPayload("a receipt without message_state or stat")
        if status not in STATUSES:
            log.warning("smpp: unknown state of a message %.40r", status)
            return []
        state = STATUSES[status]
        if state is None:
            return []
        code = fields.get("err", "") or _network_error(message.tlvs)
        code = "" if not code.strip("0") else code
        return [Receipt(id, state, code, opted_out=self.is_opt_out(code))]

    def _fields(self, message: ShortMessage, octets: bytes) -> dict[str, str]:
        """Receipts are ASCII even where data_coding 0 is an alphabet with another underscore."""
        try:
            if message.esm_class & _UDHI:
                _, octets = split_header(octets)
            text = decode(octets, message.data_coding, self.alphabet) if message.data_coding else ""
        except ValueError:
            text = ""
        fields: dict[str, str] = {}
        for name, value in _FIELD.findall(text or octets.decode("latin-1")):
            if name.lower() == "text":
                break
            fields.setdefault(name.lower(), clean_text(value))
        return fields


def _segment(tlvs: Mapping[int, bytes]) -> Part | None:
    """The part that the sar_* parameters tell, where all three are there."""
    try:
        numbers = [
            int.from_bytes(tlvs[tag], "big") for tag in (SAR_MSG_REF_NUM, SAR_TOTAL_SEGMENTS, SAR_SEGMENT_SEQNUM)
        ]
    except KeyError:
        return None
    return one_part(*numbers)


def _state_word(tlvs: Mapping[int, bytes]) -> str:
    value = tlvs.get(MESSAGE_STATE, b"")
    if not value:
        return ""
    state = int.from_bytes(value[:4], "big")
    return _STATES[state] if state < len(_STATES) else str(state)


def _network_error(tlvs: Mapping[int, bytes]) -> str:
    """The code without the type of its network before it."""
    value = tlvs.get(NETWORK_ERROR_CODE, b"")
    return str(int.from_bytes(value[1:], "big")) if len(value) == 3 else ""
