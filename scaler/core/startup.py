"""How long a pod takes from creation to ready, learnt from the last few dozen that did."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from scaler.core.numbers import quantile
from scaler.core.pods import Floats
from scaler.core.policy import Pace
from scaler.core.types import SPARSE, Seconds

KEPT = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Startups:
    """The last startups in seconds, oldest first, and the quantiles that decide with them."""

    samples: tuple[Seconds, ...]
    p90: Seconds
    p99: Seconds
    median: Seconds | None = field(default=None, metadata=SPARSE)

    @property
    def usual(self) -> Seconds:
        """What a start takes that is neither fast nor slow, and so what it costs."""
        return self.p90 if self.median is None else self.median

    @classmethod
    def none(cls, pace: Pace) -> Startups:
        """Nothing measured: the prior stands for both quantiles."""
        return cls(samples=(), p90=pace.startup_prior, p99=pace.startup_prior)


def learn(startups: Startups, measured: Floats, pace: Pace) -> Startups:
    """Add startups (seconds, shape (n,)). The prior stands until there are enough of them."""
    if not len(measured):
        return startups
    samples = (*startups.samples, *measured.tolist())[-KEPT:]
    if len(samples) < pace.startup_samples:
        return Startups(samples=samples, p90=pace.startup_prior, p99=pace.startup_prior)
    values = np.array(samples)
    median, p90, p99 = (max(1.0, quantile(values, q)) for q in (0.50, 0.90, 0.99))
    return Startups(samples=samples, p90=p90, p99=p99, median=median)
