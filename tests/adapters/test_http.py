"""The difference between "it never left" and "no answer came back", over real sockets of loopback."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing

import pytest

from adapters.errors import Misconfigured, Retry, SendError, Unknown
from adapters.http import MAX_ANSWER_BYTES, Answer, Http
from tests.providers.standin import StandIn

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def server(behaviour: Behaviour) -> AsyncIterator[str]:
    """The URL of a server that reads a request and then behaves so."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await behaviour(reader, writer)
        writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        yield f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/"


async def _closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    pass


async def _resets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


async def _stays_silent_for_a_while(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.4)


async def _stops_inside_the_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 201 Created\r\nContent-Length: 100\r\n\r\n{"sid": ')


async def _speaks_no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.org ESMTP\r\n")


@pytest.mark.parametrize(
    "behaviour", [_closes, _resets, _stays_silent_for_a_while, _stops_inside_the_body, _speaks_no_http]
)
async def test_no_answer_after_the_request_left_is_unknown(behaviour: Behaviour, http: Http) -> None:
    async with server(behaviour) as url:
        with pytest.raises(Unknown, match="the request left"):
            await http.post(url, form=[("Body", "hello")])


async def test_a_kept_connection_that_the_provider_closes_is_not_used_twice(http: Http) -> None:
    async with StandIn() as provider:
        await http.post(provider.url, json={})
        provider.hang_up()
        with pytest.raises(Unknown):
            await http.post(provider.url, json={})
        assert len(provider.requests) == 2


async def test_refused_connection_is_retry(http: Http) -> None:
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(Retry, match="no connection"):
            await http.post(url, form=[("Body", "hello")])


async def test_connection_that_is_never_accepted_is_retry() -> None:
    async with AsyncExitStack() as stack:
        full = stack.enter_context(closing(socket.socket()))
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(closing(socket.socket()))
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        http = await stack.enter_async_context(Http(connect_seconds=0.2, answer_seconds=5.0))
        with pytest.raises(Retry, match="ConnectionTimeoutError"):
            await http.post(f"http://127.0.0.1:{full.getsockname()[1]}/", json={})


async def test_tls_that_fails_is_retry(http: Http) -> None:
    async with StandIn() as provider:
        with pytest.raises(Retry):
            await http.post(provider.url.replace("http:", "https:"), json={})
        assert provider.requests == []


@pytest.mark.parametrize("url", ["api.example.org/messages", "ftp://127.0.0.1/", "http://"])
async def test_address_that_is_no_url_is_misconfigured(url: str, http: Http) -> None:
    with pytest.raises(Misconfigured):
        await http.post(url, json={})


async def test_redirect_is_not_followed(http: Http) -> None:
    async with StandIn() as provider, StandIn() as elsewhere:
        provider.answer_with((307, {"Location": elsewhere.url}, {}))
        answer = await http.post(provider.url, form=[("Body", "hello")])
        assert answer.status == 307
        assert elsewhere.requests == []


async def test_error_names_no_secret_and_no_text(http: Http) -> None:
    with pytest.raises(SendError) as caught:
        await http.post("http://127.0.0.1:1/?key=secret", form=[("Body", "private")], basic=("account", "secret"))
    assert "secret" not in str(caught.value)
    assert "private" not in str(caught.value)


async def test_json_and_headers_are_sent(http: Http) -> None:
    async with StandIn() as provider:
        await http.post(provider.url, json={"text": "é"}, headers={"Authorization": "Bearer t"})
        [request] = provider.requests
        assert request.body == '{"text":"é"}'.encode()
        assert request.headers["content-type"] == "application/json"
        assert request.headers["authorization"] == "Bearer t"


async def test_endless_answer_is_cut(http: Http) -> None:
    async with StandIn() as provider:
        provider.answer_with((200, {}, "x" * (MAX_ANSWER_BYTES * 8)))
        answer = await http.post(provider.url, json={})
        assert MAX_ANSWER_BYTES < len(answer.body) < MAX_ANSWER_BYTES * 8


@pytest.mark.parametrize(
    ("value", "seconds"), [("7", 7.0), ("", None), ("-1", None), ("1.5", None), ("²", None), ("soon", None)]
)
def test_retry_after_is_a_whole_number_of_seconds(value: str, seconds: float | None) -> None:
    assert Answer(429, {"Retry-After": value}, b"").retry_after == seconds


@pytest.mark.parametrize("body", [b"", b"<html>", b"[1]", b"\xff", b"null"])
def test_answer_that_is_no_json_object_is_empty(body: bytes) -> None:
    assert Answer(200, {}, body).json() == {}
