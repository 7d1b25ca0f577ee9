"""Instants on a grid, which nothing shifts: when pools are ticked and sources read."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass

from scaler.core.types import Instant, Seconds
from scaler.live.clock import Clock

EARLY: Seconds = 0.05  # timers and the clock disagree by less about a wait; more is a clock that was set back


@dataclass(frozen=True, slots=True)
class Grid:
    """The instants ``start + k * period`` for every whole k."""

    start: Instant
    period: Seconds

    def after(self, now: Instant) -> Instant:
        """The first of them later than ``now``."""
        k = math.floor((now - self.start) / self.period) + 1
        at = self.start + k * self.period
        return at if at > now else self.start + (k + 1) * self.period  # the division came out a hair too low


def phase(name: str, period: Seconds) -> Seconds:
    """An instant within the period that depends on the name alone, so that many are spread and one keeps its own."""
    return period * zlib.crc32(name.encode()) / 2**32


def is_early(now: Instant, at: Instant) -> bool:
    """Whether an alarm that was set for ``at`` has rung a hair too soon."""
    return 0 < at - now < EARLY


async def reach(clock: Clock, at: Instant) -> Instant:
    """Wait for an instant; returns what time it is then."""
    await clock.sleep_until(at)
    while is_early(now := clock.now(), at):
        await clock.sleep_until(at)
    return now
