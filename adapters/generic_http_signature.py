"""HMAC as a gateway is told to do it, for webhooks and for what we send; and tokens."""

import hmac
import secrets
import time
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass

from adapters.contract import Once, WebhookRequest
from adapters.errors import BadSignature
from adapters.generic_http_mapping import Given, check_placeholders, placeholders
from adapters.text import clean_text

ALGORITHMS = ("sha256", "sha1", "sha512")
ENCODINGS = ("hex", "base64")
PARTS = ("body", "timestamp", "nonce", "url", "method")
TOLERANCE_SECONDS = 300
# A nonce must be remembered for as long as its request may come again: for both sides of the time that is tolerated
# or, where no time is signed, for a day.
_SIGNED_TIME_SECONDS = 2 * TOLERANCE_SECONDS
_DAY_SECONDS = 86_400
# From here on a time is in milliseconds: in seconds it would be the year 5138.
_MILLISECONDS_FROM = 100_000_000_000


@dataclass(frozen=True, slots=True)
class Hmac:
    """One way to sign; `prefix` is "" for webhooks and "send_" for what we send."""

    key: bytes
    header: str
    algorithm: str
    encoding: str
    before: str
    text: str
    timestamp_header: str
    nonce_header: str

    @property
    def beside_nonce(self) -> list[str]:
        """What stands in the signed text between the nonce and its neighbours."""
        before, nonce, after = self.text.partition("{nonce}")
        return [text for text in (before.rpartition("}")[2], after.partition("{")[0]) if nonce and text]

    def signature(self, values: Mapping[str, bytes]) -> bytes:
        """What the header must be."""
        text = b""
        rest = self.text
        while rest:
            start, brace, rest = rest.partition("{")
            text += start.encode()
            if brace:
                name, _, rest = rest.partition("}")
                text += values[name]
        digest = hmac.digest(self.key, text, self.algorithm)
        shown = digest.hex().encode() if self.encoding == "hex" else b64encode(digest)
        return self.before.encode() + shown

    def check(self, request: WebhookRequest) -> Once | None:
        """Raise BadSignature unless the request is signed so, lately."""
        given = _header(request, self.header)
        if not given:
            raise BadSignature(f"{self.header} is missing")
        timestamp = _header(request, self.timestamp_header) if self.timestamp_header else ""
        nonce = _header(request, self.nonce_header) if self.nonce_header else ""
        if self.nonce_header and not nonce:
            raise BadSignature(f"{self.nonce_header} is missing")
        if any(beside in nonce for beside in self.beside_nonce):
            # A part of the body would pass for the end of a nonce never seen before, and the body be cut short.
            raise BadSignature(f"{self.nonce_header} holds what parts it from the rest of signed_text")
        values = {
            "body": request.body,
            "timestamp": _bytes(timestamp),
            "nonce": _bytes(nonce),
            "url": _bytes(request.url),
            "method": _bytes(request.method),
        }
        expected = self.signature(values)
        seen = _bytes(given)
        if self.encoding == "hex":
            # Hexadecimal digits may be capitals; a prefix may not.
            length = len(self.before.encode())
            seen = seen[:length] + seen[length:].lower()
        if not hmac.compare_digest(seen, expected):
            raise BadSignature(f"{self.header} does not match: check signature_secret and signed_text")
        if self.timestamp_header:
            _check_time(timestamp, request.at, self.timestamp_header)
        if self.nonce_header:
            return Once(clean_text(nonce), _SIGNED_TIME_SECONDS if self.timestamp_header else _DAY_SECONDS)
        return None

    def headers(self, body: bytes, url: str, method: str) -> dict[str, str]:
        """The headers that sign a request of ours."""
        timestamp, nonce = str(int(time.time())), secrets.token_hex(16)
        values = {"timestamp": timestamp, "nonce": nonce, "url": url, "method": method}
        made = {self.header: self.signature({**{name: _bytes(value) for name, value in values.items()}, "body": body})}
        found = {name: value.decode() for name, value in made.items()}
        if self.timestamp_header:
            found[self.timestamp_header] = timestamp
        if self.nonce_header:
            found[self.nonce_header] = nonce
        return found


def hmac_of(given: Given, prefix: str) -> Hmac | None:
    """The settings `signature_...`, or `send_signature_...`; None where nothing is signed. Raises ValueError."""
    header, secret = f"{prefix}signature_header", f"{prefix}signature_secret"
    text = f"{prefix}signed_text"
    if not given[secret] and not given[header]:
        return None
    for needed, other in ((header, secret), (secret, header)):
        if not given[needed]:
            raise ValueError(f"{needed} is missing: {other} needs it")
    check_placeholders(text, given[text], PARTS)
    used = placeholders(given[text])
    if given[text].count("{") != given[text].count("}") or given[text].count("{") != _count(given[text]):
        raise ValueError(f"{text}: braces stand around {', '.join(PARTS)} only")
    if "body" not in used:
        raise ValueError(f"{text} must hold {{body}}: what is not signed, anybody may change")
    for name in ("timestamp", "nonce"):
        if (name in used) != bool(given[f"{prefix}{name}_header"]):
            raise ValueError(
                f"{text} and {prefix}{name}_header go together: the one needs {{{name}}}, the other a name"
            )
    return Hmac(
        key=given[secret].encode(),
        header=given[header],
        algorithm=given.one_of(f"{prefix}signature_algorithm", ALGORITHMS),
        encoding=given.one_of(f"{prefix}signature_encoding", ENCODINGS),
        before=given[f"{prefix}signature_prefix"],
        text=given[text],
        timestamp_header=given[f"{prefix}timestamp_header"],
        nonce_header=given[f"{prefix}nonce_header"],
    )


def check_token(request: WebhookRequest, header: str, token: str) -> None:
    """Raise BadSignature unless the request carries the token."""
    given = _header(request, header)
    if header.lower() == "authorization":
        scheme, _, given = given.partition(" ")
        if scheme.lower() != "bearer":
            raise BadSignature("Authorization does not carry this channel's token")
    if not hmac.compare_digest(_bytes(given.strip()), _bytes(token)):
        raise BadSignature(f"{header} does not carry this channel's token")


def _count(text: str) -> int:
    return sum(text.count(f"{{{name}}}") for name in PARTS)


def _check_time(text: str, at: float, header: str) -> None:
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise BadSignature(f"{header} is not a time in Unix seconds")
    seconds = int(text) / 1000 if int(text) >= _MILLISECONDS_FROM else int(text)
    if abs(at - seconds) > TOLERANCE_SECONDS:
        raise BadSignature(f"{header} is more than {TOLERANCE_SECONDS // 60} minutes away: an old request, or a clock")


def _header(request: WebhookRequest, name: str) -> str:
    return request.headers.get(name, "").strip()


def _bytes(text: str) -> bytes:
    """Header values that are no UTF-8 come as lone surrogates."""
    return text.encode("utf-8", "surrogatepass")
