"""Small arithmetic that several stages share."""

from __future__ import annotations

import math

from scaler.core.pods import Floats

ROUNDING = 1e-9  # means of exact counts come out a hair above them, and must not cost a pod


def whole(pods: float) -> int:
    """Whole pods that hold this much demand, which is not negative."""
    return math.ceil(pods - ROUNDING)


def quantile(values: Floats, q: float) -> float:
    """The empirical q-quantile (inverse distribution function): the smallest value that at least q of them reach.

    Args:
        values: shape (n,), n >= 1, in any order.
        q: in (0, 1].
    """
    ranked = values.copy()
    ranked.sort()  # all of a thousand, in less time than it takes to find one of them
    return float(ranked[rank(len(values), q)])


def rank(count: int, q: float) -> int:
    """How many of so many values, which is at least one, come before their q-quantile once they are in order."""
    return max(0, math.ceil(q * count - ROUNDING) - 1)


def pinball(q: float, actual: float, forecast: float) -> float:
    """Pinball loss of a quantile forecast: what falls short costs q, what exceeds costs 1 - q."""
    miss = actual - forecast
    return max(q * miss, (q - 1.0) * miss)
