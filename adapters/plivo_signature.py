"""Is this webhook request Plivo's? Version 3 of its signatures, as its Python SDK 4.63 checks them.

X-Plivo-Signature-V3 is base64(HMAC-SHA256(auth token, text)), or several of them with commas between. The text is the
URL without its query, `?`, the sorted fields of the query, for a POST `.` and its sorted fields, `.`, and the nonce.
Version 2 is refused: it does not cover the body. No time is signed; the nonce tells a repeat.
X-Plivo-Signature-Ma-V3, which is said to be the main account's for the numbers of a subaccount, is not read: a
channel of a subaccount has that subaccount's own auth_token.
"""

import hmac
from base64 import b64encode
from urllib.parse import urlsplit

from adapters.contract import WebhookRequest
from adapters.errors import BadSignature
from adapters.form import form_fields


def check_signature(request: WebhookRequest, auth_token: bytes) -> str:
    """The nonce. Raises BadSignature, and nothing else, unless Plivo signed the request."""
    nonce = request.headers.get("X-Plivo-Signature-V3-Nonce", "")
    given = request.headers.get("X-Plivo-Signature-V3", "")
    if not auth_token or not nonce or not given:
        raise BadSignature("there is no X-Plivo-Signature-V3 with a nonce, or no auth_token to check it with")
    if "." in nonce:
        # A full stop parts it from the fields: the end of a field's value would pass for a nonce never seen before.
        raise BadSignature("X-Plivo-Signature-V3-Nonce holds a full stop")
    try:
        text = f"{_signed_text(request)}.{nonce}".encode("utf-8", "surrogateescape")
    except ValueError as error:
        raise BadSignature("a URL or a body that Plivo cannot have signed") from error
    expected = b64encode(hmac.digest(auth_token, text, "sha256"))
    if not any(
        hmac.compare_digest(expected, signature.strip().encode("utf-8", "replace")) for signature in given.split(",")
    ):
        raise BadSignature("X-Plivo-Signature-V3 does not match: check public_url and auth_token")
    return nonce


def _signed_text(request: WebhookRequest) -> str:
    parts = urlsplit(request.url)
    fields = [] if request.method == "GET" else sorted(form_fields(request.body))
    query = "&".join([f"{name}={value}" for name, value in sorted(form_fields(parts.query.encode("utf-8", "replace")))])
    text = parts._replace(query="", fragment="").geturl()
    if query or fields:
        text += f"?{query}"
    if query and fields:
        text += "."
    return text + "".join([name + value for name, value in fields])
