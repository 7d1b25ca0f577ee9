"""How much demand may rise before a pod ordered now could serve, and whether that guess has earned its use.

Every few seconds each candidate bids a quantile of the highest demand within the horizon. When the horizon has passed
the bid is scored by pinball loss against what came, beside persistence ("demand stays as it is") on the same trials.
The first candidate is the base to beat: persistence plus the empirical quantile of how far demand rose within the
horizon over the last hours. Another is used only where it beats the base by the gate, and none unless it beats
persistence by it. A forecast adds pods ahead or keeps them; it never takes one away.

That takes minutes to prove. Where nothing is proven yet, and demand has risen in each of the last few steps, it is
expected to go on as in the least of them: a pool that fills for the first time would run a startup behind throughout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from scaler.core.numbers import pinball, quantile, rank
from scaler.core.passing import maker, passing
from scaler.core.pods import Floats, Ints
from scaler.core.policy import Pace, Policy
from scaler.core.types import SPARSE, Forecast, Instant, Known, Sample, Seconds, Signal, Unknown

CANDIDATES = ("rise", "yesterday", "rate", "trend")
RAMP = "ramp"  # what is expected before any of these is proven
GRID: Seconds = 5.0  # bids are made no oftener than the slowest tick
GRID_PART = 12  # and about this many of them are open at once
RESIDUALS_ENOUGH = 20  # below this a margin is nought
NO_RANK = -1  # a margin that is nobody's quantile
FADE = 0.998  # a trial's weight after the next one: the last five hundred decide
BUCKET: Seconds = 300.0
BUCKETS = 288  # of a day
UNEARNED = Unknown("no forecast has beaten persistence by its gate")
UNPROVEN = Unknown("too few trials, or nothing to foresee")
UNWATCHED = Unknown("nobody saw how the last forecast ended")
Point: TypeAlias = float | None  # a candidate with nothing to say bids None
Points: TypeAlias = tuple[Point, ...]
_new_forecast = maker(Forecast)


@dataclass(frozen=True, slots=True)
class Bid:
    """What each candidate said at one instant, before (``points``) and after (``tops``) its margin, and what came.

    ``start`` is the demand when the bid was made, which is persistence's bid; ``peak`` the highest demand since.
    """

    due: Instant
    start: float
    peak: float
    points: Points
    tops: Points


_new_bid = maker(Bid)


@dataclass(frozen=True, slots=True, eq=False)
class Record:
    """One candidate's past.

    Attributes:
        residuals: pods that the peak rose above its point, shape (r,), oldest first.
        margin: their quantile, in force until the next bid.
        own, persistence: faded losses on the same trials.
        skill: their ratio, None while unproven or where there was nothing to foresee.
        rank: how many residuals come before the margin in order, ``NO_RANK`` while that is not known.
    """

    residuals: Floats
    margin: float = 0.0
    own: float = 0.0
    persistence: float = 0.0
    trials: int = 0
    skill: float | None = None
    rank: int = field(default=NO_RANK, metadata=SPARSE)


_new_record = maker(Record)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ForecastMemory:
    """Open bids, each candidate's record, and the highest demand by time of day with the bucket it was seen in."""

    bid_at: Instant | None
    bids: tuple[Bid, ...]
    records: tuple[Record, ...]
    profile: Floats
    stamps: Ints

    @classmethod
    def none(cls) -> ForecastMemory:
        """Nothing seen yet."""
        return cls(
            bid_at=None,
            bids=(),
            records=tuple(_new_record(np.zeros(0)) for _ in CANDIDATES),
            profile=np.zeros(BUCKETS),
            stamps=np.full(BUCKETS, -1, dtype=np.int64),
        )


_new_forecast_memory = maker(ForecastMemory)


def grown(memory: ForecastMemory) -> ForecastMemory:
    """The same with a record of every candidate: one that an earlier version wrote down had fewer."""
    missing = len(CANDIDATES) - len(memory.records)
    if not missing:
        return memory
    silent: Points = (None,) * missing
    return replace(
        memory,
        bids=tuple(replace(bid, points=(*bid.points, *silent), tops=(*bid.tops, *silent)) for bid in memory.bids),
        records=(*memory.records, *ForecastMemory.none().records[:missing]),
    )


