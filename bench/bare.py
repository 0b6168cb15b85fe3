"""What ours is held against: bare aiohttp, which answers the same post and does as little as can be done about it.

`python -m bench.bare PORT` reads the body and answers; with a provider's URL after it, it texts the sender through
that provider first, and waits for the 201. It verifies nothing, decides nothing and stores nothing.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from urllib.parse import parse_qsl

import aiohttp
import uvloop
from aiohttp import web

from bench.wire import ACCOUNT_SID, AUTH_TOKEN, PATH, PUBLIC_URL

_TWIML = b'<?xml version="1.0" encoding="UTF-8"?><Response/>'
_SESSION = web.AppKey("session", aiohttp.ClientSession)


async def answer(request: web.Request) -> web.Response:
    """Take the post."""
    await request.read()
    return web.Response(body=_TWIML, content_type="text/xml")


def answering_through(provider: str) -> web.Application:
    """Take the post, text its sender, answer."""
    url = f"{provider}/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
    headers = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT_SID, AUTH_TOKEN)}

    async def relay(request: web.Request) -> web.Response:
        fields = dict(parse_qsl((await request.read()).decode(), keep_blank_values=True))
        form = aiohttp.FormData([
            ("To", fields["From"]),
            ("From", fields["To"]),
            ("Body", "This is what there is to say about it."),
            ("StatusCallback", PUBLIC_URL + PATH),
        ])  # fmt: skip
        async with request.app[_SESSION].post(url, data=form, headers=headers) as sent:
            await sent.read()
            if sent.status != 201:
                raise web.HTTPBadGateway
        return web.Response(body=_TWIML, content_type="text/xml")

    async def session(app: web.Application) -> AsyncIterator[None]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as app[_SESSION]:
            yield

    app = web.Application()
    app.cleanup_ctx.append(session)
    app.add_routes([web.post(PATH, relay)])
    return app


async def serve(port: int, provider: str) -> None:
    """Until the process is ended."""
    app = answering_through(provider) if provider else web.Application()
    if not provider:
        app.add_routes([web.post(PATH, answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop_runner:
        loop_runner.run(serve(int(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""))
