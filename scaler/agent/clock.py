"""Time for the gate, which runs in the agent's image and imports nothing of ours: so it has a clock of its own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What time it is."""

    def now(self) -> float:
        """Seconds since the epoch, for what is told to others."""
        ...

    def steady(self) -> float:
        """Seconds that no step of the wall clock shortens or stretches, for lengths of time."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def steady(self) -> float:
        """Seconds since some instant that stays the same."""
        return time.monotonic()
