"""Saturation with redistribution: llm-d's Workload Variant Autoscaler, its second version, for one kind of pod.

From llm-d/llm-d-workload-variant-autoscaler (internal/engines/analyzers/saturation_v2/analyzer.go and
internal/engines/pipeline/cost_aware_optimizer.go, 2026-02). It adds where demand exceeds 0.85 of what there is and
comes, and removes only what leaves the rest at 0.70 or less: constant load cannot make it swing. An HPA follows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from scaler.core.types import Instant, Seconds
from scaler.sim.hpa import DEFAULT_WINDOW, SYNC, Behavior, Hpa, HpaMemory, Metric, Rules, Scale, sync
from scaler.sim.peers.sight import Leaving, Pool, Range, Sight

RETENTION: Seconds = 600.0  # without any work for so long, the last pod goes
MEMORY_SHARE = 0.8  # ``kvCacheThreshold``: of a pod's memory for tokens, what counts as its capacity


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Demand, and what a pod carries, in one unit: tokens, or slots; pods that are ready and that come."""

    demand: float
    capacity: float
    ready: int
    pending: int


def capacity(total: float, *, in_use: float, queued: int, seen: float | None = None, threshold: int = 5) -> float:
    """What one pod carries: the share of its memory, or what it held when its own queue was full, now or before."""
    by_memory = total * MEMORY_SHARE
    by_compute = in_use if queued >= threshold and in_use > 0 else seen
    return by_memory if by_compute is None else min(by_memory, by_compute)


def derived(*, batched: float, sequences: float, tokens_in: float, tokens_out: float) -> float | None:
    """What one pod carries by its engine's arguments, before anything was measured; None where nothing follows."""
    if batched <= 0 or tokens_out <= 0:
        return None
    steady = min(batched * tokens_out / (tokens_in + tokens_out), sequences)
    return steady * (tokens_in + tokens_out / 2)


def required(load: Load, up: float) -> float:
    """Capacity that is missing at a use of ``up``, with what comes counted."""
    return max(0.0, load.demand / up - (load.ready + load.pending) * load.capacity)


def spare(load: Load, down: float) -> float:
    """Capacity that can go, so that the rest is used to ``down`` at most; what comes does not count."""
    return max(0.0, load.ready * load.capacity - load.demand / down)


def resize(replicas: int, load: Load, *, up: float, down: float) -> int:
    """Whole pods, one at least."""
    if missing := required(load, up):
        return replicas + math.ceil(missing / load.capacity)
    return max(min(replicas, 1), replicas - math.floor(spare(load, down) / load.capacity))


@dataclass(frozen=True, slots=True, kw_only=True)
class Saturation:
    """Configuration: ``scaleUpThreshold``, ``scaleDownBoundary``, the loop's interval, the HPA's down window."""

    leaving: ClassVar[Leaving] = Leaving.BY_RANK
    grace: ClassVar[Seconds] = 30.0

    up: Annotated[float, Range(0.5, 1.0)] = 0.85
    down: Annotated[float, Range(0.3, 0.85)] = 0.70
    interval: Annotated[Seconds, Range(15.0, 120.0, log=True)] = 60.0
    down_window: Annotated[Seconds, Range(0.0, 3600.0)] = DEFAULT_WINDOW

    def scaler(self, pool: Pool) -> SaturationScaler:
        """One at work."""
        return SaturationScaler(self, pool)


class SaturationScaler:
    """Analyses every interval; its HPA follows at each sync."""

    period: ClassVar[Seconds] = SYNC

    def __init__(self, knobs: Saturation, pool: Pool) -> None:
        self._knobs, self._pool = knobs, pool
        behavior = Behavior(down=Rules(window=knobs.down_window))
        self._hpa, self._memory = Hpa(low=pool.low, high=pool.high, behavior=behavior), HpaMemory()
        self._wanted = pool.low
        self._analysed_at: Instant = -math.inf
        self._worked_at: Instant = -math.inf

    def decide(self, sight: Sight) -> int:
        """What its HPA writes."""
        if sight.now >= self._analysed_at + self._knobs.interval:
            self._analysed_at = sight.now
            self._wanted = self._analyse(sight)
        scale = Scale(sight.replicas, sight.ready + sight.starting)
        metric = [Metric(float(self._wanted), 1.0)]
        replicas, self._memory = sync(self._hpa, self._memory, metric, scale=scale, now=sight.now)
        return replicas

    def _analyse(self, sight: Sight) -> int:
        """A pod of ours holds so many tasks as it has slots, whatever their tokens: that is its capacity."""
        demand = sight.queued + sight.inflight
        if demand:
            self._worked_at = sight.now
        elif sight.now >= self._worked_at + RETENTION:
            return 0
        load = Load(demand=float(demand), capacity=float(self._pool.slots), ready=sight.ready, pending=sight.starting)
        return resize(sight.replicas, load, up=self._knobs.up, down=self._knobs.down)
