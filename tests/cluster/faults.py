"""A proxy between the controller and the API server that can be told to misbehave, in a thread of its own.

It speaks plainly to the controller and as the controller to the API server. Writes can be refused, made and not
answered, or made as the last thing the controller ever did; of watches events can be late, doubled or left out, or the
server can be said to have forgotten where the watch began; lists can be answered as they were before.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from random import Random
from typing import Final

import aiohttp
from aiohttp import web

from tests.cluster.harness.cluster import Cluster

WRITES: Final = ("POST", "PUT", "PATCH", "DELETE")
HOP: Final = {"transfer-encoding", "connection", "content-length", "content-encoding", "host"}
PATIENCE: Final = 10.0
NO: Final = (409, 429, 500, 503)


def drains(method: str, path: str) -> bool:
    """Whether this is a write of the drain protocol: to a pod, and not only tried."""
    return method in {"PATCH", "DELETE"} and "/pods/" in path and "dryRun" not in path


@dataclass
class Faults:
    """What happens to calls from now on. Turned by the test's thread, read by the proxy's.

    Attributes:
        url: where the proxy listens.
        counts: which writes are counted in ``made``.
        made: writes that were made since the counting began.
        fatal: at this count the controller is killed, after the write was made and before it is answered.
        kill: kills the controller.
        refused: share of writes that are answered with one of ``NO``, and not made.
        lost: share of writes that are made and never answered.
        doubled, omitted: share of the events of watches that come twice, or not at all.
        late: seconds by which each event of a watch is late.
        forgetful: share of events after which the server says that it has forgotten (410).
        frozen: lists are answered as they were when first asked for from then on.
    """

    url: str = ""
    counts: Callable[[str, str], bool] = drains
    made: int = 0
    fatal: int | None = None
    kill: Callable[[], None] = lambda: None
    refused: float = 0.0
    lost: float = 0.0
    doubled: float = 0.0
    omitted: float = 0.0
    late: float = 0.0
    forgetful: float = 0.0
    frozen: bool = False
    _random: Random = field(default_factory=lambda: Random(7))
    _lists: dict[str, bytes] = field(default_factory=dict)

    def happens(self, share: float) -> bool:
        """Whether something happens that happens to this share."""
        return share > 0 and self._random.random() < share

    def reason(self) -> int:
        """One of those for which a write is refused."""
        return self._random.choice(NO)

    def listed(self, path: str, fresh: bytes) -> bytes:
        """The list as it is, or as it was while lists are frozen."""
        if not self.frozen:
            self._lists.clear()
            return fresh
        return self._lists.setdefault(path, fresh)

    def calm(self) -> None:
        """Behave from now on."""
        self.fatal = None
        self.refused = self.lost = self.doubled = self.omitted = self.late = self.forgetful = 0.0
        self.frozen = False


class _Proxy:
    def __init__(self, faults: Faults, server: str, session: aiohttp.ClientSession) -> None:
        self._faults, self._server, self._session = faults, server, session

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One call."""
        faults, write = self._faults, request.method in WRITES
        if write and faults.happens(faults.refused):
            return _status(faults.reason())
        headers = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        call = self._session.request(
            request.method,
            self._server + request.raw_path,
            headers=headers,
            data=await request.read() or None,
            skip_auto_headers=("Content-Type",),  # the API server refuses one that it does not know
        )
        async with call as answer:
            if request.query.get("watch") == "true" and answer.status == 200:
                return await self._watch(request, answer)
            body = await answer.read()
        if write and answer.status < 300 and faults.counts(request.method, request.raw_path):
            faults.made += 1
            if faults.made == faults.fatal:
                faults.kill()
        if write and faults.happens(faults.lost):
            assert request.transport is not None
            request.transport.abort()
        if request.method == "GET" and answer.status == 200:
            body = faults.listed(request.raw_path, body)
        kept = {name: value for name, value in answer.headers.items() if name.lower() not in HOP}
        return web.Response(status=answer.status, headers=kept, body=body)

    async def _watch(self, request: web.Request, answer: aiohttp.ClientResponse) -> web.StreamResponse:
        """A watch, event by event."""
        faults = self._faults
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        with suppress(ConnectionError, aiohttp.ClientError):
            async for line in _lines(answer.content):
                await asyncio.sleep(faults.late)
                if faults.happens(faults.omitted):
                    continue
                for _ in range(2 if faults.happens(faults.doubled) else 1):
                    await response.write(line + b"\n")
                if faults.happens(faults.forgetful):
                    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
                    await response.write(json.dumps({"type": "ERROR", "object": gone}).encode() + b"\n")
                    break
        return response


@contextmanager
def faulty(cluster: Cluster) -> Iterator[Faults]:
    """A proxy to the cluster's API server, until the end of the block."""
    faults, opened, ending = Faults(), Future[None](), threading.Event()

    async def serve() -> None:
        settings = cluster.api.typed.configuration
        trust = ssl.create_default_context(cafile=settings.ssl_ca_cert)
        connector = aiohttp.TCPConnector(ssl=trust, limit=0)
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=True) as session:
            app = web.Application(client_max_size=1 << 26)
            app.router.add_route("*", "/{path:.*}", _Proxy(faults, settings.host, session).handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0][:2]
            faults.url = f"http://{host}:{port}"
            opened.set_result(None)
            await asyncio.to_thread(ending.wait)
            await runner.cleanup()

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="faults") as threads:
        running = threads.submit(asyncio.run, serve())
        running.add_done_callback(lambda _: opened.cancel())
        try:
            opened.result(PATIENCE)
            yield faults
        finally:
            ending.set()
            running.result(PATIENCE)


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line


def _status(code: int) -> web.Response:
    return web.json_response({"kind": "Status", "code": code, "message": "told to"}, status=code)
