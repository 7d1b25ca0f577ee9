"""A TCP forwarder that stands in for a Service: what the cluster's own would do if pods had no loopback addresses.

It follows the Service's selector and port, and the pods. As kube-proxy does it sends a new connection to a pod that is
ready now, to one that is being deleted but still ready where there is no other, and refuses it where there is none; a
connection that stands stays, whatever becomes of the Service and the pods. On top of that it can be told to misbehave.
"""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

from scaler.controller.dig import text
from scaler.controller.feed import Gone, Listed, Put
from scaler.core.types import Seconds
from tests.cluster.harness.api import Api, Json, open_api
from tests.cluster.harness.endpoints import Endpoint, endpoints

CHUNK: Final = 65_536
NO_LINGER: Final = struct.pack("ii", 1, 0)  # closing resets
REACH: Final[Seconds] = 2.0  # to connect to a pod
PATIENCE: Final[Seconds] = 10.0  # of a synchronous caller
T = TypeVar("T")


class Manner(enum.Enum):
    """How connections are treated."""

    PASS = enum.auto()  # as a Service does
    REFUSE = enum.auto()  # new ones are refused; those that stand go on
    HANG = enum.auto()  # new ones are accepted; nothing passes any more, either way, on any


@dataclass(eq=False, slots=True)
class _Link:
    """One connection of a client, and from when it is made the one to its pod."""

    client: asyncio.StreamWriter
    pod: asyncio.StreamWriter | None = None

    def cut(self) -> None:
        """Reset both."""
        for writer in (self.client, self.pod):
            if writer is not None:
                plug: socket.socket = writer.get_extra_info("socket")
                with suppress(OSError):  # closed already
                    plug.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
                writer.transport.abort()

    async def closed(self) -> None:
        """Return once both are closed, having sent what they had to."""
        for writer in (self.client, self.pod):
            if writer is not None:
                writer.close()
                with suppress(OSError):
                    await writer.wait_closed()


