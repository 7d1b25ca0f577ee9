"""Signals from Prometheus: one number for one query, or the sentence that says why there is none.

prometheus-api-client blocks, so it runs in threads. Each server has threads of its own, a few: a server that hangs
takes only those, its further readings run out of time while they queue for them, and every other server is read as
before. A thread that was given up ends when its server is silent for the limit, or with the limits of the body; one
whose server trickles headers is held for longer, and is that server's own.

Pools that ask the same query of the same server share the call while it is under way, and its answer for a moment.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Self

from scaler.config.pool import PrometheusQuery
from scaler.core.types import Instant, Known, Sample, Unknown
from scaler.sources.health import Failed, Fault, Health, Tally
from scaler.sources.prometheus_answer import number
from scaler.sources.prometheus_http import Limits, ask, connect
from scaler.sources.sharing import Shared
from scaler.sources.text import cut, shown
from scaler.sources.timing import stopwatch

QUERY_SHOWN = 120


class Prometheus:
    """Reads any number of queries on up to ``limits.servers`` servers. Belongs to one event loop."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._servers: dict[str, _Server] = {}
        self._shared = Shared(self._fetch)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Let go of connections and threads. Calls still under way end on their own, within their limits."""
        self._shared.close()
        for server in self._servers.values():
            server.close()

    async def read(self, query: PrometheusQuery, now: Instant) -> Sample:
        """The query's value, asked at ``now`` or shared with someone who asked within a moment (see ``sharing``).

        The sample's instant is the one at which the server evaluated the query. How old the scrape beneath it is does
        not show: Prometheus drops a series as soon as its target fails to answer, which is an ``Unknown`` here.
        """
        return await self._shared.ask(query, now)

    def forget(self) -> None:
        """Answer who asks from now on with nothing that was asked for before."""
        self._shared.forget()

    def health(self) -> tuple[Health, ...]:
        """The counters of each server."""
        return tuple(server.tally.health() for server in self._servers.values())

    async def _fetch(self, query: PrometheusQuery, _: Instant) -> Sample:
        server = self._server(query.url)
        result = server if isinstance(server, Failed) else await server.read(query.query)
        if isinstance(result, Known):
            return result
        return Unknown(f"Prometheus {shown(query.url)}, query {cut(query.query, QUERY_SHOWN)!r}: {result.why}")

    def _server(self, url: str) -> _Server | Failed:
        """The server at this URL; where there are too many, one that nobody is waiting for makes room."""
        if url in self._servers:
            return self._servers[url]
        if len(self._servers) >= self._limits.servers:
            idle = next((u for u, s in self._servers.items() if s.idle), None)
            if idle is None:
                return Failed(Fault.CROWDED, f"{self._limits.servers} servers are being read, no more are allowed")
            self._servers.pop(idle).close()
        server = self._servers[url] = _Server(url, self._limits)
        return server


class _Server:
    """One server's client, threads and counters."""

    def __init__(self, url: str, limits: Limits) -> None:
        self._limits = limits
        self._client = connect(url, limits)
        self._threads = ThreadPoolExecutor(limits.calls, thread_name_prefix="prometheus")
        self._waiting = 0
        self.tally = Tally(f"prometheus {shown(url)}")

    @property
    def idle(self) -> bool:
        """Nobody waits for an answer of this server."""
        return self._waiting == 0

    async def read(self, query: str) -> Known | Failed:
        """One reading, counted with its time."""
        begun = stopwatch()
        self._waiting += 1
        try:
            result = await self._number(query)
        finally:
            self._waiting -= 1
        self.tally.add(result, stopwatch() - begun)
        return result

    async def _number(self, query: str) -> Known | Failed:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._limits.whole):
                result = await loop.run_in_executor(self._threads, ask, self._client, query, self._limits)
        except TimeoutError:
            return Failed(Fault.SLOW, f"no answer within {self._limits.whole:g} s")
        return result if isinstance(result, Failed) else number(result)

    def close(self) -> None:
        """Let go of the connections; a thread that still waits for its server ends within its limits."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._client.close()
