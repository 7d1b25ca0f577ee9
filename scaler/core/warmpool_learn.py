"""How claims come and how long a sandbox takes, learnt from what was seen.

Each candidate says how many claims a second come: averages over a minute to three hours, and what came at this time
yesterday. A few times within a lead time each says so for the record, with the size it would have the pool be. When a
lead time has passed, the squared error of its expectation teaches its dispersion: what comes in batches and what the
candidate could not foresee, in one figure. The size is scored by pinball loss, and the candidate that lost the least
decides; yesterday only where it beats every average by the gate.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from scaler.core import startup
from scaler.core.numbers import pinball
from scaler.core.pods import Floats, Ints
from scaler.core.policy import Pace
from scaler.core.types import Instant, Seconds
from scaler.core.warmpool_memory import BUCKETS, CONSTANTS, KEPT, Claims, Late, Leads, Record, Trial, WarmMemory
from scaler.core.warmpool_model import Offered, size_for_fractile, size_for_misses
from scaler.core.warmpool_types import WarmPolicy

BUCKET: Seconds = 300.0
GRID: Seconds = 5.0  # no trial is shorter than the slowest tick
BURN_IN = 3.0  # lead times before the first trial: what is not known yet is no dispersion
PARTS = 4  # trials begun within a lead time
HALF_LIFE: Seconds = 4 * 3600.0  # of the dispersions
LOSS_HALF_LIFE: Seconds = 3600.0  # of the losses: who foresees best changes with the time of day
LEADS_MEANT = 500  # lead times that the mean stands on
PLAIN = 2  # the average that candidates are held against
FADE = 0.995  # what a late claim weighs after the next one: the last few hundred decide
ROUGHLY = 50.0  # steps of a figure for each power of e
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
    """What is offered to the pool by the candidate that is believed, and its skill, None while unproven."""

    candidate: int
    rate: float
    offered: Offered
    skill: float | None


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
    seen = replace(
        claims,
        seen=claims.seen + stretch.came,
        unread=0.0,
        last=last,
        until=now,
        rates=_averaged(claims, stretch, lead),
        profile=profile,
        stamps=stamps,
    )
    return _tried(_scored(seen, policy, now), policy, lead, stretch)


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
    """The candidate that has lost the least, and what it offers to the pool."""
    claims, lead = memory.claims, memory.leads.mean
    rates = _said(claims, lead + policy.delay, now)
    best = _best(claims.records, rates, policy.pace)
    record = claims.records[best]
    rate = max(rates[best] or 0.0, _proven(claims, dispersion(record)))
    skill = record.own / record.beside if record.beside > 0 else None
    return Belief(best, rate, Offered(rate * lead, dispersion(record), memory.late.adopted), skill)


def size(policy: WarmPolicy, offered: Offered) -> int:
    """The smallest size that keeps the policy's target under what is offered; one above the maximum for any larger."""
    most = policy.max_size + 1
    if policy.wait_price is None:
        return size_for_misses(offered, policy.miss_target, most)
    return size_for_fractile(offered, policy.fractile, most)


@lru_cache(maxsize=65_536)
def _roughly(policy: WarmPolicy, claims: float, dispersion: float) -> int:
    """The size for figures that were rounded so that they come again: several are needed at every trial."""
    return size(policy, Offered(claims, dispersion))


def _rounded(figure: float) -> float:
    """Within two hundredths, zero and one as they are."""
    return math.exp(round(math.log(figure) * ROUGHLY) / ROUGHLY) if figure > 0 else 0.0


def dispersion(record: Record) -> float:
    """Variance over mean of the claims in a lead time, 1 where it cannot be told from that.

    Few large bursts say little of how large the next one is, and the fourth powers tell how few: it is taken from the
    unfavourable end of its error, which is at most as large as itself. Trials overlap, so as many are worth one.
    """
    found = record.squares / max(record.claims, record.came)
    chance = DOUBT * math.sqrt(2.0 / record.windows) if record.windows else 0.0
    error = min(1.0, math.sqrt(PARTS * record.fourths) / record.squares)
    return found * (1.0 + error) if found > 1.0 + chance else 1.0


