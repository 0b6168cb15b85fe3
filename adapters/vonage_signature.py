"""Is this webhook request Vonage's? Two ways of signing, whichever the account is set to.

`sig`: a parameter among the others, over "&name=value" of each of them in the order of their names, with "&" and "="
in values replaced by "_". Its five methods are HMACs with the signature secret, or the plain MD5 of text and secret.
What is signed includes `timestamp` and `nonce`. Sources: Vonage's guide to signing messages; vonage-http-client 1.5.2.

A token: `Authorization: Bearer` with a JSON Web Token, HMAC by the same secret, that says `payload_hash` (SHA-256 of
the body), `iat` and `jti`. Sources: Vonage's guide to signed webhooks; vonage-jwt 1.1.5, which leaves the claims to us.
"""

import hashlib
import hmac
from collections.abc import Mapping

from adapters.contract import Once, WebhookRequest
from adapters.errors import BadSignature
from adapters.jwt_proof import check_hash, proven_claims, text_claim, time_claim
from adapters.text import clean_text

TOLERANCE = 300
REMEMBERED = 2 * TOLERANCE
# Setting signature_method -> digest; "md5hash" is Vonage's default, and no HMAC.
DIGESTS: Mapping[str, str] = {
    "md5hash": "md5",
    "md5hmac": "md5",
    "sha1hmac": "sha1",
    "sha256hmac": "sha256",
    "sha512hmac": "sha512",
}


def check_signature(request: WebhookRequest, fields: Mapping[str, str], secret: bytes, method: str) -> Once | None:
    """Raise BadSignature, and nothing else, unless Vonage signed the request, lately."""
    if not secret:
        raise BadSignature("this channel has no signature_secret")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return _check_sig(fields, secret, method, request.at)
    once = _check_token(token.strip(), request, secret)
    if not request.body:
        # The token covers a body only: whoever saw it could put any parameters into the URL.
        _check_sig(fields, secret, method, request.at)
    return once


def _check_token(token: str, request: WebhookRequest, secret: bytes) -> Once:
    claims = proven_claims(token, secret, request.at, TOLERANCE)
    _check_time(time_claim(claims, "iat"), request.at)
    if request.body or "payload_hash" in claims:
        check_hash(claims, "payload_hash", request.body)
    return Once(clean_text(text_claim(claims, "jti")), REMEMBERED)


def _check_sig(fields: Mapping[str, str], secret: bytes, method: str, at: float) -> Once | None:
    given = fields.get("sig", "")
    if not given:
        raise BadSignature("no sig among the parameters: switch signed webhooks on in Vonage's dashboard")
    if any("&" in name or "=" in name for name in fields):
        # Only values are quoted: such a name could hide another parameter, the nonce among them.
        raise BadSignature("a parameter with & or = in its name, which Vonage has none of")
    if method not in DIGESTS:
        raise BadSignature(f"signature_method must be one of {', '.join(DIGESTS)}")
    signed = "".join(f"&{name}={_quoted(fields[name])}" for name in sorted(fields) if name != "sig")
    try:
        expected = _signature(signed.encode("utf-8", "surrogateescape"), secret, method)
    except ValueError as error:
        raise BadSignature("parameters that Vonage cannot have signed, or a digest that is not there") from error
    if not hmac.compare_digest(expected.encode(), given.lower().encode("utf-8", "replace")):
        raise BadSignature("sig does not match: check signature_secret and signature_method")
    timestamp = fields.get("timestamp", "")
    # Eleven digits last until the year 5138; more are no time of Vonage's.
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= 11):
        raise BadSignature("timestamp is missing or no time")
    _check_time(int(timestamp), at)
    nonce = clean_text(fields.get("nonce", ""))
    return Once(nonce, REMEMBERED) if nonce else None


def _quoted(value: str) -> str:
    return value.replace("&", "_").replace("=", "_")


def _signature(text: bytes, secret: bytes, method: str) -> str:
    if method == "md5hash":
        return hashlib.md5(text + secret).hexdigest()
    return hmac.digest(secret, text, DIGESTS[method]).hex()


def _check_time(signed: float, at: float) -> None:
    if not at - TOLERANCE <= signed <= at + TOLERANCE:
        raise BadSignature("signed more than five minutes ago or ahead: check this machine's clock")
