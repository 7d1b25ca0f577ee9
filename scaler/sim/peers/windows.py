"""What the last seconds held: averages in buckets and sliding maxima, as Knative keeps them.

From knative/serving, pkg/autoscaler/aggregation (bucketing.go, max/timewindow.go).
"""

from __future__ import annotations

import math
from collections import deque

from scaler.core.types import Instant, Seconds


class Buckets:
    """Sums per bucket of ``width`` seconds, over the last ``window`` seconds. Records come in the order of time."""

    __slots__ = ("_count", "_first", "_kept", "_width")

    def __init__(self, window: Seconds, width: Seconds) -> None:
        self._width, self._count = width, max(1, math.ceil(window / width))
        self._kept: deque[tuple[int, float]] = deque()  # number and sum of each bucket that holds anything
        self._first = 0

    def record(self, at: Instant, value: float) -> None:
        """Add to the bucket of this instant."""
        bucket = self._bucket(at)
        last = self._kept[-1][0] if self._kept else bucket - self._count
        if bucket - last >= self._count:
            self._kept.clear()  # nothing of before is left in the window, so the average begins anew
            self._first = bucket
        self._kept.append((bucket, value + self._kept.pop()[1]) if bucket == last else (bucket, value))
        self._forget(bucket)

    def average(self, now: Instant) -> float:
        """Over the buckets from the first record, or the start of the window, to the last record; 0 where all is old.

        A gap between two records counts as nothing done; the time since the last one does not count at all.
        """
        bucket = self._bucket(now)
        if not self._kept or bucket - self._kept[-1][0] >= self._count:
            return 0.0
        last = self._kept[-1][0]
        late = max(0, bucket - last)
        total = sum(value for number, value in self._kept if number > bucket - self._count)
        return total / min(last - self._first + 1, self._count - late)

    def _bucket(self, at: Instant) -> int:
        return math.floor(at / self._width)

    def _forget(self, bucket: int) -> None:
        while self._kept[0][0] <= bucket - self._count:
            self._kept.popleft()


class Highest:
    """The highest value recorded in the last ``window`` seconds, in steps of ``width`` seconds."""

    __slots__ = ("_count", "_kept", "_width")

    def __init__(self, window: Seconds, width: Seconds) -> None:
        self._width, self._count = width, max(1, math.ceil(window / width))
        self._kept: deque[tuple[int, int]] = deque()  # step and value, each lower than the one before it

    def record(self, at: Instant, value: int) -> int:
        """Add one, and say which is the highest now."""
        step = math.floor(at / self._width)
        while self._kept and self._kept[-1][1] <= value:
            self._kept.pop()
        self._kept.append((step, value))
        while self._kept[0][0] <= step - self._count:
            self._kept.popleft()
        return self._kept[0][1]
