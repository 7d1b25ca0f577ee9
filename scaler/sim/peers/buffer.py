"""Agones' buffer: the servers in use and some ready ones beside them. What is in use is never taken away.

From googleforgames/agones, pkg/fleetautoscalers/fleetautoscalers.go (2026-08): the policies Buffer and Counter.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from scaler.core.types import Seconds
from scaler.sim.peers.sight import Leaving, Pool, Range, Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Buffer:
    """Configuration of a FleetAutoscaler of type Buffer.

    Attributes:
        buffer: ready servers beside those in use; with a ``percent``, the fewest servers there are.
        percent: share of the fleet that is ready, in per cent; 0 counts servers instead.
        seconds: between two looks.
    """

    leaving: ClassVar[Leaving] = Leaving.WHEN_IDLE
    grace: ClassVar[Seconds] = 30.0

    buffer: Annotated[int, Range(1, 64, log=True)] = 5
    percent: Annotated[int, Range(0, 60)] = 0
    seconds: Annotated[Seconds, Range(1.0, 60.0, log=True)] = 30.0

    def scaler(self, pool: Pool) -> BufferScaler:
        """One at work."""
        return BufferScaler(self, pool)


@dataclass(frozen=True, slots=True)
class BufferScaler:
    """Looks at what is allocated. What waits for a server is nothing it knows of."""

    knobs: Buffer
    pool: Pool

    @property
    def period(self) -> Seconds:
        """As configured."""
        return self.knobs.seconds

    def decide(self, sight: Sight) -> int:
        """Servers for the slots in use, and the buffer."""
        knobs, slots = self.knobs, self.pool.slots
        if knobs.percent:
            wish = max(knobs.buffer, by_percent(math.ceil(sight.inflight / slots), knobs.percent))
        else:
            wish = math.ceil((sight.inflight + knobs.buffer * slots) / slots)
        return min(max(wish, self.pool.low), self.pool.high)


def by_percent(allocated: int, percent: int) -> int:
    """Servers of which ``percent`` are ready while ``allocated`` are in use."""
    return math.ceil(allocated * 100 / (100 - percent))
