"""A stand-in for Twilio: checks and answers like its messages and numbers, and signs webhooks like Twilio.

async with TwilioStandIn(account_sid, auth_token) as twilio:
    ...                                    # a channel with api_base = twilio.url
    twilio.answer_with(refused(21610))     # once; then it takes messages again
    twilio.hang()
    [request] = await twilio.wait_for(1)
    twilio.available["+14155550100"] = {"region": "CA", "locality": "San Francisco"}
    headers, body = signed_webhook(url, {"MessageSid": "SM1", "Body": "HELLO", ...}, auth_token)
"""

import hmac
import re
from base64 import b64encode
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from adapters.contract import ReceiptState
from tests.providers.provider import Provider, Text, Webhook
from tests.providers.standin import Answer, Reply, Request, StandIn
from tests.providers.twilio_numbers import TwilioInventory

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


class TwilioStandIn(TwilioInventory, StandIn):
    """`keys` maps the SIDs of API keys to their secrets; they may log in like the account itself."""

    def __init__(self, account_sid: str, auth_token: str, keys: Mapping[str, str] | None = None, port: int = 0) -> None:
        StandIn.__init__(self, port)
        TwilioInventory.__init__(self, account_sid, refused)
        self.account_sid = account_sid
        self._path = f"/2010-04-01/Accounts/{account_sid}/Messages.json"
        logins = {account_sid: auth_token, **(keys or {})}
        self._authorizations = {
            "Basic " + b64encode(f"{sid}:{secret}".encode()).decode() for sid, secret in logins.items()
        }

    def refusal(self, request: Request) -> Reply | None:
        if request.headers.get("Authorization") not in self._authorizations:
            return refused(20003, "Authenticate", 401)
        if (request.method, request.path) != ("POST", self._path):
            known = self.route(request) is not None
            return None if known else refused(20404, f"The requested resource {request.path} was not found", 404)
        fields = request.fields
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
        route = self.route(request)
        if route is not None:
            return route()
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


class _Twilio(Provider):
    settings: Mapping[str, str] = {"account_sid": "AC" + "0" * 31 + "1", "auth_token": "the auth token"}

    def stand_in(self, settings: Mapping[str, str], port: int = 0) -> StandIn:
        keys = {settings["api_key_sid"]: settings["api_key_secret"]} if "api_key_sid" in settings else {}
        return TwilioStandIn(settings["account_sid"], settings["auth_token"], keys, port)

    def text(self, url: str, settings: Mapping[str, str], text: Text) -> Webhook:
        media = {f"MediaUrl{place}": link for place, link in enumerate(text.media)}
        fields = {"MessageSid": text.id, "From": text.sender, "To": text.recipient, "Body": text.body,
                  "NumMedia": str(len(media)), **media}  # fmt: skip
        return Webhook(*signed_webhook(url, fields, settings["auth_token"]))

    def report(self, url: str, settings: Mapping[str, str], id: str, state: ReceiptState, error: str = "") -> Webhook:
        fields = {"MessageSid": id, "MessageStatus": state, **({"ErrorCode": error} if error else {})}
        return Webhook(*signed_webhook(url, fields, settings["auth_token"]))

    def asked(self, request: Request) -> Text:
        fields = request.fields
        return Text(fields["From"], fields["To"], fields.get("Body", ""))

    def throttled(self, seconds: int) -> Answer:
        status, _, content = refused(20429, "Too many requests", 429)
        return status, {"Retry-After": str(seconds)}, content

    def opted_out(self) -> Answer | None:
        return refused(21610)

    def opted_out_report(self, url: str, settings: Mapping[str, str], id: str) -> Webhook | None:
        return self.report(url, settings, id, "failed", "21610")

    def given_id(self, answer: Any) -> str:
        return str(answer["sid"])


PROVIDER = _Twilio()