def _averaged(claims: Claims, stretch: Stretch, lead: Seconds) -> tuple[float, ...]:
    """Averages that forget by time, not by tick; plain means while less time has passed than they remember.

    Those begin with one lead time in which nothing came: a burst at the very first is no rate yet.
    """
    step, since = stretch.seconds, stretch.since if claims.since is None else claims.since
    age = stretch.now - since + lead
    return tuple(
        rate + max(-math.expm1(-step / constant), step / age) * (stretch.came / step - rate)
        for rate, constant in zip(claims.rates, CONSTANTS, strict=True)
    )


def _said(claims: Claims, horizon: Seconds, now: Instant) -> tuple[float | None, ...]:
    """Claims per second by each candidate."""
    return (*claims.rates, _yesterday(claims, horizon, now))


def _yesterday(claims: Claims, horizon: Seconds, now: Instant) -> float | None:
    """The highest rate of the same stretch a day ago, None where it was not watched."""
    buckets = range(int(now // BUCKET) - BUCKETS, int((now + horizon) // BUCKET) - BUCKETS + 1)
    if any(claims.stamps[b % KEPT] != b for b in buckets[:BUCKETS]):
        return None
    return max(float(claims.profile[b % KEPT]) for b in buckets[:BUCKETS]) / BUCKET


def _proven(claims: Claims, dispersion: float) -> float:
    """The claims per second that some average shows beyond chance, however short it is.

    A long average that foresaw best for hours is the last to see that claims come oftener now.
    """
    errors = (math.sqrt(rate * dispersion / (2.0 * c)) for rate, c in zip(claims.rates, CONSTANTS, strict=True))
    return max(rate - DOUBT * error for rate, error in zip(claims.rates, errors, strict=True))


def _best(records: tuple[Record, ...], rates: tuple[float | None, ...], pace: Pace) -> int:
    """The average that lost the least; yesterday where it lost less than that by the gate."""
    proven = [
        (record.own / record.beside, i)
        for i, record in enumerate(records)
        if record.trials >= pace.forecast_trials and record.beside > 0 and rates[i] is not None
    ]
    averages = [entry for entry in proven if entry[1] < len(CONSTANTS)]
    best = min(averages, default=(1.0, PLAIN))
    rest = [entry for entry in proven if entry[1] >= len(CONSTANTS) and entry[0] <= pace.forecast_gate * best[0]]
    return min(rest, default=best)[1]


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
    rates = _said(claims, lead + policy.delay, now)
    sizes = tuple(
        None if rate is None else _roughly(policy, _rounded(rate * length), _rounded(dispersion(record)))
        for rate, record in zip(rates, claims.records, strict=True)
    )
    trial = Trial(now, now + length, claims.seen, rates, sizes)
    return replace(claims, trials=(*claims.trials, trial), trial_at=now)


def _scored(claims: Claims, policy: WarmPolicy, now: Instant) -> Claims:
    """With the trials that are due in the records. What came due long ago was not watched, and proves nothing."""
    if not claims.trials or claims.trials[0].due > now:
        return claims
    records = claims.records
    for trial in claims.trials:
        if trial.due <= now and now - trial.at <= 2 * trial.length:
            passed = Stretch(claims.seen - trial.seen, trial.at, now)
            records = tuple(_marked(r, trial, i, passed, policy.fractile) for i, r in enumerate(records))
    return replace(claims, trials=tuple(t for t in claims.trials if t.due > now), records=records)


def _marked(record: Record, trial: Trial, i: int, passed: Stretch, q: float) -> Record:
    """One candidate's record with one more trial in it."""
    rate, said, plain = trial.rates[i], trial.sizes[i], trial.sizes[PLAIN]
    if rate is None or said is None or plain is None:
        return record
    fade, forget = (0.5 ** (trial.length / PARTS / half) for half in (HALF_LIFE, LOSS_HALF_LIFE))
    error = passed.came - rate * passed.seconds
    expected, came = rate * passed.seconds, passed.came * trial.length / passed.seconds
    return Record(
        squares=fade * record.squares + error**2,
        fourths=fade**2 * record.fourths + error**4,
        windows=fade * record.windows + 1.0 / PARTS,
        claims=fade * record.claims + expected,
        came=fade * record.came + passed.came,
        own=forget * record.own + pinball(q, came, said),
        beside=forget * record.beside + pinball(q, came, plain),
        trials=record.trials + 1,
    )
