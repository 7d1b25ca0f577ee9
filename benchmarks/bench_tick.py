"""One tick of a pool of 10, 100, 1,000 and 10,000 pods, a fifth of which take up or end work between two ticks.

The reference asks the same pods, held as one object each, only who is idle and how much runs: the least a scaler that
walks its pods could do, and none of what a tick does beside it.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np

from benchmarks import Goal, Result
from scaler.core.memory import Memory
from scaler.core.pods import Activity, Pod, Pods, Stage
from scaler.core.policy import Policy
from scaler.core.tick import tick
from scaler.core.types import Known, Observation, Signal

MICROSECONDS = {10: 100.0, 100: 100.0, 1_000: 300.0, 10_000: 3_000.0}  # goals by number of pods
TICKS = 400
CHANGING = 5  # one pod in five
START = 1_000_000.0
PERIOD = 5.0


@dataclass(frozen=True, slots=True)
class Moment:
    """What one tick is given, as columns and as objects."""

    now: float
    observation: Observation
    pods: tuple[Pod, ...]


def moments(size: int) -> Iterator[Moment]:
    """A pool of ``size`` pods tick by tick."""
    chance = np.random.default_rng(size)
    uids = [f"pod-{i}" for i in range(size)]
    columns = Pods.of(Pod(uid=uid, created_at=0.0, since=20.0, activity=Activity(inflight=0, at=START)) for uid in uids)
    for i in range(TICKS):
        now = START + i * PERIOD
        inflight = columns.inflight.copy()
        inflight[chance.choice(size, max(1, size // CHANGING), replace=False)] ^= 1
        columns = replace(columns, inflight=inflight, seen_at=np.full(size, now))
        signals = {Signal.QUEUE: Known(float(chance.integers(0, 5)), now)}
        yield Moment(now, Observation(replicas=Known(size, now), pods=columns, signals=signals), tuple(columns))


def walked(pods: tuple[Pod, ...]) -> tuple[int, int]:
    """Tasks running, and idle pods, asked pod by pod."""
    inflight = idle = 0
    for pod in pods:
        if isinstance(pod.activity, Activity):
            inflight += pod.activity.inflight
            idle += pod.stage is Stage.READY and not pod.activity.inflight
    return inflight, idle


def timed(size: int) -> tuple[float, float]:
    """Median microseconds of a tick and of its reference, taken in turn."""
    policy, memory = Policy(max_replicas=2 * size), Memory.fresh(START)
    ticks, walks = [], []
    for moment in moments(size):
        began = perf_counter()
        memory = tick(policy, memory, moment.observation, moment.now).memory
        between = perf_counter()
        walked(moment.pods)
        ended = perf_counter()
        ticks.append(between - began)
        walks.append(ended - between)
    return statistics.median(ticks) * 1e6, statistics.median(walks) * 1e6


def run() -> Iterable[Result]:
    """Measure each size."""
    for size, most in MICROSECONDS.items():
        figure, reference = timed(size)
        goal = Goal("figure", "<=", most)
        yield Result(name=f"tick_{size}_pods", figure=figure, unit="us", reference=reference, goal=goal)
