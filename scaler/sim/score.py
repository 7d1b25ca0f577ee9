"""What a run cost and what it gave, in a few figures that mean the same whoever scaled the pool."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from scaler.core.types import Instant, Seconds
from scaler.sim.world import World

HOUR: Seconds = 3600.0
Z90 = 1.2816  # standard deviations from the median to the 0.9 quantile of a normal distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """One run.

    Attributes:
        tasks: those that arrived.
        wait_p50_s, wait_p95_s: seconds from arrival to the run that counts, of all that arrived: also of those that
            still wait, so that nobody gains by not serving. A run that was cut is part of the wait.
        pod_hours: from creation until gone, starting and leaving included.
        quick_reversals_per_hour: rises of the replicas that were followed by a fall within twice the p90 startup.
        removals: pods taken away. ``killed``: runs that were cut by it, whose work was lost.
    """

    tasks: int
    wait_p50_s: float
    wait_p95_s: float
    pod_hours: float
    quick_reversals_per_hour: float
    removals: int
    killed: int


def score(world: World) -> Score:
    """The figures of a run as far as it has gone."""
    p50, p95 = np.quantile(world.work.waits(), (0.50, 0.95)) if world.work.arrived else (0.0, 0.0)
    return Score(
        tasks=world.work.arrived,
        wait_p50_s=round(float(p50), 3),
        wait_p95_s=round(float(p95), 3),
        pod_hours=round(world.pool.seconds / HOUR, 4),
        quick_reversals_per_hour=round(reversals_per_hour(world), 3),
        removals=world.pool.removals,
        killed=world.work.killed,
    )


def reversals_per_hour(world: World) -> float:
    """Quick reversals of a run per hour."""
    hours = (world.now - world.start) / HOUR
    count = quick_reversals(world.scaled, within=2 * world.setting.startup.quantile(Z90))
    return count / hours if hours else 0.0


def quick_reversals(scaled: Iterable[tuple[Instant, int]], *, within: Seconds) -> int:
    """Falls that came at most ``within`` seconds after a rise, with no fall between."""
    count, before, risen = 0, 0, -np.inf
    for at, replicas in scaled:
        if replicas > before:
            risen = at
        else:
            count += at - risen <= within
            risen = -np.inf
        before = replicas
    return count
