"""For ASGI applications: each request and each websocket is a task, from its beginning to its end.

app = GateMiddleware(app, gate)     # app.add_middleware(GateMiddleware, gate=gate) does the same
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, Final, TypeAlias

from scaler.agent.book import GateClosedError
from scaler.agent.desk import LARGEST, WRITES, Desk, Question, Reply, closed, ours
from scaler.agent.gate import Gate

TRY_AGAIN_LATER: Final = 1013  # a websocket's close code

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
App: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class GateMiddleware:
    """Stands before the application. ``free`` are paths that are no work and are always answered: probes."""

    def __init__(self, app: App, gate: Gate, *, free: Iterable[str] = ("/healthz", "/livez", "/readyz")) -> None:
        self._app = app
        self._desk = Desk(gate)
        self._free = frozenset(free)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer and hold the gate until it has."""
        if scope["type"] == "http" and ours(scope["path"]):
            await _send(await self._answer(scope, receive), send)
        elif scope["type"] not in {"http", "websocket"} or scope["path"] in self._free:
            await self._app(scope, receive, send)
        else:
            await self._work(scope, receive, send)

    async def _work(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            task = self._desk.gate.task().begin()
        except GateClosedError:
            await (_send(closed(), send) if scope["type"] == "http" else _hang_up(scope, receive, send))
            return
        with task.inside():
            await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive) -> Reply:
        bearer = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"authorization"), "")
        if scope["path"] not in WRITES:
            return self._desk.answer(Question(scope["method"], scope["path"], bearer=bearer))
        question = Question(scope["method"], scope["path"], await _body(receive), bearer)
        return await asyncio.to_thread(self._desk.answer, question)


async def _body(receive: Receive) -> bytes:
    """The body, or as much of it as shows that it is too long."""
    body = b""
    while len(body) <= LARGEST:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            break
    return body


async def _send(reply: Reply, send: Send) -> None:
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
    headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _hang_up(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a websocket: with our answer where the server can send one, else with the code for "try again later"."""
    await receive()
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": TRY_AGAIN_LATER})
        return
    reply = closed()
    headers = [(name.lower().encode(), value.encode()) for name, value in reply.headers.items()]
    await send({"type": "websocket.http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": reply.body})
