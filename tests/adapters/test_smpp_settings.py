"""What the SMPP channel can be told, TLS above all."""

import asyncio
import datetime
import ssl
from ipaddress import ip_address
from pathlib import Path

import pytest

from adapters.contract import WebhookRequest
from adapters.errors import BadSignature, Retry
from adapters.smpp import Smpp
from tests.adapters.smpp_channel import TEXT, Inbox, channel, make, outcome, sent_in_the_end
from tests.providers.smsc import Smsc


def test_http_is_not_its_language() -> None:
    made = make(1)
    request = WebhookRequest("https://sms.example.org/webhooks/smpp", {}, b"{}")
    with pytest.raises(BadSignature, match="SMPP, not HTTP"):
        made.verify(request)
    assert made.parse(request) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "0"), ("port", "65536"), ("port", "x"), ("port", "٢"), ("window", "0"), ("window", "1.5"),
        ("tls", "maybe"), ("tls_ca", "/nowhere/ca.pem"), ("version", "3.3"), ("bind", "receiver"),
        ("alphabet", "ebcdic"), ("receipt_id_base", "oct"), ("source_ton", "international"), ("dest_npi", "256"),
        ("opt_out_statuses", "0x40B, stop"), ("answer_seconds", "0"), ("enquire_seconds", "nan"),
        ("reconnect_seconds", "-1"), ("system_id", "Bücher"), ("password", "gehëim"), ("system_type", "\x00"),
        ("service_type", "é"),
    ],
)  # fmt: skip
def test_a_bad_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}") as caught:
        Smpp({"host": "x.example", "system_id": "tw", "password": "p", "tls": "yes", name: value})
    assert name != "password" or value not in str(caught.value)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with a key and a certificate for 127.0.0.1, signed by itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "smsc.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "smsc.pem"
    path.write_bytes(secret + made.public_bytes(pem))
    return path


class TestTls:
    async def test_a_certificate_that_is_trusted(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        async with Smsc("tw", "secret", tls=context) as smsc:
            inbox = Inbox()
            async with channel(smsc, inbox, tls="yes", tls_ca=str(certificate)) as made:
                await sent_in_the_end(made)
                assert await smsc.deliver(TEXT % b"in") == 0

    async def test_one_that_is_not_is_never_told_the_password(self, certificate: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        async with Smsc("tw", "secret", tls=context) as smsc:
            made = make(smsc.port, tls="yes")
            async with made.connected(Inbox()):
                await asyncio.sleep(0.2)
                assert isinstance(await outcome(made), Retry)
        assert smsc.seen == []
