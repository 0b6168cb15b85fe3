"""Is this webhook request Twilio's? The checks of the official Python SDK 9.13 (request_validator.py).

The X-Twilio-Signature header is base64(HMAC(key, text)). The text is the URL, followed for a form by all its
fields; for any other body the URL itself carries the body's hash (bodySHA256). The HMAC is SHA-1 with the
account's auth token or, when X-Twilio-Webhooks-Signature-Settings says so, SHA-256 with a SharedKey.
No time is signed: a request can be replayed, and is deduplicated by its MessageSid.
"""

import hmac
from base64 import b64encode
from collections.abc import Iterator, Mapping
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from adapters.contract import WebhookRequest
from adapters.errors import BadSignature
from adapters.form import form_fields

DEFAULT_PORTS = {"http": 80, "https": 443}


def check_signature(request: WebhookRequest, keys: Mapping[str, bytes]) -> None:
    """Raise BadSignature, and nothing else, unless Twilio signed the request.

    `keys` has the secret of each digest ("sha1", "sha256"); an empty one signs nothing, since anybody has it.
    """
    digest = _digest_name(request.headers.get("X-Twilio-Webhooks-Signature-Settings", ""))
    key = keys.get(digest)
    if not key:
        raise BadSignature("signed by a method that this channel has no key for (shared_key?)")
    given = request.headers.get("X-Twilio-Signature", "").encode("utf-8", "replace")
    try:
        signed_fields = "" if _body_hash_matches(request) else _signed_fields(request.body)
        for url in _spellings(request.url):
            text = (url + signed_fields).encode("utf-8", "surrogateescape")
            if hmac.compare_digest(b64encode(hmac.digest(key, text, digest)), given):
                return
    except ValueError as error:
        raise BadSignature("a URL or a body that Twilio cannot have signed") from error
    raise BadSignature("X-Twilio-Signature does not match: check public_url and auth_token")


def _digest_name(signature_settings: str) -> str:
    """`key=...,algorithm=HMAC_SHA256` -> "sha256"; "sha1" where no algorithm is named."""
    for part in signature_settings.split(","):
        name, _, value = part.partition("=")
        if name.strip() == "algorithm" and value.strip():
            return value.strip().lower().removeprefix("hmac_")
    return "sha1"


def _signed_fields(body: bytes) -> str:
    """Each name with each of its values, both sorted; a value that is repeated counts once."""
    return "".join([name + value for name, value in sorted(set(form_fields(body)))])


def _body_hash_matches(request: WebhookRequest) -> bool:
    """False where the body is a form. Raises BadSignature when the URL carries the hash of another body."""
    if "bodySHA256=" not in request.url:
        return False
    if request.headers.get("Content-Type", "").lower().startswith("application/x-www-form-urlencoded"):
        return False
    expected = parse_qs(urlsplit(request.url).query).get("bodySHA256", [""])[0]
    if not hmac.compare_digest(sha256(request.body).hexdigest().encode(), expected.encode()):
        raise BadSignature("bodySHA256 is not the hash of this body")
    return True


def _spellings(url: str) -> Iterator[str]:
    """The URL as it came, then with the default port added or the port taken away: any may be signed."""
    yield url
    parts = urlsplit(url)
    if parts.port is None:
        netloc = f"{parts.netloc}:{DEFAULT_PORTS.get(parts.scheme, 80)}"
    else:
        netloc = parts.netloc.rpartition(":")[0]
    yield parts._replace(netloc=netloc).geturl()
