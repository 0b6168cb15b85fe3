"""Is this webhook request Telnyx's? The check of the official Python SDK 4.189 (webhooks.unwrap).

The telnyx-signature-ed25519 header is the base64 of an Ed25519 signature over the telnyx-timestamp header, "|" and the
raw body. The URL is not signed.
"""

import re
from base64 import b64decode, b64encode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from adapters.contract import Once, WebhookRequest
from adapters.errors import BadSignature

TOLERANCE_SECONDS = 300
# As long as the same request may come again: a clock that is late by the tolerance, and one that is early by it.
REPEAT_SECONDS = 2 * TOLERANCE_SECONDS
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


def public_key(text: str) -> Ed25519PublicKey | None:
    """The key as Telnyx's portal shows it (base64); None where that is no key, which then verifies nothing."""
    try:
        raw = b64decode(text.strip(), validate=True)
        # All zeros is a point that makes a forgery valid, and what is left of a key that was blanked out.
        return Ed25519PublicKey.from_public_bytes(raw) if any(raw) else None
    except ValueError:
        return None


def check_signature(request: WebhookRequest, key: Ed25519PublicKey | None) -> Once:
    """Raise BadSignature, and nothing else, unless Telnyx signed the request within five minutes of its arrival."""
    if key is None:
        raise BadSignature("public_key is no Ed25519 key: copy it from Telnyx's portal")
    timestamp = request.headers.get("telnyx-timestamp", "")
    if not _UNIX_SECONDS.fullmatch(timestamp):
        raise BadSignature("telnyx-timestamp is missing or no time")
    try:
        signature = b64decode(request.headers.get("telnyx-signature-ed25519", ""), validate=True)
        key.verify(signature, timestamp.encode() + b"|" + request.body)
    except (ValueError, InvalidSignature) as error:
        raise BadSignature("telnyx-signature-ed25519 does not match: check public_key") from error
    if abs(request.at - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature("signed more than five minutes from now: a repeat, or this clock is wrong")
    # Of the bytes, not of the header: base64 can be written in more than one way.
    return Once(b64encode(signature).decode(), REPEAT_SECONDS)
