"""Policies at an equal wait: what a peer would cost that let tasks wait no longer than ours does.

A tuned autoscaler is one point, and who waits longer is cheaper. So a peer is asked with every configuration that its
search found to be worth something, and its pod hours are read off the line through them, at the wait that ours has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from scaler.sim.compare import Figure, interval
from scaler.sim.match import Row

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Equal:
    """Ours beside a peer at the wait of ours.

    Attributes:
        pod_hours: by how much ours is above the peer, as a share of the peer's: mean and bounds over the seeds, None
            where the peer never lets tasks wait as little on any seed.
        seeds: those on which it does, of all.
    """

    pod_hours: dict[str, Figure] | None
    seeds: int
    of: int


def front(found: Iterable[T], figures: Callable[[T], tuple[float, float]]) -> list[T]:
    """Those that no other is better than at both of their figures; by the first, ascending."""
    best, kept = float("inf"), []
    for each in sorted(found, key=figures):
        if figures(each)[1] < best:
            best = figures(each)[1]
            kept.append(each)
    return kept


def hours_at(wait: float, points: Iterable[tuple[float, float]]) -> float | None:
    """Pod hours at this wait, from points of (wait, pod hours); None where all wait longer."""
    line = front(points, lambda point: point)
    before = [point for point in line if point[0] <= wait]
    if not before:
        return None
    (low, dear), after = before[-1], line[len(before) :]
    if not after:
        return dear
    high, cheap = after[0]
    return dear + (cheap - dear) * (wait - low) / (high - low)


def at_equal_wait(ours: Sequence[Row], theirs: Sequence[Row]) -> Equal:
    """Ours beside all rows of a peer, seed by seed."""
    shares = []
    for row in ours:
        there = hours_at(row.wait_p95_s, ((r.wait_p95_s, r.pod_hours) for r in theirs if r.seed == row.seed))
        if there:
            shares.append(row.pod_hours / there - 1.0)
    return Equal(interval(shares) if shares else None, len(shares), len(ours))
