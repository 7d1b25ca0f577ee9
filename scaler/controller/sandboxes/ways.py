"""How the steward of warm pools sees the cluster, writes to it, tells people and remembers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from scaler.config.pool import PoolKey
from scaler.controller.feed import Change
from scaler.controller.sandboxes.facts import WarmPool
from scaler.controller.sandboxes.kinds import Kind
from scaler.controller.sandboxes.teller import Teller
from scaler.controller.sandboxes.world import NEEDED
from scaler.controller.sandboxes.writer import Result
from scaler.core.policy import Pace
from scaler.core.types import Instant
from scaler.core.warmpool_memory import WarmMemory
from scaler.live.bells import Bells

Recall: TypeAlias = Callable[[PoolKey, Pace, Instant], WarmMemory | None]


def forgetful(key: PoolKey, pace: Pace, now: Instant) -> WarmMemory | None:  # noqa: ARG001 (as every Recall)
    """Recalls nothing: every pool is new."""
    return None


class Sizes(Protocol):
    """Who writes a pool's size."""

    async def write(self, pool: WarmPool, seen: int, size: int) -> Result:
        """Ask for this size, if the pool is still this one and its size is still the one that was seen.

        Raises:
            ApiError: nobody knows whether it was written.
        """
        ...


@dataclass(frozen=True, slots=True)
class Ways:
    """How the cluster is seen, which kinds of it, how it is written, who is told, and what recalls what was learnt.

    Attributes:
        bells: rung when a pool wakes or rests.
    """

    follow: Callable[[Kind], AsyncIterator[Change]]
    sizes: Sizes
    teller: Teller
    kinds: tuple[Kind, ...] = NEEDED
    recall: Recall = forgetful
    bells: Bells = field(default_factory=Bells)