@passing
class Question:
    """What is asked: demand now in pods, how far ahead in seconds, at which quantile, and what else is known."""

    demand: float
    horizon: Seconds
    q: float
    now: Instant
    signals: Mapping[Signal, Sample]


def points(memory: ForecastMemory, policy: Policy, ask: Question) -> Points:
    """Each candidate's point forecast of the highest demand within the horizon, in pods: never below what stands."""
    others = (_yesterday(memory, ask), _rate(policy, ask), _trend(memory, policy, ask))
    return (ask.demand, *[None if p is None else max(p, ask.demand) for p in others])


def learn(memory: ForecastMemory, policy: Policy, ask: Question, said: Points) -> ForecastMemory:
    """Take this instant's demand in: raise open peaks, score what matured, and bid anew when it is time."""
    bids, step, now = _raised(memory.bids, ask), _step(ask), ask.now
    if memory.bid_at is not None and now - memory.bid_at < step:
        return memory if bids is memory.bids else replace(memory, bids=bids)
    unwatched = now - 2 * step  # what ended by then proves nothing
    ripe = [b for b in bids if unwatched < b.due <= now]
    records = tuple([_scored(r, ripe, i, q=ask.q, pace=policy.pace) for i, r in enumerate(memory.records)])
    tops = tuple([None if p is None else p + r.margin for p, r in zip(said, records, strict=True)])
    bid = _new_bid(now + ask.horizon, ask.demand, ask.demand, said, tops)
    profile, stamps = _remembered(memory, ask)
    bids = (*[b for b in bids if b.due > now], bid)
    return _new_forecast_memory(bid_at=now, bids=bids, records=records, profile=profile, stamps=stamps)


def _step(ask: Question) -> Seconds:
    """How long after a bid the next one is made."""
    return max(GRID, ask.horizon / GRID_PART)


def _raised(bids: tuple[Bid, ...], ask: Question) -> tuple[Bid, ...]:
    """Open bids with no peak below this demand. The newest has seen the least, so its peak is the lowest."""
    if not bids or bids[-1].peak >= ask.demand:
        return bids
    peak, now = ask.demand, ask.now
    return tuple(
        [b if b.peak >= peak or b.due < now else _new_bid(b.due, b.start, peak, b.points, b.tops) for b in bids]
    )


def forecast(memory: ForecastMemory, policy: Policy, ask: Question, said: Points) -> Forecast:
    """The best candidate's answer for this instant, Unknown until one has earned its use; before that the ramp's."""
    # Where nobody saw how even the newest bid ended none is scored, and a skill would be that of better days for ever.
    if memory.bids and memory.bids[-1].due <= ask.now - 2 * _step(ask):
        return silent(ask, UNWATCHED)
    gate = policy.pace.forecast_gate
    best = _best(memory.records, said, gate)
    earned, point = memory.records[best].skill, said[best]
    pods: float | Unknown = UNEARNED
    ramp = _ramp(memory, policy, ask) if earned is None and gate > 0 else None
    if ramp is not None:
        pods = ramp
    elif earned is not None and point is not None and earned <= gate:
        pods = point + memory.records[best].margin
    return _new_forecast(
        pods=pods,
        horizon=ask.horizon,
        quantile=ask.q,
        candidate=CANDIDATES[best] if ramp is None else RAMP,
        skill=UNPROVEN if earned is None else earned,
    )


def silent(ask: Question, why: Unknown) -> Forecast:
    """No forecast, because nothing is known of demand, or of what came of the last."""
    return _new_forecast(pods=why, horizon=ask.horizon, quantile=ask.q, candidate=CANDIDATES[0], skill=why)


def _best(records: tuple[Record, ...], said: Points, gate: float) -> int:
    """The candidate that bids and has the least loss, if it beats the base by the gate; else the base."""
    base = records[0].skill
    if base is None:
        return 0
    proven = [(r.skill, i) for i, r in enumerate(records) if r.skill is not None and said[i] is not None]
    least, best = min(proven)
    return best if least <= gate * base else 0


