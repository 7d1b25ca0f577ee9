"""What other sizes of warm pools need to miss as few claims as ours: each with its knob turned as far as it must."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from scaler.core.pods import Floats
from scaler.core.types import Seconds
from scaler.sim.warm import Tally
from scaler.sim.warm_limit import PRICES, even, priced
from scaler.sim.warm_limit import TARGETS as AIMS
from scaler.sim.warm_peers import (
    LOW,
    SECONDS,
    SHARES,
    TARGETS,
    BufferSizer,
    FixedSizer,
    HistogramSizer,
    RateSizer,
    ValueSizer,
)
from scaler.sim.warm_sight import Sizer

Run: TypeAlias = Callable[[Sizer, int], Tally]


@dataclass(frozen=True, slots=True)
class Equal:
    """A peer that misses no more than ours did: its knob, and the idle sandbox-hours of it; None where none does."""

    knob: float
    idle: float


def equals(run: Run, share: float, most: int, start: int) -> dict[str, Equal | None]:
    """Each peer with the knob at which no more miss than this share and the least stands idle.

    An HPA may go up to ``most`` here, where that of the example ends at a hundred.
    """
    size = smallest(run, share, most)
    fixed = run(FixedSizer(size), size)
    number = Equal(size, fixed.idle) if fixed.missed <= share else None

    def tuned(make: Callable[[float], Sizer], low: float, high: float) -> Equal | None:
        return _tuned(lambda knob: run(make(knob), start), share, low, high)

    return {
        "fixed": number,
        "rate": tuned(lambda knob: RateSizer(knob, most), *SECONDS),
        "hpa": tuned(lambda knob: ValueSizer(knob, low=min(LOW, most), high=most), *reversed(TARGETS)),
        "buffer": _fewer(number, tuned(lambda knob: BufferSizer(0, round(knob), most), *SHARES)),
        "histogram": tuned(lambda knob: HistogramSizer(knob, most), *SECONDS),
    }


def limits(run: Run, share: float, most: int, start: int, known: tuple[Floats, Seconds]) -> dict[str, Equal | None]:
    """The same of who knows the rates of the curve, in steps of his period, and the mean lead time."""
    return {
        "knowing": _tuned(lambda knob: run(even(*known, most, knob), start), share, *AIMS),
        "priced": _tuned(lambda knob: run(priced(*known, most, knob), start), share, *PRICES),
    }


def _fewer(one: Equal | None, other: Equal | None) -> Equal | None:
    """The one that stands idle for less: a buffer may be a number, which is a fixed size, or a share."""
    return min((each for each in (one, other) if each is not None), key=lambda each: each.idle, default=None)


def _tuned(run: Callable[[float], Tally], share: float, fewest: float, most: float) -> Equal | None:
    """The first knob that is enough, to a hundredth, from the one that keeps the fewest on."""
    near, far, found = math.log(fewest), math.log(most), None
    while abs(far - near) > 0.01:  # noqa: PLR2004 - the hundredth
        middle = (near + far) / 2.0
        tally = run(math.exp(middle))
        if tally.missed <= share:
            far, found = middle, Equal(float(f"{math.exp(middle):.3g}"), tally.idle)
        else:
            near = middle
    return found


def smallest(run: Run, target: float, most: int) -> int:
    """The smallest fixed size that misses no more than this share, known only afterwards; ``most`` where none does."""
    low, high = 0, most
    while low < high:
        middle = (low + high) // 2
        if run(FixedSizer(middle), middle).missed <= target:
            high = middle
        else:
            low = middle + 1
    return low
