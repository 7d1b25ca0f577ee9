"""A server of JSON documents."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from tests.support.http import serving


@dataclass
class Documents:
    """What it answers, by path; how often each was asked for, and with which credentials.

    Requests for a path in ``held`` wait for ``opened``; ``at_once`` is the most that were ever under way together.
    """

    answers: dict[str, str | bytes | web.Response] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    credentials: list[str | None] = field(default_factory=list)
    methods: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    opened: asyncio.Event = field(default_factory=asyncio.Event)
    at_once: int = 0
    _now: int = 0

    async def handle(self, request: web.Request) -> web.Response:
        """Answer a request."""
        self.asked[request.path_qs] += 1
        self.methods.add(request.method)
        self.credentials.append(request.headers.get("Authorization"))
        self._now += 1
        self.at_once = max(self.at_once, self._now)
        try:
            if request.path in self.held:
                await self.opened.wait()
            answer = self.answers[request.path]
        finally:
            self._now -= 1
        if isinstance(answer, web.Response):
            return answer
        return web.Response(body=answer, content_type="application/json")


@asynccontextmanager
async def documents_at(documents: Documents, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """Serve them; the value is their base URL."""
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", documents.handle)
    async with serving(app, tls) as url:
        yield url
