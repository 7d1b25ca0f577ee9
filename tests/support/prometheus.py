"""A server that speaks Prometheus' query API and answers each query as the test says."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.http import serving

AT = 1_760_000_000.25  # what the server's clock says, always


@dataclass
class QueryApi:
    """What it answers, by query, as a body or as (status, body); and how often it was asked.

    ``opened`` lets through the queries named in ``held``, which wait until then. The answer to one in ``endless``
    trickles and never ends.
    """

    answers: dict[str, str | tuple[int, str]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    held: set[str] = field(default_factory=set)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    endless: set[str] = field(default_factory=set)

    async def all_asked(self) -> bool | None:
        """Four queries are under way."""
        return True if self.asked.total() >= 4 else None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer ``GET /api/v1/query``."""
        query = request.query["query"]
        self.asked[query] += 1
        if query in self.held:
            await self.opened.wait()
        if query in self.endless:
            return await _trickle(request)
        answer = self.answers[query]
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return web.Response(status=status, body=body.encode(), content_type="application/json")


async def _trickle(request: web.Request) -> web.StreamResponse:
    """A body without end, a byte at a time."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


@asynccontextmanager
async def query_api(api: QueryApi) -> AsyncIterator[str]:
    """Serve it; the value is its base URL."""
    app = web.Application()
    app.router.add_get("/api/v1/query", api.handle)
    async with serving(app) as url:
        yield url


def success(kind: str, result: object, **more: object) -> str:
    """The body of a successful query."""
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}, **more})


def vector(*values: str) -> str:
    """A vector with one series for each value."""
    return success("vector", [{"metric": {"pod": f"a-{i}"}, "value": [AT, v]} for i, v in enumerate(values)])
