"""Where a pool is read: the templates and sections of its layers as sources of that one pool."""

from __future__ import annotations

from collections.abc import Mapping

from scaler.config.fields import fill
from scaler.config.knobs import Endpoint, PodsSection, Query, Scale, Source
from scaler.config.path import filled, steps
from scaler.config.pool import (
    ActivityEndpoints,
    JsonNumber,
    LiveScale,
    PodSource,
    PoolKey,
    PrometheusQuery,
    SignalSource,
    WatchedPods,
)
from scaler.config.problems import Problem
from scaler.config.settings import Sources
from scaler.core.types import Signal


class Reader:
    """Templates and sections as sources of one pool, with what stands in the way."""

    def __init__(self, sources: Sources, key: PoolKey) -> None:
        self._sources, self._key = sources, key
        self.problems: list[Problem] = []

    def fill(self, template: str) -> str:
        """The template with the pool's names in it."""
        return fill(template, namespace=self._key.namespace, name=self._key.name)

    def pods(self, wanted: PodsSection | None) -> PodSource | None:
        """Where the pods are."""
        if wanted is None:
            return None
        if wanted.activity is not None:
            return ActivityEndpoints(urls=tuple(self.fill(url) for url in wanted.activity))
        kind, _, name = self.fill(wanted.workload or "").partition("/")
        return WatchedPods(pool=self._key, kind=kind, name=name)

    def signals(self, wanted: Mapping[Signal, Source | None]) -> dict[Signal, SignalSource]:
        """Where each signal is read that is not taken away."""
        read = {signal: self.source(f"signals.{signal}", source) for signal, source in wanted.items()}
        return {signal: source for signal, source in read.items() if source is not None}

    def source(self, path: str, wanted: Source | None) -> SignalSource | None:
        """Where the number at ``path`` of the configuration is read; what stands in the way becomes a problem."""
        if wanted is None:
            return None
        match wanted:
            case Endpoint():
                return self._endpoint(wanted)
            case Scale():
                return self._scale(wanted)
            case Query():
                return self._query(path, wanted)

    def _endpoint(self, wanted: Endpoint) -> JsonNumber:
        return JsonNumber(
            url=self.fill(wanted.url),
            path=filled(steps(wanted.path) or (), namespace=self._key.namespace, name=self._key.name),
            token_file=None if wanted.token_file is None else self.fill(wanted.token_file),
            ca_file=None if wanted.ca_file is None else self.fill(wanted.ca_file),
        )

    def _scale(self, wanted: Scale) -> LiveScale:
        kind, _, name = self.fill(wanted.scale).rpartition("/")
        group, _, plural = (kind if "/" in kind else f"apps/v1/{kind}").rpartition("/")
        server = self._sources.kubernetes
        return LiveScale(
            url=f"{server.url}/apis/{group}/namespaces/{self._key.namespace}/{plural}/{name}/scale",
            token_file=self.fill(server.token_file),
            ca_file=self.fill(server.ca_file),
        )

    def _query(self, path: str, query: Query) -> PrometheusQuery | None:
        url = query.url or self._sources.prometheus.url
        if url is None:
            allowed, way_out = "no Prometheus is named to ask", "set sources.prometheus.url, or url beside the query"
            self.problems.append(Problem(path=path, value=None, allowed=allowed, way_out=way_out))
            return None
        return PrometheusQuery(query=self.fill(query.query), url=self.fill(url))
