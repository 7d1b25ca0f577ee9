"""A number as any signal may have it: every one is a count, a rate or a length of time."""

from __future__ import annotations

import math
from typing import Final

from scaler.core.types import Instant, Known
from scaler.sources.health import Failed, Fault

MOST: Final = 1e15  # counters included, nothing is more; and sums of a few of these are still finite and exact


def sample(value: float, at: Instant, written: str) -> Known | Failed:
    """The value at its instant, if it is one; ``written`` is how the source put it."""
    if math.isfinite(value) and 0 <= value <= MOST and math.isfinite(at):
        return Known(value, at)
    return Failed(Fault.VALUE, f"the value is {written}; a finite number from 0 to {MOST:g} is needed")
