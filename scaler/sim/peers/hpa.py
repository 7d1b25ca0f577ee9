"""KEDA and the HPA it makes, on the depth of a queue: what most pools of workers run on.

A plain queue depth forgets the tasks that run, and would take their pods at once. So that this is a fair peer it counts
waiting and running tasks together, read without delay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from scaler.core.types import Seconds
from scaler.sim.hpa import DEFAULT_TOLERANCE, DEFAULT_WINDOW, SYNC, Behavior, Kind, Metric, Rules, Scale, ScalingPolicy
from scaler.sim.keda import COOLDOWN, POLL, ScaledObject
from scaler.sim.peers.sight import Leaving, Pool, Range, Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueHpa:
    """Configuration of a ScaledObject.

    Attributes:
        utilization: tasks per slot that are aimed at, which is the metric's target.
        tolerance: of both directions, as far as Kubernetes has it per HPA (1.35 on) or per cluster.
        up_window, down_window: ``stabilizationWindowSeconds``; ``down_percent`` in 15 s at most.
        polling, cooldown: ``pollingInterval`` and ``cooldownPeriod``.
        least: ``minReplicaCount``.
    """

    leaving: ClassVar[Leaving] = Leaving.BY_RANK
    grace: ClassVar[Seconds] = 30.0

    utilization: Annotated[float, Range(0.3, 1.0)] = 1.0
    tolerance: Annotated[float, Range(0.0, 0.2)] = DEFAULT_TOLERANCE
    up_window: Annotated[Seconds, Range(0.0, 120.0)] = 0.0
    down_window: Annotated[Seconds, Range(0.0, 3600.0)] = DEFAULT_WINDOW
    down_percent: Annotated[int, Range(1, 100, log=True)] = 100
    polling: Annotated[Seconds, Range(5.0, 30.0)] = POLL
    cooldown: Annotated[Seconds, Range(30.0, 3600.0, log=True)] = COOLDOWN
    least: Annotated[int, Range(0, 32)] = 0

    def scaler(self, pool: Pool) -> QueueHpaScaler:
        """One at work."""
        return QueueHpaScaler(self, pool)

    def behavior(self) -> Behavior:
        """``spec.behavior``, with the API server's defaults where nothing is said."""
        slow = (ScalingPolicy(Kind.PERCENT, self.down_percent, 15.0),)
        return Behavior(
            up=Rules(policies=Behavior().up.policies, window=self.up_window, tolerance=self.tolerance),
            down=Rules(policies=slow, window=self.down_window, tolerance=self.tolerance),
        )


class QueueHpaScaler:
    """Comes as often as the more frequent of KEDA's poll and the HPA's sync, and does what is due."""

    def __init__(self, knobs: QueueHpa, pool: Pool) -> None:
        self.period: Seconds = min(SYNC, knobs.polling)
        self._target = knobs.utilization * pool.slots
        self._polling = knobs.polling
        self._polled = self._synced = float("-inf")
        low = min(max(knobs.least, pool.low), pool.high)
        self._scaled = ScaledObject(low=low, high=pool.high, behavior=knobs.behavior(), cooldown=knobs.cooldown)

    def decide(self, sight: Sight) -> int:
        """What KEDA, then the HPA, writes."""
        depth, spec = sight.queued + sight.inflight, sight.replicas
        if sight.now >= self._polled + self._polling:
            self._polled = sight.now
            spec = self._scaled.poll(sight.now, spec=spec, active=depth > 0)
        if sight.now >= self._synced + SYNC:
            self._synced = sight.now
            scale = Scale(spec, sight.ready + sight.starting)
            spec = self._scaled.sync(sight.now, Metric(float(depth), self._target), scale=scale)
        return spec
