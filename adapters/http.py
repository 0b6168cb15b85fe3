"""The one HTTP client of all adapters: time limits, and the difference between "never left" and "no answer".

That difference decides whether a text is sent twice, so it is made here and nowhere else:
a failure to connect is `Retry` (nothing left), any failure after that is `Unknown`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson

from adapters.errors import Misconfigured, Retry, Unknown

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
# Idle connections are dropped before a provider's own keep-alive (commonly 60 s and more) can close one
# just as a request is written to it, which would have to count as Unknown.
KEEPALIVE_SECONDS = 15.0
MAX_ANSWER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """A provider's answer. `headers` compares names without regard to case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; {} when it is anything else (an error page, say)."""
        try:
            value = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return value if isinstance(value, dict) else {}

    @property
    def retry_after(self) -> float | None:
        """Seconds, where the provider gave the number form of Retry-After (RFC 9110, 10.2.3)."""
        value = self.headers.get("Retry-After", "")
        return float(value) if value.isascii() and value.isdigit() else None


class Http:
    """A pooled client session. Use as an async context manager."""

    def __init__(self, connect_seconds: float = CONNECT_SECONDS, answer_seconds: float = ANSWER_SECONDS) -> None:
        self._timeout = aiohttp.ClientTimeout(
            total=connect_seconds + answer_seconds, connect=connect_seconds, sock_read=answer_seconds
        )
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Http":
        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEPALIVE_SECONDS)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=self._timeout,
            auto_decompress=True,
            cookie_jar=aiohttp.DummyCookieJar(),
        )
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def post(
        self,
        url: str,
        *,
        form: Sequence[tuple[str, str]] | None = None,
        json: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
    ) -> Answer:
        """POST once and return whatever answer came back, error answers included.

        Raises Retry when the request certainly never left, Misconfigured when it never can (the URL is none),
        and Unknown when no answer came back.
        No error names the URL's query, a header or the body: they may hold secrets or a customer's text.
        """
        assert self._session is not None, "use Http as an async context manager"
        sent_headers = dict(headers or {})
        data: Any = None
        if form is not None:
            data = urlencode(form).encode()
            sent_headers["Content-Type"] = "application/x-www-form-urlencoded"
        elif json is not None:
            data = orjson.dumps(json)
            sent_headers["Content-Type"] = "application/json"
        if basic is not None:
            sent_headers["Authorization"] = aiohttp.encode_basic_auth(*basic)
        try:
            async with self._session.post(url, data=data, headers=sent_headers, allow_redirects=False) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        break
                return Answer(response.status, response.headers, bytes(body))
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError) as error:
            raise Misconfigured("the provider's address is not an HTTP URL") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Retry(f"no connection to the provider ({type(error).__name__})") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unknown(f"the request left and no answer came back ({type(error).__name__})") from error
