"""What a channel of the generic `http` adapter can be told; docs/http-channel.md joins a gateway by example."""

from collections.abc import Mapping

from adapters.contract import Setting

SETTINGS: Mapping[str, Setting] = {
    # is a webhook the gateway's?
    "token": Setting(secret=True, help="webhooks carry it: as Authorization: Bearer, or alone in token_header"),
    "token_header": Setting(default="Authorization", help="the header that carries token"),
    "signature_secret": Setting(secret=True, help="the key of the HMAC that signs webhooks"),
    "signature_header": Setting(help="the header that carries the HMAC"),
    "signature_algorithm": Setting(default="sha256", help="sha256, sha1 or sha512"),
    "signature_encoding": Setting(default="hex", help="hex or base64"),
    "signature_prefix": Setting(help="what stands before the HMAC in its header: sha256="),
    "signed_text": Setting(default="{body}", help="what is signed, of {body}, {timestamp}, {nonce}, {url}, {method}"),
    "timestamp_header": Setting(help="the header with the time in Unix seconds; five minutes are tolerated"),
    "nonce_header": Setting(help="the header whose value no other request has"),
    # what does it say?
    "events_path": Setting(help="where the event or the list of events is; without it, the body itself"),
    "inbound_id": Setting(default="id", help="path of a text's id"),
    "inbound_from": Setting(default="from", help="path of the customer's number"),
    "inbound_to": Setting(default="to", help="path of our number"),
    "bare_numbers": Setting(
        default="international",
        help="what a number without + is: international, with its country code; or national, of the business's country",
    ),
    "inbound_text": Setting(default="text", help="path of the text; an event without one may be a receipt"),
    "inbound_media": Setting(default="media", help="path of a URL or a list of URLs, or of objects with these two:"),
    "inbound_media_url": Setting(default="url", help="path of the URL inside such an object"),
    "inbound_media_type": Setting(default="content_type", help="path of the MIME type inside such an object"),
    "receipt_id": Setting(default="id", help="path of the id that the gateway gave to a text of ours"),
    "receipt_status": Setting(default="status", help="path of the state's word"),
    "receipt_error": Setting(default="error", help="path of the error code"),
    "receipt_statuses": Setting(
        help="word=state, ...; a state is sent, delivered, undelivered, failed or none. Without it the words are ours"
    ),
    "opt_out_errors": Setting(help="error codes of receipts that say the recipient opted out: 21610, BLOCKED"),
    # how is a text sent?
    "send_url": Setting(required=True, help="where texts are sent to"),
    "api_base": Setting(help="another scheme and host in place of send_url's, for tests"),
    "send_method": Setting(default="POST", help="POST, PUT or GET"),
    "send_format": Setting(default="json", help="json, form or query: where send_body goes"),
    "send_body": Setting(
        default='{"id": "{id}", "from": "{from}", "to": "{to}", "text": "{text}", "media": "{media}"}',
        help="a JSON object with {id}, {from}, {to}, {text}, {media}, {receipt_url}, {api_key} in its texts",
    ),
    "send_headers": Setting(help='lines "Name: value", with {api_key} and {id}'),
    "plus": Setting(default="yes", help="yes: the gateway wants +12025550123; no: 12025550123"),
    "api_key": Setting(secret=True, help="goes where {api_key} stands"),
    "send_user": Setting(help="HTTP Basic"),
    "send_password": Setting(secret=True, help="belongs to send_user"),
    "send_signature_secret": Setting(secret=True, help="the key of an HMAC that signs what we send"),
    "send_signature_header": Setting(help="the header that carries it"),
    "send_signature_algorithm": Setting(default="sha256", help="sha256, sha1 or sha512"),
    "send_signature_encoding": Setting(default="hex", help="hex or base64"),
    "send_signature_prefix": Setting(help="what stands before it in its header"),
    "send_signed_text": Setting(default="{body}", help="as signed_text"),
    "send_timestamp_header": Setting(help="a header with the time in Unix seconds"),
    "send_nonce_header": Setting(help="a header with a value that no other request has"),
    # what does the gateway answer?
    "sent_id": Setting(default="id", help="path of the text's id in the answer, the one that receipts carry"),
    "id_optional": Setting(default="no", help="yes: an answer without an id is a success, the id is ours"),
    "error_code": Setting(default="code", help="path of the error code in the answer"),
    "error_classes": Setting(
        help="code=class, ...; a class is retry, throttled, rejected, opted_out, misconfigured or unknown"
    ),
}
