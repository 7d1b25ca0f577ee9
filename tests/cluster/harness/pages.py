"""The fleet's pages: how the pools stand as JSON and as metrics, and the load, which can be turned up and down.

=======================  ==============================================================================================
``GET /``                the load as a form
``GET /pools``           every pool by NAMESPACE/NAME, as ``/pools/NAMESPACE/NAME`` has it
``GET /pools/NS/NAME``   ``queue`` (tasks that wait), ``inflight``, ``pending`` (both), ``oldest_wait`` in seconds,
                         ``sessions``, ``busy`` (slots at work or held by a session), ``agents``, ``starting``,
                         ``leaving``, and since the start ``queued``, ``started``, ``ended``, ``killed``; and the load
``POST /load``           form or query: ``pool``, then any of ``rate``, ``shorten``, ``subagents``, ``follows``, and
                         ``burst`` (so many tasks at once) and ``seconds`` (how long each of those takes)
``GET /metrics``         the same figures for Prometheus
=======================  ==============================================================================================
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tests.cluster.harness.agents import Fleet
from tests.cluster.harness.load import LONGEST, MOST_AT_ONCE, Generator, LoadError, described, within
from tests.cluster.harness.work import Pool

Figures: TypeAlias = Mapping[str, float]
COUNTERS = {"queued", "started", "ended", "killed"}


def pages(fleet: Fleet) -> web.Application:
    """The pages of a fleet."""
    shown = _Pages(fleet)
    app = web.Application()
    app.router.add_get("/", shown.form)
    app.router.add_get("/pools", shown.pools)
    app.router.add_get("/pools/{namespace}/{name}", shown.pool)
    app.router.add_post("/load", shown.load)
    app.router.add_get("/metrics", shown.metrics)
    return app


def figures(pool: Pool) -> Figures:
    """How a pool stands."""
    inflight, sessions, tally = pool.inflight, pool.sessions, pool.tally
    leaving = sum(agent.leaving for agent in pool.agents.values())
    return {
        "queue": len(pool.queue),
        "inflight": inflight,
        "pending": len(pool.queue) + inflight,
        "oldest_wait": round(pool.oldest_wait, 3),
        "sessions": sessions,
        "busy": inflight + sessions,
        "agents": len(pool.agents) - leaving,
        "starting": len(pool.starting),
        "leaving": leaving,
        "queued": tally.queued,
        "started": tally.started,
        "ended": tally.ended,
        "killed": tally.killed,
    }


class _Pages:
    """Answers for one fleet."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._registry = CollectorRegistry()
        self._registry.register(_Metrics(fleet))

    async def form(self, request: web.Request) -> web.Response:
        """The load of every pool, to be turned by hand."""
        rows = "".join(_form(key, figures(pool), self._fleet.generator(key)) for key, pool in self._pools())
        page = f"<!doctype html><title>The load</title><h1>The load</h1>{rows or '<p>There is no pool yet.</p>'}"
        return web.Response(text=page, content_type="text/html")

    async def pools(self, request: web.Request) -> web.Response:
        """Every pool."""
        return web.json_response({key: self._shown(key, pool) for key, pool in self._pools()})

    async def pool(self, request: web.Request) -> web.Response:
        """One pool."""
        key = f"{request.match_info['namespace']}/{request.match_info['name']}"
        pool = self._fleet.pools.get(key)
        if pool is None:
            return web.json_response({"error": f"there is no pool {key}"}, status=404)
        return web.json_response(self._shown(key, pool))

    async def load(self, request: web.Request) -> web.Response:
        """Turn the load of a pool."""
        wishes = {k: v for k, v in (*request.query.items(), *(await request.post()).items()) if isinstance(v, str)}
        try:
            key = self._turn(wishes)
        except LoadError as error:
            return web.json_response({"error": str(error)}, status=400)
        if "text/html" in request.headers.get("Accept", ""):  # a person pressed the button
            raise web.HTTPSeeOther("/")
        return web.json_response(self._shown(key, self._fleet.pool(key)))

    async def metrics(self, request: web.Request) -> web.Response:
        """The figures in Prometheus's text format."""
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": "text/plain; version=0.0.4"})

    def _turn(self, wishes: dict[str, str]) -> str:
        key = wishes.pop("pool", next(iter(self._fleet.pools), ""))
        if key.count("/") != 1:
            raise LoadError(f"pool is {key!r}; it must be NAMESPACE/NAME")
        burst = int(within("burst", wishes.pop("burst", "0"), (0, MOST_AT_ONCE)))
        length = wishes.pop("seconds", "")
        generator = self._fleet.generator(key)
        generator.turn(generator.load.changed(wishes))
        seconds = within("seconds", length, (0, LONGEST)) if length else None
        generator.burst(burst, seconds)
        return key

    def _pools(self) -> Iterable[tuple[str, Pool]]:
        return tuple(self._fleet.pools.items())

    def _shown(self, key: str, pool: Pool) -> Figures:
        return {**figures(pool), **described(self._fleet.generator(key).load)}


class _Metrics(Collector):
    """Reads the figures when they are scraped."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet

    def collect(self) -> Iterator[Metric]:
        """One family for each figure."""
        families: dict[str, GaugeMetricFamily | CounterMetricFamily] = {}
        for key, pool in self._fleet.pools.items():
            for name, value in figures(pool).items():
                kind = CounterMetricFamily if name in COUNTERS else GaugeMetricFamily
                family = families.setdefault(
                    name, kind(f"fleet_{name}", f"{name} of a pool", labels=["namespace", "pool"])
                )
                family.add_metric(key.split("/"), value)
        yield from families.values()


def _form(key: str, seen: Figures, generator: Generator) -> str:
    """One pool's figures and its form."""
    said = ", ".join(f"{name} {value:g}" for name, value in seen.items())
    fields = "".join(
        f"<label>{k} <input name={k} value={v:g} size=8></label> " for k, v in described(generator.load).items()
    )
    return (
        f"<h2>{html.escape(key)}</h2><p>{said}</p><form method=post action=/load>"
        f"<input type=hidden name=pool value='{html.escape(key)}'>{fields}"
        "<label>burst <input name=burst value=0 size=8></label> <button>turn</button></form>"
    )
