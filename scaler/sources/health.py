"""How often each source was read, how long that took and why it failed: plain values for the metrics page."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scaler.core.types import Seconds


class Fault(enum.StrEnum):
    """Why a reading gave no value. The values serve as metric labels."""

    UNREACHABLE = "unreachable"  # refused, reset, no such host
    SLOW = "slow"  # no answer in the time given
    STATUS = "status"  # an HTTP status other than 200
    GARBAGE = "garbage"  # an answer that does not follow the protocol
    PARTIAL = "partial"  # an answer that says of itself that something is missing
    EMPTY = "empty"  # no series
    SEVERAL = "several"  # more than one series
    KIND = "kind"  # a string, a range or a histogram where one number is needed
    VALUE = "value"  # NaN, infinite or negative
    CONFLICT = "conflict"  # two pods claim one uid
    CROWDED = "crowded"  # more servers than are read at once


@dataclass(frozen=True, slots=True)
class Failed:
    """A reading that gave no value: its kind, and the sentence that says what was seen."""

    fault: Fault
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A source's counters since it was opened: ``seconds`` is the total time of ``reads`` readings."""

    source: str
    reads: int
    seconds: Seconds
    faults: Mapping[Fault, int]


class Tally:
    """Counts the readings of one source."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._reads = 0
        self._seconds: Seconds = 0.0
        self._faults: Counter[Fault] = Counter()

    def add(self, result: object, seconds: Seconds) -> None:
        """Count one reading that took this long; a ``Failed`` is counted under its fault."""
        self._reads += 1
        self._seconds += seconds
        if isinstance(result, Failed):
            self._faults[result.fault] += 1

    def health(self) -> Health:
        """The counters as they stand."""
        return Health(source=self._source, reads=self._reads, seconds=self._seconds, faults=dict(self._faults))
