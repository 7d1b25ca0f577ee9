"""The predictive HPA: what an HPA would do, and what two models make of its past; the largest counts.

From jthomperoo/predictive-horizontal-pod-autoscaler 0.13.2 (internal/controllers, internal/prediction, algorithms),
with its two defects repaired, so that it is the peer it means to be: the series stays in the order of time, and a model
that has seen too little predicts nothing instead of zero.
"""

from __future__ import annotations

import math
import statistics
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

from scaler.core.types import Instant, Seconds, Unknown
from scaler.sim.hpa import (
    SYNC,
    Behavior,
    Hpa,
    HpaMemory,
    Kind,
    Metric,
    Rules,
    ScalingPolicy,
    advised,
    changed,
    limit,
    propose,
)
from scaler.sim.peers.holtwinters import HoltWinters, Smoothing
from scaler.sim.peers.sight import Leaving, Pool, Range, Sight

MINUTE: Seconds = 60.0  # the period of its default policies, where the HPA's is 15 s
STEP: Seconds = 60.0  # between two points of the seasonal series


def linear(points: Sequence[tuple[Instant, float]], at: Instant) -> float | None:
    """The least-squares line through the points, at this instant; None where there is no line."""
    if len(points) < 2:  # noqa: PLR2004 - two points make a line
        return None
    times, values = zip(*points, strict=True)
    if times[0] == times[-1]:
        return None
    slope, intercept = statistics.linear_regression([time - at for time in times], values)
    return max(0.0, intercept) if math.isfinite(slope) else None


def largest(proposal: int, predictions: Sequence[float | None]) -> int:
    """The largest of what the HPA would do and what the models say; they say whole replicas, rounded up."""
    return max(proposal, *(0 if said is None else math.ceil(said - 1e-9) for said in predictions))


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictive:
    """Configuration of a PredictiveHorizontalPodAutoscaler with a linear and a Holt-Winters model.

    Attributes:
        utilization: tasks per slot that are aimed at.
        history, ahead: syncs that the line goes through, and seconds that it is followed ahead.
        season: seconds; the series has a point a minute.
        alpha, beta, gamma: how fast level, trend and season follow.
        down_window: ``stabilizationWindowSeconds`` downwards.
        least: ``minReplicas``, at least 1.
    """

    leaving: ClassVar[Leaving] = Leaving.BY_RANK
    grace: ClassVar[Seconds] = 30.0

    utilization: Annotated[float, Range(0.3, 1.0)] = 1.0
    history: Annotated[int, Range(2, 40, log=True)] = 6
    ahead: Annotated[Seconds, Range(1.0, 300.0, log=True)] = 10.0
    season: Annotated[Seconds, Range(900.0, 86_400.0, log=True)] = 3600.0
    alpha: Annotated[float, Range(0.05, 0.95)] = 0.9
    beta: Annotated[float, Range(0.01, 0.9, log=True)] = 0.1
    gamma: Annotated[float, Range(0.05, 0.95)] = 0.9
    down_window: Annotated[Seconds, Range(0.0, 3600.0)] = 300.0
    least: Annotated[int, Range(1, 32)] = 1

    def scaler(self, pool: Pool) -> PredictiveScaler:
        """One at work."""
        return PredictiveScaler(self, pool)

    def behavior(self) -> Behavior:
        """Its own defaults, which count by the minute."""
        up = (ScalingPolicy(Kind.PODS, 4, MINUTE), ScalingPolicy(Kind.PERCENT, 100, MINUTE))
        down = (ScalingPolicy(Kind.PERCENT, 100, MINUTE),)
        return Behavior(up=Rules(policies=up), down=Rules(policies=down, window=self.down_window))


class PredictiveScaler:
    """Its syncs."""

    period: ClassVar[Seconds] = SYNC

    def __init__(self, knobs: Predictive, pool: Pool) -> None:
        self._knobs, self._target = knobs, knobs.utilization * pool.slots
        low = min(max(knobs.least, pool.low), pool.high)
        self._hpa, self._memory = Hpa(low=low, high=pool.high, behavior=knobs.behavior()), HpaMemory()
        self._points: deque[tuple[Instant, float]] = deque(maxlen=knobs.history)
        smoothing = Smoothing(knobs.alpha, knobs.beta, knobs.gamma)
        self._seasonal = HoltWinters(smoothing, max(2, round(knobs.season / STEP)))
        self._recorded_at: Instant = -math.inf

    def decide(self, sight: Sight) -> int:
        """The largest of proposal and predictions, stabilised and within rates and bounds."""
        depth = float(sight.queued + sight.inflight)
        proposal = propose(Metric(depth, self._target), sight.ready + sight.starting, self._hpa.behavior)
        if isinstance(proposal, Unknown):
            return sight.replicas
        self._record(sight.now, proposal)
        said = linear(self._points, sight.now + self._knobs.ahead), self._seasonal.ahead()
        return self._follow(largest(proposal, said), sight)

    def _record(self, now: Instant, proposal: int) -> None:
        self._points.append((now, float(proposal)))
        if now >= self._recorded_at + STEP:
            self._recorded_at = now
            self._seasonal.record(float(proposal))

    def _follow(self, want: int, sight: Sight) -> int:
        spec, now = sight.replicas, sight.now
        after = limit(self._hpa, self._memory, want, spec=spec, now=now)
        memory = advised(self._memory, self._hpa.behavior, want, now)
        self._memory = changed(memory, self._hpa.behavior, after - spec, now)
        return after
