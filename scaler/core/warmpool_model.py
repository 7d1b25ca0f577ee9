"""How many idle sandboxes a pool needs: claims against stock that comes back one lead time after it was taken.

A claim that finds the pool empty starts its own sandbox outside the pool and nothing is refilled for it: a lost sale.
With claims like Poisson's, the share that misses is Erlang's B, whatever the distribution of the lead time. Claims that
come in batches have counts with a variance of ``dispersion`` times their mean: negative binomial ones, which are
Poisson's with a rate that is itself drawn from a gamma distribution. The share that misses is then Erlang's B averaged
over the rates that claims meet. Those are higher than the ones a clock meets, since most claims come when many do.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import numpy as np

from scaler.core.numbers import ROUNDING
from scaler.core.pods import Floats

Load = TypeVar("Load", float, Floats)

RATES = 64  # points of the distribution of rates
FAR = 10.0  # standard deviations above the mean beyond which no rate is looked at
NEAR = 6.0  # and below


@dataclass(frozen=True, slots=True)
class Offered:
    """What a pool is asked for: ``claims`` expected within one lead time, and the dispersion of their number, >= 1."""

    claims: float
    dispersion: float = 1.0


def misses(offered: Offered) -> Iterator[float]:
    """The share of claims that find a pool of 0, 1, 2, ... sandboxes empty, without an end."""
    if offered.dispersion <= 1.0:
        return _erlang(offered.claims)
    loads, weights = _met(offered)
    return (float(weights @ lost) for lost in _erlang(loads))


def _erlang(load: Load) -> Iterator[Load]:
    """Erlang's B of one load or of many, for 0, 1, 2, ... sandboxes."""
    lost, size = load * 0.0 + 1.0, 0
    while True:
        yield lost
        size += 1
        pressed = load * lost
        lost = pressed / (size + pressed)


def miss(offered: Offered, size: int) -> float:
    """The share of claims that find a pool of this size empty."""
    return next(islice(misses(offered), size, None))


def size_for_misses(offered: Offered, target: float, most: int) -> int:
    """The smallest size, up to ``most``, at which no more than this share misses; ``most`` where none is enough."""
    return next((size for size, share in enumerate(islice(misses(offered), most)) if share <= target), most)


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
