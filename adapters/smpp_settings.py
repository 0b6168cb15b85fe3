"""What a channel over SMPP can be told, and the reading of it."""

import ssl
from collections.abc import Iterable, Mapping

from adapters.contract import Setting
from adapters.smpp_session import BINDS, Account

SETTINGS: Mapping[str, Setting] = {
    "host": Setting(required=True, help="the SMSC's host name or address"),
    "port": Setting(default="2775", help="2775 is SMPP's own; with TLS often 3550"),
    "tls": Setting(default="no", help="yes: the connection is encrypted, the certificate is checked"),
    "tls_ca": Setting(help="a PEM file with the certificate authority to trust, for an SMSC with one of its own"),
    "system_id": Setting(required=True, help="who we are to the SMSC"),
    "password": Setting(required=True, secret=True, help="belongs to system_id"),
    "system_type": Setting(help="where the SMSC demands one"),
    "version": Setting(default="3.4", help="3.4 or 5.0"),
    "bind": Setting(default="transceiver", help="transceiver, or transmitter_receiver: two connections"),
    "window": Setting(default="10", help="how many messages may wait for the SMSC's answer at once"),
    "alphabet": Setting(default="gsm", help="what data_coding 0 is at this SMSC: gsm, latin1, ascii or utf8"),
    "receipt_id_base": Setting(
        default="same",
        help="how receipts write ids: same as submit_sm_resp; hex, where that was decimal; dec, where it was hex",
    ),
    "bare_numbers": Setting(
        default="international",
        help="what a number of type 0 without + is: international, or national, of the business's country",
    ),
    "source_ton": Setting(help="type of our number; without it 1 for +..., 3 for a short code, 5 for a name"),
    "source_npi": Setting(help="numbering plan of our number; without it 1 for +..., else 0"),
    "dest_ton": Setting(help="type of the recipient's number; without it 1 for +..., else 0"),
    "dest_npi": Setting(help="numbering plan of the recipient's number; without it 1"),
    "service_type": Setting(help="where the SMSC demands one"),
    "opt_out_statuses": Setting(help="command_status codes that say the recipient opted out: 0x40B, 1035"),
    "opt_out_errors": Setting(help="the same for err codes of receipts"),
    "answer_seconds": Setting(default="10", help="how long an answer of the SMSC is waited for"),
    "enquire_seconds": Setting(default="30", help="how often the SMSC is asked whether it lives"),
    "reconnect_seconds": Setting(default="1", help="the first wait after a loss; it doubles up to a minute"),
}

TYPES = ("source_ton", "source_npi", "dest_ton", "dest_npi")
VERSIONS = {"3.4": 0x34, "5.0": 0x50}


class Given:
    """The settings of one channel, defaults included. Each reader raises ValueError naming the setting."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self._texts = {name: settings.get(name) or setting.default for name, setting in SETTINGS.items()}

    def __getitem__(self, name: str) -> str:
        return self._texts[name]

    def number(self, name: str, least: int, most: int) -> int:
        """A whole number."""
        text = self[name]
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise ValueError(f"{name} must be a whole number from {least} to {most}")
        return int(text)

    def seconds(self, name: str) -> float:
        """More than nothing, and no more than a day."""
        try:
            seconds = float(self[name])
        except ValueError:
            seconds = 0.0
        if not 0.0 < seconds <= 86_400.0:
            raise ValueError(f"{name} must be a number of seconds, more than 0 and at most 86400")
        return seconds

    def one_of(self, name: str, words: Iterable[str]) -> str:
        """One of a few words."""
        words = list(words)
        if self[name] not in words:
            raise ValueError(f"{name} must be one of {', '.join(words)}")
        return self[name]

    def ascii(self, name: str) -> str:
        """SMPP can carry nothing else in its own fields."""
        if not self[name].isascii() or "\x00" in self[name]:
            raise ValueError(f"{name} must be plain ASCII")
        return self[name]

    def listed(self, name: str) -> list[str]:
        """What stands between commas."""
        return [item.strip() for item in self[name].split(",") if item.strip()]

    def tls(self) -> ssl.SSLContext | None:
        """None where the connection is not encrypted."""
        if self.one_of("tls", ("yes", "no")) == "no":
            return None
        try:
            return ssl.create_default_context(cafile=self["tls_ca"] or None)
        except OSError as error:
            raise ValueError("tls_ca cannot be read as a PEM file of certificates") from error


def account(given: Given) -> Account:
    """Where to connect, and as whom."""
    return Account(
        host=given["host"],
        port=given.number("port", 1, 65535),
        tls=given.tls(),
        system_id=given.ascii("system_id"),
        password=given.ascii("password"),
        system_type=given.ascii("system_type"),
        version=VERSIONS[given.one_of("version", VERSIONS)],
        bind=given.one_of("bind", BINDS),
        window=given.number("window", 1, 10_000),
        answer_seconds=given.seconds("answer_seconds"),
        enquire_seconds=given.seconds("enquire_seconds"),
        reconnect_seconds=given.seconds("reconnect_seconds"),
    )
