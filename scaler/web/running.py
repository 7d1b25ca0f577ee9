"""The running scaler, as its pages see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from scaler.config.pool import PoolKey
from scaler.core.types import Instant, Seconds
from scaler.live.board import Board
from scaler.live.clock import Clock
from scaler.live.loop import Counts
from scaler.live.registry import Registry
from scaler.sources.health import Health

READY_WITHIN: Final[Seconds] = 30.0  # a pool whose sources hang must not keep the others' answers from KEDA for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What there is to look at.

    Attributes:
        counts: what the loop has done, counted as it goes on.
        sources: the counters of every source, as they stand.
        version: of this program.
    """

    board: Board
    registry: Registry
    clock: Clock
    counts: Counts
    sources: Callable[[], tuple[Health, ...]]
    version: str


class Readiness:
    """Ready from the first tick of every pool on, and at the latest half a minute after the start; then for good.

    Pools that come later do not make it unready: their own polls say that they are not evaluated yet.
    """

    def __init__(self, running: Running) -> None:
        self._running = running
        self._since: Instant = running.clock.now()
        self._ready = False

    def waiting_for(self) -> tuple[PoolKey, ...]:
        """The pools that keep it from being ready; none once it is."""
        board, late = self._running.board, self._running.clock.now() - self._since >= READY_WITHIN
        missing = tuple(pool.spec.key for pool in self._running.registry if board.get(pool.spec.key) is None)
        self._ready = self._ready or late or not missing
        return () if self._ready else missing
