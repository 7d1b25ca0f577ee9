"""What one tick of a warm pool hands to the next."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from scaler.core.pods import Floats, Ints
from scaler.core.policy import Pace
from scaler.core.startup import Startups
from scaler.core.types import Instant, Seconds
from scaler.core.watch import Watch

BUCKETS = 288  # of a day
KEPT = 2 * BUCKETS  # so that yesterday outlives today
CONSTANTS: tuple[Seconds, ...] = (60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 10_800.0)  # of the averages of the rate
TRENDS: tuple[int, ...] = (0, 1, 2, 3, 4, 5)  # of these, the ones whose trend is a candidate too
CANDIDATES: tuple[str, ...] = (
    *(f"average over {constant:.0f} s" for constant in CONSTANTS),
    *(f"trend over {CONSTANTS[i]:.0f} s" for i in TRENDS),
    "yesterday",
)
DISPERSION_PRIOR = 4.0  # claims come in small batches until they are known not to
PRIOR_WEIGHT = 10.0  # expected claims that the prior weighs as much as


@dataclass(frozen=True, slots=True)
class Trial:
    """What was expected at one instant: claims per second, by each candidate and by all together.

    ``seen`` counts the claims before it. A candidate that had no word is None.
    """

    at: Instant
    due: Instant
    seen: float
    rates: tuple[float | None, ...]
    rate: float

    @property
    def length(self) -> Seconds:
        """Seconds within which it counts the claims."""
        return self.due - self.at


@dataclass(frozen=True, slots=True)
class Errors:
    """How far the claims that came were from those expected, older ones faded.

    Attributes:
        squares, fourths: the errors, to the power of two and of four.
        claims, came: the expectations, and the claims that came; the squares over the larger of both is the dispersion,
            so that who expected too few does not take that for batches.
        windows: lead times that these stand on.
    """

    squares: float = DISPERSION_PRIOR * PRIOR_WEIGHT
    fourths: float = 0.0
    windows: float = 0.0
    claims: float = PRIOR_WEIGHT
    came: float = PRIOR_WEIGHT


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claims:
    """What is known of how claims come.

    Attributes:
        since: when they were first counted; None before that.
        seen: those counted so far; ``unread`` came in no time at all and count with the next.
        last: when the last one came; ``until`` up to when they were counted.
        rates: averages in claims per second, one for each of ``CONSTANTS``; ``slower`` are averages of these.
        trials, trial_at: those not yet due, and when the last one was made.
        losses: what each candidate's word has cost beyond that of all together, in nats, older ones faded.
        profile, stamps: claims by time of day, shape (KEPT,), and the bucket since the epoch each was counted in.
    """

    since: Instant | None
    seen: float
    unread: float
    last: Instant
    until: Instant
    rates: tuple[float, ...]
    slower: tuple[float, ...]
    trials: tuple[Trial, ...]
    trial_at: Instant
    losses: tuple[float, ...]
    errors: Errors
    profile: Floats
    stamps: Ints

    @classmethod
    def none(cls, now: Instant) -> Claims:
        """Nothing seen yet."""
        return cls(
            since=None,
            seen=0.0,
            unread=0.0,
            last=now,
            until=now,
            rates=(0.0,) * len(CONSTANTS),
            slower=(0.0,) * len(CONSTANTS),
            trials=(),
            trial_at=now,
            losses=(0.0,) * len(CANDIDATES),
            errors=Errors(),
            profile=np.zeros(KEPT),
            stamps=np.full(KEPT, -1, dtype=np.int64),
        )


@dataclass(frozen=True, slots=True)
class Leads:
    """Lead times: the last few, their mean over many more, and how many it stands on."""

    last: Startups
    mean: Seconds
    count: int


@dataclass(frozen=True, slots=True)
class Late:
    """Claims that found none ready, older ones faded: those that started cold, and those that took one on its way.

    It begins with a few cold ones: until something else was seen, a miss is a lost sale.
    """

    cold: float = 5.0
    unready: float = 0.0

    @property
    def adopted(self) -> float:
        """Share of them that took one on its way."""
        return self.unready / (self.cold + self.unready)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WarmMemory:
    """One warm pool's memory.

    Attributes:
        at: the last tick.
        born: when this process first saw the pool.
        found: the size that the pool had when we first saw it, None before that.
        size: the last size asked for, None before the first and where we are not followed; ``moved_at`` when it moved.
        watch: what was wanted lately.
        hints: claims yet to come of each hint in force, by name.
    """

    at: Instant
    born: Instant
    leads: Leads
    claims: Claims
    late: Late = Late()
    found: int | None = None
    size: int | None = None
    moved_at: Instant | None = None
    watch: Watch = field(default=Watch())
    hints: tuple[tuple[str, float], ...] = ()

    @classmethod
    def fresh(cls, now: Instant, pace: Pace) -> WarmMemory:
        """The memory of a pool never seen before."""
        leads = Leads(Startups.none(pace), pace.startup_prior, 0)
        return cls(at=now, born=now, leads=leads, claims=Claims.none(now))

    def at_or_before(self, now: Instant) -> WarmMemory:
        """This memory, with every instant moved back as far as the clock was, so that no age is negative."""
        return self if now >= self.at else _moved(self, now - self.at)


def _moved(memory: WarmMemory, by: Seconds) -> WarmMemory:
    """Move each instant by the same length; lengths stay."""

    def at(instant: Instant | None) -> Instant | None:
        return None if instant is None else instant + by

    claims = memory.claims
    return replace(
        memory,
        at=memory.at + by,
        born=memory.born + by,
        moved_at=at(memory.moved_at),
        watch=memory.watch.moved(by),
        claims=replace(
            claims,
            since=at(claims.since),
            last=claims.last + by,
            until=claims.until + by,
            trial_at=claims.trial_at + by,
            trials=tuple(replace(t, at=t.at + by, due=t.due + by) for t in claims.trials),
        ),
    )
