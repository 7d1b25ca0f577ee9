"""KEDA's ScaledJob: a Job for each task. Nothing is ever taken away, and each task pays a startup.

From kedacore/keda (pkg/scaling/executor/scale_jobs.go, 2026-08).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar

from scaler.core.types import Seconds
from scaler.sim.peers.sight import Leaving, Pool, Range, Sight


@dataclass(frozen=True, slots=True)
class Jobs:
    """What a strategy goes by: Jobs wanted and at most, those not finished, and of these those whose pod waits."""

    wanted: int
    most: int
    running: int
    pending: int


def default(jobs: Jobs) -> int:
    """For a queue that still counts what is being worked on."""
    return jobs.wanted - jobs.running


def custom(jobs: Jobs, deduction: int, percentage: float) -> int:
    """As the operator says: ``customScalingQueueLengthDeduction`` and ``customScalingRunningJobPercentage``."""
    return min(jobs.wanted - deduction - math.floor(jobs.running * percentage), jobs.most)


def accurate(jobs: Jobs) -> int:
    """For a queue that forgets a task as soon as somebody has taken it: a pending Job's task still waits in it."""
    if jobs.wanted + jobs.running - jobs.pending > jobs.most:
        return jobs.most - jobs.running
    return jobs.wanted - jobs.pending


def eager(jobs: Jobs) -> int:
    """Fills the free room at once."""
    return min(jobs.most - jobs.running - jobs.pending, jobs.wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Configuration of a ScaledJob with the strategy ``accurate``.

    Attributes:
        polling: ``pollingInterval``, seconds between two looks at the queue.
    """

    leaving: ClassVar[Leaving] = Leaving.AFTER_TASK
    grace: ClassVar[Seconds] = 30.0

    polling: Annotated[Seconds, Range(1.0, 60.0, log=True)] = 30.0

    def scaler(self, pool: Pool) -> JobScaler:
        """One at work."""
        return JobScaler(self.polling, pool.high)


@dataclass(frozen=True, slots=True)
class JobScaler:
    """One Job for each task that waits and for which none has started yet."""

    period: Seconds
    most: int

    def decide(self, sight: Sight) -> int:
        """The Jobs that stand, and new ones."""
        running = sight.ready + sight.starting
        idle = sum(load == 0 for load in sight.loads) if sight.loads else 0
        jobs = Jobs(min(sight.queued, self.most), self.most, running, sight.starting + idle)
        return running + max(0, accurate(jobs))
