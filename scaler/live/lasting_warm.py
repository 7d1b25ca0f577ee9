"""What a warm pool has taught, in less than a kibibyte, for the process that comes after this one.

Kept are the lead times, how fast claims come, who has foreseen that how well, their dispersion, how those fared that
missed, and when claims came within the last day. What is rounded, and nothing else is:

- lead times, and claims by time of day, to one part in thirty, as steps of a logarithm in one byte each;
- the mean lead time and the claims that missed to five digits;
- rates, losses and errors to 24 bits; instants to whole seconds.

The quantiles of lead times are worked out anew. What the last tick knew and the trials under way are not kept: a
resumed pool is newly born, so that it lowers nothing before its spare sandboxes have been watched for as long as any.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields, replace
from typing import Final

import numpy as np

from scaler.core import startup
from scaler.core.pods import Floats, Ints
from scaler.core.policy import Pace
from scaler.core.record import Json, RecordError, from_json, to_json
from scaler.core.startup import Startups
from scaler.core.types import Instant, Seconds
from scaler.core.warmpool_foresee import BUCKET
from scaler.core.warmpool_memory import BUCKETS, CANDIDATES, CONSTANTS, KEPT, Claims, Errors, Late, Leads, WarmMemory
from scaler.live.lasting import LARGEST, LARGEST_SINGLE, SINGLES, column, short, text
from scaler.live.store import NewerError

VERSION: Final = 2  # the first had other candidates, and is set aside
BYTES: Final = np.dtype("<u1")
UNWATCHED: Final = 255  # in the place of a count
STEPS: Final = 254  # of a logarithm; nought is nought
LEAST_LEAD, LONGEST_LEAD = 0.01, 6_553.0  # seconds
LEAST_CLAIMS, MOST_CLAIMS = 0.5, 200_000.0  # within a bucket of the day
DAY: Final = BUCKETS + 1  # buckets that are kept: yesterday's same one is still asked for while today's is counted
FIGURES: Final = len(fields(Errors))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is written down. Texts are base85 of columns.

    Attributes:
        v: the version of all this.
        at: the last tick.
        watched: seconds for which claims had been counted by then; below nought where they never were.
        leads, mean, seen: lead times as steps, their mean in seconds, and how many that stands on.
        rates, slower: claims per second by each average, and averages of these.
        losses: of each candidate.
        errors: their figures.
        cold, unready: claims that found none ready.
        day, bucket: claims by time of day as steps, up to this bucket since the epoch.
    """

    v: int
    at: Instant
    watched: Seconds
    leads: str
    mean: Seconds
    seen: int
    rates: str
    slower: str
    losses: str
    errors: str
    cold: float
    unready: float
    day: str
    bucket: int


