"""Agents as programs of their own: ``python -m tests.agent.programs KIND PORT WAYS``, with the pod's environment.

Each answers for its gate at the port. ``GET /work/NAME`` is a task that lasts until ``POST /go/NAME`` is asked, at the
port ``WAYS`` where the agent serves no HTTP itself.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import uvicorn
from aiohttp import web
from aiohttp.typedefs import Handler

from scaler.agent import Gate, GateClosedError, Place, serve
from scaler.agent.doors.asgi import GateMiddleware, Receive, Scope, Send
from scaler.agent.doors.with_aiohttp import gate_middleware
from tests.agent.upstream import Plain


def asgi(gate: Gate, port: int, _: int) -> None:
    """An ASGI agent, without a framework. Who lets work go asks before the middleware, for that is no work."""
    permits: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    async def agent(scope: Scope, receive: Receive, send: Send) -> None:
        await permits[scope["path"].rpartition("/")[2]].wait()
        await answer(send)

    async def answer(send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    gated = GateMiddleware(agent, gate)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/go/"):
            permits[scope["path"].rpartition("/")[2]].set()
            await answer(send)
        else:
            await gated(scope, receive, send)

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error", lifespan="off")


def with_aiohttp(gate: Gate, port: int, _: int) -> None:
    """An aiohttp agent."""
    permits: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
    gated = gate_middleware(gate)

    async def work(request: web.Request) -> web.Response:
        await permits[request.match_info["name"]].wait()
        return web.Response()

    async def go(request: web.Request) -> web.Response:
        permits[request.match_info["name"]].set()
        return web.Response()

    @web.middleware
    async def but_go(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await (handler(request) if request.path.startswith("/go/") else gated(request, handler))

    app = web.Application(middlewares=[but_go])
    app.add_routes([web.get("/work/{name}", work), web.post("/go/{name}", go)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def alone(gate: Gate, port: int, ways: int) -> None:
    """An agent without a web framework: the gate has a door of its own, and work comes another way."""
    serve(gate, port, host="127.0.0.1")
    permits: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    class Ways(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                with gate.task():
                    permits[self.path.rpartition("/")[2]].wait()
                self.send_response(200)
            except GateClosedError:
                self.send_response(503)
            self.end_headers()

        def do_POST(self) -> None:
            permits[self.path.rpartition("/")[2]].set()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    ThreadingHTTPServer(("127.0.0.1", ways), Ways).serve_forever()


KINDS = {"alone": alone, "asgi": asgi, "aiohttp": with_aiohttp}
PLAIN = "plain"  # knows nothing of gates


if __name__ == "__main__":
    kind, places = sys.argv[1], [int(port) for port in sys.argv[2:]]
    if kind == PLAIN:
        web.run_app(Plain().application(), host="127.0.0.1", port=places[0], print=None)
    else:
        KINDS[kind](Gate(Place.from_environment(), slots=2), *places)
