"""The peers whose arithmetic fits in a line: Agones' buffer, KEDA's Jobs, and a fixed number.

Rows from googleforgames/agones, pkg/fleetautoscalers/fleetautoscalers_test.go (TestApplyBufferPolicy), and from
kedacore/keda, pkg/scaling/executor/scale_jobs_test.go (2026-08).
"""

from __future__ import annotations

import pytest

from scaler.sim.peers.buffer import Buffer
from scaler.sim.peers.fixed import Fixed
from scaler.sim.peers.job import Job, Jobs, accurate, custom, default, eager
from scaler.sim.peers.sight import Pool, Sight


def seen(*, inflight: int = 0, queued: int = 0, loads: tuple[int, ...] = (), starting: int = 0) -> Sight:
    """A pool of as many pods as there are loads."""
    standing = len(loads) + starting
    return Sight(
        now=0.0, replicas=standing, ready=len(loads), starting=starting, queued=queued, inflight=inflight, loads=loads
    )


@pytest.mark.parametrize(
    ("knobs", "low", "high", "allocated", "replicas"),
    [
        (Buffer(buffer=20), 0, 100, 40, 60),
        (Buffer(buffer=20), 65, 100, 40, 65),
        (Buffer(buffer=20), 0, 55, 40, 55),
        (Buffer(buffer=1, percent=20), 0, 100, 50, 63),
        (Buffer(buffer=1, percent=10), 0, 10, 1, 2),
    ],
    ids=["increase", "minimum", "maximum", "per cent", "per cent of one"],
)
def test_upstream_s_buffers(knobs: Buffer, low: int, high: int, allocated: int, replicas: int) -> None:
    """TestApplyBufferPolicy: what is in use, and the buffer beside it."""
    assert knobs.scaler(Pool(low=low, high=high)).decide(seen(inflight=allocated)) == replicas


def test_a_buffer_of_pods_with_slots_counts_slots() -> None:
    """Nine tasks in pods of four, and two pods ready: five. What waits is nothing it knows of."""
    assert Buffer(buffer=2).scaler(Pool(slots=4)).decide(seen(inflight=9, queued=50)) == 5


@pytest.mark.parametrize(
    ("jobs", "created"), [(Jobs(3, 5, 2, 0), 1), (Jobs(2, 5, 0, 0), 2)], ids=["two run", "none runs"]
)
def test_upstream_s_default_strategy(jobs: Jobs, created: int) -> None:
    """TestDefaultScalingStrategy."""
    assert default(jobs) == created


@pytest.mark.parametrize(
    ("jobs", "deduction", "percentage", "created"),
    [
        (Jobs(3, 5, 2, 0), 1, 0.5, 1),
        (Jobs(10, 10, 0, 0), 1, 0.5, 9),
        (Jobs(3, 5, 2, 0), 2, 0.0, 1),
        (Jobs(3, 4, 2, 0), -2, 0.0, 4),
        (Jobs(3, 5, 2, 0), 0, 0.5, 2),
        (Jobs(10, 10, 0, 0), 0, 0.5, 10),
    ],
)
def test_upstream_s_custom_strategy(jobs: Jobs, deduction: int, percentage: float, created: int) -> None:
    """TestCustomScalingStrategy and TestCustomScalingStrategyNilQueueLengthDeduction."""
    assert custom(jobs, deduction, percentage) == created


@pytest.mark.parametrize(
    ("wanted", "running", "pending", "most", "created"),
    [
        (3, 2, 0, 5, 3),
        (5, 2, 0, 5, 3),
        (3, 4, 2, 10, 1),
        (5, 4, 2, 5, 1),
        (3, 3, 3, 5, 0),
        (15, 15, 15, 20, 0),
        (10, 10, 10, 15, 0),
        (20, 15, 10, 20, 5),
    ],
)
def test_upstream_s_accurate_strategy(wanted: int, running: int, pending: int, most: int, created: int) -> None:
    """TestAccurateScalingStrategy. A pending Job's task still waits, so a Job for it is not created twice."""
    assert accurate(Jobs(wanted, most, running, pending)) == created


@pytest.mark.parametrize(
    ("wanted", "running", "pending", "created"),
    [(4, 3, 0, 4), (4, 0, 3, 4), (4, 7, 0, 3), (4, 1, 6, 3), (15, 0, 0, 10)],
)
def test_upstream_s_eager_strategy(wanted: int, running: int, pending: int, created: int) -> None:
    """TestEagerScalingStrategy: ten Jobs at most."""
    assert eager(Jobs(wanted, 10, running, pending)) == created


def test_there_is_a_job_for_each_task_that_waits() -> None:
    """Two run, one starts, four wait: three more. Once all have theirs, no more; and never beyond the maximum."""
    scaler = Job().scaler(Pool(high=10))
    assert scaler.decide(seen(inflight=2, queued=4, loads=(1, 1), starting=1)) == 6
    assert scaler.decide(seen(inflight=2, queued=4, loads=(1, 1), starting=4)) == 6
    assert scaler.decide(seen(inflight=2, queued=40, loads=(1, 1), starting=4)) == 10
    assert scaler.decide(seen()) == 0


@pytest.mark.parametrize(("replicas", "asked"), [(7, 7), (1, 3), (50, 20)])
def test_a_fixed_number_stays_within_the_bounds(replicas: int, asked: int) -> None:
    """Whatever happens in the pool."""
    assert Fixed(replicas=replicas).scaler(Pool(low=3, high=20)).decide(seen(queued=99)) == asked
