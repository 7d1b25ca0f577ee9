"""How many idle sandboxes a pool needs: claims against stock that comes back one lead time after it was taken.

A claim that finds the pool empty starts its own sandbox outside the pool and nothing is refilled for it: a lost sale.
With claims like Poisson's, the share that misses is Erlang's B, whatever the distribution of the lead time. Claims that
come in batches have counts with a variance of ``dispersion`` times their mean: negative binomial ones, which are
Poisson's with a rate that is itself drawn from a gamma distribution. The share that misses is then Erlang's B averaged
over the rates that claims meet. Those are higher than the ones a clock meets, since most claims come when many do.

Some claims that find none ready take one that is about to be, and the pool makes another for it: no lost sale, but a
back order. Where the share ``adopted`` of them does so, sandboxes on their way are distributed as Poisson's up to the
size, and thinned by that share beyond it. A share of 0 is Erlang's B, a share of 1 the tail of Poisson's distribution.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from typing import TypeVar

import numpy as np

from scaler.core.numbers import ROUNDING
from scaler.core.pods import Floats

Load = TypeVar("Load", float, Floats)

RATES = 64  # points of the distribution of rates
FAR = 10.0  # standard deviations above the mean beyond which no rate is looked at
NEAR = 6.0  # and below
STRETCH = 16  # sizes that are looked through together, since the share that finds none ready only falls


@dataclass(frozen=True, slots=True)
class Offered:
    """What a pool is asked for.

    Attributes:
        claims: expected within one lead time.
        dispersion: variance over mean of their number, at least 1.
        adopted: share of the claims that find none ready which take one that is on its way, 0 to 1.
    """

    claims: float
    dispersion: float = 1.0
    adopted: float = 0.0


@dataclass(frozen=True, slots=True)
class Shares:
    """What finds none ready in a pool of ``size``.

    ``lost`` is Erlang's B of each load, ``orders`` the loads of back orders, None where there are none, and ``back``
    Erlang's B of those. All have shape (n,), or are single numbers where there is one load.
    """

    size: int
    weights: Floats | float
    lost: Floats | float
    orders: Floats | float | None
    back: Floats | float

    @property
    def cold(self) -> float:
        """The share of claims that would miss if none could be adopted on its way: no more than ``late``."""
        return float(np.dot(self.weights, self.lost))

    @property
    def late(self) -> float:
        """The share of claims that find none ready."""
        if self.orders is None:
            return self.cold
        return float(np.dot(self.weights, _waited(self.lost, _orders(self.orders, self.size, self.back))))


def shares(offered: Offered) -> Iterator[Shares]:
    """For pools of 0, 1, 2, ... sandboxes, without an end."""
    if offered.dispersion <= 1.0:
        load = max(offered.claims, ROUNDING)
        orders = max(offered.adopted * load, ROUNDING) if offered.adopted > 0 else None
        return _shares(1.0, _erlang(load, 1.0), orders, repeat(1.0) if orders is None else _erlang(orders, 1.0))
    loads, weights = _met(offered)
    ones = np.ones_like(loads)
    late = np.maximum(offered.adopted * loads, ROUNDING) if offered.adopted > 0 else None
    return _shares(weights, _erlang(loads, ones), late, repeat(ones) if late is None else _erlang(late, ones))


def _shares(weights: Load, lost: Iterator[Load], orders: Load | None, back: Iterator[Load]) -> Iterator[Shares]:
    size = 0
    while True:
        yield Shares(size, weights, next(lost), orders, next(back))
        size += 1


def miss(offered: Offered, size: int) -> float:
    """The share of claims that find none ready in a pool of this size."""
    return next(islice(shares(offered), size, None)).late


def size_for_misses(offered: Offered, target: float, most: int) -> int:
    """The smallest size, up to ``most``, at which no more than this share misses; ``most`` where none is enough."""
    near = (each for each in islice(shares(offered), most) if each.cold <= target)
    while stretch := list(islice(near, STRETCH)):
        enough = bisect_left(stretch, True, key=lambda each: each.late <= target)
        if enough < len(stretch):
            return stretch[enough].size
    return most


def _erlang(load: Load, lost: Load) -> Iterator[Load]:
    """Erlang's B of one load or of many, for 0, 1, 2, ... sandboxes; ``lost`` is that for none, which is 1."""
    size = 0
    while True:
        yield lost
        size += 1
        pressed = load * lost
        lost = pressed / (size + pressed)


def _waited(lost: Floats | float, orders: Floats) -> Floats:
    """The share of claims that find none ready, from Erlang's B and what back orders add to it."""
    with np.errstate(divide="ignore", over="ignore"):
        return np.asarray(1.0 / (1.0 + (np.divide(1.0, lost) - 1.0) / orders))


def _orders(load: Floats | float, size: int, lost: Floats | float) -> Floats:
    """How probable this many or more of these are on their way, over exactly as many: at least 1."""
    exactly = np.exp(size * np.log(load) - load - math.lgamma(size + 1.0))
    with np.errstate(all="ignore"):
        near = 1.0 + np.maximum(0.0, 1.0 - exactly / lost) / exactly
        far = np.where(load < size, np.divide(1.0, 1.0 - load / (size + 1.0)), np.inf)  # where that is too small
    return np.where(exactly > ROUNDING, near, far)


def size_for_fractile(offered: Offered, fractile: float, most: int) -> int:
    """The smallest size, up to ``most``, that serves this share of all lead times whole, as a newsvendor would.

    The quantile of the number of claims in a lead time, Poisson's or negative binomial.
    """
    claims, excess = offered.claims, offered.dispersion - 1.0
    none = -claims if excess <= 0 else -claims / excess * math.log(offered.dispersion)
    sizes = np.arange(min(most, _reach(offered)))
    with np.errstate(divide="ignore"):
        ratios = np.log((claims + sizes * excess) / offered.dispersion) - np.log(sizes + 1)
    held = np.cumsum(np.exp(none + np.concatenate(([0.0], np.cumsum(ratios)))))
    enough = held >= fractile - ROUNDING
    return int(np.argmax(enough)) if enough.any() else most


def idle(offered: Offered, size: int, missed: float) -> float:
    """Sandboxes that stand ready and unclaimed, on average: those that are not on their way back from a claim."""
    return max(0.0, size - offered.claims * (1.0 - missed))


def _met(offered: Offered) -> tuple[Floats, Floats]:
    """Loads in claims per lead time, and the share of claims that meets each: gamma's, weighted by themselves."""
    scale = offered.dispersion - 1.0
    mean, spread = _moments(offered)
    low, high = max(0.0, mean - NEAR * spread), mean + FAR * spread
    loads = low + (np.arange(RATES) + 0.5) * (high - low) / RATES
    logs = offered.claims / scale * np.log(loads / mean) - (loads - mean) / scale
    weights = np.exp(logs - logs.max())
    return loads, weights / weights.sum()


def _moments(offered: Offered) -> tuple[float, float]:
    """Mean and standard deviation of the loads that claims meet."""
    scale = max(0.0, offered.dispersion - 1.0)
    mean = offered.claims + scale
    return mean, math.sqrt(mean * scale)


def _reach(offered: Offered) -> int:
    """A size beyond which nothing is to be gained."""
    mean, spread = _moments(offered)
    high = mean + FAR * spread
    return math.ceil(high + FAR * math.sqrt(high) + FAR)
