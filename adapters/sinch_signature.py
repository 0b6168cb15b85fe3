"""Is this callback Sinch's? Its signatures, as its Python SDK 2.3 checks them, and lately made.

x-sinch-webhook-signature is base64(HMAC-SHA256(secret, body.nonce.timestamp)). Some say that a header names the
algorithm as well; nothing else than HMAC-SHA256 is ever tried.
"""

import hmac
from base64 import b64encode

from adapters.contract import WebhookRequest
from adapters.errors import BadSignature

TOLERANCE_SECONDS = 300
# Until a nonce is forgotten, its time has passed, in either direction.
NONCE_SECONDS = 2 * TOLERANCE_SECONDS


def check_signature(request: WebhookRequest, secret: bytes) -> str:
    """The nonce. Raises BadSignature, and nothing else, unless Sinch signed the request within five minutes."""
    given = request.headers.get("x-sinch-webhook-signature", "")
    nonce = request.headers.get("x-sinch-webhook-signature-nonce", "")
    timestamp = request.headers.get("x-sinch-webhook-signature-timestamp", "")
    if not secret or not given or not nonce:
        raise BadSignature("there is no x-sinch-webhook-signature with a nonce, or no webhook_secret")
    if not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
        raise BadSignature("x-sinch-webhook-signature-timestamp is not a time")
    try:
        text = request.body + f".{nonce}.{timestamp}".encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise BadSignature("x-sinch-webhook-signature-nonce is not text") from error
    expected = b64encode(hmac.digest(secret, text, "sha256"))
    if not hmac.compare_digest(expected, given.strip().encode("utf-8", "replace")):
        raise BadSignature("x-sinch-webhook-signature does not match: check webhook_secret")
    if abs(request.at - int(timestamp)) > TOLERANCE_SECONDS:
        raise BadSignature("signed too long ago, or in the future: check the clock")
    return nonce
