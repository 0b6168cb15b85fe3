"""Is this webhook request MessageBird's? The checks of its Python SDK 2.2.0 (request_validator.py).

The header holds a JSON Web Token, HMAC by the signing key, that says `url_hash` and `payload_hash` (SHA-256 of the
whole URL and of the body; the latter is left out where there is no body), `nbf` and `exp`, and `jti`, by which a
repeat is known.
"""

from adapters.contract import Once, WebhookRequest
from adapters.errors import BadSignature
from adapters.jwt_proof import check_hash, proven_claims, text_claim, time_claim
from adapters.text import clean_text

HEADER = "MessageBird-Signature-JWT"
ISSUER = "MessageBird"
LEEWAY = 1
# A token that holds for longer is remembered for this long: seven days.
MAX_REMEMBERED = 7 * 24 * 3600


def check_signature(request: WebhookRequest, key: bytes) -> Once:
    """Raise BadSignature, and nothing else, unless MessageBird signed the request and the token still holds."""
    token = request.headers.get(HEADER, "")
    if not token:
        raise BadSignature(f"{HEADER} is missing")
    claims = proven_claims(token, key, request.at, LEEWAY)
    if claims.get("iss") != ISSUER:
        raise BadSignature("the token is not MessageBird's")
    time_claim(claims, "nbf")
    expires = time_claim(claims, "exp")
    check_hash(claims, "url_hash", request.url.encode("utf-8", "surrogatepass"))
    if request.body:
        check_hash(claims, "payload_hash", request.body)
    elif claims.get("payload_hash"):
        raise BadSignature("the token is for a request with a body")
    ends = request.at + MAX_REMEMBERED
    seconds = MAX_REMEMBERED if expires >= ends else int(expires - request.at) + LEEWAY + 1
    return Once(clean_text(text_claim(claims, "jti")), seconds)
