"""HTTP agents that know nothing of gates: a plain one, and one that speaks A2A in both spellings of the protocol."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aiohttp import WSMsgType, web

OLD: Final = "0.3"
NEW: Final = "1.0"


@dataclass(slots=True)
class Plain:
    """A plain agent. It works until it is let go, and notes what it saw.

    Attributes:
        permits: by name, set when the work of that name may end.
        begun: by name, set when it has begun.
        ended: by name, set when it has ended.
        left: by name, set when its client left in the middle.
    """

    permits: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    begun: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    ended: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    left: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))

    def application(self) -> web.Application:
        """Its routes."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/work/{name}", self.work),
                web.post("/go/{name}", self.go),
                web.get("/events/{name}", self.events),
                web.get("/socket", self.socket),
                web.get("/healthz", self.healthz),
                web.get("/moved", self.moved),
                web.post("/echo", self.echo),
            ]
        )
        return app

    async def work(self, request: web.Request) -> web.Response:
        """Work until let go."""
        name = request.match_info["name"]
        self.begun[name].set()
        await self.permits[name].wait()
        self.ended[name].set()
        return web.Response(text=f"done {name}")

    async def go(self, request: web.Request) -> web.Response:
        """Let go."""
        self.permits[request.match_info["name"]].set()
        return web.Response()

    async def events(self, request: web.Request) -> web.StreamResponse:
        """One event, and another one when let go."""
        name = request.match_info["name"]
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            await response.write(b"data: first\n\n")
            self.begun[name].set()
            await self.permits[name].wait()
            await response.write(b"data: second\n\n")
        except (asyncio.CancelledError, ConnectionError):
            self.left[name].set()
            raise
        return response

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        """Say everything back, and end or break off when told to."""
        response = web.WebSocketResponse(protocols=["agent.v1"])
        await response.prepare(request)
        async for message in response:
            if message.type is WSMsgType.TEXT and message.data == "end":
                await response.close(code=4001)
            elif message.type is WSMsgType.TEXT and message.data == "break":
                assert request.transport is not None
                request.transport.abort()
            elif message.type is WSMsgType.TEXT:
                await response.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await response.send_bytes(message.data)
        return response

    async def healthz(self, _: web.Request) -> web.Response:
        """A probe."""
        return web.Response(text="ok")

    async def moved(self, _: web.Request) -> web.Response:
        """Elsewhere."""
        raise web.HTTPFound("/elsewhere")

    async def echo(self, request: web.Request) -> web.Response:
        """What came, packed."""
        seen = {
            "path": request.raw_path,
            "host": request.host,
            "for": request.headers.get("X-Forwarded-For"),
            "connection": request.headers.get("X-Of-The-Connection"),
            "agent": request.headers.get("User-Agent"),
            "length": len(await request.read()),
        }
        response = web.json_response(seen, headers={"X-Answered": "yes"})
        response.enable_compression(web.ContentCoding.gzip)
        return response


@dataclass(slots=True)
class Speaker:
    """An A2A agent. Its tasks stand in ``states``, which the test turns; it counts how often it was asked for each."""

    version: str = OLD
    states: dict[str, str] = field(default_factory=dict)
    asked: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    credentials: set[str] = field(default_factory=set)
    answers: dict[str, web.Response] = field(default_factory=dict)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    def application(self) -> web.Application:
        """Its one endpoint."""
        app = web.Application()
        app.router.add_post("/a2a", self.answer)
        return app

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        said = await request.json()
        method, params = said["method"], said["params"]
        if method in self.answers:
            return self.answers.pop(method)
        if method in {"message/send", "SendMessage"}:
            return self._result(said, self._begun(self._told(params)))
        if method in {"message/stream", "SendStreamingMessage"}:
            return await self._stream(request, said, self._told(params))
        self.asked[params["id"]] += 1
        self.credentials.add(request.headers.get("Authorization", ""))
        if params["id"] not in self.states:
            return web.json_response({"jsonrpc": "2.0", "id": said["id"], "error": {"code": -32001, "message": "none"}})
        return self._result(said, self._task(params["id"]))

    def _told(self, params: Mapping[str, Mapping[str, str]]) -> str:
        message = params["message"]
        return message.get("taskId") or message["messageId"]

    def _begun(self, name: str) -> Mapping[str, object]:
        self.states.setdefault(name, self.state("working"))
        task = self._task(name)
        return task if self.version == OLD else {"task": task}

    async def _stream(self, request: web.Request, said: Mapping[str, object], name: str) -> web.StreamResponse:
        """The task, and its end when it may."""
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(_event(said, self._begun(name)))
        await self.hold.wait()
        self.states[name] = self.state("completed")
        update: Mapping[str, object] = {"taskId": name, "status": {"state": self.states[name]}}
        await response.write(
            _event(said, {"kind": "status-update", **update} if self.version == OLD else {"statusUpdate": update})
        )
        return response

    def state(self, name: str) -> str:
        """A state as this version spells it."""
        return name if self.version == OLD else "TASK_STATE_" + name.upper().replace("-", "_")

    def _task(self, name: str) -> Mapping[str, object]:
        return {"id": name, "contextId": "c", "status": {"state": self.states[name]}, "artifacts": []}

    def _result(self, said: Mapping[str, object], result: Mapping[str, object]) -> web.Response:
        return web.json_response({"jsonrpc": "2.0", "id": said["id"], "result": result})

    def call(self, what: str, name: str) -> dict[str, object]:
        """A client's call: to ``begin`` a task, to ``stream`` one, to ``get`` one or to ``cancel`` one."""
        old = {"begin": "message/send", "stream": "message/stream", "get": "tasks/get", "cancel": "tasks/cancel"}
        new = {"begin": "SendMessage", "stream": "SendStreamingMessage", "get": "GetTask", "cancel": "CancelTask"}
        method = (old if self.version == OLD else new)[what]
        message = {"role": "user", "parts": [], "messageId": name}
        params: dict[str, object] = {"message": message} if what in {"begin", "stream"} else {"id": name}
        return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def _event(said: Mapping[str, object], result: Mapping[str, object]) -> bytes:
    return b"data: " + json.dumps({"jsonrpc": "2.0", "id": said["id"], "result": result}).encode() + b"\n\n"
