"""For aiohttp applications: ``web.Application(middlewares=[gate_middleware(gate)])``, the outermost of them.

Each request is a task until its answer is written, streams and websockets until they end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError
from aiohttp.typedefs import Handler, Middleware

from scaler.agent.book import GateClosedError
from scaler.agent.desk import LARGEST, WRITES, Desk, Question, Reply, closed, ours
from scaler.agent.gate import Gate


def gate_middleware(gate: Gate, *, free: Iterable[str] = ("/healthz", "/livez", "/readyz")) -> Middleware:
    """Answer for the gate, and hold it for everything else but the ``free`` paths, which are no work: probes."""
    desk, passing = Desk(gate), frozenset(free)

    @web.middleware
    async def gated(request: web.Request, handler: Handler) -> web.StreamResponse:
        if ours(request.path):
            return response(await answered(desk, request))
        if request.path in passing:
            return await handler(request)
        try:
            task = gate.task().begin()
        except GateClosedError:
            return response(closed())
        with task.inside():
            return await _written(await handler(request), request)

    return gated


async def answered(desk: Desk, request: web.BaseRequest) -> Reply:
    """What the desk says to a request; orders are carried out in a thread, for they wait for the disk."""
    bearer = request.headers.get("Authorization", "")
    if request.path not in WRITES:
        return desk.answer(Question(request.method, request.path, bearer=bearer))
    question = Question(request.method, request.path, await _body(request), bearer)
    return await asyncio.to_thread(desk.answer, question)


async def _body(request: web.BaseRequest) -> bytes:
    """The body, or as much of it as shows that it is too long; nothing where it is damaged, for that is no order."""
    body = b""
    with suppress(web.RequestPayloadError, ContentEncodingError):
        while len(body) <= LARGEST and not request.content.at_eof():
            body += await request.content.read(LARGEST + 1)
        return body
    return b""


def response(reply: Reply) -> web.Response:
    """A reply as aiohttp sends it."""
    return web.Response(status=reply.status, body=reply.body, headers=dict(reply.headers))


async def _written(answer: web.StreamResponse, request: web.Request) -> web.StreamResponse:
    """Write the answer now, while the task is open still."""
    if not answer.prepared:
        await answer.prepare(request)
    await answer.write_eof()
    return answer
