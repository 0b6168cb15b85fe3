"""SMPP on the wire: its packets (PDUs) as bytes, and the two that carry a message. SMPP 3.4 issue 1.2, 4 and 5."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field

RESPONSE = 0x80000000
GENERIC_NACK = 0x80000000
BIND_RECEIVER = 0x00000001
BIND_TRANSMITTER = 0x00000002
SUBMIT_SM = 0x00000004
DELIVER_SM = 0x00000005
UNBIND = 0x00000006
BIND_TRANSCEIVER = 0x00000009
ENQUIRE_LINK = 0x00000015
ALERT_NOTIFICATION = 0x00000102

ESME_ROK = 0x00
ESME_RINVCMDID = 0x03
ESME_RX_T_APPN = 0x64
ESME_RX_P_APPN = 0x65

SAR_MSG_REF_NUM = 0x020C
SAR_TOTAL_SEGMENTS = 0x020E
SAR_SEGMENT_SEQNUM = 0x020F
RECEIPTED_MESSAGE_ID = 0x001E
NETWORK_ERROR_CODE = 0x0423
MESSAGE_PAYLOAD = 0x0424
MESSAGE_STATE = 0x0427

_HEADER = struct.Struct(">IIII")
HEADER_BYTES = _HEADER.size
# The longest legal PDU has a message_payload of 64 KiB; more is no SMPP.
MAX_PDU_BYTES = 128 * 1024
# "05 00 03 ref total number" and the like count as part of it.
MAX_SHORT_MESSAGE = 254


@dataclass(frozen=True, slots=True)
class Pdu:
    """One packet; `body` is what follows the header."""

    command: int
    status: int
    sequence: int
    body: bytes = b""

    def encoded(self) -> bytes:
        """The packet with its header."""
        return _HEADER.pack(HEADER_BYTES + len(self.body), self.command, self.status, self.sequence) + self.body


def header(raw: bytes) -> tuple[int, Pdu]:
    """The length of the body that is to follow, and the packet without it. Raises ValueError for what is no SMPP."""
    length, command, status, sequence = _HEADER.unpack(raw)
    if not HEADER_BYTES <= length <= MAX_PDU_BYTES:
        raise ValueError("a length that no packet has")
    return length - HEADER_BYTES, Pdu(command, status, sequence)


def octet_string(text: str) -> bytes:
    """A C-octet string. Raises ValueError for what is not ASCII, or holds NUL."""
    if "\x00" in text:
        raise ValueError("NUL in a text")
    return text.encode("ascii") + b"\x00"


def first_octet_string(body: bytes) -> str:
    """The C-octet string at the start; "" for none, and one that nothing ends is taken as it is."""
    return body.split(b"\x00", 1)[0].decode("ascii", "replace")


@dataclass(frozen=True, slots=True)
class Address:
    """A number or name, with its type (TON) and numbering plan (NPI)."""

    ton: int
    npi: int
    text: str

    def encoded(self) -> bytes:
        """Raises ValueError for an address that cannot be written."""
        return bytes((self.ton, self.npi)) + octet_string(self.text)


@dataclass(frozen=True, slots=True)
class ShortMessage:
    """The body of submit_sm and deliver_sm: the same fields. What we have no use for is always 0 or ""."""

    source: Address
    destination: Address
    text: bytes
    esm_class: int = 0
    data_coding: int = 0
    registered_delivery: int = 0
    service_type: str = ""
    tlvs: Mapping[int, bytes] = field(default_factory=dict)

    def encoded(self) -> bytes:
        """Raises ValueError for an address that cannot be written."""
        return (
            octet_string(self.service_type)
            + self.source.encoded()
            + self.destination.encoded()
            # protocol_id and priority_flag; schedule_delivery_time and validity_period; replace_if_present_flag
            + bytes((self.esm_class, 0, 0, 0, 0, self.registered_delivery, 0, self.data_coding, 0, len(self.text)))
            + self.text
            + b"".join(struct.pack(">HH", tag, len(value)) + value for tag, value in self.tlvs.items())
        )

    @classmethod
    def decoded(cls, body: bytes) -> "ShortMessage":
        """Raises ValueError for a body that breaks off or is none."""
        reader = _Reader(body)
        service_type = reader.octet_string()
        source = Address(reader.octet(), reader.octet(), reader.octet_string())
        destination = Address(reader.octet(), reader.octet(), reader.octet_string())
        esm_class = reader.octet()
        reader.take(2)
        reader.octet_string()
        reader.octet_string()
        registered_delivery = reader.octet()
        reader.take(1)
        data_coding = reader.octet()
        reader.take(1)
        text = reader.take(reader.octet())
        return cls(source, destination, text, esm_class, data_coding, registered_delivery, service_type, reader.tlvs())


class _Reader:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, count: int) -> bytes:
        taken = self._body[self._at : self._at + count]
        if len(taken) < count:
            raise ValueError("the body breaks off")
        self._at += count
        return taken

    def octet(self) -> int:
        return self.take(1)[0]

    def octet_string(self) -> str:
        end = self._body.find(b"\x00", self._at)
        if end < 0:
            raise ValueError("a text that nothing ends")
        text = self.take(end - self._at)
        self.take(1)
        return text.decode("latin-1")

    def tlvs(self) -> dict[int, bytes]:
        """All to the end. A last one that is cut short is left out: some SMSCs pad their packets."""
        found: dict[int, bytes] = {}
        while self._at + 4 <= len(self._body):
            tag, length = struct.unpack(">HH", self.take(4))
            if self._at + length > len(self._body):
                break
            found[tag] = self.take(length)
        return found
