"""Alphabets, parts and packets, for texts and bytes that nobody thought of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.contract import Inbound
from adapters.errors import BadPayload
from adapters.smpp import Smpp
from adapters.smpp_pdu import Address, ShortMessage
from adapters.smpp_text import ALPHABETS, MAX_PARTS, decode, encode, split_header
from adapters.text import clean_text
from rules.segments import segments

GSM = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./09:;<=>?¡AZÄÖÑÜ§¿azäöñüà\f^{}\\[~]|€"
TEXTS = st.one_of(st.text(max_size=400), st.text(GSM, max_size=900), st.text("a€😀я", max_size=900)).map(clean_text)


def joined(parts: tuple[bytes, ...], data_coding: int, alphabet: str) -> str:
    """What a phone shows."""
    if len(parts) == 1:
        return decode(parts[0], data_coding, alphabet)
    shown = ""
    for number, part in enumerate(parts, start=1):
        told, octets = split_header(part)
        assert told is not None
        assert (told.group, told.number, told.total) == ("44", number, len(parts))
        shown += decode(octets, data_coding, alphabet)
    return shown


@pytest.mark.parametrize("alphabet", ALPHABETS)
@given(text=TEXTS)
def test_what_is_encoded_is_read_again_and_fits(alphabet: str, text: str) -> None:
    encoded = encode(text, alphabet, 300)
    assert joined(encoded.parts, encoded.data_coding, alphabet) == text
    assert all(len(part) <= (140 if encoded.data_coding else 160) for part in encoded.parts)
    if encoded.data_coding == 0 and alphabet == "gsm":
        assert all(not part.endswith(b"\x1b") for part in encoded.parts)
    if encoded.data_coding:
        for part in encoded.parts:
            (split_header(part)[1] if len(encoded.parts) > 1 else part).decode("utf-16-be")


@given(TEXTS)
def test_there_are_as_many_parts_as_are_counted_elsewhere(text: str) -> None:
    assert len(encode(text, "gsm", 1).parts) == segments(text).count


def test_an_escape_or_a_pair_is_never_cut() -> None:
    assert [len(part) for part in encode("a" * 152 + "€" * 5, "gsm", 1).parts] == [6 + 152, 6 + 10]
    assert [len(part) for part in encode("я" * 66 + "😀" * 3, "gsm", 1).parts] == [6 + 132, 6 + 12]


def test_too_many_parts_are_refused() -> None:
    assert len(encode("я" * 67 * MAX_PARTS, "gsm", 1).parts) == MAX_PARTS
    with pytest.raises(ValueError, match="255 parts"):
        encode("я" * (67 * MAX_PARTS + 1), "gsm", 1)


def _reading(**settings: str) -> Smpp:
    return Smpp({"host": "x.example", "system_id": "tw", "password": "p", **settings})


def _read(made: Smpp, body: bytes) -> None:
    try:
        events = made._reading.read(body)
    except BadPayload:
        return
    for event in events:
        for text in (event.body, event.sender) if isinstance(event, Inbound) else (event.provider_id, event.error_code):
            assert "\x00" not in text
            text.encode()


@given(body=st.binary(max_size=400), base=st.sampled_from(["same", "hex", "dec"]))
def test_any_bytes_are_read_or_refused(body: bytes, base: str) -> None:
    _read(_reading(receipt_id_base=base), body)


@given(
    text=st.binary(max_size=255),
    esm_class=st.integers(0, 255),
    data_coding=st.integers(0, 255),
    tlvs=st.dictionaries(
        st.sampled_from([0x1E, 0x20C, 0x20E, 0x20F, 0x423, 0x424, 0x427, 0x1400]), st.binary(max_size=40)
    ),
    alphabet=st.sampled_from(sorted(ALPHABETS)),
    number=st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=20),
)
def test_any_deliver_sm_is_read_or_refused(
    text: bytes, esm_class: int, data_coding: int, tlvs: dict[int, bytes], alphabet: str, number: str
) -> None:
    address = Address(1, 1, number)
    message = ShortMessage(address, address, text, esm_class, data_coding, tlvs=tlvs)
    assert ShortMessage.decoded(message.encoded()) == message
    _read(_reading(alphabet=alphabet), message.encoded())


@given(id=st.text(max_size=70), base=st.sampled_from(["same", "hex", "dec"]))
def test_a_receipt_of_any_id_is_read(id: str, base: str) -> None:
    body = f"id:{id} stat:DELIVRD".encode("latin-1", "replace")[:255]
    address = Address(1, 1, "12025550123")
    _read(_reading(receipt_id_base=base), ShortMessage(address, address, body, 4).encoded())
