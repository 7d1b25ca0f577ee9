"""As many pods as somebody once thought right, day and night: what most pools have today."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from scaler.core.types import Seconds
from scaler.sim.peers.sight import Leaving, Pool, Range, Sight


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """Configuration: how many."""

    leaving: ClassVar[Leaving] = Leaving.BY_RANK
    grace: ClassVar[Seconds] = 30.0

    replicas: Annotated[int, Range(1, 128, log=True)] = 10

    def scaler(self, pool: Pool) -> FixedScaler:
        """One at work."""
        return FixedScaler(min(max(self.replicas, pool.low), pool.high))


@dataclass(frozen=True, slots=True)
class FixedScaler:
    """Always asks for the same."""

    replicas: int
    period: ClassVar[Seconds] = 60.0

    def decide(self, _: Sight) -> int:
        """The number it was given."""
        return self.replicas
