"""How little may stand idle: the sizes of somebody who knows how many claims a second the curve has come, at any time.

He knows the rate, not the claims: those come by chance, and nobody who does not see into the future does with less than
he does, whatever he has learnt. He keeps the same share of misses at every instant, or the same price: then most of
them are where a sandbox that would have prevented one stands idle for longest, as few as he may have in all.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Final

import numpy as np

from scaler.core.pods import Floats, Ints
from scaler.core.types import Seconds
from scaler.core.warmpool_model import Offered, idle, shares, size_for_misses
from scaler.sim.warm_sight import Stock

PERIOD: Final[Seconds] = 5.0
GRAIN: Final = 0.05  # claims in a lead time that make no difference
TARGETS: Final = (0.9, 1e-5)  # shares of misses that he may aim at
PRICES: Final = (1.0, 1e6)  # of a miss, in seconds of an idle sandbox


class KnowingSizer:
    """Asks for the size of the hour."""

    def __init__(self, sizes: Ints) -> None:
        self.period: Seconds = PERIOD
        self._sizes = sizes

    def decide(self, stock: Stock) -> int:
        """The size for this instant."""
        return int(self._sizes[min(int(stock.now / PERIOD), len(self._sizes) - 1)])


def even(rates: Floats, lead: Seconds, most: int, target: float) -> KnowingSizer:
    """At each instant the smallest size at which no more than this share of the claims miss."""
    return _sized(rates, lead, lambda claims: size_for_misses(Offered(claims), target, most))


def priced(rates: Floats, lead: Seconds, most: int, price: float) -> KnowingSizer:
    """At each instant the size at which what stands idle and what misses cost least, a miss being worth so much."""

    def cheapest(claims: float) -> int:
        offered = Offered(claims)
        missed = np.array([each.cold for each in islice(shares(offered), most + 1)])
        stands = np.array([idle(offered, size, share) for size, share in enumerate(missed.tolist())])
        return int(np.argmin(stands + price * claims / lead * missed))

    return _sized(rates, lead, cheapest)


def _sized(rates: Floats, lead: Seconds, size: Callable[[float], int]) -> KnowingSizer:
    steps, which = np.unique(np.round(rates * lead / GRAIN).astype(np.int64), return_inverse=True)
    return KnowingSizer(np.array([size(float(step * GRAIN)) for step in steps])[which])
