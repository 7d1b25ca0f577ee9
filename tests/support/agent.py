"""A small agent: it serves its activity, and metrics for a real Prometheus to scrape."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from tests.support.http import serving


class Agent:
    """One pod's agent. ``queue`` and ``inflight`` are what it exports; its tokens flow at ``token_rate`` a second."""

    def __init__(self, uid: str) -> None:
        self.uid = uid
        self.queue = 0
        self.inflight = 0
        self._rate = 0.0
        self._tokens = 0.0
        self._counted_at = asyncio.get_running_loop().time()

    @property
    def token_rate(self) -> float:
        """Tokens per second from now on."""
        return self._rate

    @token_rate.setter
    def token_rate(self, rate: float) -> None:
        self._count()
        self._rate = rate

    def _count(self) -> float:
        """All tokens so far."""
        now = asyncio.get_running_loop().time()
        self._tokens += self._rate * (now - self._counted_at)
        self._counted_at = now
        return self._tokens

    async def metrics(self, _: web.Request) -> web.Response:
        """``GET /metrics`` in the text format."""
        lines = (
            "# TYPE agent_queue_depth gauge",
            f"agent_queue_depth {self.queue}",
            "# TYPE agent_tasks_inflight gauge",
            f"agent_tasks_inflight {self.inflight}",
            "# TYPE agent_tokens_total counter",
            f"agent_tokens_total {self._count()}",
        )
        return web.Response(text="\n".join(lines) + "\n", headers={"Content-Type": "text/plain; version=0.0.4"})

    async def activity(self, _: web.Request) -> web.Response:
        """``GET /activity``."""
        return web.json_response({"uid": self.uid, "inflight": self.inflight, "ready": True})


@asynccontextmanager
async def agent_at(agent: Agent) -> AsyncIterator[str]:
    """Serve the agent; the value is its base URL."""
    app = web.Application()
    app.router.add_get("/metrics", agent.metrics)
    app.router.add_get("/activity", agent.activity)
    async with serving(app) as url:
        yield url
