"""A staff-side receiver: hears what Textwright tells a route, and answers the customer from there.

    pip install aiohttp standardwebhooks
    FRONT_DESK_SECRET=whsec_... python docs/receiver.py --port 9000

In config.toml:

    [routes.front_desk]
    url = "http://127.0.0.1:9000/textwright"
    secret = { env = "FRONT_DESK_SECRET" }
    allow_private = true          # because this receiver is on the same machine
"""

from __future__ import annotations

import argparse
import os

from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

REMEMBERED = 1000


def make_app(secret: str) -> web.Application:
    """The receiver. `secret` is the route's, whsec_..."""
    webhook, seen = Webhook(secret), dict[str, None]()

    async def receive(request: web.Request) -> web.Response:
        body = await request.text()
        try:
            # Checks the signature, and that the timestamp is of the last five minutes: an old one may be a replay.
            told = webhook.verify(body, dict(request.headers))
        except WebhookVerificationError:
            return web.json_response({"error": "not signed by Textwright"}, status=401)
        # A delivery that was not answered in time comes again under the same id: it must not be dealt with twice.
        id_ = request.headers["webhook-id"]
        if id_ in seen:
            return web.json_response({})
        seen[id_] = None
        if len(seen) > REMEMBERED:
            del seen[next(iter(seen))]
        return web.json_response(answer(told["type"], told["data"]))

    app = web.Application()
    app.router.add_post("/textwright", receive)
    return app


def answer(kind: str, data: dict) -> dict:
    """What to answer: {"reply": TEXT} texts the customer, {} leaves it to a person."""
    text = ((data.get("message") or {}).get("body") or "").lower()
    who = (data.get("contact") or {}).get("name") or (data.get("conversation") or {}).get("phone", "somebody")
    print(f"{kind}: {who} on route {data.get('route', '-')}: {data.get('note', '')}", flush=True)
    if kind == "message.received" and "thank" in text:
        return {"reply": "You are welcome!"}
    return {}


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="A receiver of Textwright's staff webhooks.")
    parser.add_argument("--port", type=int, default=9000)
    given = parser.parse_args()
    web.run_app(make_app(os.environ["FRONT_DESK_SECRET"]), host="127.0.0.1", port=given.port, print=None)


if __name__ == "__main__":
    main()
