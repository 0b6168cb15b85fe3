"""A stand-in for Twilio: checks and answers like the Messages resource, and signs webhooks like Twilio.

async with TwilioStandIn(account_sid, auth_token) as twilio:
    ...                                    # a channel with api_base = twilio.url
    twilio.answer_with(refused(21610))     # once; then it takes messages again
    twilio.hang()
    [request] = await twilio.wait_for(1)
    headers, body = signed_webhook(url, {"MessageSid": "SM1", "Body": "HELLO", ...}, auth_token)
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import uuid4

from tests.providers.standin import Reply, Request, StandIn

_ADDRESS = re.compile(r"(whatsapp:)?\+[1-9][0-9]{6,14}")
MAX_BODY = 1600
GSM_SEGMENT = 153


def refused(code: int, message: str = "refused", status: int = 400) -> Reply:
    """An error answer in Twilio's form."""
    info = f"https://www.twilio.com/docs/errors/{code}"
    return status, {}, {"code": code, "message": message, "more_info": info, "status": status}


def signed_webhook(url: str, fields: Mapping[str, str], auth_token: str) -> tuple[dict[str, str], bytes]:
    """Headers and body of a webhook request that Twilio would make to `url`."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    signature = b64encode(hmac.digest(auth_token.encode(), text.encode(), "sha1")).decode()
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return headers, urlencode(fields).encode()


class TwilioStandIn(StandIn):
    """`keys` maps the SIDs of API keys to their secrets; they may log in like the account itself."""

    def __init__(self, account_sid: str, auth_token: str, keys: Mapping[str, str] | None = None, port: int = 0) -> None:
        super().__init__(port)
        self.account_sid = account_sid
        self._path = f"/2010-04-01/Accounts/{account_sid}/Messages.json"
        logins = {account_sid: auth_token, **(keys or {})}
        self._authorizations = {
            "Basic " + b64encode(f"{sid}:{secret}".encode()).decode() for sid, secret in logins.items()
        }

    def refusal(self, request: Request) -> Reply | None:
        fields = request.fields
        if request.headers.get("Authorization") not in self._authorizations:
            return refused(20003, "Authenticate", 401)
        if (request.method, request.path) != ("POST", self._path):
            return refused(20404, f"The requested resource {request.path} was not found", 404)
        if not _ADDRESS.fullmatch(fields.get("To", "")):
            return refused(21211, "Invalid 'To' Phone Number")
        if "From" not in fields and "MessagingServiceSid" not in fields:
            return refused(21603, "A 'From' phone number is required.")
        if not fields.get("Body") and not fields.get("MediaUrl"):
            return refused(21602, "Message body is required.")
        if len(fields.get("Body", "")) > MAX_BODY:
            return refused(21617, "The concatenated message body exceeds the 1600 character limit")
        return None

    def usual(self, request: Request) -> Reply:
        fields = request.fields
        body = fields.get("Body", "")
        media = sum(name == "MediaUrl" for name, _ in request.form)
        through_service = "MessagingServiceSid" in fields
        sid = f"{'MM' if media else 'SM'}{uuid4().hex}"
        message = {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": body,
            "date_created": "Fri, 24 Jan 2025 17:00:00 +0000",
            "date_sent": None,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": fields.get("From"),
            "messaging_service_sid": fields.get("MessagingServiceSid"),
            "num_media": str(media),
            "num_segments": "0" if through_service else str(max(1, -(-len(body) // GSM_SEGMENT))),
            "price": None,
            "sid": sid,
            "status": "accepted" if through_service else "queued",
            "to": fields["To"],
            "uri": f"/2010-04-01/Accounts/{self.account_sid}/Messages/{sid}.json",
        }
        return 201, {}, message
