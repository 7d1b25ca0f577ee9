"""Averages and maxima over the last seconds, on Knative's own cases.

Rows from knative/serving, pkg/autoscaler/aggregation: bucketing_test.go (TestTimedFloat64BucketsWindowAverage,
TestTimedFloat64BucketsHoles, TestTimedFloat64BucketsWindowUpdate) and max/timewindow_test.go. Those that record the
past after the present are left out: we never do.
"""

from __future__ import annotations

import pytest

from scaler.sim.peers.windows import Buckets, Highest


def filled() -> Buckets:
    """One to five, a second apart, in a window of five."""
    buckets = Buckets(5.0, 1.0)
    for second in range(5):
        buckets.record(second, second + 1.0)
    return buckets


@pytest.mark.parametrize(
    ("at", "average"),
    [(4.0, 15 / 5), (3.6, 15 / 5), (6.0, (15 - 1 - 2) / 3), (10.0, 0.0)],
    ids=["full", "asked late", "short hole", "long hole"],
)
def test_an_average_is_over_what_the_window_has_seen(at: float, average: float) -> None:
    """Time since the last record does not count; after a whole window of it there is nothing left."""
    assert filled().average(at) == pytest.approx(average)


def test_the_first_seconds_count_alone() -> None:
    """One record in one second is an average of itself, not a fifth of it."""
    buckets = Buckets(5.0, 1.0)
    buckets.record(0.0, 1.0)
    assert buckets.average(0.0) == 1.0


def test_a_gap_between_records_is_time_in_which_nothing_happened() -> None:
    """Ninety-one after a second's silence is spread over all five; after a long one it begins anew."""
    buckets = filled()
    buckets.record(6.0, 91.0)
    assert buckets.average(6.0) == pytest.approx((15 - 1 - 2 + 91) / 5)
    buckets.record(18.0, 1984.0)
    assert buckets.average(18.0) == pytest.approx(1984.0)


def test_records_of_one_bucket_add_up() -> None:
    """Six in a bucket of three seconds each, the window rounded up to two buckets."""
    buckets = Buckets(5.0, 3.0)
    for second, value in enumerate((10, 2, 3, 4, 5, 6)):
        buckets.record(second, value)
    assert buckets.average(5.0) == pytest.approx((15 + 15) / 2)
    buckets.record(6.0, 7.0)
    assert buckets.average(6.0) == pytest.approx((15 + 7) / 2)


def test_the_highest_of_a_window() -> None:
    """Each wish stands until it is a window old, whatever lower ones came since."""
    highest = Highest(5.0, 1.0)
    said = [highest.record(at, value) for at, value in ((0, 5), (1, 6), (2, 3), (5, 4), (6, 4), (7, 8), (12, 1))]
    assert said == [5, 6, 6, 6, 4, 8, 1]


def test_a_window_of_part_of_a_step_is_one_step() -> None:
    """Shorter there is none."""
    highest = Highest(0.5, 2.0)
    assert [highest.record(at, value) for at, value in ((0.0, 4), (1.9, 2), (2.0, 1))] == [4, 4, 1]
