"""What came of a pool's claims lately, in one sentence: hits, misses, waits, and what idling has cost. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from scaler.controller.sandboxes.ledger import Served
from scaler.core.types import Instant, Seconds
from scaler.core.warmpool_types import WarmPolicy
from scaler.sources.timing import Times

HOUR: Final[Seconds] = 3600.0
CHANCE: Final = 2.0  # standard deviations by which misses exceed the target before a person is warned
USUAL: Final = 0.95  # of the claims waited no longer than the wait that is told


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """A pool's books as they stood once; ``idle`` are sandbox-seconds."""

    at: Instant
    served: Mapping[Served, int]
    waits: Times
    idle: Seconds


@dataclass(frozen=True, slots=True)
class Digest:
    """What is told; ``missed`` says that it is a warning."""

    missed: bool
    said: str


def digest(before: Books, after: Books, policy: WarmPolicy, price: float | None) -> Digest | None:
    """What happened between two looks; None where nobody claimed. ``price`` is of an idle sandbox for an hour."""
    count = {word: after.served.get(word, 0) - before.served.get(word, 0) for word in Served}
    cold, starting = count[Served.COLD], count[Served.STARTING]
    claims = count[Served.READY] + cold + starting
    if claims == 0:
        return None
    missed, may = cold + starting, 1.0 - policy.fractile
    hours = (after.idle - before.idle) / HOUR
    cost = "" if price is None else f", which cost {hours * price:.2f}"
    said = (
        f"{claims} claims in {(after.at - before.at) / 60.0:.0f} min: {count[Served.READY]} hits, {starting} took a "
        f"sandbox that was starting, {cold} started cold ({missed / claims:.2%} missed, {may:.2%} may); "
        f"{_waited(before.waits, after.waits)}; {hours:.1f} sandbox-hours stood idle{cost}"
    )
    return Digest(missed > claims * may + CHANCE * math.sqrt(claims * may), said)


def _waited(before: Times, after: Times) -> str:
    """What most of them waited, by the buckets of the metric."""
    counts = [late - early for early, late in zip(before.counts, after.counts, strict=True)]
    total, seen = sum(counts), 0
    if total == 0:
        return "none was timed"
    for bound, here in zip(after.bounds, counts, strict=False):
        seen += here
        if seen >= USUAL * total:
            return f"{USUAL:.0%} of them waited up to {bound:g} s"
    return f"{USUAL:.0%} of them waited more than {after.bounds[-1]:g} s"
