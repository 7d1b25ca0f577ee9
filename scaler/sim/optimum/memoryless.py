"""The least that anybody can pay who does not know what comes, where that can be computed: work without a memory.

Tasks arrive at random at a known rate, each alone or some together as agents that fan out send them. They take an
exponential time, and a pod of one slot starts in ``phases`` exponential steps. Nothing that has happened says anything
about what will, beyond how many tasks and pods there are and how far each start has come. So the best policy is a
function of that state, and value iteration finds it: it sees everything at once, knows every rate, and its orders cost
no time. No autoscaler can be cheaper on such work, however clever it is.

OPT_blind knows the future and is only bound in when it may order. Where this is dearer, the ratio of the two is the
share of ``price_over_opt_blind`` that is nobody's fault.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

import numpy as np

from scaler.core.pods import Floats
from scaler.core.types import Seconds

CLOSE: Final = 1e-4  # of the price: when value iteration ends


@dataclass(frozen=True, slots=True, kw_only=True)
class Memoryless:
    """Work without a memory, and the pods that serve it.

    Attributes:
        arrivals: tasks a second; ``together`` how many of them arrive at one instant, on average: one, and a geometric
            number more. Their counts in a time much longer than that between them have a variance over mean of
            2 x together - 1.
        seconds: mean length of a task.
        startup: mean seconds from ordering a pod until it serves; ``phases`` the steps it takes, of equal mean.
        wait_price: price of a second that a task waits, in pod-seconds.
        tasks, pods, starting: the most that are looked at; ``starting`` of each phase. What would exceed them is lost
            (a task) or not allowed (a pod), so they must be so large that it hardly happens.
    """

    arrivals: float
    together: float = 1.0
    seconds: Seconds
    startup: Seconds
    phases: int = 2
    wait_price: float = 10.0
    tasks: int
    pods: int
    starting: int = 3

    @property
    def busy(self) -> float:
        """Pods that are busy on average: what is paid for whatever anybody does."""
        return self.arrivals * self.seconds


def least(case: Memoryless) -> float:
    """The least price per second that any policy reaches in the long run."""
    moves, fastest = _Moves(case), _fastest(case)
    costs, value = moves.costs() / fastest, np.zeros(moves.shape)
    while True:
        after = _acted(costs + value + moves.drift(value) / fastest)
        change = after - value
        low, high = float(change.min()) * fastest, float(change.max()) * fastest
        if high - low <= CLOSE * high:
            return (low + high) / 2.0
        value = after - after.flat[0]


def _fastest(case: Memoryless) -> float:
    """Events a second, at most."""
    busiest = min(case.tasks, case.pods) / case.seconds
    return case.arrivals + busiest + case.phases * case.starting * case.phases / case.startup


def _acted(value: Floats) -> Floats:
    """The value before one has acted: pods are ordered, and of those that serve only idle ones are let go.

    Axes: tasks, pods that serve, pods in each phase of their start.
    """
    ordered = np.minimum.accumulate(value[:, :, ::-1], axis=2)[:, :, ::-1]
    for tasks in range(min(value.shape[:2])):
        ordered[tasks, tasks:] = np.minimum.accumulate(ordered[tasks, tasks:], axis=0)
    return ordered


class _Moves:
    """What happens by itself, state by state."""

    def __init__(self, case: Memoryless) -> None:
        self._case = case
        self.shape = (case.tasks + 1, case.pods + 1, *(case.starting + 1,) * case.phases)
        self._counts: list[Floats] = [count.astype(np.float64) for count in np.indices(self.shape, sparse=True)]

    def costs(self) -> Floats:
        """What a second costs: pods, those that start among them, and tasks that wait."""
        tasks, serving, *starting = self._counts
        pods = serving + sum(starting)
        costs: Floats = pods + self._case.wait_price * np.maximum(tasks - serving, 0.0)
        return np.broadcast_to(costs, self.shape)

    def drift(self, value: Floats) -> Floats:
        """By how much the value changes a second, on average."""
        case, (tasks, serving, *starting) = self._case, self._counts
        drift = case.arrivals / case.together * (_joined(value, 1.0 / case.together) - value)
        drift += np.minimum(tasks, serving) / case.seconds * (_moved(value, {0: -1}) - value)
        stages = [*range(2, 2 + case.phases), 1]
        for count, (stage, after) in zip(starting, itertools.pairwise(stages), strict=True):
            drift += count * case.phases / case.startup * (_moved(value, {stage: -1, after: 1}) - value)
        result: Floats = drift
        return result


def _joined(value: Floats, last: float) -> Floats:
    """The value once some tasks have arrived together; ``last`` is the chance of each that it is the last of them."""
    after = _moved(value, {0: 1})
    for tasks in range(len(value) - 2, -1, -1):
        after[tasks] = last * value[tasks + 1] + (1.0 - last) * after[tasks + 1]
    return after


def _moved(value: Floats, steps: dict[int, int]) -> Floats:
    """The value one step along some axes; where that leads out, at the border."""
    for axis, step in steps.items():
        rows = np.clip(np.arange(value.shape[axis]) + step, 0, value.shape[axis] - 1)
        value = np.take(value, rows, axis=axis)
    return value
