"""The doors of web frameworks: streams, websockets and background work are tasks until they end."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TypeAlias

import aiohttp
import pytest
import uvicorn
from aiohttp import web

from scaler.agent.doors.asgi import App, GateMiddleware, Message, Receive, Scope, Send
from scaler.agent.doors.with_aiohttp import gate_middleware
from scaler.agent.gate import Gate
from tests.agent.material import Site
from tests.support.http import serving
from tests.support.wait import eventually

Framework: TypeAlias = Callable[[Gate, asyncio.Event], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def served(app: App) -> AsyncIterator[str]:
    """Serve an ASGI application with a real server."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        place.listen()  # who connects before the server is up waits
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        running = asyncio.create_task(server.serve(sockets=[place]))
        try:
            yield f"http://127.0.0.1:{place.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


@asynccontextmanager
async def asgi(gate: Gate, go: asyncio.Event) -> AsyncIterator[str]:
    """An ASGI agent: a stream of two parts, and an answer that is followed by work."""

    async def agent(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/stream":
            await send({"type": "http.response.body", "body": b"first", "more_body": True})
            await go.wait()
            await send({"type": "http.response.body", "body": b"second"})
        else:
            await send({"type": "http.response.body", "body": b"done"})
            await go.wait() if scope["path"] == "/behind" else None

    async with served(GateMiddleware(agent, gate)) as url:
        yield url


@asynccontextmanager
async def with_aiohttp(gate: Gate, go: asyncio.Event) -> AsyncIterator[str]:
    """An aiohttp agent with the same stream."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first")
        await go.wait()
        await response.write(b"second")
        return response

    async def done(_: web.Request) -> web.Response:
        return web.Response(text="done")

    app = web.Application(middlewares=[gate_middleware(gate)])
    app.add_routes([web.get("/stream", stream), web.get("/healthz", done), web.get("/work", done)])
    async with serving(app) as url:
        yield url


async def idle(gate: Gate) -> None:
    """Return when nothing is open."""

    async def probe() -> bool | None:
        """Nothing is open."""
        return True if gate.activity().inflight == 0 else None

    await eventually(probe)


@pytest.mark.parametrize("framework", [asgi, with_aiohttp])
async def test_a_stream_is_a_task_until_its_last_part(site: Site, framework: Framework) -> None:
    """A drain in the middle waits for it, and work that comes after is sent away; probes are answered all the same."""
    gate, go = site.gate(), asyncio.Event()
    async with framework(gate, go) as url, aiohttp.ClientSession() as client:
        async with client.get(f"{url}/stream") as answer:
            assert await answer.content.readany() == b"first"
            gate.drain(1)
            assert (gate.activity().inflight, gate.activity().acked) == (1, False)
            async with client.get(f"{url}/work") as refused:
                assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
            async with client.get(f"{url}/healthz") as probe:
                assert await probe.text() == "done"
            go.set()
            assert await answer.content.read() == b"second"
        await idle(gate)
        assert gate.activity().acked


async def test_what_an_application_does_after_its_answer_is_the_task_still(site: Site) -> None:
    """As background tasks of a framework are."""
    gate, go = site.gate(), asyncio.Event()
    async with asgi(gate, go) as url, aiohttp.ClientSession() as client:
        async with client.get(f"{url}/behind") as answer:
            assert await answer.read() == b"done"
        gate.drain(1)
        assert (gate.activity().inflight, gate.activity().acked) == (1, False)
        go.set()
        await idle(gate)


@pytest.mark.parametrize("framework", [asgi, with_aiohttp])
async def test_an_order_that_is_packed_and_damaged_is_none(site: Site, framework: Framework) -> None:
    """As any body that is no JSON object with an order."""
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    async with (
        framework(site.gate(), asyncio.Event()) as url,
        aiohttp.ClientSession() as client,
        client.post(f"{url}/drain", data=b"{}", headers=headers) as answer,
    ):
        assert answer.status == 400


@pytest.mark.parametrize("extensions", [{}, {"websocket.http.response": {}}], ids=["bare", "with answers"])
async def test_a_closed_gate_refuses_websockets(site: Site, extensions: dict[str, dict[str, str]]) -> None:
    """With an answer where the server can send one, and with "try again later" where it cannot; open ones are tasks."""
    gate, said, seen = site.gate(), list[dict[str, object]](), list[int]()

    async def agent(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(gate.activity().inflight)

    async def receive() -> dict[str, object]:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        said.append(dict(message))

    middleware = GateMiddleware(agent, gate)
    scope: Scope = {"type": "websocket", "path": "/socket", "extensions": extensions}
    await middleware(scope, receive, send)
    gate.drain(1)
    await middleware(scope, receive, send)
    assert (seen, gate.activity().inflight) == ([1], 0)
    if extensions:
        assert (said[0]["type"], said[0]["status"]) == ("websocket.http.response.start", 503)
    else:
        assert said == [{"type": "websocket.close", "code": 1013}]


async def test_what_is_no_request_passes(site: Site) -> None:
    """The application hears of its server's beginning and end, on a closed gate as well."""
    gate, seen = site.gate(), list[str]()

    async def agent(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def receive() -> dict[str, object]:
        return {"type": "lifespan.startup"}

    async def send(_: Message) -> None:
        return None

    gate.drain(1)
    await GateMiddleware(agent, gate)({"type": "lifespan"}, receive, send)
    assert seen == ["lifespan"]
