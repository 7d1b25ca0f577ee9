"""Sandboxes shared between pools: each next one goes where it prevents the most misses for the money."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np

from scaler.core.pods import Floats
from scaler.core.warmpool_model import Offered, shares


@dataclass(frozen=True, slots=True, kw_only=True)
class Stake:
    """What one pool has to gain.

    Attributes:
        rate: claims per second; ``offered`` is what of them falls into one lead time.
        price: of one miss, in any unit that all pools share.
        least, most: sandboxes that it gets in any case, and at the utmost.
    """

    rate: float
    offered: Offered
    price: float = 1.0
    least: int = 0
    most: int = 100


def share(budget: int, stakes: Mapping[str, Stake]) -> dict[str, int]:
    """How many of these sandboxes each pool gets, so that the priced misses of all together are fewest.

    Each pool has its least whatever the budget. Beyond that the next sandbox goes to the pool whose cold starts it
    lowers most, which is exact because a pool gains less from each further one. Ties go by name; what gains nothing
    stays. Adoptions of sandboxes on their way are left out: their waits are short, and would break that exactness.
    """
    given = {name: min(stake.least, stake.most) for name, stake in stakes.items()}
    left = budget - sum(given.values())
    gains = {name: _gains(stake) for name, stake in stakes.items()}
    offers = [(-gains[name][n], name) for name, n in given.items() if n < stakes[name].most]
    heapq.heapify(offers)
    while left > 0 and offers:
        gain, name = heapq.heappop(offers)
        if gain >= 0:
            break
        given[name] += 1
        left -= 1
        if given[name] < stakes[name].most:
            heapq.heappush(offers, (-gains[name][given[name]], name))
    return given


def _gains(stake: Stake) -> Floats:
    """Priced cold starts per second that the first, second, ... sandbox prevents, shape (most,)."""
    cold = np.array([each.cold for each in islice(shares(stake.offered), stake.most + 1)])
    return -np.diff(cold) * stake.rate * stake.price