class Forwarder:
    """One Service's address. Belongs to one event loop.

    Attributes:
        address: where it listens.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._place = socket.socket()  # keeps the port while nobody listens; one who does shares it
        self._place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._place.bind((host, port))
        self.address: tuple[str, int] = self._place.getsockname()[:2]
        self._endpoints: tuple[Endpoint, ...] = ()
        self._service: Mapping[str, Json] = {}
        self._pods: dict[str, Mapping[str, Json]] = {}
        self._manner = Manner.PASS
        self._delay: Seconds = 0.0
        self._server: asyncio.Server | None = None
        self._links: dict[_Link, asyncio.Task[None]] = {}
        self._passing = asyncio.Event()
        self._passing.set()
        self._random = Random(0)
        self._settling = asyncio.Lock()

    @property
    def standing(self) -> int:
        """Connections that stand."""
        return len(self._links)

    async def endpoints(self) -> tuple[Endpoint, ...]:
        """Where new connections go now."""
        async with self._settling:
            return self._endpoints

    async def turn(self, manner: Manner, *, delay: Seconds = 0.0) -> None:
        """Treat connections so from now on; every piece of data is late by ``delay``, on those that stand too."""
        self._manner, self._delay = manner, delay
        if manner is Manner.HANG:
            self._passing.clear()
        else:
            self._passing.set()
        await self._settle()

    async def cut(self) -> None:
        """Reset every connection that stands."""
        links = dict(self._links)
        for link, task in links.items():
            link.cut()
            task.cancel()
        await asyncio.gather(*links.values(), return_exceptions=True)
        for link in links:  # of a task that had not begun nobody closes the link
            await link.closed()
            self._links.pop(link, None)

    async def follow(self, api: Api, namespace: str, service: str) -> None:
        """Keep to the Service and the pods as they change, until cancelled."""
        base = f"/api/v1/namespaces/{namespace}"
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_service(api, f"{base}/services", service))
            group.create_task(self._follow_pods(api, f"{base}/pods"))

    async def close(self) -> None:
        """Stop listening, and reset every connection."""
        if self._server is not None:
            self._server.close()
        await self.cut()
        self._place.close()

    async def _follow_service(self, api: Api, path: str, name: str) -> None:
        async for change in api.follow(path, {"fieldSelector": f"metadata.name={name}"}):
            match change:
                case Put(found):
                    self._service = found
                case Gone():
                    self._service = {}
                case Listed(uids):
                    self._service = self._service if uids else {}
            await self._settle()

    async def _follow_pods(self, api: Api, path: str) -> None:
        async for change in api.follow(path):
            match change:
                case Put(pod):
                    self._pods[text(pod, "metadata", "uid")] = pod
                case Gone(pod):
                    self._pods.pop(text(pod, "metadata", "uid"), None)
                case Listed(uids):
                    self._pods = {uid: pod for uid, pod in self._pods.items() if uid in uids}
            await self._settle()

    async def _settle(self) -> None:
        """Listen where a Service would: not without endpoints, for that is a connection refused."""
        async with self._settling:
            self._endpoints = endpoints(self._service, list(self._pods.values()))
            listen = self._manner is Manner.HANG or (self._manner is Manner.PASS and bool(self._endpoints))
            if listen and self._server is None:
                self._server = await asyncio.start_server(self._accept, *self.address, reuse_port=True)
            elif not listen and self._server is not None:
                self._server.close()
                self._server = None

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Begin with a client's connection. It counts from here on, so whoever cuts all before it is served cuts it."""
        link = _Link(writer)
        self._links[link] = asyncio.create_task(self._serve(reader, link))

    async def _serve(self, reader: asyncio.StreamReader, link: _Link) -> None:
        """One client's connection, to its end. Where one side breaks off, the other one is reset as well."""
        try:
            await self._passing.wait()
            await self._relay(reader, link)
        except (OSError, asyncio.CancelledError):
            link.cut()
        finally:
            await link.closed()
            self._links.pop(link, None)

    async def _relay(self, reader: asyncio.StreamReader, link: _Link) -> None:
        """Pass on what both sides say, until both have ended."""
        if not self._endpoints:
            raise ConnectionResetError
        chosen = self._random.choice(self._endpoints)
        async with asyncio.timeout(REACH):
            answers, link.pod = await asyncio.open_connection(chosen.host, chosen.port)
        pumps = [asyncio.create_task(self._pump(*way)) for way in ((reader, link.pod), (answers, link.client))]
        try:
            await asyncio.gather(*pumps)
        finally:
            for pump in pumps:
                pump.cancel()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass on what comes, until its end."""
        while True:
            data = await source.read(CHUNK)
            await self._passing.wait()
            await asyncio.sleep(self._delay)
            if not data:
                sink.write_eof()
                return
            sink.write(data)
            await sink.drain()


@asynccontextmanager
async def forwarding(kubeconfig: Path, namespace: str, service: str, *, port: int = 0) -> AsyncIterator[Forwarder]:
    """A forwarder for that Service, until the end of the block."""
    forwarder = Forwarder(port=port)
    try:
        async with open_api(kubeconfig) as api:
            following = asyncio.create_task(forwarder.follow(api, namespace, service))
            try:
                yield forwarder
            finally:
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)
    finally:
        await forwarder.close()


class Service:
    """A forwarder that works in a thread of its own, for synchronous tests."""

    def __init__(self, forwarder: Forwarder, loop: asyncio.AbstractEventLoop) -> None:
        self._forwarder = forwarder
        self._loop = loop

    @property
    def address(self) -> str:
        """Where it listens, as HOST:PORT."""
        host, port = self._forwarder.address
        return f"{host}:{port}"

    @property
    def named(self) -> str:
        """The same with the host's name, which is what a certificate has."""
        return f"localhost:{self._forwarder.address[1]}"

    @property
    def pods(self) -> list[str]:
        """The names of the pods that new connections may go to, in order."""
        return sorted(endpoint.pod for endpoint in self._do(self._forwarder.endpoints()))

    @property
    def standing(self) -> int:
        """Connections that stand."""
        return self._forwarder.standing

    def turn(self, manner: Manner, *, delay: Seconds = 0.0) -> None:
        """Treat connections so from now on; every piece of data is late by ``delay``."""
        self._do(self._forwarder.turn(manner, delay=delay))

    def cut(self) -> None:
        """Reset every connection that stands."""
        self._do(self._forwarder.cut())

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(what, self._loop).result(PATIENCE)


@contextmanager
def standing_in(kubeconfig: Path, namespace: str, service: str, *, port: int = 0) -> Iterator[Service]:
    """A forwarder for that Service in a thread, until the end of the block."""
    opened: Future[Service] = Future()
    ending = threading.Event()

    async def stand() -> None:
        async with forwarding(kubeconfig, namespace, service, port=port) as forwarder:
            opened.set_result(Service(forwarder, asyncio.get_running_loop()))
            await asyncio.to_thread(ending.wait)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="forwarder") as threads:
        running = threads.submit(asyncio.run, stand())
        running.add_done_callback(lambda _: opened.cancel())
        try:
            yield opened.result(PATIENCE)
        finally:
            ending.set()
            running.result(PATIENCE)
