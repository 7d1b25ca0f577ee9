"""What was written to disk, counted: the journal, the memories."""

from __future__ import annotations

from dataclasses import dataclass

from scaler.core.types import Instant


@dataclass(slots=True)
class Writes:
    """Counters of one thing that is written now and then. Who writes it counts; anybody may look.

    Attributes:
        what: is written, as a metric label.
        good, bad: writes that worked, and those that did not.
        size: bytes of the good ones together.
        last: when the last good one ended, None before it.
    """

    what: str
    good: int = 0
    bad: int = 0
    size: int = 0
    last: Instant | None = None

    def worked(self, size: int, now: Instant) -> None:
        """Count a write of ``size`` bytes."""
        self.good += 1
        self.size += size
        self.last = now

    def failed(self) -> None:
        """Count a write that left nothing behind."""
        self.bad += 1
