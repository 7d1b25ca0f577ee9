"""The proxy: what is work passes the gate, what only looks passes always, and the rest is as if there were no proxy."""

from __future__ import annotations

import asyncio
import fnmatch
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
from aiohttp import web
from yarl import URL

from scaler.agent.book import GateClosedError
from scaler.agent.desk import Desk, closed, ours, unread
from scaler.agent.doors.with_aiohttp import answered, response
from scaler.agent.gate import Gate
from scaler.agent.handles import Task
from scaler.agent.sidecar import a2a
from scaler.agent.sidecar.arriving import Arrived, arrived
from scaler.agent.sidecar.exchange import Exchange, Reading
from scaler.agent.sidecar.sockets import connect
from scaler.agent.sidecar.tracker import NotKeptError, Tracker, Where

FREE: Final = ("/healthz", "/livez", "/readyz", "/health", "/.well-known/*")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the sidecar stands before its agent.

    Attributes:
        upstream: where the agent is, without a slash in the end.
        free: paths, or patterns of them, that are no work: probes, an agent's card.
        longest: seconds that a request lasts at the most; None where nobody knows.
        every: seconds after which an A2A task of which nobody has heard is asked for.
        token_file: the file with the bearer token of our own questions, if they need one. It is read for each.
    """

    upstream: str
    free: Sequence[str] = FREE
    longest: float | None = None
    every: float = 5.0
    token_file: Path | None = None


class Proxy:
    """Answers for the gate, and passes on everything else."""

    def __init__(self, gate: Gate, tracker: Tracker, settings: Settings, session: aiohttp.ClientSession) -> None:
        self._gate = gate
        self._desk = Desk(gate)
        self._tracker = tracker
        self._settings = settings
        self._session = session
        self._under_way: set[asyncio.Task[web.StreamResponse]] = set()

    def application(self) -> web.Application:
        """The application of the proxy."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self.handle)
        return app

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        if ours(request.path):
            return response(await answered(self._desk, request))
        came = await arrived(request)
        if came is None:
            return response(unread())
        call = came.call
        if call.reads if call is not None and (call.reads or call.begins) else self._is_free(request):
            return await self._exchange(request, call, None).run(came.body)
        return await self._work(request, came)

    async def _work(self, request: web.Request, came: Arrived) -> web.StreamResponse:
        """A request that is a task until its answer has ended. One that continues an open task belongs to that."""
        call = came.call
        holding = None if call is None else self._tracker.holding(call.task)
        try:
            task = (self._gate.task() if holding is None else holding.another()).begin()
        except GateClosedError:
            return response(closed())
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._to_its_end(self._socket(request), task, lambda: True)
        exchange = self._exchange(request, call, task)
        return await self._to_its_end(exchange.run(came.body), task, lambda: exchange.ends_with_client)

    async def _to_its_end(
        self, work: Coroutine[None, None, web.StreamResponse], task: Task, ends_with_client: Callable[[], bool]
    ) -> web.StreamResponse:
        """Let work run to its end although its client goes, for the agent works on; streams end with their client."""
        under_way = asyncio.create_task(self._held(work, task))
        self._under_way.add(under_way)
        under_way.add_done_callback(self._under_way.discard)
        try:
            return await asyncio.shield(under_way)
        except asyncio.CancelledError:
            if ends_with_client():
                under_way.cancel()
            raise

    async def _held(self, work: Coroutine[None, None, web.StreamResponse], task: Task) -> web.StreamResponse:
        try:
            async with self._tracker.request():
                return await work
        except NotKeptError as error:
            work.close()
            why = f"nothing can begin here, for it cannot be written down: {error}"
            return web.json_response({"error": why}, status=503)
        finally:
            task.end()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        return await connect(self._session, self._url(request), request)

    def _exchange(self, request: web.Request, call: a2a.Call | None, task: Task | None) -> Exchange:
        version = request.headers.get("A2A-Version", "")
        where = Where(_path(request), "" if call is None else call.asks, version)
        return Exchange(self._session, self._url(request), request, Reading(self._tracker, where, call, task))

    def _url(self, request: web.Request) -> URL:
        return URL(self._settings.upstream + _path(request), encoded=True)

    def _is_free(self, request: web.Request) -> bool:
        """Whether this is no work. A path that leads elsewhere is what it leads to."""
        return ".." not in request.path.split("/") and any(
            fnmatch.fnmatchcase(request.path, pattern) for pattern in self._settings.free
        )


def _path(request: web.Request) -> str:
    """What is asked for, as it came, but without the host that clients name who take us for their proxy."""
    return request.raw_path if request.raw_path.startswith("/") else request.rel_url.raw_path_qs
