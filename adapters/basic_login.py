"""Webhooks of providers that sign nothing and log in instead (HTTP Basic, RFC 7617), with credentials that we chose."""

import hmac
from base64 import b64encode

from adapters.contract import WebhookRequest
from adapters.errors import BadSignature


def check_login(request: WebhookRequest, user: str, password: str) -> None:
    """Raise BadSignature unless the request has this login. An empty one is never right, since anybody has it."""
    if not user or not password:
        raise BadSignature("this channel has no webhook_user and webhook_password to check")
    scheme, _, given = request.headers.get("Authorization", "").strip().partition(" ")
    expected = b64encode(f"{user}:{password}".encode())
    known = hmac.compare_digest(given.strip().encode("utf-8", "replace"), expected)
    if scheme.lower() != "basic" or not known:
        raise BadSignature("the login is not webhook_user and webhook_password")
