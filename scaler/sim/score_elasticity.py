"""How closely supply followed demand, in the figures of the SPEC Research Group.

From "Ready for Rain? A View from SPEC Research on the Future of Cloud Metrics" (SPEC-RG-2016-01). Demand is what the
tasks that run or wait take, in whole pods; where there is none, one pod stands in for it, so that nothing is divided
by zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scaler.core.pods import Floats

WHOLE = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Elasticity:
    """Averages over time, in per cent.

    Attributes:
        under, over: theta: pods that were missing, and that were too many, in relation to those needed.
        under_time, over_time: tau: time in which some were missing, and in which some were too many.
        instability: upsilon: time in which supply and demand moved in different directions, or only one of them moved.
    """

    under: float
    over: float
    under_time: float
    over_time: float
    instability: float


def elasticity(at: Floats, demand: Floats, supply: Floats) -> Elasticity:
    """Of looks at a run; what was seen holds until the next look.

    Takes rising instants, pods' worth of tasks that run or wait, and pods that serve: shape (n,) each, n at least 2.
    """
    lasting = np.diff(at)
    whole = float(at[-1] - at[0]) / WHOLE
    needed = np.ceil(demand)
    missing, spare = np.maximum(needed - supply, 0.0)[:-1], np.maximum(supply - needed, 0.0)[:-1]
    base = np.maximum(needed, 1.0)[:-1]
    apart = np.sign(np.diff(supply)) != np.sign(np.diff(needed))
    return Elasticity(
        under=float((missing / base) @ lasting) / whole,
        over=float((spare / base) @ lasting) / whole,
        under_time=float((missing > 0) @ lasting) / whole,
        over_time=float((spare > 0) @ lasting) / whole,
        instability=float(apart @ lasting) / whole,
    )
