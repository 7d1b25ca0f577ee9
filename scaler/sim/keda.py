"""KEDA's own half of scaling: between zero and one replica. The rest it leaves to the HPA that it makes."""

from __future__ import annotations

from scaler.core.types import Instant, Seconds, Unknown
from scaler.sim.hpa import Behavior, Hpa, HpaMemory, Metric, Scale, sync

POLL: Seconds = 30.0
COOLDOWN: Seconds = 300.0
LOW, HIGH = 0, 100  # of a ScaledObject that sets neither


class ScaledObject:
    """One ScaledObject with its HPA, and with KEDA's memory of when a trigger was last active.

    Args:
        low, high: ``minReplicaCount`` and ``maxReplicaCount``.
        behavior: ``horizontalPodAutoscalerConfig.behavior``, copied to the HPA as it is.
        cooldown: seconds of inactivity before the last replicas go.
    """

    def __init__(
        self,
        *,
        low: int = LOW,
        high: int = HIGH,
        behavior: Behavior | None = None,
        cooldown: Seconds = COOLDOWN,
    ) -> None:
        self._hpa, self._memory = Hpa(low=max(1, low), high=high, behavior=behavior), HpaMemory()
        self._low, self._cooldown = low, cooldown
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
        replicas, self._memory = sync(self._hpa, self._memory, [metric], scale=scale, now=now)
        return replicas
