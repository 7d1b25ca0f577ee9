"""Our own decision as a policy of simulated warm pools: the very tick that runs in a cluster."""

from __future__ import annotations

from scaler.core.types import Instant, Known, Seconds, Unknown
from scaler.core.warmpool import tick_pool
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_types import WarmObservation, WarmPolicy
from scaler.sim.warm_sight import Stock

PERIOD: Seconds = 5.0
EPOCH: Instant = 1_772_409_600.0  # Monday, 2 March 2026, 00:00 UTC: runs begin at midnight


class OurSizer:
    """Ticks every five seconds and remembers what the tick tells it to."""

    def __init__(self, policy: WarmPolicy) -> None:
        self.period: Seconds = PERIOD
        self._policy = policy
        self._memory = WarmMemory.fresh(EPOCH, policy.pace)
        self._claims = self._cold = self._unready = 0

    def decide(self, stock: Stock) -> int:
        """The size that the tick reports."""
        now = EPOCH + stock.now
        seen = WarmObservation(
            size=Known(float(stock.size), now),
            claims=stock.claims - self._claims,
            unschedulable=Known(0.0, now),
            settled=True,
            leads=stock.leads,
            cold=stock.cold - self._cold,
            unready=stock.unready - self._unready,
        )
        outcome = tick_pool(self._policy, self._memory, seen, now)
        self._memory = outcome.memory
        self._claims, self._cold, self._unready = stock.claims, stock.cold, stock.unready
        return stock.size if isinstance(outcome.report, Unknown) else outcome.report
