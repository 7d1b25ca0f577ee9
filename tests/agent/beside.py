"""A sidecar before an agent, both in the test's event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import aiohttp
from aiohttp import web

from scaler.agent.gate import Gate
from scaler.agent.sidecar.proxy import Settings
from scaler.agent.sidecar.running import serving as gated
from tests.agent.material import Site
from tests.support.http import serving
from tests.support.wait import eventually

HASTY = Settings(upstream="", every=0.05)


@dataclass(slots=True)
class Beside:
    """A sidecar, its gate, and a client of it."""

    url: str
    gate: Gate
    client: aiohttp.ClientSession

    async def inflight(self, count: int) -> None:
        """Return when so many tasks are in flight."""

        async def probe() -> bool | None:
            """The count."""
            return True if self.gate.activity().inflight == count else None

        await eventually(probe)

    async def post(self, said: dict[str, object], path: str = "/a2a") -> dict[str, object]:
        """Call the agent through the sidecar."""
        async with self.client.post(self.url + path, json=said) as answer:
            assert answer.status == 200, await answer.text()
            told: dict[str, object] = await answer.json()
            return told


@asynccontextmanager
async def sidecar(site: Site, upstream: str, settings: Settings = HASTY) -> AsyncIterator[Beside]:
    """A sidecar before an agent that runs there. When it ends, nothing of it is tidied up in the gate's folder."""
    gate = Gate(site.place, slots=4)
    site.gates.append(gate)
    async with (
        gated(gate, replace(settings, upstream=upstream), ("127.0.0.1", 0)) as port,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as client,
    ):
        yield Beside(f"http://127.0.0.1:{port}", gate, client)
    gate.close()


@asynccontextmanager
async def before(site: Site, app: web.Application, settings: Settings = HASTY) -> AsyncIterator[Beside]:
    """A sidecar before this agent."""
    async with serving(app) as upstream, sidecar(site, upstream, settings) as beside:
        yield beside
