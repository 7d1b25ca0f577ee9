"""Pods that answer ``GET /activity`` as the test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.http import serving


@dataclass
class Agents:
    """Any number of pods behind one server, by the first part of the path.

    ``at_once`` is the most requests that were ever under way together; those for pods named in ``held`` wait for
    ``opened``.
    """

    answers: dict[str, str | web.Response] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    _now: int = 0

    async def all_hang(self) -> bool | None:
        """As many pods of one pool hang as are asked at once."""
        return True if self.at_once >= 64 else None

    async def handle(self, request: web.Request) -> web.Response:
        """Answer ``GET /<pod>/activity``."""
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            if request.match_info["pod"] in self.held:
                await self.opened.wait()
            answer = self.answers[request.match_info["pod"]]
            return answer if isinstance(answer, web.Response) else web.Response(text=answer)
        finally:
            self._now -= 1


@asynccontextmanager
async def agents_at(agents: Agents) -> AsyncIterator[str]:
    """Serve them; a pod's URL is this base URL, a slash and its name."""
    app = web.Application()
    app.router.add_get("/{pod}/activity", agents.handle)
    async with serving(app) as url:
        yield url


def activity(uid: str, inflight: int = 0, **more: object) -> str:
    """What a healthy pod says."""
    return json.dumps({"uid": uid, "inflight": inflight, **more})
