"""How often each source was read, how long that took and why it failed: plain values for the metrics page."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from scaler.core.types import Seconds
from scaler.sources.timing import Times, Timing


class Fault(enum.StrEnum):
    """Why a reading gave no value. The values serve as metric labels."""

    UNREACHABLE = "unreachable"  # refused, reset, no such host
    SLOW = "slow"  # no answer in the time given
    STATUS = "status"  # an HTTP status other than 200
    GARBAGE = "garbage"  # an answer that does not follow the protocol
    PARTIAL = "partial"  # an answer that says of itself that something is missing
    EMPTY = "empty"  # no series, no such key or item
    SEVERAL = "several"  # more than one series
    KIND = "kind"  # a string, a range or a histogram where one number is needed
    VALUE = "value"  # NaN, infinite, negative or absurd
    CONFLICT = "conflict"  # two pods claim one uid
    CREDENTIAL = "credential"  # the file with the bearer token cannot be used
    CROWDED = "crowded"  # more servers than are read at once


@dataclass(frozen=True, slots=True)
class Failed:
    """A reading that gave no value: its kind, and the sentence that says what was seen."""

    fault: Fault
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A source's counters since it was opened.

    Attributes:
        times: how long its readings took, good and bad.
        faults: how many gave no value, by why; ``told`` is what was said of the last of each.
    """

    source: str
    times: Times
    faults: Mapping[Fault, int]
    told: Mapping[Fault, str]

    @property
    def reads(self) -> int:
        """Readings, good and bad."""
        return self.times.count


class Tally:
    """Counts the readings of one source."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._timing = Timing()
        self._faults: Counter[Fault] = Counter()
        self._told: dict[Fault, str] = {}

    def add(self, result: object, seconds: Seconds) -> None:
        """Count one reading that took this long; a ``Failed`` is counted under its fault."""
        self._timing.add(seconds)
        if isinstance(result, Failed):
            self._faults[result.fault] += 1
            self._told[result.fault] = result.why

    def health(self) -> Health:
        """The counters as they stand."""
        faults, told = dict(self._faults), dict(self._told)
        return Health(source=self._source, times=self._timing.times(), faults=faults, told=told)