def _yesterday(memory: ForecastMemory, ask: Question) -> Point:
    """The peak of the same stretch a day ago. The bucket that is being filled now is left out."""
    first = int(ask.now // BUCKET) + 1
    last = max(first, int((ask.now + ask.horizon) // BUCKET))
    peak = 0.0
    for bucket in range(first, min(last, first + BUCKETS - 2) + 1):
        place = bucket % BUCKETS
        if memory.stamps[place] != bucket - BUCKETS:
            return None
        peak = max(peak, float(memory.profile[place]))
    return peak


def _rate(policy: Policy, ask: Question) -> Point:
    """Arrivals times service time (Little), which is noise until a thousand heavy-tailed tasks have ended."""
    done, signals = ask.signals.get(Signal.COMPLETIONS), ask.signals
    if not isinstance(done, Known) or done.value < policy.pace.rate_completions:
        return None
    arrivals, service = signals.get(Signal.ARRIVALS), signals.get(Signal.SERVICE)
    if not (isinstance(arrivals, Known) and isinstance(service, Known)):
        return None
    return arrivals.value * service.value / policy.slots_per_pod


def _trend(memory: ForecastMemory, policy: Policy, ask: Question) -> Point:
    """What demand rose by since its lowest bid of the last moments, once more."""
    newest = ask.now + ask.horizon - policy.pace.trend_window  # a bid is due one horizon after it was made
    lowest = min([bid.start for bid in memory.bids if bid.due >= newest], default=None)
    return None if lowest is None else ask.demand + (ask.demand - lowest)


def _ramp(memory: ForecastMemory, policy: Policy, ask: Question) -> Point:
    """Demand a horizon on, if it goes on rising as in the least of its last steps; None where one of them was no rise.

    A burst is one step, and noise has few steps in a row, of which the least is small.
    """
    steps = policy.pace.ramp_steps
    bids = memory.bids[-steps - 1 :]
    if not 0 < steps < len(bids) or any(b.due <= a.due for a, b in pairwise(bids)):  # the horizon may have shrunk
        return None
    least = min((b.start - a.start) / (b.due - a.due) for a, b in pairwise(bids))
    return ask.demand + least * ask.horizon if least > 0 else None


def _remembered(memory: ForecastMemory, ask: Question) -> tuple[Floats, Ints]:
    """The profile and its stamps with this demand in its bucket of the day."""
    bucket = int(ask.now // BUCKET)
    i = bucket % BUCKETS
    if memory.stamps[i] == bucket and memory.profile[i] >= ask.demand:
        return memory.profile, memory.stamps
    profile, stamps = memory.profile.copy(), memory.stamps.copy()
    profile[i], stamps[i] = ask.demand, bucket
    return profile, stamps


def _scored(record: Record, ripe: list[Bid], candidate: int, *, q: float, pace: Pace) -> Record:
    """One candidate's record with the matured bids in it."""
    own, persistence, trials = record.own, record.persistence, record.trials
    fresh: list[float] = []
    for bid in ripe:
        point, top = bid.points[candidate], bid.tops[candidate]
        if point is None or top is None:
            continue
        own = own * FADE + pinball(q, bid.peak, top)
        persistence = persistence * FADE + pinball(q, bid.peak, bid.start)
        trials += 1
        fresh.append(bid.peak - point)
    if not fresh:
        return record
    residuals = np.concatenate((record.residuals, fresh))[-pace.forecast_memory :]
    place = rank(len(residuals), q) if len(residuals) >= RESIDUALS_ENOUGH else NO_RANK
    margin = 0.0 if place == NO_RANK else _margin(record, residuals, place, q=q, came=len(fresh))
    return _new_record(residuals, margin, own, persistence, trials, skill(own, persistence, trials, pace), place)


def skill(own: float, persistence: float, trials: int, pace: Pace) -> float | None:
    """Loss beside persistence's on the same trials; None while they are few, or where there was nothing to foresee."""
    return own / persistence if trials >= pace.forecast_trials and persistence > 0 else None


def _margin(record: Record, residuals: Floats, place: int, *, q: float, came: int) -> float:
    """The quantile of the residuals, of which the last ``came`` are new, and never below nought.

    The last margin stays where it had as many before it, and the one residual that came lies on the same side of it as
    the one that went.
    """
    if place == record.rank and came == 1 and len(residuals) == len(record.residuals):
        last, gone, new = record.margin, record.residuals.item(0), residuals.item(-1)
        if (gone < last) == (new < last) and (gone > last) == (new > last):
            return last
    return max(0.0, quantile(residuals, q))
