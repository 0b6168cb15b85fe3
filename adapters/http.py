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
from yarl import URL

from adapters.errors import Misconfigured, Retry, Unknown

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
# Idle connections are dropped before a provider's own keep-alive (commonly 60 s and more) can close one
# just as a request is written to it, which would have to count as Unknown.
KEEPALIVE_SECONDS = 15.0
MAX_ANSWER_BYTES = 256 * 1024
MAX_RETRY_SECONDS = 86_400.0


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
        return min(float(value), MAX_RETRY_SECONDS) if value.isascii() and value.isdigit() else None


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
            middlewares=(_once,),
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
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
    ) -> Answer:
        """POST once; see `request`."""
        return await self.request("POST", url, form=form, json=json, headers=headers, basic=basic)

    async def request(
        self,
        method: str,
        url: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        form: Sequence[tuple[str, str]] | None = None,
        json: Any = None,
        xml: str | None = None,
        headers: Mapping[str, str] | None = None,
        basic: tuple[str, str] | None = None,
    ) -> Answer:
        """Ask once and return whatever answer came back, error answers included. At most one of `form`, `json` and
        `xml` is the body; `query` is added to the URL.

        Raises Retry when the request certainly never left, Misconfigured when it never can (the URL is none),
        and Unknown when no answer came back.
        No error names the URL's query, a header or the body: they may hold secrets or a customer's text.
        """
        assert self._session is not None, "use Http as an async context manager"
        sent_headers = dict(headers or {})
        data, content_type = _encoded(form, json, xml)
        if content_type:
            sent_headers.setdefault("Content-Type", content_type)
        if basic is not None:
            sent_headers["Authorization"] = aiohttp.encode_basic_auth(*basic)
        if query:
            url = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
        try:
            async with self._session.request(
                method, URL(url, encoded=True), data=data, headers=sent_headers, allow_redirects=False
            ) as response:
                body = bytearray()
                async for chunk in response.content.iter_any():
                    body += chunk
                    if len(body) > MAX_ANSWER_BYTES:
                        break
                return Answer(response.status, response.headers, bytes(body))
        except (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError, ValueError) as error:
            raise Misconfigured("the provider's address is not an HTTP URL") from error
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Retry(f"no connection to the provider ({type(error).__name__})") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Unknown(f"the request left and no answer came back ({type(error).__name__})") from error


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp repeats GET, PUT and DELETE where no answer came: but a gateway may take a text by one of these."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise Unknown(f"the request left and no answer came back ({type(error).__name__})") from error


def _encoded(form: Sequence[tuple[str, str]] | None, json: Any, xml: str | None) -> tuple[bytes | None, str]:
    """The body and its content type."""
    if form is not None:
        return urlencode(form).encode(), "application/x-www-form-urlencoded"
    if json is not None:
        return orjson.dumps(json), "application/json"
    if xml is not None:
        return xml.encode(), "application/xml"
    return None, ""
