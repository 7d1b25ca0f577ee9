"""What ``bench_soak`` puts around the scaler: the pools' settings, pages that say how they fare, and an HPA."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from scaler.config.pool import PoolKey

PODS: Final = 20
NAMESPACES: Final = 50
CHANGING: Final = 25  # one pool in so many has other figures a second later, so one in five after five
QUEUES: Final = (0, 0, 0, 0, 1, 2, 4)
IDLE: Final = (3, 4, 5)

_CONFIG: Final = """\
sources: {{prometheus: {{url: "http://prometheus.invalid:9090"}}}}
classes:
  agents:
    min: 10
    max: 24
    guarantee: best-effort
    {sources}
pools:
"""
_NUMBER: Final = """{{url: "http://127.0.0.1:{port}/{{namespace}}", path: '["{{name}}"].{key}'}}"""


def keys(pools: int) -> tuple[PoolKey, ...]:
    """So many pools, spread over the namespaces."""
    return tuple(PoolKey(f"team-{i % NAMESPACES}", f"pool-{i}") for i in range(pools))


def settings(pools: Sequence[PoolKey], port: int, *, pods: bool) -> str:
    """The file of these pools, whose pages are at this port; with ``pods`` they are asked one by one."""
    queue, inflight, replicas = (_NUMBER.format(port=port, key=key) for key in ("queued", "inflight", "replicas"))
    sources = f"signals: {{queue: {queue}, inflight: {inflight}}}\n    replicas: {replicas}"
    if pods:
        sources = f'signals: {{queue: {queue}}}\n    pods: {{activity: ["http://{{name}}.{{namespace}}"]}}'
    return _CONFIG.format(sources=sources) + "".join(f"  {key}: {{class: agents}}\n" for key in pools)


class World:
    """How the pools fare. Each has as many replicas as ``told`` says, as if the HPA followed at once."""

    def __init__(self, pools: Sequence[PoolKey]) -> None:
        self.told: Mapping[PoolKey, int] = {}
        self._chance = random.Random(1)
        self._rows = dict.fromkeys(pools, (QUEUES[0], IDLE[0]))
        self._pools = pools

    def page(self, namespace: str) -> dict[str, dict[str, int]]:
        """The page of a namespace, which is asked for once a second."""
        there = self._pools[int(namespace.removeprefix("team-")) :: NAMESPACES]
        for key in self._chance.sample(there, len(there) // CHANGING):
            self._rows[key] = self._chance.choice(QUEUES), self._chance.choice(IDLE)
        return {key.name: self._row(key) for key in there}

    def _row(self, key: PoolKey) -> dict[str, int]:
        replicas, (queued, idle) = self.told.get(key, PODS), self._rows[key]
        return {"queued": queued, "inflight": max(0, replicas - idle), "replicas": replicas}


@asynccontextmanager
async def pages(world: World) -> AsyncIterator[int]:
    """Serve the pages on loopback; the value is the port."""

    async def page(request: web.Request) -> web.Response:
        return web.json_response(world.page(request.match_info["namespace"]))

    app = web.Application()
    app.add_routes([web.get("/{namespace}", page)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
