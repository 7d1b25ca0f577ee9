"""How long things took, counted in buckets, for the metrics page."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Final

from scaler.core.types import Seconds

# Counts monotonic seconds, from any thread. The time of an event loop may stand still within one of its turns.
stopwatch: Final[Callable[[], Seconds]] = perf_counter

BOUNDS: Final[tuple[Seconds, ...]] = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


@dataclass(frozen=True, slots=True)
class Times:
    """Lengths of time as they stand.

    Attributes:
        counts: how many there were up to each bound and above the one before it, and at last those above all bounds.
        total: all of them together.
    """

    bounds: tuple[Seconds, ...]
    counts: tuple[int, ...]
    total: Seconds

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts)


class Timing:
    """Counts lengths of time; about half a microsecond each."""

    __slots__ = ("_bounds", "_counts", "_total")

    def __init__(self, bounds: tuple[Seconds, ...] = BOUNDS) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._total: Seconds = 0.0

    def add(self, seconds: Seconds) -> None:
        """Count one more."""
        self._counts[bisect_left(self._bounds, seconds)] += 1
        self._total += seconds

    def times(self) -> Times:
        """As they stand."""
        return Times(self._bounds, tuple(self._counts), self._total)
