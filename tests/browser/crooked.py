"""Pages with one fault each, and a sign-in form: what the harness itself is tested on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from playwright.async_api import StorageState

from bot.tokens import Role
from tests.browser.console import User

# As strict as the console's own.
CSP = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'"
# The /outside page gets this one: without it, the CSP would be what stops it.
LOOSE_CSP = "default-src 'none'; img-src *"

BODIES = {
    "/sound": "<p>All is well.</p>",
    "/inline-script": "<script>1</script>",
    "/inline-style": '<p style="color: red">Red.</p>',
    "/lost-picture": '<img src="/nowhere.png" alt="a picture">',
    "/outside": '<img src="http://elsewhere.example/x.png" alt="a picture">',
    "/no-alt": '<p>Look:</p><img src="/dot.svg" class="dot">',
    "/wide": '<link rel="stylesheet" href="/wide.css"><p class="wide">Wide.</p>',
    "/questions": '<script src="/questions.js"></script><button>Delete</button><button>Delete all</button>',
}
SCRIPTS = {
    "logs": "console.error('something is wrong')",
    "throws": "setTimeout(() => { throw new Error('a bug') })",
    "evaluates": "setTimeout(() => eval('1'))",
    "conflicts": "fetch('/conflict', {method: 'POST'})",
    "hangs-up": "fetch('/hang-up').catch(() => {})",
    "fails-late": "fetch('/late')",
    "listens": "new EventSource('/stream').onmessage = () => { document.body.append('It came.') }",
    "gives-up": "fetch('/never').catch(() => {}); setTimeout(() => { location = '/sound' }, 50)",
    "warns": "console.warn('only a warning')",
    "adds-later": "setTimeout(() => { document.body.append('Here I am.') }, 150)",
    "questions": """addEventListener('DOMContentLoaded', () => document.querySelector('button').onclick = () => {
        document.body.append(confirm('Sure?') ? 'Deleted.' : 'Kept.')
    })""",
}
PASSWORD = "open sesame"
SIGN_IN = """<form method="post" action="/login"><label>Name <input name="name"></label>
<label>Password <input type="password" name="password"></label><button type="submit">Sign in</button></form>"""


@dataclass
class Crooked:
    """Where they are."""

    url: str
    sessions: dict[str, StorageState] = field(default_factory=dict)
    sign_ins: list[str] = field(default_factory=list)

    async def user(self, role: Role) -> User:
        """Anybody who knows the password."""
        return User(f"anna-{role}", PASSWORD)


def _page(body: str, csp: str = CSP) -> web.Response:
    text = (
        '<!doctype html><html lang="en"><head><title>A page</title><link rel="icon" href="/dot.svg">'
        '<meta name="viewport" content="width=device-width"></head>'
        f"<body><main><h1>A page</h1>{body}</main></body></html>"
    )
    return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": csp})


async def _any(request: web.Request) -> web.StreamResponse:
    path = request.path
    if path in BODIES:
        return _page(BODIES[path], LOOSE_CSP if path == "/outside" else CSP)
    if path.lstrip("/") in SCRIPTS:
        return _page(f'<script src="{path}.js"></script>')
    if path.endswith(".js") and path[1:-3] in SCRIPTS:
        return web.Response(text=SCRIPTS[path[1:-3]], content_type="text/javascript")
    if path == "/wide.css":
        return web.Response(text=".wide { width: 3000px }", content_type="text/css")
    if path == "/dot.svg":
        return web.Response(text='<svg xmlns="http://www.w3.org/2000/svg"/>', content_type="image/svg+xml")
    if path == "/conflict":
        return web.Response(status=409)
    if path == "/late":
        await asyncio.sleep(0.3)
        return web.Response(status=500)
    if path == "/never":
        await asyncio.sleep(5)
    if path == "/hang-up" and request.transport is not None:
        request.transport.abort()
    return web.Response(status=404, text="There is no such page.")


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: x\n\n")
    await asyncio.sleep(5)
    return response


def _application(place: Crooked) -> web.Application:
    async def form(_request: web.Request) -> web.Response:
        return _page(SIGN_IN)

    async def sign_in(request: web.Request) -> web.Response:
        fields = await request.post()
        if fields["password"] != PASSWORD:
            return _page("<p>Wrong name or password.</p>" + SIGN_IN)
        place.sign_ins.append(str(fields["name"]))
        answer = web.HTTPSeeOther("/inbox")
        answer.set_cookie("who", str(fields["name"]), httponly=True, samesite="Lax")
        raise answer

    async def inbox(request: web.Request) -> web.Response:
        if "who" not in request.cookies:
            raise web.HTTPSeeOther("/login")
        return _page(f"<p>Signed in as {request.cookies['who']}</p><label>Message <textarea></textarea></label>")

    app = web.Application()
    app.add_routes([web.get("/login", form), web.post("/login", sign_in), web.get("/inbox", inbox)])
    app.add_routes([web.get("/stream", _stream), web.route("*", "/{path:.*}", _any)])
    return app


@asynccontextmanager
async def crooked_pages() -> AsyncIterator[Crooked]:
    """The pages, served on a free port of this machine."""
    place = Crooked("")
    runner = web.AppRunner(_application(place), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        place.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield place
    finally:
        await runner.cleanup()
