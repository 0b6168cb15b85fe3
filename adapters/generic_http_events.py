"""What a gateway's webhook says, where the settings of the channel say that it is."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

from adapters.contract import Inbound, Media, Receipt, ReceiptState, WebhookRequest
from adapters.errors import BadPayload
from adapters.form import form_fields
from adapters.generic_http_mapping import Given, find, required_at, text_at
from adapters.json_body import json_body, readable
from adapters.text import BARE_NUMBERS, clean_text, international

log = logging.getLogger(__name__)

# The words of a gateway that has none of its own; `receipt_statuses` replaces them.
STATUSES: Mapping[str, ReceiptState | None] = {
    "sent": "sent",
    "delivered": "delivered",
    "undelivered": "undelivered",
    "failed": "failed",
}
STATES: Mapping[str, ReceiptState | None] = {**STATUSES, "none": None}


class Events:
    """Reads the events of one channel's webhooks. Raises ValueError for a mapping that cannot work."""

    def __init__(self, given: Given) -> None:
        self._given = given
        words = given.pairs("receipt_statuses", STATES)
        self._statuses = {key: STATES[word] for key, word in words.items()} or STATUSES
        self._opt_out_errors = frozenset(given.listed("opt_out_errors"))
        is_national = given.one_of("bare_numbers", BARE_NUMBERS) == "national"
        # Which country is the business's, whoever asks for the events knows.
        self._number: Callable[[str], str] = str if is_national else international

    def read(self, request: WebhookRequest) -> list[Inbound | Receipt]:
        """In their order. Raises BadPayload for a body that the settings do not describe."""
        # {"id": "g1", "from": "+12025550123", "to": "+12025550100", "text": "HOURS", "media": ["https://..."]}
        # {"id": "g2", "status": "failed", "error": "1001"}
        # or, with events_path = "data.events", {"data": {"events": [{...}, {...}]}}
        path = self._given["events_path"]
        found = find(_body(request), path)
        if found is None:
            raise BadPayload(f"{path or 'the body'} is missing")
        return readable(found if isinstance(found, list) else [found], self._event, log)

    def _event(self, item: Any) -> list[Inbound | Receipt]:
        given = self._given
        if not isinstance(item, dict):
            raise BadPayload(f"{given['events_path'] or 'the body'} is neither an object nor a list of objects")
        text = text_at(item, given["inbound_text"])
        media = self._media(item)
        if not text and not media:
            status = find(item, given["receipt_status"])
            # A blank text is a text, unless the event speaks of the state of one of ours.
            if status is not None and (text is None or (isinstance(status, str) and status in self._statuses)):
                return self._receipts(item)
        if text is None and not media:
            raise BadPayload(f"{given['inbound_text']} is missing, and so is {given['receipt_status']}")
        return [
            Inbound(
                provider_id=text_at(item, given["inbound_id"]) or None,
                sender=self._number(required_at(item, given["inbound_from"])),
                recipient=self._number(required_at(item, given["inbound_to"])),
                body=text or "",
                media=media,
            )
        ]

    def _media(self, item: Mapping[str, Any]) -> tuple[Media, ...]:
        path = self._given["inbound_media"]
        found = find(item, path)
        if found is None or found == "":
            return ()
        return tuple([self._one_media(entry, path) for entry in (found if isinstance(found, list) else [found])])

    def _one_media(self, entry: Any, path: str) -> Media:
        if isinstance(entry, dict):
            url = required_at(entry, self._given["inbound_media_url"])
            return Media(url, text_at(entry, self._given["inbound_media_type"]) or "")
        if not isinstance(entry, str) or not clean_text(entry):
            raise BadPayload(f"{path} holds what is no URL")
        return Media(clean_text(entry))

    def _receipts(self, item: Mapping[str, Any]) -> list[Inbound | Receipt]:
        status = required_at(item, self._given["receipt_status"])
        id = required_at(item, self._given["receipt_id"])
        if status not in self._statuses:
            log.warning("http: unknown status %.40r", status)
            return []
        state = self._statuses[status]
        if state is None:
            return []
        code = text_at(item, self._given["receipt_error"]) or ""
        return [Receipt(id, state, code, opted_out=code in self._opt_out_errors)]


def _body(request: WebhookRequest) -> Any:
    if not request.headers.get("Content-Type", "").lower().startswith("application/x-www-form-urlencoded"):
        return json_body(request)
    form: dict[str, Any] = {}
    try:
        for name, value in form_fields(request.body):
            if name in form:
                known = form[name]
                form[name] = [*(known if isinstance(known, list) else [known]), value]
            else:
                form[name] = value
    except ValueError as error:
        raise BadPayload("the body has far too many fields") from error
    return form
