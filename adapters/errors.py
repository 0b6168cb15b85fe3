"""What can go wrong between us and a provider: two closed sets.

AdapterError
├── WebhookError            a request to our webhook is not to be believed or not to be read
│   ├── BadSignature        answered 403, nothing is stored
│   └── BadPayload          answered 400, nothing is stored
└── SendError               a message did not (certainly) leave; exactly one of:
    ├── Retry               not processed; the same request may be sent again
    ├── Throttled           not processed; try again after `retry_after` seconds
    ├── Rejected            this message will never be accepted
    ├── OptedOut            the provider says that the recipient has opted out
    ├── Misconfigured       our account, number or credentials are wrong
    │   └── NumberRefused   it is one number of ours; the account and its others are not concerned
    └── Unknown             the request left and no answer came back: never blindly resent
"""


class AdapterError(Exception):
    """Anything that an adapter reports."""


class WebhookError(AdapterError):
    """An incoming webhook request is refused."""


class BadSignature(WebhookError):
    """The request is not proven to come from the provider."""


class BadPayload(WebhookError):
    """The request is the provider's, but it is not what its documents describe."""


class SendError(AdapterError):
    """A message did not certainly leave.

    `code` is the provider's own error code as text, "" where it gave none; `detail` is for staff
    and holds neither the message body nor a credential.
    """

    outcome = "retry"

    def __init__(self, detail: str, code: str = "") -> None:
        super().__init__(f"{code}: {detail}" if code else detail)
        self.detail = detail
        self.code = code


class Retry(SendError):
    """The provider did not process the request; the same request may be sent again."""


class Throttled(SendError):
    """The provider did not process the request because of its rate; `retry_after` is in seconds."""

    outcome = "throttled"

    def __init__(self, detail: str, code: str = "", retry_after: float | None = None) -> None:
        super().__init__(detail, code)
        self.retry_after = retry_after


class Rejected(SendError):
    """The provider will never accept this message."""

    outcome = "rejected"


class OptedOut(SendError):
    """The provider blocks this recipient because they opted out."""

    outcome = "opted_out"


class Misconfigured(SendError):
    """The account, the number or the credentials are wrong: a person must act."""

    outcome = "misconfigured"


class NumberRefused(Misconfigured):
    """One number of ours may not send: not the account's, not registered, or its cap is reached."""


class Unknown(SendError):
    """The request left and no answer came back: it may or may not have been sent."""

    outcome = "unknown"
