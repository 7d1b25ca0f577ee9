"""The pages, and the server that serves them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from scaler.config.clients import MayAsk
from scaler.config.pool import PoolKey, PoolSpec
from scaler.config.problems import suggest
from scaler.config.rows import rows
from scaler.core.explain import lines
from scaler.live import telling
from scaler.live.certificates import Certificates
from scaler.web import metrics
from scaler.web.clients import only_for
from scaler.web.hint_views import as_json, in_words
from scaler.web.hints import ONE, PATH
from scaler.web.leading import only_while_leading
from scaler.web.problem import Refusal, as_problems
from scaler.web.running import Readiness, Running
from scaler.web.tls import NewestContext
from scaler.web.views import Json, explanation, row

STRANGERS: Final = logging.getLogger(f"{__name__}.strangers")  # what aiohttp says of bytes that are no HTTP
STRANGERS.setLevel(logging.CRITICAL + 1)  # each is answered 400; whoever scans ports writes no traceback into the log
NAMED: Final = 3  # pools that a message names
TICK: Final = 5  # seconds after which a pool that was just taken in has been evaluated


def application(running: Running, clients: Callable[[], MayAsk | None] | None = None) -> web.Application:
    """All pages of a running scaler; without ``clients`` they are for everybody who can connect."""
    pages = _Pages(running)
    judges = () if clients is None else (only_for(clients, apart=frozenset({PATH, ONE})),)
    app = web.Application(middlewares=[as_problems, *judges, only_while_leading(running.office)])
    app.add_routes(
        [
            web.get("/healthz", pages.health),
            web.get("/readyz", pages.ready),
            web.get("/metrics", pages.metrics),
            web.get("/api/v1/pools", pages.pools),
            web.get("/api/v1/pools/{namespace}/{name}/explain", pages.explain),
        ]
    )
    return app


@asynccontextmanager
async def served(
    app: web.Application, host: str, port: int, *, certificates: Certificates | None = None
) -> AsyncIterator[int]:
    """Serve the pages, over HTTP where there are no certificates.

    The value is the port, which the system chooses where 0 is asked for.

    Raises:
        OSError: the place cannot be listened on.
    """
    context = None if certificates is None else NewestContext.following(certificates)
    runner = web.AppRunner(app, access_log=None, logger=STRANGERS, shutdown_timeout=1, auto_decompress=False)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port, ssl_context=context).start()
        except OSError as error:
            raise OSError(f"cannot listen on {host}:{port}: {error.strerror}") from None
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


class _Pages:
    """The handlers. Each reads what is in memory and waits for nothing but the rendering of metrics."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._readiness = Readiness(running)
        self._metrics = metrics.Page(running)
        self._one_scrape = asyncio.Lock()

    async def health(self, _: web.Request) -> web.Response:
        """Alive: the event loop that answers is the one that ticks."""
        return _json({"status": "ok"})

    async def ready(self, _: web.Request) -> web.Response:
        """Ready once every pool has been evaluated, until the scaler stops."""
        if self._running.stopping():
            raise Refusal(503, "the scaler is stopping")
        waiting = self._readiness.waiting_for()
        if waiting:
            some = ", ".join(str(key) for key in waiting[:NAMED])
            raise Refusal(503, f"{len(waiting)} pools are not evaluated yet, among them {some}", retry_after=1)
        return _json({"status": "ready"})

    async def metrics(self, request: web.Request) -> web.Response:
        """In a thread and one at a time: ten thousand pools are a large page, and RPCs must not wait for it."""
        async with self._one_scrape:
            body, content_type = await asyncio.to_thread(self._metrics.render, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def pools(self, _: web.Request) -> web.Response:
        """Every pool, in order of its name."""
        board, now = self._running.board, self._running.clock.now()
        specs = sorted((pool.spec for pool in self._running.registry), key=lambda spec: spec.key)
        return _json({"pools": [row(spec, board.get(spec.key), board, now) for spec in specs]})

    async def explain(self, request: web.Request) -> web.Response:
        """One pool's latest decision: JSON, or lines for people where those are preferred."""
        key = PoolKey(request.match_info["namespace"], request.match_info["name"])
        pool, posted = self._running.registry.get(key), self._running.board.get(key)
        if pool is None:
            raise Refusal(404, f"there is no pool {key}; {self._nearest(key)}")
        if posted is None:
            raise Refusal(503, f"{key} has not been evaluated yet", retry_after=TICK)
        now = self._running.clock.now()
        standing = pool.hints.standing(now)
        if _prefers_text(request):
            told = telling.value(posted.outcome, pool.spec.job_strategy)
            words = (*lines(posted.outcome, told), *(in_words(hint) for hint in standing), *_settings(pool.spec), "")
            return web.Response(text="\n".join(words), headers={"Vary": "Accept"})
        whole = explanation(pool.spec, posted, self._running.board, now)
        return _json({**whole, "hints": [as_json(hint) for hint in standing]})

    def _nearest(self, key: PoolKey) -> str:
        known = [str(pool.spec.key) for pool in self._running.registry]
        return suggest(str(key), known, "GET /api/v1/pools lists those there are")


def _json(body: Json) -> web.Response:
    return web.Response(
        text=json.dumps(body, allow_nan=False), content_type="application/json", headers={"Vary": "Accept"}
    )


def _settings(spec: PoolSpec) -> Iterator[str]:
    """The settings that somebody made, a line each, and who made them."""
    yield "settings: documented defaults, but for"
    for each in rows(spec):
        if each.origin != "default":
            yield f"  {each.key} = {each.text} ({each.origin})"


def _prefers_text(request: web.Request) -> bool:
    """Whether text/plain is asked for before JSON. The first named wins: nobody weighs qualities for this page."""
    accepted = [part.partition(";")[0].strip() for part in request.headers.get("Accept", "").split(",")]
    known = [kind for kind in accepted if kind in {"text/plain", "application/json"}]
    return known[:1] == ["text/plain"]
