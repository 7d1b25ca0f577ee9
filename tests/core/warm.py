"""A warm pool as tests see it: claims in, sizes out, one tick after another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from scaler.core.types import Announcement, Instant, Known, Seconds, Unknown
from scaler.core.warmpool import tick_pool
from scaler.core.warmpool_memory import WarmMemory
from scaler.core.warmpool_types import WarmObservation, WarmOutcome, WarmPolicy
from tests.core.pool import NOW, TICK

FREE = Known(0.0, NOW)
SAME_LEADS = (20.0,) * 5  # enough for the prior to go


def seen(claims: int | Unknown = 0, **rest: object) -> WarmObservation:
    """An observation of an empty pool that is settled, whose sandboxes all find nodes; with what is said otherwise."""
    given: dict[str, object] = {"unschedulable": FREE, "settled": True, "size": FREE} | rest
    return WarmObservation(claims=claims, **given)  # type: ignore[arg-type] # the fields are the keywords


def hint(claims: float, *, start: Instant, end: Instant, name: str = "fan-out", added: bool = True) -> Announcement:
    """Claims announced for this stretch."""
    return Announcement(name=name, pods=claims, start=start, end=end, added=added)


@dataclass(kw_only=True)
class Watched:
    """A pool whose size follows what is reported, a tick at a time."""

    policy: WarmPolicy = field(default_factory=WarmPolicy)
    size: int = 0
    step: Seconds = TICK
    now: Instant = NOW
    memory: WarmMemory | None = None

    def tick(self, claims: int | Unknown = 0, **rest: object) -> WarmOutcome:
        """One tick in which so many claims came."""
        known = self.memory or WarmMemory.fresh(self.now, self.policy.pace)
        given: dict[str, object] = {"size": Known(float(self.size), self.now)} | rest
        outcome = tick_pool(self.policy, known, seen(claims, **given), self.now)
        self.memory, self.now = outcome.memory, self.now + self.step
        if not isinstance(outcome.report, Unknown):
            self.size = outcome.report
        return outcome

    def run(self, counts: Iterable[int], **rest: object) -> WarmOutcome:
        """One tick for each count of claims, and the last outcome."""
        return [self.tick(count, **rest) for count in counts][-1]


def poisson(rate: float, ticks: int, *, seed: int = 1, step: Seconds = TICK) -> list[int]:
    """Counts of claims that come at so many a second, by chance."""
    return [int(n) for n in np.random.default_rng(seed).poisson(rate * step, ticks)]


def batches(rate: float, each: int, ticks: int, *, seed: int = 1) -> list[int]:
    """Counts of claims that come ``each`` at once, at ``rate`` a second in all."""
    return [each * n for n in poisson(rate / each, ticks, seed=seed)]
