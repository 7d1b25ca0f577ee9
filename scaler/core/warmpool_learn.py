"""How claims come and how long a sandbox takes, learnt from what was seen.

A few times within a lead time the claims of the next one are expected, for the record. When that has passed, the
squared error teaches the dispersion: what comes in batches and what nobody could foresee, in one figure.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from scaler.core import startup
from scaler.core import warmpool_foresee as foresee
from scaler.core.pods import Floats, Ints
from scaler.core.policy import Pace
from scaler.core.types import Instant, Seconds
from scaler.core.warmpool_foresee import BUCKET, PARTS, PLAIN
from scaler.core.warmpool_memory import CONSTANTS, KEPT, Claims, Errors, Late, Leads, Trial, WarmMemory
from scaler.core.warmpool_model import Offered, size_for_fractile, size_for_misses
from scaler.core.warmpool_types import WarmPolicy

GRID: Seconds = 5.0  # no trial is shorter than the slowest tick
BURN_IN = 3.0  # lead times before the first trial: what is not known yet is no dispersion
HALF_LIFE: Seconds = 4 * 3600.0  # of the dispersion
LEADS_MEANT = 500  # lead times that the mean stands on
FADE = 0.995  # what a late claim weighs after the next one: the last few hundred decide
DOUBT = 2.0  # standard errors by which a figure must exceed another to be believed


@dataclass(frozen=True, slots=True)
class Stretch:
    """``came`` claims were counted between ``since`` and ``now``; in one go at its end where nobody ``watched``."""

    came: float
    since: Instant
    now: Instant
    watched: bool = True

    @property
    def seconds(self) -> Seconds:
        """How long it was."""
        return self.now - self.since


@dataclass(frozen=True, slots=True)
class Belief:
    """What is offered to the pool, by whom most of it was foreseen, and what share of the belief he has."""

    candidate: int
    rate: float
    offered: Offered
    trust: float


def leads(known: Leads, measured: tuple[Seconds, ...], pace: Pace) -> Leads:
    """The lead times with these in them. The prior stands until there are enough."""
    if not measured:
        return known
    last, count = startup.learn(known.last, np.array(measured), pace), known.count + len(measured)
    if count < pace.startup_samples:
        return Leads(last, known.mean, count)
    if known.count < pace.startup_samples:
        return Leads(last, math.fsum(last.samples) / len(last.samples), count)
    weight = len(measured) / min(count, LEADS_MEANT)
    return Leads(last, known.mean + min(1.0, weight) * (math.fsum(measured) / len(measured) - known.mean), count)


def learn(claims: Claims, policy: WarmPolicy, lead: Seconds, stretch: Stretch) -> Claims:
    """What is known of claims, with those of this stretch in it."""
    now, first = stretch.now, claims.since is None
    stretch = replace(stretch, came=stretch.came + claims.unread)
    last = now if stretch.came else claims.last
    if stretch.seconds <= 0 or first:
        since, unread = (now, 0.0) if first else (claims.since, stretch.came)
        return replace(claims, since=since, unread=unread, last=last, until=now)
    profile, stamps = _remembered(claims, stretch)
    rates, slower = _averaged(claims, stretch, lead)
    seen = replace(
        claims,
        seen=claims.seen + stretch.came,
        unread=0.0,
        last=last,
        until=now,
        rates=rates,
        slower=slower,
        profile=profile,
        stamps=stamps,
    )
    return _tried(_scored(seen, now), policy, lead, stretch)


def usual(claims: Claims) -> float:
    """Claims per second of the plain average: what comes without being announced."""
    return claims.rates[PLAIN]


def unwatched(claims: Claims) -> Claims:
    """What is known of claims after a stretch in which they were not counted: what was open then proves nothing."""
    return replace(claims, trials=())


def late(known: Late, *, cold: int, unready: int) -> Late:
    """How claims fared that found none ready, with these."""
    fade = FADE ** (cold + unready)
    return Late(known.cold * fade + cold, known.unready * fade + unready)


def believe(memory: WarmMemory, policy: WarmPolicy, now: Instant) -> Belief:
    """What all candidates together offer to the pool, and who of them is trusted the most."""
    claims, lead, spread = memory.claims, memory.leads.mean, dispersion(memory.claims.errors)
    rates = foresee.said(claims, lead + policy.delay, now)
    trusts = foresee.trusted(claims.losses, rates)
    rate = foresee.together(trusts, rates)
    best = trusts.index(max(trusts))
    return Belief(best, rate, Offered(rate * lead, spread, memory.late.adopted), trusts[best])


def size(policy: WarmPolicy, offered: Offered) -> int:
    """The smallest size that keeps the policy's target under what is offered; one above the maximum for any larger."""
    most = policy.max_size + 1
    if policy.wait_price is None:
        return size_for_misses(offered, policy.miss_target, most)
    return size_for_fractile(offered, policy.fractile, most)


