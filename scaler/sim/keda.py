"""KEDA's own half of scaling: between zero and one replica. The rest it leaves to the HPA that it makes."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from scaler.core.types import Instant, Seconds, Unknown
from scaler.sim.hpa import Behavior, Hpa, HpaMemory, Metric, Scale, sync

POLL: Seconds = 30.0
COOLDOWN: Seconds = 300.0
LOW, HIGH = 0, 100  # of a ScaledObject that sets neither


class Instead(enum.Enum):
    """How many replicas stand in for a trigger that fails: ``fallback.behavior``."""

    STATIC = "static"
    CURRENT = "currentReplicas"
    CURRENT_IF_HIGHER = "currentReplicasIfHigher"
    CURRENT_IF_LOWER = "currentReplicasIfLower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fallback:
    """``spec.fallback``: from more than ``failures`` in a row on, these replicas are reported."""

    failures: int
    replicas: int
    behavior: Instead = Instead.STATIC

    def of(self, current: int) -> int:
        """Replicas, where there are so many now."""
        match self.behavior:
            case Instead.STATIC:
                return self.replicas
            case Instead.CURRENT:
                return current
            case Instead.CURRENT_IF_HIGHER:
                return max(current, self.replicas)
            case Instead.CURRENT_IF_LOWER:
                return min(current, self.replicas)


class ScaledObject:
    """One ScaledObject with its HPA, and with KEDA's memory of when a trigger was last active.

    Args:
        low, high: ``minReplicaCount`` and ``maxReplicaCount``.
        behavior: ``horizontalPodAutoscalerConfig.behavior``, copied to the HPA as it is.
        cooldown: seconds of inactivity before the last replicas go.
        fallback: what is reported while the trigger fails; without one, the HPA is told of the failure.
    """

    def __init__(
        self,
        *,
        low: int = LOW,
        high: int = HIGH,
        behavior: Behavior | None = None,
        cooldown: Seconds = COOLDOWN,
        fallback: Fallback | None = None,
    ) -> None:
        self._hpa, self._memory = Hpa(low=max(1, low), high=high, behavior=behavior), HpaMemory()
        self._low, self._cooldown = low, cooldown
        self._fallback, self._failed = fallback, 0
        self._last_active: Instant | None = None

    def poll(self, now: Instant, *, spec: int, active: bool | Unknown) -> int:
        """What KEDA writes to ``spec.replicas`` after asking its trigger; the same again where it leaves it alone.

        An inactive trigger empties the pool in one step, past every policy of the HPA. One that fails changes nothing.
        """
        if isinstance(active, Unknown):
            return spec
        if active:
            self._last_active = now
            return spec or max(1, self._low)
        if self._low > 0:
            return max(spec, self._low)
        cooled = self._last_active is None or now > self._last_active + self._cooldown
        return 0 if cooled else spec

    def sync(self, now: Instant, metric: Metric, *, scale: Scale) -> int:
        """What the HPA writes to ``spec.replicas`` after asking for its metric; the same again where it holds."""
        told = self._stood_in(metric, scale.spec)
        replicas, self._memory = sync(self._hpa, self._memory, [told], scale=scale, now=now)
        return replicas

    def _stood_in(self, metric: Metric, current: int) -> Metric:
        """The metric, or what the fallback has in its place."""
        self._failed = self._failed + 1 if isinstance(metric.value, Unknown) else 0
        if self._fallback is None or self._failed <= self._fallback.failures:
            return metric
        return Metric(self._fallback.of(current) * metric.target, metric.target)
