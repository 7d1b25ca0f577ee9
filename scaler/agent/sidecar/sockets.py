"""Websockets: what either side says passes to the other, until one of them closes."""

from __future__ import annotations

import asyncio
from typing import Final

import aiohttp
from aiohttp import WSCloseCode, WSMsgType, web
from yarl import URL

from scaler.agent.sidecar.headers import onwards

OF_THE_HANDSHAKE: Final = (
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
)

_End = aiohttp.ClientWebSocketResponse | web.WebSocketResponse


async def connect(session: aiohttp.ClientSession, url: URL, request: web.Request) -> web.StreamResponse:
    """Connect the client with the agent, and return when either has closed."""
    headers = onwards(request.headers, request.remote)
    for name in OF_THE_HANDSHAKE:
        headers.popall(name, None)
    protocols = [name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",") if name.strip()]
    try:
        async with session.ws_connect(url, protocols=protocols, headers=headers, max_msg_size=0) as agent:
            client = web.WebSocketResponse(protocols=[agent.protocol] if agent.protocol else [], max_msg_size=0)
            await client.prepare(request)
            await _join(client, agent)
            return client
    except aiohttp.WSServerHandshakeError as error:
        return web.json_response({"error": f"the agent refuses: {error.message}"}, status=error.status)
    except aiohttp.ClientConnectorError as error:
        return web.json_response({"error": f"the agent cannot be reached: {error}"}, status=502)


async def _join(client: web.WebSocketResponse, agent: aiohttp.ClientWebSocketResponse) -> None:
    """Pump both ways until one side has closed, and close the other with the same code."""
    pumps = [asyncio.create_task(_pump(client, agent)), asyncio.create_task(_pump(agent, client))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
    said = (code for code in (client.close_code, agent.close_code) if code and code != WSCloseCode.ABNORMAL_CLOSURE)
    code = next(said, WSCloseCode.GOING_AWAY)  # who broke off has said none, and that one may not be sent
    await client.close(code=code)
    await agent.close(code=code)


async def _pump(source: _End, sink: _End) -> None:
    """Pass on what one side says, until it closes."""
    async for message in source:
        if message.type is WSMsgType.TEXT:
            await sink.send_str(message.data)
        elif message.type is WSMsgType.BINARY:
            await sink.send_bytes(message.data)