def dispersion(errors: Errors) -> float:
    """Variance over mean of the claims in a lead time, 1 where it cannot be told from that.

    Few large bursts say little of how large the next one is, and the fourth powers tell how few: it is taken from the
    unfavourable end of its error, which is at most as large as itself. Trials overlap, so as many are worth one.
    """
    found = errors.squares / max(errors.claims, errors.came)
    chance = DOUBT * math.sqrt(2.0 / errors.windows) if errors.windows else 0.0
    error = min(1.0, math.sqrt(PARTS * errors.fourths) / errors.squares)
    return found * (1.0 + error) if found > 1.0 + chance else 1.0


def _averaged(claims: Claims, stretch: Stretch, lead: Seconds) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Averages that forget by time, not by tick, and those of them; plain means while they remember longer than that.

    Those begin with one lead time in which nothing came: a burst at the very first is no rate yet.
    """
    step, since = stretch.seconds, stretch.since if claims.since is None else claims.since
    age, rate = stretch.now - since + lead, stretch.came / stretch.seconds
    gains = [max(-math.expm1(-step / constant), step / age) for constant in CONSTANTS]
    rates = tuple(a + gain * (rate - a) for a, gain in zip(claims.rates, gains, strict=True))
    slower = tuple(b + gain * (a - b) for a, b, gain in zip(rates, claims.slower, gains, strict=True))
    return rates, slower


def _remembered(claims: Claims, stretch: Stretch) -> tuple[Floats, Ints]:
    """The profile and its stamps with these claims in the bucket of the day."""
    bucket = int(stretch.now // BUCKET)
    i = bucket % KEPT
    profile, stamps = claims.profile.copy(), claims.stamps.copy()
    profile[i] = stretch.came + (profile[i] if stamps[i] == bucket else 0.0)
    stamps[i] = bucket
    return profile, stamps


def _tried(claims: Claims, policy: WarmPolicy, lead: Seconds, stretch: Stretch) -> Claims:
    """With a new trial, where it is time for one."""
    now, length = stretch.now, max(lead, GRID, stretch.seconds)
    if claims.since is None or now - claims.since < BURN_IN * lead or not stretch.watched:
        return claims
    if claims.trials and now - claims.trial_at < length / PARTS:
        return claims
    rates = foresee.said(claims, lead + policy.delay, now)
    rate = foresee.together(foresee.trusted(claims.losses, rates), rates)
    return replace(claims, trials=(*claims.trials, Trial(now, now + length, claims.seen, rates, rate)), trial_at=now)


def _scored(claims: Claims, now: Instant) -> Claims:
    """With the trials that are due on the record. What came due long ago was not watched, and proves nothing."""
    if not claims.trials or claims.trials[0].due > now:
        return claims
    losses, errors = claims.losses, claims.errors
    for trial in claims.trials:
        if trial.due <= now and now - trial.at <= 2 * trial.length:
            passed = Stretch(claims.seen - trial.seen, trial.at, now)
            losses = foresee.judged(losses, trial, came=passed.came / passed.seconds, spread=dispersion(errors))
            errors = _marked(errors, trial, passed)
    return replace(claims, trials=tuple(t for t in claims.trials if t.due > now), losses=losses, errors=errors)


def _marked(errors: Errors, trial: Trial, passed: Stretch) -> Errors:
    """The errors with one more trial among them."""
    fade, expected = 0.5 ** (trial.length / PARTS / HALF_LIFE), trial.rate * passed.seconds
    error = passed.came - expected
    return Errors(
        squares=fade * errors.squares + error**2,
        fourths=fade**2 * errors.fourths + error**4,
        windows=fade * errors.windows + 1.0 / PARTS,
        claims=fade * errors.claims + expected,
        came=fade * errors.came + passed.came,
    )
