"""All kinds of source behind the two questions the loop asks: this signal's value, and these pods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TypeAlias

from scaler.config import settings
from scaler.config.pool import ActivityEndpoints, PodSource, PrometheusQuery, SignalSource, WatchedPods
from scaler.core.pods import Pods
from scaler.core.types import Instant, Sample, Unknown
from scaler.sources.activity import Activities, RoundLimits, open_activity
from scaler.sources.activity_answer import Report
from scaler.sources.health import Failed, Health
from scaler.sources.http import LIMITS, Documents, open_documents
from scaler.sources.prometheus import Prometheus
from scaler.sources.prometheus_http import Limits

Watching: TypeAlias = Callable[[WatchedPods, Instant], Awaitable[Pods | Unknown]]


async def _nobody(source: WatchedPods, _: Instant) -> Unknown:
    return Unknown(f"nobody watches the pods of {source.kind}/{source.name}: serve with --control")


@asynccontextmanager
async def open_sources(wanted: settings.Sources) -> AsyncIterator[Sources]:
    """Every source, as patient as the operator wants it, with connections and threads that are let go at the end."""
    asked, pods = wanted.prometheus, wanted.activity
    limits = Limits(
        connect=min(asked.timeout, Limits().connect),
        silence=min(asked.timeout, Limits().silence),
        whole=asked.timeout,
        calls=asked.concurrency,
    )
    rounds = RoundLimits(pod=pods.timeout, at_once=pods.concurrency)
    gets = replace(LIMITS, whole=wanted.http.timeout, sockets_each=wanted.http.concurrency)
    async with Prometheus(limits) as prometheus, open_activity(rounds) as activities, open_documents(gets) as documents:
        yield Sources(prometheus, activities, documents)


class Sources:
    """Reads from wherever a pool says."""

    def __init__(self, prometheus: Prometheus, activities: Activities, documents: Documents) -> None:
        self._prometheus = prometheus
        self._activities = activities
        self._documents = documents
        self._watching: Watching = _nobody

    async def signals(self, sources: Sequence[SignalSource], now: Instant) -> list[Sample]:
        """The values of signals that one call answers, asked at ``now``: numbers of one page, or one query."""
        numbers = [source for source in sources if not isinstance(source, PrometheusQuery)]
        if numbers:
            return await self._documents.read(numbers, now)
        (query,) = {source for source in sources if isinstance(source, PrometheusQuery)}
        return [await self._prometheus.read(query, now)] * len(sources)

    async def pods(self, source: PodSource, now: Instant) -> Pods | Unknown:
        """The pool's pods, asked at ``now``."""
        match source:
            case ActivityEndpoints():
                return await self._activities.read(source, now)
            case WatchedPods():
                return await self._watching(source, now)

    async def ask(self, urls: Iterable[str]) -> Mapping[str, Report | Failed]:
        """What the agents at these URLs say of themselves."""
        return await self._activities.ask(urls)

    def watch(self, watching: Watching) -> None:
        """Let this one say from now on which pods a workload has."""
        self._watching = watching

    def forget(self) -> None:
        """Answer who asks from now on with nothing that was asked for before."""
        self._prometheus.forget()
        self._documents.forget()

    def health(self) -> tuple[Health, ...]:
        """The counters of every source that was read."""
        return (*self._prometheus.health(), self._activities.health(), self._documents.health())