def pack_warm(memory: WarmMemory) -> str:
    """What is kept of this memory, as JSON."""
    claims, at = memory.claims, float(round(memory.at))
    bucket = int(memory.at // BUCKET)
    kept = Kept(
        v=VERSION,
        at=at,
        watched=-1.0 if claims.since is None else float(round(memory.at - claims.since)),
        leads=text(_steps(np.array(memory.leads.last.samples), LEAST_LEAD, LONGEST_LEAD), BYTES),
        mean=short(min(LARGEST, max(LEAST_LEAD, memory.leads.mean))),
        seen=memory.leads.count,
        rates=_singles(claims.rates),
        slower=_singles(claims.slower),
        losses=_singles(claims.losses),
        errors=_singles(astuple(claims.errors)),
        cold=short(min(LARGEST, memory.late.cold)),
        unready=short(min(LARGEST, memory.late.unready)),
        day=text(_day(claims, bucket), BYTES),
        bucket=bucket,
    )
    return json.dumps(to_json(kept), separators=(",", ":"), allow_nan=False)


def unpack_warm(packed: Json, pace: Pace, now: Instant) -> WarmMemory:
    """The memory of a warm pool newly born that has been taught all this.

    Raises:
        NewerError: a newer scaler wrote it.
        RecordError: this is not what ``pack_warm`` wrote.
    """
    version = packed.get("v") if isinstance(packed, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise NewerError(f"it is of version {version}, and this scaler knows up to {VERSION}; run a newer one")
    kept = _sound(from_json(Kept, packed))
    fresh = WarmMemory.fresh(now, pace)
    samples = _values(column(kept.leads, BYTES, range(startup.KEPT + 1)), LEAST_LEAD, LONGEST_LEAD)
    profile, stamps = _profile(kept)
    claims = replace(
        fresh.claims,
        since=None if kept.watched < 0 else now - kept.watched,
        rates=_figures(kept.rates, len(CONSTANTS)),
        slower=_figures(kept.slower, len(CONSTANTS)),
        losses=_figures(kept.losses, len(CANDIDATES)),
        errors=_errors(kept.errors),
        profile=profile,
        stamps=stamps,
    )
    leads = Leads(startup.learn(Startups.none(pace), samples, pace), kept.mean, kept.seen)
    return replace(fresh, leads=leads, claims=claims, late=Late(kept.cold, kept.unready))


def _sound(kept: Kept) -> Kept:
    """The same, whose numbers are such that a decision can be made with them.

    Raises:
        RecordError: one is not.
    """
    least = {"mean": LEAST_LEAD, "watched": -1.0}
    for name in ("at", "watched", "mean", "seen", "cold", "unready", "bucket"):
        number, low = getattr(kept, name), least.get(name, 0.0)
        if not low <= number <= LARGEST:
            raise RecordError(f"{name} is {number}, it must be from {low:g} to {LARGEST:g}")
    if kept.cold + kept.unready <= 0:
        raise RecordError("cold and unready are both 0, one must be above it")
    return kept


def _singles(figures: Sequence[float]) -> str:
    return text(np.clip(np.array(figures, dtype=float), 0.0, LARGEST_SINGLE), SINGLES)


def _figures(kept: str, count: int) -> tuple[float, ...]:
    return tuple(float(figure) for figure in column(kept, SINGLES, (count,)))


def _errors(kept: str) -> Errors:
    errors = Errors(*_figures(kept, FIGURES))
    if max(errors.claims, errors.came) <= 0 or errors.squares <= 0:
        raise RecordError(f"{kept!r:.40} holds errors that stand on nothing")
    return errors


def _day(claims: Claims, bucket: int) -> Floats:
    """Claims by time of day as steps, the last bucket last."""
    buckets = np.arange(bucket - BUCKETS, bucket + 1)
    steps = _steps(claims.profile[buckets % KEPT], LEAST_CLAIMS, MOST_CLAIMS)
    return np.where(claims.stamps[buckets % KEPT] == buckets, steps, UNWATCHED)


def _profile(kept: Kept) -> tuple[Floats, Ints]:
    """Claims by time of day, and the bucket that each was counted in."""
    day, buckets = column(kept.day, BYTES, (DAY,)), np.arange(kept.bucket - BUCKETS, kept.bucket + 1)
    profile, stamps = np.zeros(KEPT), np.full(KEPT, -1, dtype=np.int64)
    watched = day != UNWATCHED
    profile[buckets[watched] % KEPT] = _values(day[watched], LEAST_CLAIMS, MOST_CLAIMS)
    stamps[buckets[watched] % KEPT] = buckets[watched]
    return profile, stamps


def _steps(values: Floats, least: float, most: float) -> Floats:
    """Steps of the logarithm between both bounds, from 1 on; 0 is nothing at all."""
    parts = np.log(np.clip(values, least, most) / least) / np.log(most / least)
    return np.where(values < least, 0.0, 1.0 + np.round(parts * (STEPS - 1)))


def _values(steps: Floats, least: float, most: float) -> Floats:
    return np.where(steps == 0, 0.0, least * (most / least) ** ((steps - 1.0) / (STEPS - 1)))
