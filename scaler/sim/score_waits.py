"""Waits by the hour: whether a target was kept all day, or only on average."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from scaler.core.pods import Floats
from scaler.core.types import Seconds

HOUR: Seconds = 3600.0
P95 = 0.95


@dataclass(frozen=True, slots=True)
class Kept:
    """Hours in which the target was kept, of those that count."""

    hours: int
    of: int

    @property
    def share(self) -> float:
        """1 where no hour counts."""
        return self.hours / self.of if self.of else 1.0


def hours(at: Floats, waits: Floats, *, share: float = P95, weights: Floats | None = None) -> dict[int, float]:
    """The quantile of the waits of those that arrived in each hour, by the hour's number; none of hours without any.

    Takes instants and waits in seconds from the start, shape (n,), and how many each of them stands for: one, unless
    ``weights`` say otherwise. The quantile is the least wait that at least this share did not exceed.
    """
    numbers = (at // HOUR).astype(np.int64)
    weights = np.ones(len(at)) if weights is None else weights
    return {
        int(hour): _quantile(waits[numbers == hour], weights[numbers == hour], share) for hour in np.unique(numbers)
    }


def kept(p95: Mapping[int, float], target: Seconds, *, best: Mapping[int, float] | None = None) -> Kept:
    """Hours whose p95 is at target. With ``best``, only those count in which that was at target as well."""
    counted = [hour for hour in p95 if best is None or best.get(hour, 0.0) <= target]
    return Kept(sum(p95[hour] <= target for hour in counted), len(counted))


def _quantile(values: Floats, weights: Floats, share: float) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    place = np.searchsorted(reached, share * reached[-1] * (1.0 - 1e-12))
    return float(values[order][min(int(place), len(values) - 1)])
