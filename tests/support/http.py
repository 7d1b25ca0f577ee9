"""Real HTTP servers on loopback, and raw ones that break the protocol on purpose."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeAlias

from aiohttp import web

Conversation: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(app: web.Application, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve the application on a free port; the value is its base URL."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def talking(conversation: Conversation) -> AsyncIterator[str]:
    """Serve raw TCP: whatever the conversation writes is what the client gets."""
    talks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await conversation(reader, writer)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(talk(reader, writer))
        talks[task] = writer
        task.add_done_callback(end)

    def end(task: asyncio.Task[None]) -> None:
        talks.pop(task).close()
        if not task.cancelled():
            task.exception()  # a client that leaves before its request is whole is no news

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        server.close()
        left = tuple(talks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


@asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    """A base URL where nothing listens: the port is taken and not served, so nobody else can get it."""
    probe = await asyncio.get_running_loop().create_server(asyncio.Protocol, "127.0.0.1", 0, start_serving=False)
    host, port = probe.sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        probe.close()


async def drop(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Hear the request and hang up."""


async def truncate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Promise a long body, send its beginning and hang up."""
    writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\n{"status"')
    await writer.drain()


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a body that never ends, a byte at a time: no single wait of the client is long."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.02)


async def stutter(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send headers that never end, a byte at a time."""
    writer.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.02)


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send a body without end, as fast as it is read."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()
