"""Who foresees claims how well: averages over a minute to three hours, their trends, and what came yesterday.

Each says how many claims a second are to come. None is best at all times: a long average knows a steady rate well and
sees a change last, and a trend is right on a slope and overshoots after it. So all are believed together, each by how
probable it held the claims that came lately (Bayes' rule). Probabilities are those of Poisson's distribution with its
logarithm divided by the dispersion: where claims come in batches each proves less.
"""

from __future__ import annotations

import math

from scaler.core.types import Instant, Seconds
from scaler.core.warmpool_memory import BUCKETS, CONSTANTS, KEPT, TRENDS, Claims, Trial

BUCKET: Seconds = 300.0
PARTS = 4  # trials begun within a lead time
LOSS_HALF_LIFE: Seconds = 3600.0  # of the losses: who foresees best changes with the time of day
WORST = 4.0  # nats: nobody is doubted more than fifty to one, so that he is heard as soon as he is right again
PLAIN = 4  # the average that stands for what is usual
NOTHING = 1e-6  # claims per second: who expects none at all is infinitely surprised by one


def said(claims: Claims, horizon: Seconds, now: Instant) -> tuple[float | None, ...]:
    """Claims per second by each candidate, the most within the horizon; None where he has no word."""
    trends = (_trend(claims, i, horizon) for i in TRENDS)
    return (*claims.rates, *trends, _yesterday(claims, horizon, now))


def trusted(losses: tuple[float, ...], rates: tuple[float | None, ...]) -> tuple[float, ...]:
    """What share of the belief each has who has a word."""
    best = min(loss for loss, rate in zip(losses, rates, strict=True) if rate is not None)
    weights = [0.0 if rate is None else math.exp(best - loss) for loss, rate in zip(losses, rates, strict=True)]
    whole = math.fsum(weights)
    return tuple(weight / whole for weight in weights)


def together(trusts: tuple[float, ...], rates: tuple[float | None, ...]) -> float:
    """Claims per second by all of them."""
    return math.fsum(trust * rate for trust, rate in zip(trusts, rates, strict=True) if rate is not None)


def judged(losses: tuple[float, ...], trial: Trial, *, came: float, spread: float) -> tuple[float, ...]:
    """The losses with those of this trial, in which so many claims a second came.

    Who had no word loses as all together did, which is nothing.
    """
    fade, weight = 0.5 ** (trial.length / PARTS / LOSS_HALF_LIFE), trial.length / PARTS / spread
    base = _surprise(trial.rate, came)
    faded = [
        fade * loss + (0.0 if rate is None else weight * (_surprise(rate, came) - base))
        for loss, rate in zip(losses, trial.rates, strict=True)
    ]
    best = min(faded)
    return tuple(min(loss - best, WORST) for loss in faded)


def _surprise(rate: float, came: float) -> float:
    """Minus the logarithm of the probability, per second, up to what is the same for all."""
    rate = max(rate, NOTHING)
    return rate - came * math.log(rate)


def _trend(claims: Claims, i: int, horizon: Seconds) -> float:
    """Where an average would stand if it did not lag, and where it goes if that is up: as steeply as it has gone."""
    rate, slope = claims.rates[i], claims.rates[i] - claims.slower[i]
    return max(0.0, rate + slope + max(0.0, slope) * horizon / CONSTANTS[i])


def _yesterday(claims: Claims, horizon: Seconds, now: Instant) -> float | None:
    """The highest rate of the same stretch a day ago, None where it was not watched."""
    buckets = range(int(now // BUCKET) - BUCKETS, int((now + horizon) // BUCKET) - BUCKETS + 1)
    if any(claims.stamps[b % KEPT] != b for b in buckets[:BUCKETS]):
        return None
    return max(float(claims.profile[b % KEPT]) for b in buckets[:BUCKETS]) / BUCKET
