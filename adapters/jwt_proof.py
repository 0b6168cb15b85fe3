"""Webhooks that carry a JSON Web Token signed with a shared secret (HMAC), as several providers send them.

Times go by the request's, never by the clock: PyJWT proves the signature, the claims are checked here.
"""

import hmac
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import jwt
from jwt.types import Options

from adapters.errors import BadSignature

# A token chooses its own algorithm: "none", or a public key taken for a secret, must not be among them.
ALGORITHMS = ("HS256", "HS384", "HS512")
UNCHECKED: Options = {
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "verify_sub": False,
    "verify_jti": False,
}


def proven_claims(token: str, key: bytes, at: float, leeway: int) -> Mapping[str, Any]:
    """The claims of a token that this key signed and that holds at the time `at` (Unix seconds), give or take
    `leeway` seconds. Raises BadSignature, and nothing else."""
    if not key:
        raise BadSignature("there is no key to check the token with")
    try:
        # HMAC fills a short key up with zeros anyway; PyJWT would warn of it at each request.
        claims: Mapping[str, Any] = jwt.decode(token, key.ljust(64, b"\0"), algorithms=ALGORITHMS, options=UNCHECKED)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as error:
        raise BadSignature(f"the token is not signed with this channel's key ({type(error).__name__})") from error
    if "exp" in claims and not at < time_claim(claims, "exp") + leeway:
        raise BadSignature("the token has expired")
    if "nbf" in claims and not time_claim(claims, "nbf") <= at + leeway:
        raise BadSignature("the token does not hold yet")
    return claims


def time_claim(claims: Mapping[str, Any], name: str) -> int | float:
    """A claim that is a time. Not a number (NaN) passes no comparison."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadSignature(f"the token's {name} is missing or no time")
    return value


def text_claim(claims: Mapping[str, Any], name: str) -> str:
    """A claim that must be there as text."""
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise BadSignature(f"the token's {name} is missing or no text")
    return value


def check_hash(claims: Mapping[str, Any], name: str, content: bytes) -> None:
    """Raise BadSignature unless the claim is the SHA-256 of `content`, in hexadecimal."""
    claimed = text_claim(claims, name).lower().encode("utf-8", "replace")
    if not hmac.compare_digest(sha256(content).hexdigest().encode(), claimed):
        raise BadSignature(f"the token's {name} is that of another request")
